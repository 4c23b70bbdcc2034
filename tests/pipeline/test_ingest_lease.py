"""One live publisher a source, and numbers that are won: over the log in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bus.errors import TransientError
from bus.ingest.checkpoint import Checkpoint, Checkpoints
from bus.ingest.claims import Claims
from bus.ingest.files import Seen, examine
from bus.ingest.lease import Holder, Lease
from bus.kafka.ports import Message
from tests.pipeline.ingest_world import World, row


async def test_only_one_of_two_processes_publishes(tmp_path: Path) -> None:
    world = World(tmp_path)
    for month in range(1, 5):
        world.put(f"{month}.csv", *(row(day, month=month) for day in range(1, 10)))
    first, second = world.runner(sleep=_a_moment), world.runner(sleep=_a_moment)
    await asyncio.gather(first.run(until_end=True), second.run(until_end=True))
    assert len(world.envelopes()) == 36
    assert {first.status()[0].deliveries, second.status()[0].deliveries} == {0, 4}


async def test_two_that_both_believe_to_hold_the_lease_do_no_harm(tmp_path: Path) -> None:
    """Here every wait of one is the time-out of the other."""
    world = World(tmp_path)
    for month in range(1, 5):
        world.put(f"{month}.csv", *(row(day, month=month) for day in range(1, 10)))
    await asyncio.gather(*(world.runner().run(until_end=True) for _ in range(2)))
    assert len(world.folded()) == len(world.current()) == 36


async def _a_moment(seconds: float) -> None:
    await asyncio.sleep(0)


def _lease(world: World, holder: Holder) -> Lease:
    return Lease("dlh/ispu", world.log, world.log, clock=world.clock, lease_seconds=10, holder=holder)


async def test_a_lease_is_taken_only_from_the_silent_the_dead_and_those_who_gave_it_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    alive, other, dead = Holder("elsewhere", 1, "a"), Holder("elsewhere", 2, "b"), Holder(Holder.this_process().host, 2**22 + 1, "c")
    first, second = _lease(world, alive), _lease(world, other)
    assert await first.try_acquire()
    assert not await second.try_acquire()
    world.clock.advance(9)
    await first.hold()
    assert not await second.try_acquire()
    world.clock.advance(9)
    assert not await second.try_acquire()
    world.clock.advance(2)
    assert await second.try_acquire()
    with pytest.raises(TransientError, match="another process"):
        await first.hold(now=True)
    assert not await first.try_acquire()
    await second.release()
    assert await _lease(world, dead).try_acquire()
    assert await _lease(world, Holder.this_process()).try_acquire()


async def test_the_first_claim_for_a_number_holds(tmp_path: Path) -> None:
    world = World(tmp_path)
    a, b = (world.put(name, row(day)) for day, name in enumerate(("a.csv", "b.csv"), 1))
    mine, theirs = (Claims("dlh/ispu", world.log, world.log, world.clock) for _ in range(2))
    info = {path: examine(Seen(path, path.stat().st_size, path.stat().st_mtime_ns)) for path in (a, b)}
    await mine.refresh()
    raced = False

    def hook(message: Message) -> None:
        nonlocal raced
        if not raced:
            raced = True
            world.log.append(theirs_message)

    await theirs.refresh()
    await theirs.claim(info[a])
    theirs_message = Message("bus.claims", 0, *_last(world))
    world.log.on_effect = hook
    # the other's claim for number 2 reaches the log just before ours
    theirs_message = _renumbered(theirs_message, 2)
    assert await mine.claim(info[b]) is None
    assert [claim.name for claim in mine.after(0)] == ["a.csv", "a.csv"]
    won = await mine.claim(info[b])
    assert won is not None
    assert won.delivery == 3


async def test_a_late_checkpoint_of_a_stopped_process_only_costs_work(tmp_path: Path) -> None:
    world = World(tmp_path)
    checkpoints = Checkpoints("dlh/ispu", world.log, world.log, world.clock)
    await checkpoints.save(Checkpoint(3))
    await checkpoints.save(Checkpoint(2, done=False, line=7))
    assert await Checkpoints("dlh/ispu", world.log, world.log, world.clock).newest() == Checkpoint(3)
    world.log.compact("bus.checkpoints")
    assert await Checkpoints("dlh/ispu", world.log, world.log, world.clock).newest() == Checkpoint(2, done=False, line=7)


def _last(world: World) -> tuple[bytes | None, bytes | None]:
    record = world.log.records("bus.claims")[-1]
    return record.key, record.value


def _renumbered(message: Message, delivery: int) -> Message:
    assert message.value is not None
    value = message.value.replace(b'"delivery":1', f'"delivery":{delivery}'.encode())
    return Message(message.topic, 0, message.key, value)

"""Several processes of one source, at once or one after another: what must come of it (ADR 0014 R6)."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from bus.errors import TransientError
from bus.ingest.claims import Claims
from bus.ingest.files import Facts, Seen, examine
from bus.ingest.lease import Holder, Lease
from bus.kafka.ports import Message
from tests.pipeline.ingest_scenarios import HEADER, scenario, values
from tests.pipeline.ingest_world import Crash, deliver_tables, lab_world


def _facts(path: Path) -> Facts:
    info = path.stat()
    return examine(Seen(path, info.st_size, info.st_mtime_ns))


@scenario
async def a_race_for_a_number(base: Path) -> None:
    """Two claim the same number for different files: all who look agree on who has it, and the loser knows."""
    world = lab_world(base)
    ours, theirs = (_facts(world.put(name, f"1,{name}", header=HEADER)) for name in ("a.csv", "b.csv"))
    other, mine = (Claims("lab/samples", world.log, world.log, world.clock) for _ in range(2))
    raced = False

    def first(message: Message) -> None:
        nonlocal raced
        if not raced:
            raced = True
            won.append(message)
            raise Crash

    won: list[Message] = []
    world.log.on_effect = first
    with contextlib.suppress(Crash):
        await other.claim(theirs)
    world.log.on_effect = lambda message: void(world.log.append(won.pop()) if won else None)
    assert await mine.claim(ours) is None, "believed to have won"
    late = Claims("lab/samples", world.log, world.log, world.clock)
    await late.refresh()
    assert [[claim.name for claim in each.after(0)] for each in (mine, late)] == [["b.csv"], ["b.csv"]]


@scenario
async def a_late_claim(base: Path) -> None:
    """It is stopped before its claim; its successor gives the number to an older file and dies at any effect; then the claim is written."""
    for effect in range(22):
        world = lab_world(base / str(effect), kind="append")
        older = world.put("older.csv", *(f"{n},o" for n in range(10, 16)), header=HEADER)
        hidden = older.rename(older.with_suffix(".away"))
        world.put("newer.csv", *(f"{n},n" for n in range(6)), header=HEADER)
        pending: list[Message] = []

        def stop(message: Message, pending: list[Message] = pending) -> None:
            if message.topic == "bus.claims":
                pending.append(message)
                raise Crash

        world.log.on_effect = stop
        with contextlib.suppress(Crash):
            await world.run()
        hidden.rename(older)
        await world.run_until_crash(effect)
        world.log.append(pending[0])
        await world.run()
        assert len(world.folded()) == 12, f"its successor died at effect {effect}"
        assert values(world) == {**{str(n): "o" for n in range(10, 16)}, **{str(n): "n" for n in range(6)}}


@scenario
async def two_connectors(base: Path) -> None:
    """Two processes of one source at the same time: only one publishes."""
    world = lab_world(base)
    deliver_tables(world)
    await asyncio.gather(*(world.runner(sleep=_a_moment).run(until_end=True) for _ in range(2)))
    assert len(world.envelopes()) == len(world.folded()), "both published"


@scenario
async def who_holds_the_lease(base: Path) -> None:
    """It is taken from the silent and from those who gave it back, from no other; who loses it notices; of two who take it one has it."""
    world = lab_world(base)
    first, second, third = (
        Lease("lab/samples", world.log, world.log, clock=world.clock, lease_seconds=10, holder=Holder("elsewhere", number, str(number)))
        for number in range(3)
    )
    assert await first.try_acquire()
    assert not await second.try_acquire()
    world.clock.advance(9)
    await first.hold()
    assert not await second.try_acquire()
    world.clock.advance(9)
    assert not await second.try_acquire(), "taken from one who renewed it"
    world.clock.advance(2)
    assert await second.try_acquire()
    try:
        await first.hold(now=True)
    except TransientError:
        pass
    else:
        raise AssertionError("lost it and did not notice")
    await second.release()
    assert sorted(await asyncio.gather(first.try_acquire(), third.try_acquire())) == [False, True], "two hold it"


async def _a_moment(seconds: float) -> None:
    await asyncio.sleep(0)


def void(_: object) -> None:
    """Take a value and give nothing."""

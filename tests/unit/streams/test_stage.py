"""The clauses of R1–R5 that the driver answers for, each seen to hold on the log in memory."""

from __future__ import annotations

import contextlib

import pytest

from bus.errors import FatalError, OffsetGap, TransientError
from bus.kafka.ports import Message, TopicPartition
from bus.kafka.topics import PARTIALS, SNAPSHOTS
from bus.streams.stage import Seek
from tests.unit.streams.world import EVENTS, Process, expected, history, message, write_indicator

FIRST = TopicPartition(EVENTS, 0)


async def exact(world, facts) -> None:
    for name, values in expected(facts).items():
        assert await world.values(name) == values


async def records(world, start, stop, partition=FIRST):
    return [record async for batch in world.log.read(partition, start, stop) for record in batch]


async def test_everything_published_is_exactly_what_the_events_say(world):
    facts = history(1, 300)
    await world.publish(facts)
    worker = world.worker()
    await worker.assign()
    await worker.run()
    await exact(world, facts)


@pytest.mark.parametrize("limit", [1, 3, 7, 1000])
async def test_values_do_not_depend_on_batches(world, limit):
    facts = history(2, 120)
    await world.publish(facts)
    worker = world.worker()
    await worker.assign()
    await worker.run(limit=limit)
    await exact(world, facts)


@pytest.mark.parametrize("crash_after", range(0, 60, 7))
async def test_a_successor_continues_exactly(world, crash_after):
    facts = history(3, 200)
    await world.publish(facts)
    worker = world.worker()
    await worker.assign()
    before = world.log.writes

    def crash(_: Message) -> None:
        if world.log.writes - before >= crash_after:
            raise FatalError("killed")

    world.log.on_effect = crash
    with pytest.raises(FatalError):
        await worker.run()
    world.log.on_effect = None
    successor = world.worker()
    await successor.assign(generation=2)
    await successor.run()
    await exact(world, facts)


async def test_a_jump_is_never_applied_but_sought_back(world):
    await world.publish(history(4, 100))
    worker = world.worker()
    await worker.assign()
    assert await worker.fold.on_batch(FIRST, 1, await records(world, 5, 10)) == Seek(FIRST, 0)
    assert worker.fold.position(FIRST) == 0
    assert await worker.fold.on_batch(FIRST, 1, await records(world, 0, 10)) is None
    assert worker.fold.position(FIRST) == 10


async def test_older_records_are_skipped(world):
    facts = history(5, 100)
    await world.publish(facts)
    worker = world.worker()
    await worker.assign()
    await worker.fold.on_batch(FIRST, 1, await records(world, 0, 10))
    await worker.fold.on_batch(FIRST, 1, await records(world, 0, 10))
    await worker.fold.on_batch(FIRST, 1, await records(world, 4, 14))
    assert worker.fold.position(FIRST) == 14
    await worker.run()
    await exact(world, facts)


async def test_a_hole_inside_a_batch_ends_the_stage(world):
    await world.publish(history(6, 100))
    worker = world.worker()
    await worker.assign()
    batch = await records(world, 0, 10)
    del batch[4]
    with pytest.raises(OffsetGap):
        await worker.fold.on_batch(FIRST, 1, batch)
    with pytest.raises(FatalError):
        await worker.fold.on_batch(FIRST, 1, await records(world, 0, 10))


async def test_batches_of_another_generation_or_partition_are_not_applied(world):
    await world.publish(history(7, 100))
    worker = world.worker()
    await worker.assign(events=[0], generation=2)
    assert await worker.fold.on_batch(FIRST, 1, await records(world, 0, 5)) is None
    other = TopicPartition(EVENTS, 1)
    assert await worker.fold.on_batch(other, 2, await records(world, 0, 5, other)) is None
    assert worker.fold.position(FIRST) == 0
    await worker.fold.revoke([FIRST])
    assert await worker.fold.on_batch(FIRST, 2, await records(world, 0, 5)) is None
    assert worker.fold.position(FIRST) is None


async def test_a_state_revoked_while_its_partials_are_sent_is_never_written(world):
    facts = history(8, 100)
    await world.publish(facts)
    worker = world.worker()
    await worker.assign()

    def revoke(sent: Message) -> None:
        if sent.topic == PARTIALS:
            worker.fold._disown(worker.fold.lanes.pop(FIRST))
            world.log.on_effect = None

    world.log.on_effect = revoke
    lane = worker.fold.lanes[FIRST]
    await worker.fold.on_batch(FIRST, 1, await records(world, 0, 10))
    assert lane.acknowledged == 0
    world.clock.seconds += 100
    await worker.fold.tick()
    assert world.log.records(SNAPSHOTS, 0) == ()
    successor = world.worker()
    await successor.assign(generation=2)
    await successor.run()
    await exact(world, facts)


async def test_a_failed_send_ends_the_stage_and_writes_no_snapshot(world):
    await world.publish(history(9, 100))
    worker = world.worker()
    await worker.assign()
    world.log.fail_next(TransientError("away"))
    with pytest.raises(FatalError):
        await worker.fold.on_batch(FIRST, 1, await records(world, 0, 10))
    world.clock.seconds += 100
    with pytest.raises(FatalError):
        await worker.fold.tick()


async def test_a_log_that_begins_after_the_state_is_refused(world):
    await world.publish(history(10, 100))
    world.log.trim(FIRST, 3)
    with pytest.raises(OffsetGap, match="begins at 3"):
        await world.worker().assign()


async def test_a_new_indicator_is_replayed_from_the_beginning_and_joins(world):
    facts = history(11, 150)
    await world.publish(facts)
    worker = world.worker()
    await worker.assign()
    await worker.run()
    write_indicator(world.root, "test.large", '{ kind = "count" }', where="amount >= 50")
    worker.fold_work.take(world.indicators())
    assert await worker.fold.refresh() == {}
    more = history(12, 150, first=150)
    await world.publish(more)
    await worker.run()
    await exact(world, [*facts, *more])
    assert await world.values("test.large") == expected([*facts, *more], least=50)["test.count"]
    world.clock.seconds += 100
    await worker.fold.tick()
    successor = world.worker()
    await successor.assign(generation=2)
    assert not any(lane.replays for lane in successor.fold.lanes.values())


@pytest.mark.parametrize("crash_after", range(0, 40, 3))
async def test_a_replay_that_crashes_is_published_whole_or_not_at_all(world, crash_after):
    facts = history(13, 150)
    await world.publish(facts)
    worker = world.worker()
    await worker.assign()
    await worker.run()
    write_indicator(world.root, "test.large", '{ kind = "sum", of = "amount" }')
    worker.fold_work.take(world.indicators())
    await worker.fold.refresh()
    before = world.log.writes

    def crash(_: Message) -> None:
        if world.log.writes - before >= crash_after:
            raise FatalError("killed")

    world.log.on_effect = crash
    with contextlib.suppress(FatalError):
        await worker.run(limit=10)
    world.log.on_effect = None
    assert (await world.values("test.large")).items() <= expected(facts)["test.total"].items()
    successor = world.worker()
    await successor.assign(generation=2)
    await successor.run()
    assert await world.values("test.large") == expected(facts)["test.total"]


async def test_an_undecodable_record_goes_to_quarantine_before_its_batch_counts(world):
    facts = history(14, 60)
    await world.publish(facts[:30])
    place = world.log.append(Message(EVENTS, 0, b"x", (message(world.codec, facts[0]).value or b"")[:9], ()))
    await world.publish(facts[30:])
    worker = world.worker()
    await worker.assign()
    await worker.run()
    await exact(world, facts)
    (held,) = world.log.records("quarantine.test")
    assert held.key == f"fold|{EVENTS}/0/{place}|".encode()


async def test_a_merge_without_its_snapshot_and_log_is_told_all_again(world):
    facts = history(15, 100)
    await world.publish(facts)
    worker = world.worker()
    await worker.assign()
    await worker.run(snapshots=False)
    world.log.trim(TopicPartition(PARTIALS, 0), 4)
    await worker.merge.assign({TopicPartition(PARTIALS, 0)}, 2)
    assert worker.merge.lanes[TopicPartition(PARTIALS, 0)].needs_repeat
    await worker.fold.repeat(0)
    await worker.run()
    await worker.outputs.step()
    await exact(world, facts)


async def test_the_owner_repeats_a_record_after_which_a_lower_one_appears(world):
    facts = history(16, 100)
    await world.publish(facts)
    worker = world.worker()
    await worker.assign()
    await worker.run(limit=5)
    topic = "indicators.test.total"
    first = world.log.records(topic)[0]
    same_cell = [record for record in world.log.records(topic) if record.key == first.key]
    assert len(same_cell) > 1
    await worker.outputs.step()
    world.log.append(Message(topic, 0, first.key, first.value, first.headers))
    assert await worker.outputs.step() == 1
    assert await worker.outputs.step() == 0
    world.log.compact(topic)
    await exact(world, facts)


async def test_a_stopped_owner_that_wakes_up_does_no_harm(world):
    facts = history(17, 200)
    await world.publish(facts[:100])
    zombie = world.worker()
    await zombie.assign()
    await zombie.run(snapshots=False)
    await world.publish(facts[100:])
    owner: Process = world.worker()
    await owner.assign(generation=2)
    await owner.run()
    world.clock.seconds += 100
    await zombie.fold.tick()
    await zombie.merge.tick()
    await zombie.run(limit=3)
    await owner.outputs.step()
    await exact(world, facts)
    third = world.worker()
    await third.assign(generation=3)
    await third.run()
    await exact(world, facts)

"""Watchdog, control requests, indicator folders, and the transport's own rules."""

from __future__ import annotations

import pytest
from faust.types import TP

from bus.errors import ConfigurationError, FatalError
from bus.kafka.ports import Message, TopicPartition
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import CONTROL, PARTIALS
from bus.streams.control import ControlReader, ask_for_repeats
from bus.streams.reload import IndicatorFolders
from bus.streams.transport import _ReadOffsets, batch_scheduler
from bus.streams.watchdog import Watchdog
from tests.unit.streams.world import EVENTS, history, write_indicator


async def watched(world):
    worker = world.worker()
    dog = Watchdog((worker.fold, worker.merge), world.log, world.clock, stall_seconds=20)
    await worker.assign()
    dog.assigned()
    return worker, dog


async def look_for_a_while(world, dog):
    for _ in range(10):
        await dog.check()
        world.clock.seconds += 5


async def test_standing_still_with_work_waiting_ends_the_worker(world):
    await world.publish(history(1, 100))
    _, dog = await watched(world)
    with pytest.raises(FatalError, match="stands at 0"):
        await look_for_a_while(world, dog)


async def test_progress_and_idleness_are_no_fault(world):
    await world.publish(history(1, 100))
    worker, dog = await watched(world)
    for _ in range(10):
        await worker.run(limit=5)
        await dog.check()
        world.clock.seconds += 15


async def test_time_in_which_the_process_itself_stood_still_does_not_count(world):
    await world.publish(history(1, 100))
    _, dog = await watched(world)
    await dog.check()
    world.clock.seconds += 1000
    await dog.check()


async def test_no_assignment_after_a_revocation_is_a_fault_but_loading_is_not(world):
    _, dog = await watched(world)
    dog.revoked()
    dog.loading()
    await look_for_a_while(world, dog)
    dog.assigned()
    dog.revoked()
    with pytest.raises(FatalError, match="no partitions"):
        await look_for_a_while(world, dog)


async def test_a_request_is_carried_out_once_and_again_after_an_assignment(world):
    await world.publish(history(2, 60))
    worker = world.worker()
    await worker.assign()
    await worker.run()
    control = ControlReader(world.log, worker.fold)
    assert await control.step() == 0
    await ask_for_repeats(world.log, [0])
    world.log.append(Message(CONTROL, 0, None, b"nonsense"))
    before = len(world.log.records(PARTIALS))
    assert await control.step() == 1
    assert len(world.log.records(PARTIALS)) > before
    assert await control.step() == 0
    control.rewind()
    assert await control.step() == 1


def test_a_wrong_indicator_file_leaves_the_set_in_force(world):
    folders = IndicatorFolders([world.root], world.catalogue)
    assert folders.changed() is None
    write_indicator(world.root, "test.large", '{ kind = "count" }')
    assert set(folders.changed() or ()) == {"test.count", "test.large", "test.total"}
    (world.root / "indicators" / "test.large.toml").write_text("id =")
    assert folders.changed() is None
    assert "test.large" in folders.current
    write_indicator(world.root, "test.large", '{ kind = "sum", of = "amount" }')
    assert folders.changed() is None, "numbers change but the version does not"
    write_indicator(world.root, "test.large", '{ kind = "sum", of = "amount" }', version=2)
    assert (folders.changed() or {})["test.large"].version == 2


async def test_a_definition_that_changed_while_no_worker_ran_is_refused_at_the_start(world):
    await world.publish(history(3, 40))
    worker = world.worker()
    await worker.assign()
    await worker.run()
    world.clock.seconds += 10
    assert await worker.fold.tick()
    units = await KafkaSnapshotStore(world.log, world.log).newest("fold/")
    IndicatorFolders([world.root], world.catalogue).stands(units)
    write_indicator(world.root, "test.count", '{ kind = "sum", of = "amount" }')
    with pytest.raises(ConfigurationError, match=r"test\.count\.toml: version: what it computes has changed since version 1"):
        IndicatorFolders([world.root], world.catalogue).stands(units)
    write_indicator(world.root, "test.count", '{ kind = "sum", of = "amount" }', version=2)
    IndicatorFolders([world.root], world.catalogue).stands(units)


async def test_a_definition_that_went_away_is_still_known_when_it_comes_back(world):
    await world.publish(history(3, 40))
    worker = world.worker()
    await worker.assign()
    await worker.run()
    world.clock.seconds += 10
    assert await worker.fold.tick()
    (world.root / "indicators" / "test.count.toml").unlink()
    folders = IndicatorFolders([world.root], world.catalogue)
    folders.stands(await KafkaSnapshotStore(world.log, world.log).newest("fold/"))
    write_indicator(world.root, "test.count", '{ kind = "sum", of = "amount" }')
    assert folders.changed() is None
    assert set(folders.current) == {"test.total"}
    write_indicator(world.root, "test.count", '{ kind = "count" }')
    assert set(folders.changed() or ()) == {"test.total", "test.count"}


async def test_a_new_version_takes_over_when_it_has_joined(world):
    facts = history(3, 100)
    await world.publish(facts)
    worker = world.worker()
    await worker.assign()
    await worker.run()
    write_indicator(world.root, "test.count", '{ kind = "sum", of = "amount" }', version=2)
    worker.fold_work.take(world.indicators())
    await worker.fold.refresh()
    lane = worker.fold.lanes[TopicPartition(EVENTS, 0)]
    assert sum("/test.count/1/" in name for name in lane.units) == 1
    await worker.run()
    assert sum("/test.count/1/" in name for name in lane.units) == 0
    assert await world.values("test.count") == await world.values("test.total")


async def test_predecessors_snapshots_go_once_the_successor_is_durable_twice_over(world):
    store = KafkaSnapshotStore(world.log, world.log)

    async def counting() -> set[tuple[str, str]]:
        """(replay or fold, version) of the snapshots of test.count."""
        return {(name.partition("/")[0], name.split("/test.count/")[1][0]) for name in await store.newest() if "/test.count/" in name}

    async def save(worker, number: int) -> None:
        await world.publish(history(number, 20, first=number * 100))
        await worker.run(snapshots=False)
        world.clock.seconds += 10
        await worker.fold.tick()

    worker = world.worker()
    await worker.assign()
    await save(worker, 1)
    assert await counting() == {("fold", "1")}
    write_indicator(world.root, "test.count", '{ kind = "sum", of = "amount" }', version=2)
    worker.fold_work.take(world.indicators())
    await worker.fold.refresh()
    await worker.fold.catch_up()
    world.clock.seconds += 10
    await worker.fold.tick()
    assert ("replay", "2") in await counting()
    await save(worker, 2)
    assert await counting() == {("fold", "1"), ("replay", "2"), ("fold", "2")}, "joined and saved once"
    await save(worker, 3)
    assert await counting() == {("fold", "2")}
    assert {name.split("/")[1] for name in await store.newest("fold/")} == {"test.count", "test.total"}
    successor = world.worker()
    await successor.assign(generation=2)
    await save(successor, 4)
    await successor.outputs.step()
    assert await world.values("test.count") == await world.values("test.total")


async def test_a_worker_that_starts_later_takes_away_what_its_predecessor_left(world):
    store = KafkaSnapshotStore(world.log, world.log)
    leftovers = [f"fold/test.count/1/0123456789abcdef/{EVENTS}/0", f"replay/fold/test.count/1/0123456789abcdef/{EVENTS}/1"]
    others = [
        f"fold/test.count/3/0123456789abcdef/{EVENTS}/0",
        f"fold/test.other/1/0123456789abcdef/{EVENTS}/0",
        "fold/test.count/1/0/elsewhere/0",
    ]
    for name in (*leftovers, *others):
        await store.save(name, 3, {"0": b"x"})
    write_indicator(world.root, "test.count", '{ kind = "count" }', version=2)
    worker = world.worker()
    await worker.assign()
    for number in (1, 2):
        await world.publish(history(number, 20, first=number * 100))
        await worker.run(snapshots=False)
        world.clock.seconds += 10
        await worker.fold.tick()
    assert not set(leftovers) & (await store.newest()).keys()
    assert set(others) <= (await store.newest()).keys()


class Fetched:
    def __init__(self, topic: str, offset: int) -> None:
        self.topic, self.partition, self.offset = topic, 0, offset
        self.timestamp, self.timestamp_type = 7, 0


def test_batched_topics_come_as_one_record_and_others_one_by_one():
    scheduler = batch_scheduler(frozenset({"a"}))()
    a, b = TP("a", 0), TP("b", 0)
    fetched = {a: [Fetched("a", 3), Fetched("a", 4)], b: [Fetched("b", 8), Fetched("b", 9)], TP("a", 1): []}
    seen = list(scheduler.iterate(fetched))
    assert [(tp, record.offset) for tp, record in seen] == [(a, 4), (b, 8), (b, 9)]
    assert seen[0][1].value == fetched[a]


def test_faust_forgets_what_it_has_read_of_batched_topics():
    offsets = _ReadOffsets(frozenset({"a"}))
    offsets[TP("a", 0)] = 5
    offsets[TP("b", 0)] = 5
    assert offsets[TP("a", 0)] is None
    assert offsets[TP("b", 0)] == 5

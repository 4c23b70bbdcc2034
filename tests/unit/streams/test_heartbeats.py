"""Heartbeats in the log: read between the events, told to the fold, and what only looks like one goes to quarantine."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from bus.events.heartbeat import heartbeat_headers
from bus.indicators.outputs import FINAL, PROVISIONAL
from bus.kafka.ports import Message, Record, TopicPartition
from tests.unit.streams.world import EVENTS, PARTITIONS, START, history, message

PARTITION = TopicPartition(EVENTS, 0)


def _beat(at: datetime, partition: int = 0) -> Message:
    return Message(EVENTS, partition, None, None, heartbeat_headers("test/a", at))


def _records(messages: list[Message]) -> list[Record]:
    return [Record(EVENTS, 0, offset, each.key, each.value, each.headers) for offset, each in enumerate(messages, 7)]


def test_heartbeats_lie_beside_the_events_of_a_batch(world):
    events = [message(world.codec, fact, partitions=1) for fact in history(1, 4)]
    work = world.worker().fold_work
    mixed = work.prepare(PARTITION, _records([events[0], _beat(START), *events[1:], _beat(START + timedelta(days=1))]))
    micros = int(START.timestamp()) * 1_000_000
    assert mixed.batch.heartbeats == ((8, "test/a", micros), (12, "test/a", micros + 86_400_000_000))
    assert (mixed.batch.frame["_offset"].to_list(), mixed.batch.first, mixed.batch.last) == ([7, 9, 10, 11], 7, 12)
    alone = work.prepare(PARTITION, _records([_beat(START)]))
    assert (len(alone.batch.frame), alone.batch.heartbeats, alone.first, alone.last) == (0, ((7, "test/a", micros),), 7, 7)
    assert not [*mixed.rejected, *alone.rejected]


@pytest.mark.parametrize("headers", [(), (("ce_type", b"bus.heartbeat.v1"), ("ce_source", b"test/a"), ("ce_time", b"soon"))])
def test_what_is_neither_an_event_nor_a_heartbeat_goes_to_quarantine(world, headers):
    work = world.worker().fold_work
    event = message(world.codec, history(1, 1)[0], partitions=1)
    prepared = work.prepare(PARTITION, _records([event, Message(EVENTS, 0, None, None, headers), _beat(START)]))
    assert [each.key for each in prepared.rejected] == [f"fold|{EVENTS}/0/8|".encode()]
    assert len(prepared.batch.frame) == len(prepared.batch.heartbeats) == 1


async def _statuses(world) -> set[str]:
    newest = {
        record.key: world.codec.decode(record.value, record.headers)["status"] for record in world.log.records("indicators.test.count")
    }
    return set(newest.values())


async def test_a_number_turns_final_once_every_partition_has_heard_that_its_window_is_past(world):
    await world.publish([fact for fact in history(1, 40) if fact.day == 0])
    worker = world.worker()
    await worker.assign()
    late = world.indicators()["test.count"].spec.late_seconds
    for partition in range(PARTITIONS):
        await worker.run()
        assert await _statuses(world) == {PROVISIONAL}
        await world.log.send([_beat(START + timedelta(days=2, seconds=late), partition)])
    await worker.run()
    assert await _statuses(world) == {FINAL}

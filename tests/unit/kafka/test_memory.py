"""What the log in memory can do beyond the ports: fail, be compacted, take late writes."""

from __future__ import annotations

import pytest

from bus.errors import FatalError, TransientError
from bus.kafka.ports import Message, TopicPartition
from bus.testing.memory import MemoryLog


def messages(count: int, topic: str = "a") -> list[Message]:
    return [Message(topic, 0, b"k%d" % (index % 2), b"%d" % index) for index in range(count)]


async def test_the_hook_sees_each_message_before_it_is_written_and_may_stop_there() -> None:
    log = MemoryLog({"a": 1})
    seen: list[tuple[Message, int]] = []

    def hook(message: Message) -> None:
        seen.append((message, log.writes))
        if len(seen) == 3:
            raise RuntimeError("crash")

    log.on_effect = hook
    with pytest.raises(RuntimeError, match="crash"):
        await log.send(messages(5))
    assert seen == [(message, index) for index, message in enumerate(messages(3))]
    assert [record.value for record in log.records("a")] == [b"0", b"1"]


async def test_a_send_told_to_fail_writes_a_beginning_in_each_partition_and_the_next_one_succeeds() -> None:
    log = MemoryLog({"a": 2})
    log.fail_next(written=[0, 2, 3, 5])
    log.fail_next(FatalError("gone"))
    with pytest.raises(TransientError):
        await log.send([Message("a", index % 2, None, b"%d" % index) for index in range(6)])
    with pytest.raises(FatalError, match="gone"):
        await log.send(messages(1))
    assert list(await log.send(messages(1))) == [2]
    assert [record.value for record in log.records("a")] == [b"0", b"2", b"0"]
    assert log.records("a", 1) == ()


async def test_compaction_keeps_the_last_of_each_key_and_the_newest_record() -> None:
    log = MemoryLog({"a": 1}, compacted=["a"])
    await log.send([*messages(4), Message("a", 0, b"k0", None), Message("a", 0, b"k1", None)])
    log.compact("a", tombstones=False)
    assert [(record.offset, record.value) for record in log.records("a")] == [(4, None), (5, None)]
    log.compact("a")
    assert [(record.offset, record.value) for record in log.records("a")] == [(5, None)]
    assert await log.end(TopicPartition("a", 0)) == 6
    assert [batch async for batch in log.read(TopicPartition("a", 0), 0, 5)] == []


def test_a_topic_keeps_its_partitions_for_life() -> None:
    log = MemoryLog({"a": 2})
    log.create("a", 2)
    with pytest.raises(FatalError, match="fixed for life"):
        log.create("a", 3)
    with pytest.raises(FatalError, match="not compacted"):
        log.compact("a")

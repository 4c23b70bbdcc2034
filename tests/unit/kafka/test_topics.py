"""Topics as declared: what is refused, and that the plan and its making agree on a real broker."""

from __future__ import annotations

import pytest

from bus.errors import ConfigurationError, FatalError
from bus.kafka.admin import Action, apply, plan
from bus.kafka.ports import Message, TopicPartition
from bus.kafka.reader import KafkaLogReader
from bus.kafka.topics import MAX_RECORD_BYTES, Topic, check_declared, declared_topics, partition_of
from bus.settings import KafkaSettings, Settings


def declared(kafka: KafkaSettings | None = None) -> tuple[Topic, ...]:
    return declared_topics(Settings(kafka=kafka or KafkaSettings()), ["dlh.air.measured.v1"], ["dlh.pm10_mean"], ["dlh"])


def test_the_partition_of_a_key_is_fixed_for_ever() -> None:
    # 0xCBF43926 is CRC-32's published check value.
    assert [partition_of("123456789", count) for count in (1, 4, 16, 256)] == [0, 2, 6, 0x26]
    assert partition_of("", 4) == 0


def test_every_topic_is_declared_once() -> None:
    topics = {topic.name: topic for topic in declared()}
    assert len(topics) == len(declared())
    assert topics["events.dlh.air.measured.v1"].partitions == 4
    assert {name for name, topic in topics.items() if topic.compacted} == {
        "bus.snapshots",
        "bus.checkpoints",
        "bus-streams-live-changelog",
        "indicators.dlh.pm10_mean",
        "quarantine.dlh",
    }
    for kept in ("events.dlh.air.measured.v1", "history.dlh.pm10_mean", "bus.audit"):
        assert (topics[kept].config["cleanup.policy"], topics[kept].config["retention.ms"]) == ("delete", "-1")
    assert all(int(topic.config["max.message.bytes"]) == MAX_RECORD_BYTES for topic in topics.values())


def test_replicated_topics_need_two_in_step() -> None:
    assert all(topic.config["min.insync.replicas"] == "2" for topic in declared(KafkaSettings(replication=3)))


@pytest.mark.parametrize(
    ("topic", "word"),
    [
        (Topic("events.x", 4, 1, {"cleanup.policy": "compact"}), "compaction"),
        (Topic("events.x", 4, 1, {"cleanup.policy": "delete,compact"}), "compaction"),
        (Topic("events.x", 4, 1, {"retention.ms": "1000"}), "delete events"),
        (Topic("events.x", 4, 1, {"retention.bytes": "1000"}), "delete events"),
        (Topic("anything", 0), "at least 1"),
    ],
)
def test_what_would_break_a_guarantee_is_refused(topic: Topic, word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        check_declared([topic])


def test_all_wrong_declarations_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as raised:
        check_declared([Topic("events.x", 0, 1, {"cleanup.policy": "compact"}), Topic("events.x", 1)])
    assert len(raised.value.problems) == 3


async def test_plan_and_apply(clean_broker: KafkaSettings) -> None:
    wanted = declared(clean_broker)
    planned = await plan(clean_broker, wanted)
    assert [(change.action, change.topic) for change in planned] == [(Action.CREATE, topic) for topic in wanted]
    assert await apply(clean_broker, wanted) == planned
    assert await plan(clean_broker, wanted) == []
    async with KafkaLogReader(clean_broker) as reader:
        assert {topic.name: topic.partitions for topic in wanted}.items() <= (await reader.topics()).items()
    with pytest.raises(ConfigurationError, match="fixed for life"):
        await plan(clean_broker, declared(clean_broker.model_copy(update={"event_partitions": 5})))


@pytest.mark.kafka
@pytest.mark.parametrize("clean_broker", ["kafka"], indirect=True)
async def test_settings_are_changed_one_by_one(clean_broker: KafkaSettings) -> None:
    wanted = declared(clean_broker)
    await apply(clean_broker, wanted)
    shorter = [Topic(t.name, t.partitions, 1, {**t.config, "retention.ms": "60000"}) if t.name == "bus.control" else t for t in wanted]
    changes = await apply(clean_broker, shorter)
    assert [str(change) for change in changes] == ["alter bus.control: retention.ms 86400000 -> 60000"]
    assert await plan(clean_broker, shorter) == []
    # Left alone: a setting that an operator added and nobody declares.
    await apply(clean_broker, [Topic("bus.control", 1, 1, {"segment.ms": "3600000"})])
    assert [change.config for change in await plan(clean_broker, wanted)] == [{"retention.ms": "86400000"}]


async def test_no_broker_is_a_clear_error() -> None:
    with pytest.raises(Exception, match="transport failure"):
        await plan(KafkaSettings(bootstrap_servers="127.0.0.1:1", retry_seconds=1), declared())


async def test_the_error_for_a_missing_topic_says_what_to_do(memory_log: object) -> None:
    from bus.testing.memory import MemoryLog

    assert isinstance(memory_log, MemoryLog)
    with pytest.raises(FatalError, match="bus topics apply"):
        await memory_log.send([Message("nowhere", 0, b"k", b"v")])
    with pytest.raises(FatalError, match="bus topics apply"):
        await memory_log.end(TopicPartition("nowhere", 0))

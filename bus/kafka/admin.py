"""`bus topics plan` and `apply`: the difference between the topics as declared and those on a broker, and making it.

Through confluent-kafka, because aiokafka's admin client can only replace all settings of a topic at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType  # type: ignore[attr-defined]

from bus.errors import BusError, ConfigurationError, FatalError, Problem, TransientError
from bus.kafka.failures import persist
from bus.kafka.ports import TopicPartition
from bus.kafka.topics import Topic, check_declared
from bus.settings import KafkaSettings

T = TypeVar("T")

_SECONDS = 15.0
_VISIBLE_ATTEMPTS = 500
_VISIBLE_PAUSE_SECONDS = 0.02


class Action(StrEnum):
    """What has to be done to a topic."""

    CREATE = "create"
    ALTER = "alter"


@dataclass(frozen=True, slots=True)
class Change:
    """One topic that is not as declared; `config` holds the settings to make, `before` what they are now."""

    action: Action
    topic: Topic
    config: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.action is Action.CREATE:
            settings = ", ".join(f"{key}={value}" for key, value in sorted(self.topic.config.items()))
            return f"create {self.topic.name}: {self.topic.partitions} partitions, {self.topic.replication} replicas, {settings}"
        return f"alter {self.topic.name}: " + ", ".join(
            f"{key} {self.before.get(key, '?')} -> {value}" for key, value in sorted(self.config.items())
        )


async def plan(settings: KafkaSettings, declared: Iterable[Topic]) -> Sequence[Change]:
    """What `apply` would do, in the order of the topics' names; empty when all is as declared. Topics that nobody declared are left alone.

    Raises `ConfigurationError` for a declaration that is refused and for a topic whose number of partitions differs (fixed for life: keys
    would move to other partitions and away from their past); `TransientError` when no broker answers within `retry_seconds`.
    """
    wanted = sorted(declared, key=lambda topic: topic.name)
    check_declared(wanted)
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})
    return await _patiently(settings, lambda: _plan(admin, wanted, settings))


async def apply(settings: KafkaSettings, declared: Iterable[Topic]) -> Sequence[Change]:
    """Make every topic as declared; what was done. Returns once brokers show it and the new topics can be written to. Raises as `plan` does."""
    changes = await plan(settings, declared)
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})
    if changes:
        await _patiently(settings, lambda: _apply(admin, changes))
        await _patiently(settings, lambda: _wait_visible(admin, [change.topic for change in changes], settings))
    return changes


async def delete_topics(settings: KafkaSettings, chosen: Callable[[str], bool]) -> Sequence[str]:
    """Delete the topics whose names are chosen, with all that is in them; their names. For tests and for taking an installation down."""
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})

    def work() -> Sequence[str]:
        names = sorted(name for name in _partitions(admin, settings) if chosen(name))
        if names:
            for name, deleted in admin.delete_topics(names, request_timeout=_SECONDS).items():
                _result(deleted, f"deleting {name}", but=KafkaError.UNKNOWN_TOPIC_OR_PART)
            for _ in range(_VISIBLE_ATTEMPTS):
                # The controller has deleted them; a broker may still show them for a moment.
                if not set(names) & _partitions(admin, settings).keys():
                    return names
                time.sleep(_VISIBLE_PAUSE_SECONDS)
            raise TransientError("the deleted topics do not disappear")
        return names

    return await _patiently(settings, work)


async def delete_records(settings: KafkaSettings, partition: TopicPartition, before: int) -> None:
    """Remove all records of a partition below an offset (not on the embedded broker, nor from a compacted topic)."""
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})

    def work() -> None:
        wanted = KafkaTopicPartition(partition.topic, partition.partition, before)
        for done in admin.delete_records([wanted], request_timeout=_SECONDS).values():
            _result(done, f"deleting the records of {partition.topic}/{partition.partition} before {before}")

    await _patiently(settings, work)


async def _patiently(settings: KafkaSettings, work: Callable[[], T]) -> T:
    async def attempt() -> T:
        return await asyncio.to_thread(work)

    return await persist("administering topics", attempt, settings.retry_seconds)


def _plan(admin: AdminClient, wanted: Sequence[Topic], settings: KafkaSettings) -> list[Change]:
    existing = _partitions(admin, settings)
    problems = [
        Problem(
            f"topic {topic.name}",
            f"has {existing[topic.name]} partitions and {topic.partitions} are declared; their number is fixed for life: set it back to"
            f" {existing[topic.name]}, or start a new installation and let it read everything again",
        )
        for topic in wanted
        if existing.get(topic.name, topic.partitions) != topic.partitions
    ]
    if problems:
        raise ConfigurationError(problems)
    there = [topic for topic in wanted if topic.name in existing]
    # The embedded broker takes no changes to a topic, and every topic on it was made by this code a moment ago.
    differing = {} if settings.embedded else _differences(admin, there)
    changes = []
    for topic in wanted:
        if topic.name not in existing:
            changes.append(Change(Action.CREATE, topic, topic.config))
        elif topic.name in differing:
            before = differing[topic.name]
            changes.append(Change(Action.ALTER, topic, {key: topic.config[key] for key in before}, before))
    return changes


def _partitions(admin: AdminClient, settings: KafkaSettings) -> dict[str, int]:
    try:
        found = admin.list_topics(timeout=min(_SECONDS, settings.retry_seconds)).topics
    except KafkaException as error:
        raise _translate(error, f"asking the broker at {settings.bootstrap_servers} for its topics") from error
    return {name: len(topic.partitions) for name, topic in found.items()}


def _differences(admin: AdminClient, topics: Sequence[Topic]) -> dict[str, dict[str, str]]:
    """Topic -> the declared settings that are not so, as they are."""
    if not topics:
        return {}
    resources = {ConfigResource(ResourceType.TOPIC, topic.name): topic for topic in topics}
    differing: dict[str, dict[str, str]] = {}
    for resource, future in admin.describe_configs(list(resources), request_timeout=_SECONDS).items():
        topic = next(topic for known, topic in resources.items() if known == resource)
        entries = _result(future, f"asking for the settings of {topic.name}")
        now = {key: str(entries[key].value) if key in entries else "?" for key in topic.config}
        if wrong := {key: value for key, value in now.items() if not _same(value, topic.config[key])}:
            differing[topic.name] = wrong
    return differing


def _same(left: str, right: str) -> bool:
    """Whether two spellings of a setting mean the same: Kafka shows 0.0001 as 1.0E-4."""
    try:
        return left == right or float(left) == float(right)
    except ValueError:
        return False


def _apply(admin: AdminClient, changes: Sequence[Change]) -> None:
    new = [change.topic for change in changes if change.action is Action.CREATE]
    if new:
        requests = [
            NewTopic(topic.name, num_partitions=topic.partitions, replication_factor=topic.replication, config=dict(topic.config))
            for topic in new
        ]
        for name, created in admin.create_topics(requests, request_timeout=_SECONDS).items():
            _result(created, f"creating {name}", but=KafkaError.TOPIC_ALREADY_EXISTS)
    altered = [change for change in changes if change.action is Action.ALTER]
    if altered:
        resources = [
            ConfigResource(
                ResourceType.TOPIC,
                change.topic.name,
                incremental_configs=[
                    ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in sorted(change.config.items())
                ],
            )
            for change in altered
        ]
        for resource, done in admin.incremental_alter_configs(resources, request_timeout=_SECONDS).items():
            _result(done, f"altering {resource.name}")


def _wait_visible(admin: AdminClient, topics: Sequence[Topic], settings: KafkaSettings) -> None:
    """The controller confirms a change a moment before brokers act on it."""
    for _ in range(_VISIBLE_ATTEMPTS):
        found = admin.list_topics(timeout=_SECONDS).topics
        if all(
            topic.name in found
            and len(found[topic.name].partitions) == topic.partitions
            and all(part.leader >= 0 for part in found[topic.name].partitions.values())
            for topic in topics
        ) and (settings.embedded or not _differences(admin, topics)):
            return
        time.sleep(_VISIBLE_PAUSE_SECONDS)
    raise TransientError("the topics do not become as declared")


def _result(future: Future[Any], doing: str, *, but: int | None = None) -> Any:
    """The outcome of one request; the error code `but` is none."""
    try:
        return future.result(_SECONDS)
    except KafkaException as error:
        if error.args[0].code() == but:
            return None
        raise _translate(error, doing) from error
    except TimeoutError as error:
        raise TransientError(f"{doing}: no answer within {_SECONDS:g} s") from error


def _translate(error: KafkaException, doing: str) -> BusError:
    cause = error.args[0]
    what = f"{doing}: {cause.str()}"
    if cause.retriable() or cause.code() in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN):  # noqa: SLF001 - its public names
        return TransientError(what)
    if cause.code() in (KafkaError.INVALID_REPLICATION_FACTOR, KafkaError.INVALID_CONFIG, KafkaError.POLICY_VIOLATION):
        return ConfigurationError([Problem("topics", what)])
    return FatalError(what)

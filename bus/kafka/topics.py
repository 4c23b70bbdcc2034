"""Topics as code: what every topic of the bus is, declared once. `bus.kafka.admin` makes the difference on a broker."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from bus.errors import ConfigurationError, Problem
from bus.settings import KafkaSettings, Settings

PARTIALS = "bus.partials"
SNAPSHOTS = "bus.snapshots"
CLAIMS = "bus.claims"
CHECKPOINTS = "bus.checkpoints"
CONTROL = "bus.control"
AUDIT = "bus.audit"
#: The cuts through the histories by which numbers were let out to the public.
RELEASES = "bus.releases"
EVENTS_PREFIX = "events."
INDICATORS_PREFIX = "indicators."
#: Every record that `indicators.<id>` ever got, kept for good.
HISTORY_PREFIX = "history."
LISTS_PREFIX = "lists."
#: Of each indicator that the public may see, what disclosure control let out.
PUBLIC_PREFIX = "public."
QUARANTINE_PREFIX = "quarantine."

#: Partitions of the snapshot topic; fixed for life.
SNAPSHOT_PARTITIONS = 4
#: The largest record that may be written, in bytes: a piece of a snapshot (900 KiB) or a part of a partial, with room to spare.
MAX_RECORD_BYTES = 4 * 1024 * 1024
_DAY_MS = 86_400_000


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, the same on every broker and client: CRC-32 of its UTF-8, modulo the number of partitions."""
    return zlib.crc32(key.encode()) % partitions


def live_changelog(settings: Settings) -> str:
    """The changelog of the Faust table `live`; by Faust's naming, and with the partitions of `bus.partials`, which it is fed from."""
    return f"{settings.streams.group}-live-changelog"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it has to be. `config` holds broker settings by their Kafka name."""

    name: str
    partitions: int
    replication: int = 1
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def compacted(self) -> bool:
        return "compact" in self.config.get("cleanup.policy", "delete")


def declared_topics(
    settings: Settings,
    event_types: Iterable[str],
    indicator_ids: Collection[str],
    agencies: Iterable[str],
    lists: Iterable[str] = (),
    public: Iterable[str] = (),
) -> tuple[Topic, ...]:
    """Every topic of this installation, sorted by name. `lists`: the indicators that compare registers, whose lists are restricted; `public`:
    those that the public may see something of."""
    kafka = settings.kafka
    topics = [
        *(_topic(kafka, EVENTS_PREFIX + name, kafka.event_partitions, retention_ms=-1) for name in event_types),
        *(_topic(kafka, INDICATORS_PREFIX + name, 1, compact=True) for name in indicator_ids),
        *(_topic(kafka, HISTORY_PREFIX + name, 1, retention_ms=-1) for name in indicator_ids),
        *(_topic(kafka, LISTS_PREFIX + name, 1, compact=True) for name in lists),
        *(_topic(kafka, PUBLIC_PREFIX + name, 1, compact=True) for name in public),
        *(_topic(kafka, QUARANTINE_PREFIX + name, 1, compact=True) for name in agencies),
        _topic(kafka, PARTIALS, kafka.partials_partitions, retention_ms=7 * _DAY_MS),
        _topic(kafka, SNAPSHOTS, SNAPSHOT_PARTITIONS, compact=True),
        _topic(kafka, CLAIMS, 1, retention_ms=-1),
        _topic(kafka, CHECKPOINTS, 1, compact=True),
        _topic(kafka, CONTROL, 1, retention_ms=_DAY_MS),
        _topic(kafka, AUDIT, 1, retention_ms=-1),
        _topic(kafka, RELEASES, 1, retention_ms=-1),
        _topic(kafka, live_changelog(settings), kafka.partials_partitions, compact=True),
    ]
    check_declared(topics)
    return tuple(sorted(topics, key=lambda topic: topic.name))


def check_declared(topics: Iterable[Topic]) -> None:
    """Raises `ConfigurationError` for declarations that would break a guarantee.

    Event topics: no compaction (R3: a fold needs every offset) and nothing that deletes by age or size: what the archive
    does not hold yet would go as well. `bus archive trim` removes what it holds (ADR 0027).
    """
    problems = []
    seen: set[str] = set()
    for topic in topics:
        where = f"topic {topic.name}"
        if topic.name in seen:
            problems.append(Problem(where, "declared twice"))
        seen.add(topic.name)
        if topic.partitions < 1:
            problems.append(Problem(where, f"{topic.partitions} partitions; at least 1 is needed"))
        if topic.name.startswith(EVENTS_PREFIX):
            if topic.compacted:
                problems.append(
                    Problem(where, "compaction would remove events that a fold or `bus verify` needs; allowed: cleanup.policy=delete")
                )
            problems.extend(
                Problem(where, f"{key}={topic.config[key]} would delete events; allowed: -1")
                for key in ("retention.ms", "retention.bytes")
                if topic.config.get(key, "-1") != "-1"
            )
    if problems:
        raise ConfigurationError(problems)


def _topic(kafka: KafkaSettings, name: str, partitions: int, *, compact: bool = False, retention_ms: int = -1) -> Topic:
    config = {"cleanup.policy": "compact" if compact else "delete", "max.message.bytes": str(MAX_RECORD_BYTES)}
    if not compact:
        config["retention.ms"] = str(retention_ms)
        config["retention.bytes"] = "-1"
    if kafka.replication >= 3:
        config["min.insync.replicas"] = "2"
    return Topic(name, partitions, kafka.replication, config)

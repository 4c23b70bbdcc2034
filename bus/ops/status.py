"""How far everything is, asked of the log alone: no role has to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bus.kafka.ports import TopicPartition
from bus.ops.backfill import open_quarantine
from bus.ops.idle import IdleWatch, Progress, merge_duties
from bus.ops.installation import Installation
from bus.ops.values import read_values
from bus.ops.wiring import Log


@dataclass(frozen=True, slots=True)
class TopicStatus:
    """An event topic: records in it, and how far the slowest fold's durable state is behind."""

    name: str
    records: int
    behind: int


@dataclass(frozen=True, slots=True)
class IndicatorStatus:
    """An indicator: cells with a value, how many of them are final, and the sum of their revisions."""

    name: str
    values: int
    final: int
    revisions: int


@dataclass(frozen=True, slots=True)
class Status:
    """Everything at one look."""

    progress: Progress
    topics: tuple[TopicStatus, ...]
    indicators: tuple[IndicatorStatus, ...]
    quarantine: Mapping[str, int]
    snapshots: int


async def look(installation: Installation, log: Log) -> Status:
    """Ask the log. Raises `FatalError` naming `bus topics apply` when topics are missing."""
    duties = installation.fold_duties()
    watch = IdleWatch(log.reader, log.snapshots, duties, merge_duties(installation.settings.kafka.partials_partitions))
    progress = await watch.look()
    newest = await log.snapshots.newest("")
    topics = []
    for schema in installation.catalogue.types.values():
        records = behind = 0
        for number in range(installation.settings.kafka.event_partitions):
            partition = TopicPartition(schema.type.topic, number)
            end = await log.reader.end(partition)
            records += end
            behind += max((end - newest.get(duty.unit, -1) - 1 for duty in duties if duty.partition == partition), default=0)
        topics.append(TopicStatus(schema.type.name, records, behind))
    indicators = []
    for name, indicator in installation.published.items():
        values = [each for each in await read_values(log.reader, installation.codec, name, version=indicator.version) if each.is_row]
        final = sum(each.status == "final" for each in values)
        indicators.append(IndicatorStatus(name, len(values), final, sum(each.revision for each in values)))
    quarantine = {agency: len(await open_quarantine(log.reader, agency)) for agency in installation.agencies}
    return Status(progress, tuple(topics), tuple(indicators), quarantine, len(newest))

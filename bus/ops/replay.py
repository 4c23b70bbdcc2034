"""`bus replay --from-archive`: every indicator computed anew from the archive's files, by the worker's own functions, without a broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from bus.errors import ConfigurationError, OffsetGap, Problem
from bus.indicators.compose import AnyIndicator
from bus.indicators.indicator import Indicator
from bus.indicators.verify import Recomputation
from bus.kafka.archive import Archive
from bus.kafka.archived_log import ArchivedLog
from bus.kafka.ports import LogReader, TopicPartition
from bus.ops.archive import topics_of
from bus.ops.installation import Installation
from bus.ops.values import write_csv
from bus.ops.verification import Report, verify
from bus.streams.folding import FoldWork

Progressed = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of a replay: events read, indicators with their rows, and up to which offset each partition went into them."""

    events: int
    rows: Mapping[str, int]
    positions: Mapping[TopicPartition, int]


async def rebuild(
    installation: Installation, archive: Archive, folder: Path, names: Collection[str] | None = None, *, progress: Progressed
) -> Rebuilt:
    """Write `<folder>/<indicator>.csv` of these indicators (default: all) as of the archive's end, as `bus run --export` writes them.

    The same events give the same bytes, but for `revision` in the rows of a reconciliation, which tells how much both registers had changed
    when the row was last published.

    One pass over the files, all indicators together; `progress` is told the records read and those to read. Raises `OffsetGap` for a hole
    between files, `FatalError` naming a damaged one, `ConfigurationError` for an unknown indicator and for an archive of other partitions.
    """
    chosen = [installation.indicator(name) for name in (installation.published if names is None else names)]
    leaves = {leaf.id: leaf for each in chosen for leaf in installation.leaves_of(each)}
    ends = _ends(installation, archive, leaves)
    again = Recomputation(leaves.values())
    again.advance({(leaf.id, leaf.topic, place.partition): end - 1 for leaf in leaves.values() for place, end in ends[leaf.topic].items()})
    wanted = list(again.wanted())
    total, done = sum(last + 1 - first for _, _, first, last in wanted), 0
    kafka = installation.settings.kafka
    work = FoldWork(installation.catalogue, {}, event_partitions=kafka.event_partitions, partials_partitions=kafka.partials_partitions)
    progress(done, total)
    for topic, partition, first, last in wanted:
        place = TopicPartition(topic, partition)
        for records in archive.read(place, first, last + 1):
            again.feed(topic, partition, work.prepare(place, records).batch)
            done += len(records)
            progress(done, total)
            await asyncio.sleep(0)
    return Rebuilt(done, _write(again, chosen, folder), {place: end for held in ends.values() for place, end in held.items()})


def _write(again: Recomputation, chosen: Collection[AnyIndicator], folder: Path) -> dict[str, int]:
    return {each.id: write_csv(folder / f"{each.id}.csv", list(each.definition["dims"]), again.outputs(each.id)) for each in chosen}


def _ends(installation: Installation, archive: Archive, leaves: Mapping[str, Indicator]) -> dict[str, dict[TopicPartition, int]]:
    """Topic -> its partitions, with the offset where the archive of each ends."""
    count = installation.settings.kafka.event_partitions
    found: dict[str, dict[TopicPartition, int]] = {}
    for topic in sorted({leaf.topic for leaf in leaves.values()}):
        holdings = archive.holdings(topic)
        if beyond := [number for number in holdings if number >= count]:
            what = (
                f"the archive has partition {beyond[0]} of {topic}; allowed are 0 to {count - 1}, as many as there were when it was written"
            )
            raise ConfigurationError([Problem("BUS_KAFKA__EVENT_PARTITIONS", what)])
        for number, holding in sorted(holdings.items()):
            if holding.resumes is not None:
                hole = f"offsets {holding.end} to {holding.resumes - 1} of {topic}/{number}"
                raise OffsetGap(f"archive {archive.root}: no file holds {hole}; put a copy of it in its place")
        places = [TopicPartition(topic, number) for number in range(count)]
        found[topic] = {place: archive.holding(place).end for place in places}
    return found


async def compare(
    installation: Installation, archive: Archive, log: LogReader, names: Collection[str] | None = None, *, progress: Progressed
) -> list[Report]:
    """Hold the published numbers against the archive: each is computed from its own evidence, read from the files as far as they go.

    Raises as `verify` does.
    """
    topics = topics_of(log)
    return await verify(installation, ArchivedLog(topics, archive, archive_first=True), names, progress=progress)

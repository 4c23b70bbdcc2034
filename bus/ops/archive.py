"""Looking after the archive: what it holds of each topic, whether its files are what their names say, and cutting topics short behind it.

A topic is cut only where nobody needs it any more: what goes was compared with the archive record by record, was published long enough ago, and
is in a durable snapshot of every indicator that counts it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from bus.errors import BusError, ConfigurationError, FatalError, Problem
from bus.kafka import archive_file
from bus.kafka.archive import Archive, Holding
from bus.kafka.archived_log import ArchivedLog, require_same_log
from bus.kafka.ports import LogReader, Record, SnapshotStore, TopicPartition
from bus.ops.installation import Installation
from bus.settings import Settings

Progressed = Callable[[int, int], None]
#: Removes the records of a partition below an offset.
Delete = Callable[[TopicPartition, int], Awaitable[None]]


def archive_of(settings: Settings) -> Archive:
    """The archive that is set. Raises `ConfigurationError` when none is, or there is no such folder."""
    folder = settings.archive.path
    if folder is None:
        raise ConfigurationError([Problem("BUS_ARCHIVE__FOLDER", "is not set; name the folder that holds the archive")])
    if not folder.is_dir():
        raise ConfigurationError([Problem("BUS_ARCHIVE__FOLDER", f"there is no folder {folder}; `bus run archive` makes and fills it")])
    return Archive(folder)


def topics_of(log: LogReader) -> LogReader:
    """The topics alone, as the broker has them."""
    return log.topics if isinstance(log, ArchivedLog) else log


# what there is


@dataclass(frozen=True, slots=True)
class Held:
    """A partition in the archive and on the broker, in offsets: records below `archived` are in files, from `beginning` to `end` in the topic."""

    place: TopicPartition
    holding: Holding
    beginning: int
    end: int

    @property
    def lost(self) -> int:
        """Records that are in neither."""
        return max(0, self.beginning - self.holding.end)


async def held(archive: Archive, topics: LogReader, names: Sequence[str]) -> list[Held]:
    """Every partition of these topics."""
    places = [TopicPartition(name, number) for name in names for number in range(await topics.partitions(name))]
    ends = await topics.ends(places)
    return [Held(place, archive.holding(place), await topics.beginning(place), end) for place, end in zip(places, ends, strict=True)]


def check(archive: Archive, progress: Progressed) -> Iterator[Problem]:
    """What is wrong with the files: holes between them, damage, and what does not belong there. `progress` counts files."""
    everything = [(topic, number, each) for topic in archive.topics() for number, each in sorted(archive.holdings(topic).items())]
    total = sum(len(each.files) + len(each.beyond) for _, _, each in everything)
    done = 0
    for topic, number, holding in everything:
        if holding.resumes is not None:
            yield Problem(f"{topic}/{number}", f"no file holds offsets {holding.end} to {holding.resumes - 1}")
        for each in (*holding.files, *holding.beyond):
            place = TopicPartition(topic, number)
            try:
                archive.check(each)
                archive_file.check_place(each, place)
            except BusError as error:
                yield Problem(str(each.path), str(error).removeprefix(f"{each.path}: "))
            done += 1
            progress(done, total)


# cutting topics short


@dataclass(frozen=True, slots=True)
class Cut:
    """What may go from a partition: its records from `beginning` up to, not including, `upto`; `why_not_more` says what keeps the next one."""

    place: TopicPartition
    beginning: int
    upto: int
    why_not_more: str

    @property
    def records(self) -> int:
        return max(0, self.upto - self.beginning)


async def plan_cuts(
    installation: Installation, archive: Archive, topics: LogReader, snapshots: SnapshotStore, *, before: date, names: Sequence[str]
) -> list[Cut]:
    """What may go from these topics: whole files of days before `before`, which every indicator has counted durably."""
    counted = await _counted(installation, snapshots)
    cuts = []
    for each in await held(archive, topics, names):
        files = each.holding.files
        upto = next((file.first for file in files if file.day >= before), each.holding.end)
        why = f"published on {before} or later" if upto < each.holding.end else "not archived"
        needed, indicator = counted.get(each.place, (upto, ""))
        if needed < upto:
            upto, why = needed, f"not counted durably by {indicator}"
        cuts.append(Cut(each.place, each.beginning, max(upto, each.beginning), why))
    return cuts


async def _counted(installation: Installation, snapshots: SnapshotStore) -> Mapping[TopicPartition, tuple[int, str]]:
    """Partition -> the offset up to which all its units are durable, and the unit that is the last."""
    newest = await snapshots.newest("fold/")
    found: dict[TopicPartition, tuple[int, str]] = {}
    for duty in installation.fold_duties():
        reached = newest.get(duty.unit, -1) + 1
        if duty.partition not in found or reached < found[duty.partition][0]:
            found[duty.partition] = reached, duty.unit.split("/")[1]
    return found


async def cut(archive: Archive, topics: LogReader, each: Cut, delete: Delete) -> None:
    """Compare all that is to go with the archive, then let it go. Raises `FatalError` at the first difference; nothing goes then."""
    await require_same_log(topics, archive, each.place, each.beginning, archive.holding(each.place).end)
    async for records in topics.read(each.place, each.beginning, each.upto):
        kept = await asyncio.to_thread(_kept, archive, each.place, records[0].offset, records[-1].offset + 1)
        for mine, theirs in zip(kept, records, strict=True):
            if mine != theirs:
                where = f"{each.place.topic}/{each.place.partition}/{theirs.offset}"
                raise FatalError(
                    f"archive {archive.root}: {where} is another record than in the topic; nothing of this partition was removed"
                )
    await delete(each.place, each.upto)


def _kept(archive: Archive, place: TopicPartition, start: int, stop: int) -> list[Record]:
    return [record for records in archive.read(place, start, stop) for record in records]

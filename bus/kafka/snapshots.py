"""Snapshots of units in a compacted topic (ADR 0014 R2, R3, ADR 0015); runs over any implementation of the ports.

A state is made of named blocks. A snapshot writes those that were touched since the one before it and lists all, each with the offset
`written_at` which the snapshot had that wrote it. The list of a group of blocks is itself written only when one of them was touched, and is
meant by "block" in what follows. A snapshot counts when its end record and all that it lists are there; the complete snapshot
with the highest offset stands, whoever wrote it and whenever. Two generations stay. What is taken away, only after a newer end record:

- end records, and chunks of the former form, of an offset below that of the second highest complete snapshot: they are nobody else's;
- a block written below that offset which no end record of the two lists *and* which the second highest proves to be superseded: it
  does not have that block at all, or says that it was touched after `since`, and `since` is not below the offset of the one in question.

Why no complete snapshot at or above the second highest ever loses a record, whoever writes or removes whatever late and however the
broker compacts. By R1 a state is a function of the log, and so is whether a block was touched between two offsets (`touched` includes
made and dropped; a touch is neither missed nor pretended, and not undone when the content comes back). An end record at p that lists a
block written at w says: not touched in (w, p], for each process that passed it on unwritten had not touched it. Let k be the second
highest complete offset when some process decides to remove the block written at w < k. It has proof of a touch within (w, k]: at k the
block is gone, or was touched in (since, k] with w <= since. So no true state at an offset p >= k has the block untouched in (w, p], no
end record at or above k lists it, be it written already, still to be written by a stopped process, or long ago; and all this stays
right however late the tombstone is written. Hence the two highest complete offsets never go down, and by induction every process
that still believes in a lower k proves no more than it would with the right one. The hash plays no part in the proof: content that
comes back later has another key, and equal states in bytes of another codec are no touch. `since` is -1, which proves nothing, for
blocks written without being touched (no snapshot to go on from, or one of the former form). What two processes wrote about the same
touch stays in both versions until the block's next touch; that is the price, and it is small.

A unit all of whose saves give every block lists nothing that was written before, so it may call them all touched.
Only `forget` ends a unit; it is for units that have a published successor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from bus.errors import FatalError
from bus.kafka.packing import digest, pack, size, unpack
from bus.kafka.ports import LogReader, Message, Publisher, Record, Snapshot, TopicPartition
from bus.kafka.snapshot_log import Key, Listing, UnitLog, end_of, in_order, listing_of
from bus.kafka.topics import SNAPSHOTS, partition_of

T = TypeVar("T")

_log = structlog.get_logger(__name__)

#: Looking again because the log moved while it was read: more often than this means something else is wrong.
_ATTEMPTS = 20
#: Contents of fewer bytes are packed at once: a thread would cost more than it spares the others.
_AT_ONCE = 64 * 1024
#: Records that are read and passed over rather than to ask anew for what lies behind them.
_HOLE = 32
#: Snapshots of a unit that this process remembers, for those who go on from them.
_REMEMBERED = 4


@dataclass(slots=True)
class _Index:
    """The units of one partition, as of `position`."""

    position: int = 0
    units: dict[str, UnitLog] = field(default_factory=dict)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def note(self, key: Key, place: int, value: bytes | None) -> None:
        self.units.setdefault(key.unit, UnitLog()).note(key, place, value)


class KafkaSnapshotStore:
    """A `SnapshotStore` over a log. One object serves one process; the calls for one unit must not overlap."""

    def __init__(self, publisher: Publisher, reader: LogReader, *, topic: str = SNAPSHOTS) -> None:
        self._publisher = publisher
        self._reader = reader
        self._topic = topic
        self._partitions = 0
        self._indexes: dict[int, _Index] = {}
        self._remembered: dict[str, dict[int, Listing]] = {}

    async def save(self, unit: str, offset: int, blocks: Mapping[str, bytes | None], *, base: int | None = None) -> None:
        """Write the state at `offset`: blocks, then the end record, then the tombstones of what nobody needs any more.

        Durable when it returns. Raises what the publisher raises; the snapshot then does not count, or counts in full.
        """
        partition = await self._partition(unit)
        if partition not in self._indexes:
            await self._refresh(partition)
        former = self._base(unit, offset, base)
        listing, records, end = await _aside(size(blocks.values()), lambda: _packed(unit, offset, blocks, former))
        await self._write(partition, records)
        await self._write(partition, [end])
        self._remember(listing)
        await self._write(partition, [(key, None) for key in self._indexes[partition].units[unit].obsolete()])

    async def load(self, unit: str, wanted: Callable[[str], bool] | None = None) -> Snapshot | None:
        """The complete snapshot with the highest offset, whoever wrote it and whenever; only the blocks whose names are `wanted`."""
        partition = await self._partition(unit)
        for _ in range(_ATTEMPTS):
            await self._refresh(partition)
            known = self._indexes[partition].units.get(unit)
            listing = known.newest() if known else None
            if known is None or listing is None:
                return None
            names = [name for name in listing.entries if wanted is None or wanted(name)]
            contents = await self._contents(partition, known, _keys(listing, names))
            if contents is not None:
                self._remember(listing)
                blocks = await self._unpacked(listing, names, contents)
                return Snapshot(unit, listing.offset, blocks, frozenset(listing.entries.keys() - blocks.keys()))
        raise FatalError(f"the snapshots of {unit} in {self._topic}/{partition} vanish while they are read")

    async def read(self, unit: str, names: Collection[str], *, base: int | None = None) -> Mapping[str, bytes]:
        """Blocks of the snapshot at offset `base`, which this process loaded or wrote."""
        listing = self._base(unit, None, base)
        partition = await self._partition(unit)
        if listing is None or any(name not in listing.entries for name in names):
            raise FatalError(f"{unit}: no snapshot that this process knows has all of the blocks {', '.join(sorted(names)[:5])}")
        contents = await self._contents(partition, self._indexes[partition].units[unit], _keys(listing, names))
        if contents is None:
            raise FatalError(f"{unit}: blocks of the snapshot at offset {listing.offset} are gone, so another process has gone on with it")
        return await self._unpacked(listing, names, contents)

    async def forget(self, unit: str) -> None:
        """Tombstones for all records of the unit, end records first, so that no half of a snapshot ever counts."""
        partition = await self._partition(unit)
        await self._refresh(partition)
        known = self._indexes[partition].units.get(unit)
        await self._write(partition, [(key, None) for key in in_order(known.places if known else ())])
        self._remembered.pop(unit, None)

    async def newest(self, prefix: str = "") -> Mapping[str, int]:
        """Unit -> offset of its newest complete snapshot, for the units whose name begins with `prefix`."""
        found: dict[str, int] = {}
        for partition in range(await self._count()):
            await self._refresh(partition)
            for name, unit in self._indexes[partition].units.items():
                listing = unit.newest() if name.startswith(prefix) else None
                if listing is not None:
                    found[name] = listing.offset
        return found

    def _base(self, unit: str, offset: int | None, base: int | None) -> Listing | None:
        """The snapshot at `base`, or the newest up to `offset`; None when this process neither loaded nor wrote it."""
        known = self._remembered.get(unit, {})
        if base is None:
            base = max((each for each in known if offset is None or each <= offset), default=-1)
        return known.get(base)

    def _remember(self, listing: Listing) -> None:
        known = self._remembered.setdefault(listing.unit, {})
        known.pop(listing.offset, None)
        known[listing.offset] = listing
        for offset in list(known)[:-_REMEMBERED]:
            del known[offset]

    async def _write(self, partition: int, entries: Iterable[tuple[Key, bytes | None]]) -> None:
        entries = list(entries)
        if not entries:
            return
        offsets = await self._publisher.send([Message(self._topic, partition, key.encode(), value) for key, value in entries])
        for (key, value), place in zip(entries, offsets, strict=True):
            self._indexes[partition].note(key, place, value)

    async def _refresh(self, partition: int) -> None:
        """Read on to the end of the partition, and again while the end moves: a tombstone counts only with what made it right."""
        index = self._indexes.setdefault(partition, _Index())
        place = TopicPartition(self._topic, partition)
        async with index.reading:
            for _ in range(_ATTEMPTS):
                end = await self._reader.end(place)
                if index.position >= end:
                    return
                async for batch in self._reader.read(place, index.position, end):
                    for record in batch:
                        self._note(index, record)
                index.position = end

    def _note(self, index: _Index, record: Record) -> None:
        key = Key.decode(record.key or b"")
        if key is None:
            _log.warning("snapshot_record_ignored", topic=record.topic, partition=record.partition, offset=record.offset)
            return
        index.note(key, record.offset, record.value)

    async def _unpacked(self, listing: Listing, names: Collection[str], contents: Mapping[Key, bytes]) -> dict[str, bytes]:
        """Block name -> content; chunks of the former form are blocks named by their index."""

        def work() -> dict[str, bytes]:
            if listing.chunks is not None:
                return {key.name: contents[key] for key in listing.chunks}
            return {name: unpack(contents[key] for key in listing.entries[name].records(listing.unit)) for name in names}

        return await _aside(size(contents.values()), work)

    async def _contents(self, partition: int, unit: UnitLog, wanted: Set[Key]) -> dict[Key, bytes] | None:
        """The records' values; None, with what is gone forgotten, when one is no longer there."""
        contents: dict[Key, bytes] = {}
        for first, last in _runs(unit.places[key] for key in wanted if key in unit.places):
            async for batch in self._reader.read(TopicPartition(self._topic, partition), first, last + 1):
                for record in batch:
                    key = Key.decode(record.key or b"")
                    if key is not None and key in wanted and record.value is not None and digest(record.value) == key.digest:
                        contents[key] = record.value
        lost = wanted - contents.keys()
        for key in lost:
            unit.places.pop(key, None)
        return None if lost else contents

    async def _partition(self, unit: str) -> int:
        return partition_of(unit, await self._count())

    async def _count(self) -> int:
        if not self._partitions:
            self._partitions = await self._reader.partitions(self._topic)
        if not self._partitions:
            raise FatalError(f"topic {self._topic} does not exist: run `bus topics apply`")
        return self._partitions


def _packed(
    unit: str, offset: int, blocks: Mapping[str, bytes | None], base: Listing | None
) -> tuple[Listing, list[tuple[Key, bytes]], tuple[Key, bytes]]:
    """A new snapshot: what it lists, the records that come before its end record, and that one."""
    pieces = {name: None if content is None else pack(content) for name, content in blocks.items()}
    listing, lists = listing_of(unit, offset, pieces, base)
    records: list[tuple[Key, bytes]] = []
    for name, each in pieces.items():
        if each is not None:
            records += zip(listing.entries[name].records(unit), (piece.value for piece in each), strict=True)
    return listing, records + lists, end_of(listing)


def _keys(listing: Listing, names: Collection[str]) -> set[Key]:
    """The records that hold these blocks; of a snapshot in the former form all."""
    return {*(listing.chunks or ()), *(key for name in names for key in listing.entries[name].records(listing.unit))}


async def _aside(amount: int, work: Callable[[], T]) -> T:
    """Do it in a thread when it is about many bytes, so that others have their turn meanwhile."""
    return work() if amount < _AT_ONCE else await asyncio.to_thread(work)


def _runs(places: Iterable[int]) -> list[tuple[int, int]]:
    """Log offsets as ranges (first, last) without large holes."""
    runs: list[tuple[int, int]] = []
    for place in sorted(places):
        if runs and place <= runs[-1][1] + _HOLE:
            runs[-1] = (runs[-1][0], place)
        else:
            runs.append((place, place))
    return runs

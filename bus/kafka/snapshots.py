"""Snapshots of units in a compacted topic (ADR 0014 R2, R3); runs over any implementation of the ports.

Records, all of a unit in one partition (`partition_of(unit)`), keys in JSON:

    ["chunk", unit, offset, index, sha256]   one piece of the state
    ["end",   unit, offset, sha256]          the value lists the chunks' hashes in order

A key names its content, so writing one again (after a crash, or by a process that was stopped in the middle) says the same again.
A snapshot counts when its end record and all chunks in it are there. What lies below the second highest offset that was ever complete
is removed; hence the highest complete offset never goes down, whoever writes or removes whatever late, and however the broker compacts.
Only `forget` ends a unit; it is for units that have a published successor.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from bus.errors import FatalError
from bus.kafka.ports import LogReader, Message, Publisher, Record, Snapshot, TopicPartition
from bus.kafka.topics import SNAPSHOTS, partition_of

_log = structlog.get_logger(__name__)

#: How many distinct offsets of a unit stay.
GENERATIONS = 2
#: Looking again because the log moved while it was read: more often than this means something else is wrong.
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class _Key:
    """What a record is: a chunk (`index` >= 0) or an end record (`index` = -1)."""

    unit: str
    offset: int
    index: int
    digest: str

    def encode(self) -> bytes:
        kind: list[object] = ["end", self.unit, self.offset] if self.index < 0 else ["chunk", self.unit, self.offset, self.index]
        return json.dumps([*kind, self.digest], separators=(",", ":")).encode()

    @classmethod
    def decode(cls, raw: bytes) -> _Key | None:
        try:
            parts = json.loads(raw)
        except ValueError:
            return None
        match parts:
            case ["chunk", str(unit), int(offset), int(index), str(digest)] if index >= 0:
                return cls(unit, offset, index, digest)
            case ["end", str(unit), int(offset), str(digest)]:
                return cls(unit, offset, -1, digest)
        return None


@dataclass(slots=True)
class _Unit:
    """What is known of one unit: where each live key lies in the log, and what each end record lists."""

    places: dict[_Key, int] = field(default_factory=dict)
    ends: dict[_Key, tuple[_Key, ...]] = field(default_factory=dict)

    def complete(self) -> dict[int, _Key]:
        """Offset -> end record, of the snapshots that have all their chunks."""
        return {end.offset: end for end, chunks in self.ends.items() if all(chunk in self.places for chunk in chunks)}

    def obsolete(self) -> list[_Key]:
        """Keys of what no reader can need any more; end records first."""
        kept = sorted(self.complete(), reverse=True)[:GENERATIONS]
        if len(kept) < GENERATIONS:
            return []
        return sorted((key for key in self.places if key.offset < kept[-1]), key=lambda key: (key.offset, key.index))


@dataclass(slots=True)
class _Index:
    """The units of one partition, as of `position`."""

    position: int = 0
    units: dict[str, _Unit] = field(default_factory=dict)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def note(self, key: _Key, place: int, value: bytes | None) -> None:
        """Take over one record. A process's own writes are noted before they are read, so an older place never replaces a newer one."""
        unit = self.units.setdefault(key.unit, _Unit())
        if unit.places.get(key, -1) > place:
            return
        if value is None:
            unit.places.pop(key, None)
            unit.ends.pop(key, None)
            return
        unit.places[key] = place
        if key.index < 0 and _digest(value) == key.digest:
            unit.ends[key] = tuple(_Key(key.unit, key.offset, index, digest) for index, digest in enumerate(json.loads(value)["chunks"]))


class KafkaSnapshotStore:
    """A `SnapshotStore` over a log. One object serves one process; the calls for one unit must not overlap."""

    def __init__(self, publisher: Publisher, reader: LogReader, *, topic: str = SNAPSHOTS) -> None:
        self._publisher = publisher
        self._reader = reader
        self._topic = topic
        self._partitions = 0
        self._indexes: dict[int, _Index] = {}

    async def save(self, unit: str, offset: int, chunks: Sequence[bytes]) -> None:
        """Write the state at `offset`: chunks, then the end record, then the tombstones of what is older than two generations.

        Durable when it returns. Raises what the publisher raises; the snapshot then does not count, or counts in full.
        """
        partition = await self._partition(unit)
        if partition not in self._indexes:
            await self._refresh(partition)
        keys = [_Key(unit, offset, index, _digest(chunk)) for index, chunk in enumerate(chunks)]
        await self._write(partition, zip(keys, chunks, strict=True))
        listed = json.dumps({"chunks": [key.digest for key in keys]}, separators=(",", ":")).encode()
        await self._write(partition, [(_Key(unit, offset, -1, _digest(listed)), listed)])
        await self._write(partition, [(key, None) for key in self._indexes[partition].units[unit].obsolete()])

    async def load(self, unit: str) -> Snapshot | None:
        """The complete snapshot with the highest offset, whoever wrote it and whenever."""
        partition = await self._partition(unit)
        for _ in range(_ATTEMPTS):
            await self._refresh(partition)
            known = self._indexes[partition].units.get(unit)
            complete = known.complete() if known else {}
            if known is None or not complete:
                return None
            offset = max(complete)
            chunks = await self._chunks(partition, known, known.ends[complete[offset]])
            if chunks is not None:
                return Snapshot(unit, offset, chunks)
        raise FatalError(f"the snapshots of {unit} in {self._topic}/{partition} vanish while they are read")

    async def forget(self, unit: str) -> None:
        """Tombstones for all records of the unit, end records first, so that no half of a snapshot ever counts."""
        partition = await self._partition(unit)
        await self._refresh(partition)
        known = self._indexes[partition].units.get(unit)
        keys = sorted(known.places, key=lambda key: (key.index >= 0, key.offset, key.index)) if known else []
        await self._write(partition, [(key, None) for key in keys])

    async def newest(self, prefix: str = "") -> Mapping[str, int]:
        """Unit -> offset of its newest complete snapshot, for the units whose name begins with `prefix`."""
        found: dict[str, int] = {}
        for partition in range(await self._count()):
            await self._refresh(partition)
            for name, unit in self._indexes[partition].units.items():
                complete = unit.complete() if name.startswith(prefix) else None
                if complete:
                    found[name] = max(complete)
        return found

    async def _write(self, partition: int, entries: Iterable[tuple[_Key, bytes | None]]) -> None:
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
        key = _Key.decode(record.key or b"")
        if key is None:
            _log.warning("snapshot_record_ignored", topic=record.topic, partition=record.partition, offset=record.offset)
            return
        index.note(key, record.offset, record.value)

    async def _chunks(self, partition: int, unit: _Unit, keys: Sequence[_Key]) -> tuple[bytes, ...] | None:
        """The chunks' contents; None, with what is gone forgotten, when one is no longer there."""
        contents: dict[_Key, bytes] = {}
        for first, last in _runs([unit.places[key] for key in keys]):
            async for batch in self._reader.read(TopicPartition(self._topic, partition), first, last + 1):
                for record in batch:
                    key = _Key.decode(record.key or b"")
                    if key is not None and record.value is not None and _digest(record.value) == key.digest:
                        contents[key] = record.value
        lost = [key for key in keys if key not in contents]
        for key in lost:
            unit.places.pop(key, None)
        return None if lost else tuple(contents[key] for key in keys)

    async def _partition(self, unit: str) -> int:
        return partition_of(unit, await self._count())

    async def _count(self) -> int:
        if not self._partitions:
            self._partitions = await self._reader.partitions(self._topic)
        if not self._partitions:
            raise FatalError(f"topic {self._topic} does not exist: run `bus topics apply`")
        return self._partitions


def _digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def _runs(places: Iterable[int]) -> list[tuple[int, int]]:
    """Log offsets as ranges (first, last) without holes."""
    runs: list[tuple[int, int]] = []
    for place in sorted(set(places)):
        if runs and place == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], place)
        else:
            runs.append((place, place))
    return runs

"""Processes that save states of one unit, the topic that they save to, and what anybody may look for in it."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

import bus.kafka.packing
from bus.kafka.ports import Message, Record, TopicPartition
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import SNAPSHOTS
from bus.testing.memory import MemoryLog

UNIT = "fold/x"
#: Two in a group, two alone in theirs, one in none.
NAMES = ("a", "g/b", "g/d", "h/c", "i/e")


def touched(offset: int) -> set[str]:
    """What the record at an offset touches."""
    return {name for number, name in enumerate(NAMES) if zlib.crc32(b"%d" % offset) >> (3 * number) & 7 < 2}


def touches(name: str, offset: int) -> list[int]:
    """The offsets up to that one whose records touch the block."""
    return [at for at in range(offset + 1) if name in touched(at)]


def content(offset: int) -> dict[str, bytes]:
    """By R1 the state at an offset is the same whoever saves it. Contents come back after a while, and some blocks come and go."""
    times = {name: len(touches(name, offset)) for name in NAMES}
    return {name: name.encode() + b"%d" % (n % 2 if name[-1] in "ab" else n) for name, n in times.items() if name[-1] not in "de" or n % 2}


def changes(base: int, offset: int) -> dict[str, bytes | None]:
    """The state as it is given to the store by one who goes on from the snapshot at `base`."""
    fresh = {name for name in NAMES if base < 0 or (touches(name, offset) or [0])[-1] > base}
    return {name: value if name in fresh else None for name, value in content(offset).items()}


class Process:
    """A process with a store of its own, that stands still (SIGSTOP) before any write that its budget does not cover, and can go on later."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.store = KafkaSnapshotStore(self, log)
        self.budget = 0
        self.base = -1
        self._go = asyncio.Event()
        self._still = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def send(self, messages: Sequence[Message]) -> Sequence[int]:
        offsets = []
        for message in messages:
            while self.budget == 0:
                self._go.clear()
                self._still.set()
                await self._go.wait()
            self.budget -= 1
            offsets.append(self.log.append(message))
        return offsets

    async def recover(self) -> None:
        """Go on from the newest snapshot; one of the former form has to be written anew as a whole."""
        found = await self.store.load(UNIT)
        self.base = found.offset if found is not None else -1
        self._former = found is not None and set(found.blocks) == {"0", "1"}

    async def advance(self, by: int, budget: int) -> None:
        """Go on with the log and save, or with the save that stands."""
        if self.stands:
            await self.go_on(budget)
            return
        offset = self.base + by
        if offset >= 0:
            await self.save(offset, budget)

    async def save(self, offset: int, budget: int) -> None:
        self._task = asyncio.create_task(self._save(offset))
        await self.go_on(budget)

    async def _save(self, offset: int) -> None:
        await self.store.save(UNIT, offset, changes(-1 if self._former else self.base, offset), base=self.base)
        self.base, self._former = offset, False

    _former = False

    async def go_on(self, budget: int) -> None:
        """Perform that many writes more, or what is left of the save."""
        assert self._task is not None
        self.budget = budget
        self._still.clear()
        self._go.set()
        still = asyncio.create_task(self._still.wait())
        await asyncio.wait([self._task, still], return_when=asyncio.FIRST_COMPLETED)
        still.cancel()
        if self._task.done():
            self._task.result()

    @property
    def stands(self) -> bool:
        return self._task is not None and not self._task.done()

    def end(self) -> None:
        if self._task is not None:
            self._task.cancel()


@dataclass
class Disturbed:
    """A reader under whose hands the topic changes: `disturb` is called before every batch and every look at the end."""

    log: MemoryLog
    disturb: Callable[[], Awaitable[None]]

    async def partitions(self, topic: str) -> int:
        return await self.log.partitions(topic)

    async def beginning(self, partition: TopicPartition) -> int:
        return await self.log.beginning(partition)

    async def end(self, partition: TopicPartition) -> int:
        await self.disturb()
        return await self.log.end(partition)

    async def ends(self, partitions: Sequence[TopicPartition]) -> list[int]:
        return [await self.end(partition) for partition in partitions]

    async def read(self, partition: TopicPartition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        await self.disturb()
        async for batch in self.log.read(partition, start, stop):
            yield batch
            await self.disturb()


class Topic:
    """The topic as a key-value map of everything written so far, read without the store's own code."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._noted = 0
        self._live: dict[str, bytes] = {}
        #: Offsets that were complete at some moment.
        self.seen: set[int] = set()

    def look(self) -> set[int]:
        """The offsets that are complete now."""
        for record in self._log.records(SNAPSHOTS):
            if record.offset < self._noted:
                continue
            self._noted = record.offset + 1
            key = (record.key or b"").decode()
            if record.value is None:
                self._live.pop(key, None)
            else:
                self._live[key] = record.value
        complete = {json.loads(key)[2] for key in self._live if self._whole(key)}
        self.seen |= complete
        return complete

    def _whole(self, end: str) -> bool:
        kind, unit, offset, _, *_ = json.loads(end)
        if kind == "end":
            chunks = json.loads(self._live[end])["chunks"]
            return all(_key("chunk", unit, offset, number, sha256) in self._live for number, sha256 in enumerate(chunks))
        if kind != "state":
            return False
        last = _plain([self._live[end]])
        blocks = list(last["blocks"])
        for group, _, at, hashes in last["lists"]:
            keys = [_key("list", unit, at, group, sha256) for sha256 in hashes]
            if any(key not in self._live for key in keys):
                return False
            blocks += _plain([self._live[key] for key in keys])["blocks"]
        return all(_key("block", unit, at, name, sha256) in self._live for name, _, at, hashes in blocks for sha256 in hashes)


def _key(*parts: object) -> str:
    return json.dumps(parts, separators=(",", ":"))


def _plain(pieces: list[bytes]) -> dict[str, list]:  # type: ignore[type-arg]
    packed = b"".join(pieces)
    if packed[0] == 2:
        return json.loads(pa.decompress(packed[9:], int.from_bytes(packed[1:9]), "zstd", asbytes=True))
    assert packed[0] == 0
    return json.loads(packed[1:])


def former(offset: int) -> list[Message]:
    """A snapshot in the former form."""
    chunks = [json.dumps(sorted(name + value.decode() for name, value in content(offset).items())).encode(), b"more"]
    digests = [bus.kafka.packing.digest(chunk) for chunk in chunks]
    listed = json.dumps({"chunks": digests}, separators=(",", ":")).encode()
    pairs = [(_key("chunk", UNIT, offset, number, digests[number]), chunk) for number, chunk in enumerate(chunks)]
    pairs.append((_key("end", UNIT, offset, bus.kafka.packing.digest(listed)), listed))
    return [Message(SNAPSHOTS, 0, key.encode(), value) for key, value in pairs]


def given_all(offset: int) -> Mapping[str, bytes | None]:
    return changes(-1, offset)


def offset_of(record: Record) -> int:
    return int(json.loads(record.key or b"")[2])

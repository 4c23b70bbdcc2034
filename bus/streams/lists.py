"""The lists of compared registers in Kafka: one line a subject, and the owner's watch over them (ADR 0014 R5).

A line bears its order in a header; of two lines of a subject the one of the higher order is the newer. A subject whom no register knows
any more is a tombstone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import structlog

from bus.indicators.merge import MergeUnit
from bus.indicators.partial import canonical
from bus.indicators.reconcile import Entry, Reconcile
from bus.kafka.ports import LogReader, Message, Record, TopicPartition
from bus.kafka.topics import LISTS_PREFIX

if TYPE_CHECKING:
    from bus.streams.merging import Parts
    from bus.streams.stage import Stage

_log = structlog.get_logger(__name__)

#: Header of a line: "version.revision".
ORDER = "bus_order"


def listed(entries: Iterable[Entry]) -> list[Message]:
    """The lines, as records."""
    return [
        Message(LISTS_PREFIX + entry.list_id, 0, entry.subject.encode(), _line(entry), ((ORDER, b"%d.%d" % _order(entry)),))
        for entry in entries
    ]


class ListWatch:
    """The owner of a comparison reads its list and repeats a line after which an older one appears.

    A stopped worker may append one late; a comparison by new definitions may know nothing of a subject who is on the list; a merge that lost
    its state knows nothing of it either. The first look at a list, and the first one after its definition has changed, is at all of it.
    """

    def __init__(self, stage: Stage[MergeUnit, Parts], reader: LogReader) -> None:
        self._stage = stage
        self._reader = reader
        #: Topic -> definition (version, fingerprint) and how far it has been read.
        self._seen: dict[str, tuple[tuple[int, str], int]] = {}

    def rewind(self) -> None:
        """Look at everything again: this process owns other merges now."""
        self._seen.clear()

    async def step(self) -> int:
        """Read on; the number of lines that had to be repeated."""
        repeated = 0
        for each in self._published():
            if await self._reader.partitions(LISTS_PREFIX + each.id):
                repeated += await self._look(each)
        if repeated:
            _log.warning("list_repeated", lines=repeated, reason="the lists had lines that are not so")
        return repeated

    async def _look(self, each: Reconcile) -> int:
        place = TopicPartition(LISTS_PREFIX + each.id, 0)
        known = self._seen.get(place.topic)
        start = known[1] if known is not None and known[0] == each.mark else await self._reader.beginning(place)
        end = await self._reader.end(place)
        if known is not None and known[0] == each.mark and start >= end:
            return 0
        # Outside of the turn only lines that may have to be repeated are collected; what merge says meanwhile comes after `end`.
        suspects = await self._suspects(each, place, start, end, {})
        async with self._stage.turn:
            if each not in self._published():
                return 0
            last = await self._reader.end(place)
            suspects = await self._suspects(each, place, end, last, suspects)
            wrong = [line for key, record in suspects.items() if (line := _better(each, key, record)) is not None]
            await self._stage.effect(wrong)
            self._seen[place.topic] = each.mark, last
        return len(wrong)

    async def _suspects(
        self, each: Reconcile, place: TopicPartition, start: int, end: int, found: dict[bytes, Record]
    ) -> dict[bytes, Record]:
        """The newest record of each subject, as far as it is not what the comparison says now."""
        if start < end:
            async for batch in self._reader.read(place, start, end):
                for record in batch:
                    if record.key is None:
                        continue
                    found.pop(record.key, None)
                    if record.value != _line(each.entry(record.key.decode())):
                        found[record.key] = record
        return found

    def _published(self) -> Sequence[Reconcile]:
        return [each for lane in self._stage.lanes.values() for unit in lane.units.values() for each in unit.lists()]


def _better(each: Reconcile, key: bytes, record: Record) -> Message | None:
    """What is to be said after that record; None when it is right, or said by a process that was further along the log."""
    entry = each.entry(key.decode())
    if record.value == _line(entry) or _order_of(record) > _order(entry):
        return None
    return listed([entry])[0]


def _order(entry: Entry) -> tuple[int, int]:
    return entry.version, entry.revision


def _order_of(record: Record) -> tuple[int, int]:
    """Lines without an order are older than all others."""
    version, _, revision = dict(record.headers).get(ORDER, b"0.0").partition(b".")
    return int(version), int(revision)


def _line(entry: Entry) -> bytes | None:
    if entry.status is None:
        return None
    line = {"left": entry.left, "region": entry.region, "right": entry.right, "status": entry.status, "subject": entry.subject}
    return canonical({**line, "version": entry.version}).encode()

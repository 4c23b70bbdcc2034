"""The owner of a merge watches over what it has published: whatever a stopped worker writes late, readers keep the newest rows (ADR 0014 R5)."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, cast

import structlog

from bus.events.codec import Codec
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output
from bus.kafka.ports import LogReader, Record, TopicPartition
from bus.streams.outputs import Mark, Place, decode_output, mark_of, mark_of_record, topic_of
from bus.streams.strays import Strays

if TYPE_CHECKING:
    from bus.streams.merging import MergeWork, Parts
    from bus.streams.stage import Stage

_log = structlog.get_logger(__name__)


class OutputWatch:
    """The owner of a merge reads its own output topics and repeats a record after which a lower one appears.

    A stopped worker that writes late, or a merge that lost its state, may append a lower record; compaction would then keep that one.
    Rows that only a merge knew whose state is lost are said to be empty.
    """

    def __init__(self, stage: Stage[MergeUnit, Parts], work: MergeWork, reader: LogReader, codec: Codec) -> None:
        self._stage = stage
        self._work = work
        self._reader = reader
        self._codec = codec
        self._positions: dict[str, int] = {}
        #: Output topics that exist: that of an indicator which was removed for good may not.
        self._topics: set[str] = set()
        self._strays = Strays()

    async def start(self) -> None:
        """After an assignment: publish whatever the topics do not show at its newest, then watch from their ends on."""
        self._work.standing.clear()
        self._positions.clear()
        self._strays.clear()
        async with self._stage.turn:
            places = self._current().keys()
        self._topics.clear()
        newest: dict[Place, tuple[Mark, int]] = {}
        for topic in await self._watched():
            await self._read_all(topic, places, newest)
        async with self._stage.turn:
            current = self._current()
            missing = [
                output
                for place, output in current.items()
                if place[0] in self._topics and (place not in newest or newest[place][0].stands_below(mark_of(output)))
            ]
            for place in current.keys() & newest.keys():
                self._work.stands(place, *newest[place])
            missing += self._strays.empty(self._units(), current)
            await self._stage.effect(self._work.messages(missing))
        if missing:
            _log.info("outputs_repeated", outputs=len(missing))

    async def _read_all(self, topic: str, places: Container[Place], newest: dict[Place, tuple[Mark, int]]) -> None:
        """The newest record of each cell; of those that are not in `places`, what it says too."""
        partition = TopicPartition(topic, 0)
        end = await self._reader.end(partition)
        async for batch in self._reader.read(partition, await self._reader.beginning(partition), end):
            for record in batch:
                mark = mark_of_record(self._codec, record)
                if record.key is None:
                    continue
                if mark is None:
                    newest.pop((topic, record.key), None)
                else:
                    newest[topic, record.key] = (mark, record.offset)
                if (topic, record.key) not in places:
                    self._strays.note((topic, record.key), decode_output(self._codec, record))
        self._positions[topic] = end

    async def step(self) -> int:
        """Read on; the number of records that had to be repeated."""
        lowered: set[Place] = set()
        partitions = [TopicPartition(topic, 0) for topic in await self._watched()]
        for partition, end in zip(partitions, await self._reader.ends(partitions), strict=True):
            topic, start = partition.topic, self._positions.get(partition.topic, 0)
            if start < end:
                async for batch in self._reader.read(partition, start, end):
                    lowered |= {(topic, record.key) for record in batch if record.key is not None and self._is_lower(topic, record)}
            self._positions[topic] = max(start, end)
        outputs: list[Output] = []
        if lowered or self._strays:
            async with self._stage.turn:
                outputs = [output for place, output in self._current().items() if place in lowered] if lowered else []
                outputs += self._strays.empty(self._units(), self._work.standing)
                await self._stage.effect(self._work.messages(outputs))
        if outputs:
            _log.warning("outputs_repeated", outputs=len(outputs), reason="a lower record appeared after ours, or one that is not so")
        return len(outputs)

    async def _watched(self) -> Sequence[str]:
        """The output topics of what is published, whether it has rows or not."""
        wanted = {topic_of(name) for unit in self._units() for name in unit.known()}
        for topic in wanted - self._topics:
            if await self._reader.partitions(topic):
                self._topics.add(topic)
        return sorted(wanted & self._topics)

    def _is_lower(self, topic: str, record: Record) -> bool:
        place = topic, cast("bytes", record.key)
        standing = self._work.standing.get(place)
        if standing is None:
            self._strays.note(place, decode_output(self._codec, record))
        if standing is None or record.offset <= standing.offset:
            return False
        mark = mark_of_record(self._codec, record)
        return mark is None or mark.stands_below(standing.mark)

    def _units(self) -> Sequence[MergeUnit]:
        return [unit for lane in self._stage.lanes.values() for unit in lane.units.values()]

    def _current(self) -> dict[Place, Output]:
        """What the merges of this process say now, cell by cell, and the rows that it has said to be empty.

        An indicator of a new family has moved to another merge; the one that it has left still knows its older version.
        """
        found = dict(self._strays.emptied())
        for unit in self._units():
            for output in unit.full_outputs():
                place = topic_of(output.indicator), output.key()
                if place not in found or found[place].order <= output.order:
                    found[place] = output
        return found

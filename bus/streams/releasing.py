"""The release stage: from the indicators' histories to the topics of the public (ADR 0026).

It keeps no state of its own. A release is decided by writing its cut to `bus.releases`, and made by reading it there; so after a crash, or
beside another process of its kind, the histories and the cuts come to the same rows, and what the topics lack of them is written (R1, R5).
A record that a stopped process writes late is followed by ours again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog

from bus import metrics
from bus.disclosure.releases import Cut, Place, Releases
from bus.events.codec import Codec
from bus.kafka.ports import LogReader, Message, Publisher, TopicPartition
from bus.kafka.topics import HISTORY_PREFIX, PUBLIC_PREFIX, RELEASES
from bus.streams.outputs import decode_output
from bus.streams.public import decode_cut, encode_cut, encode_released

_log = structlog.get_logger(__name__)

#: Rows sent at once.
_BATCH = 500


class ReleaseView:
    """What is out, what is due, and what the topics of the public lack of it: by reading alone.

    After an error it is of no use any more: make another.
    """

    def __init__(self, releases: Releases, reader: LogReader, codec: Codec) -> None:
        self._releases = releases
        self._reader = reader
        self._codec = codec
        self._positions: dict[str, int] = {}
        #: The newest value in the topics of the public, by cell.
        self._public: dict[Place, bytes | None] = {}
        self._lacking: set[Place] | None = None

    async def waiting(self) -> int:
        """Read on; how many releases and rows a release stage has still to write of what the log holds now."""
        if self._lacking is None:
            await self._read_all()
            doubtful = set(self._releases.places())
        else:
            doubtful = self._lacking | await self._read_on()
        self._lacking = {place for place in doubtful if self._message(place) is not None}
        return len(self._lacking) + len(self._releases.due())

    async def _read_all(self) -> int:
        """Make again all that was released, lane by lane; of how many cuts."""
        cuts = await self._read_cuts()
        await self._read_public()
        by_lane: dict[str, list[Cut]] = {}
        for cut in cuts:
            by_lane.setdefault(cut.lane, []).append(cut)
        for lane in self._releases.lanes.values():
            await self._read_histories(lane.indicators)
            await self._make(by_lane.get(lane.name, ()))
        return len(cuts)

    async def _read_on(self) -> set[Place]:
        # what others have written is read before the cuts that led to it, or it would be taken for a stopped process's late write
        touched = await self._read_public()
        cuts = await self._read_cuts()
        touched |= await self._read_histories(list(self._releases.lane_of))
        return touched | await self._make(cuts)

    def _message(self, place: Place) -> Message | None:
        """The record of a cell that the topics do not show as it was let out."""
        row = self._releases.standing(place)
        if row is None:
            return None
        message = encode_released(self._codec, row)
        return message if self._public.get(place) != message.value else None

    async def _make(self, cuts: Sequence[Cut]) -> set[Place]:
        found: set[Place] = set()
        for cut in cuts:
            if not self._releases.wants(cut):
                continue
            if any(self._positions.get(HISTORY_PREFIX + name, 0) < end for name, end in cut.offsets.items()):
                await self._read_histories(self._releases.lanes[cut.lane].indicators)
            found |= {(row.indicator, row.key()) for row in self._releases.cut(cut)}
        return found

    async def _read_histories(self, names: Sequence[str]) -> set[Place]:
        """Read these histories to their ends, which are beyond every cut; the cells of which something left at once."""
        found: set[Place] = set()
        partitions = [TopicPartition(HISTORY_PREFIX + name, 0) for name in names]
        for name, partition, end in zip(names, partitions, await self._reader.ends(partitions), strict=True):
            start = self._positions.get(partition.topic, 0)
            if start >= end:
                continue
            async for batch in self._reader.read(partition, start, end):
                for record in batch:
                    output = decode_output(self._codec, record)
                    if output is not None:
                        rows = self._releases.feed(name, record.offset, output)
                        found |= {(row.indicator, row.key()) for row in rows}
            self._positions[partition.topic] = end
        return found

    async def _read_cuts(self) -> list[Cut]:
        partition = TopicPartition(RELEASES, 0)
        start, end = self._positions.get(RELEASES, 0), await self._reader.end(partition)
        cuts: list[Cut] = []
        if start < end:
            async for batch in self._reader.read(partition, start, end):
                cuts += [decode_cut(record) for record in batch]
        self._positions[RELEASES] = max(start, end)
        return cuts

    async def _read_public(self) -> set[Place]:
        """Read the topics of the public on; the cells of which something stands there now that was not there before."""
        found: set[Place] = set()
        names = list(self._releases.lane_of)
        partitions = [TopicPartition(PUBLIC_PREFIX + name, 0) for name in names]
        for name, partition, end in zip(names, partitions, await self._reader.ends(partitions), strict=True):
            known = self._positions.get(partition.topic)
            start = await self._reader.beginning(partition) if known is None and end else known or 0
            if start < end:
                async for batch in self._reader.read(partition, start, end):
                    for record in batch:
                        if record.key is not None:
                            self._public[name, record.key] = record.value
                            found.add((name, record.key))
            self._positions[partition.topic] = max(start, end)
        return found


class ReleaseStage(ReleaseView):
    """`start`, then `step` again and again. Each step may end at any of its effects; the next one, or another process, goes on from there."""

    def __init__(self, releases: Releases, publisher: Publisher, reader: LogReader, codec: Codec) -> None:
        super().__init__(releases, reader, codec)
        self._publisher = publisher

    async def start(self) -> None:
        """Make again all that was released, and write what the topics lack of it."""
        cuts = await self._read_all()
        sent = await self._send(self._releases.places())
        _log.info("release stage ready", lanes=len(self._releases.lanes), cuts=cuts, rows_sent=sent)

    async def step(self) -> int:
        """Read on and release what is due; the number of rows sent."""
        touched = await self._read_on()
        if due := self._releases.due():
            await self._publisher.send([encode_cut(cut) for cut in due])
            touched |= await self._make(await self._read_cuts())
        return await self._send(touched)

    async def _send(self, places: Iterable[Place]) -> int:
        """Write those of these cells that the topics do not show as they were let out."""
        messages: list[Message] = []
        for place in sorted(places):
            if (message := self._message(place)) is not None:
                messages.append(message)
                row = self._releases.standing(place)
                metrics.released_rows.labels(place[0], "suppressed" if row is not None and row.suppressed else "shown").inc()
        for first in range(0, len(messages), _BATCH):
            await self._publisher.send(messages[first : first + _BATCH])
        return len(messages)

"""Event topics as decoded batches for those who go through them again and again: read in blocks that lie on a fixed grid of offsets.

A proof stops wherever a number's evidence ends, which for an indicator that was published from thousands of small batches is thousands of
times. Reading and decoding must not cost that often, so a block is read and decoded once and cut where it is asked for; and because all
proofs cut the same blocks, those of one event share what their folds have in common (the memo of a batch).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence

from bus.errors import OffsetGap
from bus.indicators.batch import Batch
from bus.kafka.ports import LogReader, Record, TopicPartition

#: Decodes the records of one partition, in order.
Decode = Callable[[TopicPartition, Sequence[Record]], Batch]

#: Offsets in a block, and how many of them are kept at a time: a few hundred bytes each.
BLOCK = 16_384
KEPT = 16 * BLOCK


class _Block:
    """One decoded block and the pieces that it was cut into."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._pieces: dict[tuple[int, int], Batch] = {}

    def piece(self, first: int, last: int) -> Batch:
        """The records from `first` to `last`, as far as they are in this block."""
        span = max(first, self.batch.first), min(last, self.batch.last)
        if span not in self._pieces:
            self._pieces[span] = self.batch.between(*span)
        return self._pieces[span]


class DecodedLog:
    """Ranges of event topics, decoded. `ends` says how far each partition may be read: offset of the last record that is ever asked for."""

    def __init__(self, reader: LogReader, decode: Decode, ends: dict[TopicPartition, int], *, block: int = BLOCK, kept: int = KEPT) -> None:
        self._reader = reader
        self._decode = decode
        self._ends = ends
        self._size = block
        self._most = max(1, kept // block)
        self._blocks: OrderedDict[tuple[TopicPartition, int], _Block] = OrderedDict()

    async def batches(self, partition: TopicPartition, first: int, last: int) -> AsyncIterator[Batch]:
        """Everything from `first` to `last` (both included), in batches that follow on one another without a gap.

        Raises `OffsetGap` when the log no longer holds it, `TransientError` when it ends before `last`.
        """
        for number in range(first // self._size, last // self._size + 1):
            yield (await self._block(partition, number)).piece(first, last)

    async def _block(self, partition: TopicPartition, number: int) -> _Block:
        key = (partition, number)
        if key not in self._blocks:
            self._blocks[key] = _Block(await self._read(partition, number * self._size))
            while len(self._blocks) > self._most:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(key)
        return self._blocks[key]

    async def _read(self, partition: TopicPartition, start: int) -> Batch:
        stop = min(start + self._size, self._ends[partition] + 1)
        records = [record async for some in self._reader.read(partition, start, stop) for record in some]
        if not records:
            raise OffsetGap(f"{partition.topic}/{partition.partition}: there is no record from offset {start} to {stop - 1}")
        batch = self._decode(partition, records)
        # Offsets without a record are no gap: the reader has said that this is all there is.
        return Batch(batch.frame, start, stop - 1, batch.heartbeats)

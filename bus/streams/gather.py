"""Between the consumer and a stage: what is fetched while a batch is being worked on becomes the next batch.

The busier a worker is the larger its batches become, and a cell that many of them touch is said once. Nothing here counts as applied: after
a crash or a rebalance the stage's position is where reading goes on, whatever had been gathered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from bus.clock import Clock
from bus.kafka.ports import Record, TopicPartition

#: Hands a batch (partition, generation, records in the order of the log) to its stage.
Apply = Callable[[TopicPartition, int, Sequence[Record]], Awaitable[None]]


class Gatherer:
    """One stage's waiting room.

    `limit` is how many records may wait before `put` makes the consumer wait. After each round the next one starts only when `rest` times
    its duration has passed (at most `longest_rest` seconds), for what arrives meanwhile costs the less the more of it there is.
    """

    def __init__(self, apply: Apply, clock: Clock, *, limit: int, rest: float = 0.0, longest_rest: float = 1.0) -> None:
        self._apply = apply
        self._clock = clock
        self._limit = limit
        self._rest = rest
        self._longest_rest = longest_rest
        #: Partition -> generation and stretches; within a stretch offsets follow one another.
        self._waiting: dict[TopicPartition, tuple[int, list[list[Record]]]] = {}
        self._count = 0
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, partition: TopicPartition, generation: int, records: Sequence[Record]) -> None:
        """Take fetched records in (at least one, in the order of the log); waits while there is no room."""
        await self._room.wait()
        held = self._waiting.get(partition)
        if held is None or held[0] != generation:
            self._count -= sum(map(len, held[1])) if held else 0
            self._waiting[partition] = (generation, [list(records)])
        elif held[1][-1][-1].offset + 1 == records[0].offset:
            held[1][-1].extend(records)
        else:
            # After a seek back the same records come again.
            held[1].append(list(records))
        self._count += len(records)
        self._filled.set()
        if self._count >= self._limit:
            self._room.clear()

    async def run(self) -> None:
        """Work off what waits, for ever; what `apply` raises ends it."""
        while True:
            await self._filled.wait()
            started = self._clock.monotonic()
            await self.round()
            pause = min(self._longest_rest, self._rest * (self._clock.monotonic() - started))
            await asyncio.sleep(pause)

    async def round(self) -> None:
        """Hand over all that waits now: one batch for each stretch of each partition."""
        taken, self._waiting = self._waiting, {}
        self._count = 0
        self._filled.clear()
        self._room.set()
        for partition, (generation, stretches) in taken.items():
            for records in stretches:
                await self._apply(partition, generation, records)

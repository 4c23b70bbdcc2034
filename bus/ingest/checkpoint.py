"""How far a source has come: one record a source in the compacted topic `bus.checkpoints`, written after what it speaks of is durable.

A checkpoint may be old (a stopped process may write late): it only ever saves work. What is repeated has the same sequences, and the
rows' snapshot, of which the highest offset counts, tells which deliveries are complete.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bus.clock import Clock
from bus.ingest.acknowledgement import Receipt
from bus.ingest.tail import Tail, json_message, json_value, number
from bus.kafka.ports import LogReader, Publisher
from bus.kafka.topics import CHECKPOINTS


@dataclass(frozen=True, slots=True, order=True)
class Checkpoint:
    """Everything up to `line` of `delivery` is published; `done`: all of the delivery, its rows included.

    `receipt` is what its acknowledgement says, once all of it is published.
    """

    delivery: int = 0
    done: bool = True
    line: int = 0
    receipt: Receipt | None = field(default=None, compare=False)


class Checkpoints:
    """Reads and writes the checkpoint of one source."""

    def __init__(self, source: str, publisher: Publisher, reader: LogReader, clock: Clock) -> None:
        self._source = source
        self._publisher = publisher
        self._clock = clock
        self._tail = Tail(reader, CHECKPOINTS)
        self._newest = Checkpoint()

    async def newest(self) -> Checkpoint:
        """The furthest checkpoint in the log, not the one written last."""
        async for record in self._tail.read():
            value = json_value(record)
            if value is not None and record.key == self._source.encode():
                receipt = Receipt.of(value.get("receipt"))
                found = Checkpoint(number(value, "delivery"), bool(value.get("done")), number(value, "line"), receipt)
                self._newest = max(found, self._newest)  # of equals the one written last
        return self._newest

    async def save(self, checkpoint: Checkpoint) -> None:
        """Write it; durable when it returns."""
        value = {
            "source": self._source, "delivery": checkpoint.delivery, "line": checkpoint.line, "done": checkpoint.done,
            "at": self._clock.now().isoformat(),
        } | ({"receipt": checkpoint.receipt.plain()} if checkpoint.receipt is not None else {})  # fmt: skip
        await self._publisher.send([json_message(CHECKPOINTS, self._source, value)])
        self._newest = max(checkpoint, self._newest)

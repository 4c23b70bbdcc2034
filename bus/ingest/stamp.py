"""Where the events of a delivery stand in the sequence of their source (ADR 0014 R6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bus.events.envelope import Envelope, Event, Op, sequence_of


@dataclass(frozen=True, slots=True)
class Stamp:
    """How the events of a delivery are numbered.

    A delivery's own events: source as it is, sequence = position and event number. What is replayed from quarantine is a source by
    itself, `<source>#<delivery>.<line>` (line 0: the whole file); its version stays the original position, so that it never covers
    what later deliveries have said. `at` is when the delivery was claimed: a fact cannot be later, but for a day of wrong clocks.
    """

    source: str
    delivery: int
    at: datetime
    replayed_line: int | None = None
    #: What is withdrawn together, where it is not the delivery.
    batch: int | None = None

    def envelope(self, event: Event, op: Op, *, line: int, number: int) -> Envelope:
        version = sequence_of(self.delivery, line)
        batch = f"{self.source}/{self.delivery if self.batch is None else self.batch}"
        if self.replayed_line is None:
            return Envelope(event, self.source, sequence_of(self.delivery, line, number), version, op, batch)
        sequence = sequence_of(0, 0 if self.replayed_line else line, number) + 1
        return Envelope(event, f"{self.source}#{self.delivery}.{self.replayed_line}", sequence, version, op, batch)

"""What later deliveries of a source said again without a change: it is their word too, and stays when the first to say it is withdrawn.

A delivery that repeats something sends no event for it (ADR 0014 R6), so the log alone does not tell; the rows of the source do. Only files
have them: the state of a source with a journal lies on the machine of its connector.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from bus.clock import Clock
from bus.errors import ConfigurationError, Problem
from bus.events.envelope import Op
from bus.events.withdrawal import Logged
from bus.ingest.checkpoint import Checkpoints
from bus.ingest.rows import Rows, Spans
from bus.ops.audit import Audit
from bus.ops.wiring import Log

#: The bits of a version or sequence below the delivery.
_DELIVERY_BITS = 40


@dataclass(frozen=True, slots=True)
class Repeats:
    """What the deliveries of one source repeated, and which of them are withdrawn."""

    source: str
    rows: Rows
    withdrawn: frozenset[int]

    def beside(self, batch: str) -> Repeats:
        """The same once that batch is withdrawn too."""
        return Repeats(self.source, self.rows, self.withdrawn | {number_of(batch)})

    def said_before(self, batch: str) -> list[str]:
        """The withdrawn batches of which this one may have repeated something, the newest first."""
        return [f"{self.source}/{number}" for number in sorted(self.withdrawn, reverse=True) if number < number_of(batch)]

    def knows(self, batch: str) -> bool:
        """Whether that delivery repeated anything."""
        spans = (self.rows.whole, *self.rows.repeats.values())
        return any(first <= number_of(batch) <= last for each in spans for first, last in each)

    def uncounted(self, batch: str) -> bool:
        """Whether what it said was said before repetitions were counted."""
        return number_of(batch) <= self.rows.uncounted

    def kept(self, batch: str, events: Collection[Logged]) -> set[str]:
        """The ids of the batch's events that a delivery which stands has said again; `events` are all of their subjects.

        A fact stays where such a delivery held it when nothing else had been said of it in between. A cancellation stays where such a
        delivery held the record that no longer told it, or was a whole table without it. What was undone already stays undone.
        """
        undone = {event.undoes for event in events if event.undoes}
        own = [
            event for event in events if event.envelope.batch == batch and event.envelope.source == self.source and event.id not in undone
        ]
        cancelled = {event.envelope.event.subject for event in own if event.envelope.op is Op.CANCEL}
        versions: dict[str, list[int]] = {}
        for event in events:
            subject = event.envelope.event.subject
            if subject in cancelled and event.envelope.source.partition("#")[0] == self.source:
                versions.setdefault(subject, []).append(event.envelope.version)
        return {event.id for event in own if self._holds(event, versions)}

    def _holds(self, event: Logged, versions: dict[str, list[int]]) -> bool:
        envelope = event.envelope
        repeated = self._stands(self.rows.repeats.get(envelope.sequence, ()))
        if repeated or envelope.op is not Op.CANCEL:
            return repeated
        later = (version >> _DELIVERY_BITS for version in versions[envelope.event.subject] if version > envelope.version)
        return self._stands(self.rows.whole, after=envelope.version >> _DELIVERY_BITS, before=min(later, default=None))

    def _stands(self, spans: Spans, after: int = 0, before: int | None = None) -> bool:
        for first, last in spans:
            begin, end = max(first, after + 1), last if before is None else min(last, before - 1)
            if any(number not in self.withdrawn for number in range(begin, end + 1)):
                return True
        return False


def number_of(batch: str) -> int:
    """The delivery's number in a batch's name; 0 where there is none."""
    text = batch.rpartition("/")[2]
    return int(text) if text.isascii() and text.isdecimal() else 0


async def repeats_of(log: Log, clock: Clock, batch: str) -> Repeats | None:
    """What is known for the source of a batch; None where nothing is: a source with a journal, or one that has delivered nothing.

    Raises `ConfigurationError` while a later delivery of the source is being read, for what it repeats is not known yet.
    """
    source = batch.rpartition("/")[0]
    snapshot = await log.snapshots.load(f"rows/{source}")
    if snapshot is None:
        return None
    newest = await Checkpoints(source, log.publisher, log.reader, clock).newest()
    if not newest.done and newest.delivery > number_of(batch):
        what = f"delivery {newest.delivery} of {source} is being read; what it repeats is to stay, so let its connector finish it first"
        raise ConfigurationError([Problem(batch, what)])
    batches = await Audit(log.publisher, log.reader, clock).acted_on("withdraw")
    return Repeats(source, Rows.load(snapshot.chunks), frozenset(number_of(each) for each in _of(source, batches)))


def _of(source: str, batches: Iterable[str]) -> list[str]:
    return [batch for batch in batches if batch.rpartition("/")[0] == source]

"""From the records of an indicator's history to what changed in each cell, and why. Pure: the counters that outputs carry tell it all.

The same record may stand in a history several times (a worker that said it again after a crash), and an older one may follow a newer one
(a stopped worker's late write). Both are told apart by key and order (`Output.order`), so a history reads the same whatever crashed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bus.indicators.outputs import Output


class Why(StrEnum):
    """Why a cell's row was published anew."""

    #: Events that came in time and that no earlier event of their subject preceded.
    NEW = "new"
    #: Events that came after their partition had passed the window's closing time.
    LATE = "late"
    #: Events whose subject had an earlier version.
    CORRECTED = "corrected"
    #: Events of a withdrawal.
    WITHDRAWN = "withdrawn"
    #: The indicator is computed by another version of its definition: the row was counted anew from the beginning of the log.
    DEFINITION = "definition"
    #: The row became final, or provisional again, with the same numbers.
    STATUS = "status"
    #: More reporters were heard of, or another number of them is expected.
    REPORTERS = "reporters"
    #: The same facts are seen at a later moment (ages).
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason; `count` is the number of events, 0 where it is not events that did it."""

    why: Why
    count: int = 0

    def __str__(self) -> str:
        return f"{self.count:,} {self.why}" if self.count else str(self.why)


@dataclass(frozen=True, slots=True)
class Change:
    """A row as it was published first at `at_ms` (UTC milliseconds), the row before it (None: there was none), and what led to it."""

    at_ms: int
    output: Output
    former: Output | None
    reasons: tuple[Reason, ...]


class History:
    """Reads the records of one history in the order of the log."""

    def __init__(self) -> None:
        self._standing: dict[bytes, Output] = {}

    def read(self, at_ms: int, output: Output) -> Change | None:
        """What this record changed; None when readers saw nothing new in it (a repetition, or an older row)."""
        key = output.key()
        former = self._standing.get(key)
        if former is not None and output.order <= former.order:
            return None
        self._standing[key] = output
        reasons = _reasons(former, output)
        return Change(at_ms, output, former, reasons) if reasons else None


def _reasons(former: Output | None, output: Output) -> tuple[Reason, ...]:
    if former is None and not output.revision:
        # nothing ever entered it: a new definition takes back a cell that was published before this history began
        return (Reason(Why.DEFINITION),)
    if former is not None and output.version != former.version:
        return (Reason(Why.DEFINITION),)
    if former is None or output.revision != former.revision:
        return _events(former, output)
    found = {
        Why.STATUS: output.status != former.status,
        Why.REPORTERS: (output.heard, output.expected) != (former.heard, former.expected),
        Why.TIME: _numbers(output) != _numbers(former),
    }
    return tuple(Reason(why) for why, changed in found.items() if changed)


def _events(former: Output | None, output: Output) -> tuple[Reason, ...]:
    """Each event counts as one kind; what is left of the growth of the revision was new."""
    kinds = {Why.LATE: "late", Why.CORRECTED: "corrected", Why.WITHDRAWN: "withdrawn"}
    grown = {why: max(0, getattr(output, name) - (getattr(former, name) if former else 0)) for why, name in kinds.items()}
    new = output.revision - (former.revision if former else 0) - sum(grown.values())
    return tuple(Reason(why, count) for why, count in {Why.NEW: new, **grown}.items() if count > 0)


def _numbers(output: Output) -> tuple[object, ...]:
    return output.value, output.numerator, output.denominator, output.n, output.label, output.error, output.as_of_us

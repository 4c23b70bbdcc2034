"""What an agency's system tells, and what each of its records means. Pure.

A story is one thing over its life: a delivery of milk, a ticket, a complaint. Its parts say what the system tells when all goes well, and
what it could tell besides: the mended record, the one that takes it back, one with a mistake that no mapping may accept. Which of those
happen is drawn elsewhere (`bus.simulation.faults`), so that an agency's module knows no faults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bus.events.envelope import Event, Op


@dataclass(frozen=True, slots=True)
class Fact:
    """What a record means, said without the mapping. Of the event's data only what an indicator reads has to be there, in the types of events."""

    event: Event
    op: Op = Op.CREATE


@dataclass(frozen=True, slots=True)
class Telling:
    """One record that the agency's system says at a time (with a zone), and the facts that are new by it.

    `record` has the fields that the mapping sees: of files the manifest's columns, all texts; of a database its columns, with times as
    `datetime`, days as `date`, fractions as `Decimal`; of everything else what JSON knows. What the system itself writes (a watermark, the
    field that `since` compares) is put in when it is told. With `gone` the record, which then needs its key only, is no longer in the
    system's list: of tables as files, and of interfaces that tell all that there is. One that is `refused` has a mistake.
    """

    source: str
    at: datetime
    record: Mapping[str, object]
    facts: tuple[Fact, ...] = ()
    gone: bool = False
    refused: bool = False

    def later(self, by: timedelta) -> Telling:
        """The same, said later; what it is about has not moved."""
        return replace(self, at=self.at + by)


@dataclass(frozen=True, slots=True)
class Story:
    """One thing that is told in steps, in the order of time, and what may happen to it besides. No two stories are about one subject, or one
    record's key.

    `mended` comes after the steps and tells the last of them otherwise; its facts are corrections. `taken_back` comes last and cancels.
    `broken` is told before the first step, and is to be refused: it has no facts. A `punctual` one is never told late: where a system asks
    by the time of the thing itself, what is older than its look-back is never seen.
    """

    steps: tuple[Telling, ...]
    mended: Telling | None = None
    taken_back: Telling | None = None
    broken: Telling | None = None
    punctual: bool = False

"""What holds for the facts of one record, whatever agency they are of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from bus.errors import RecordError
from bus.events.catalogue import Catalogue
from bus.events.envelope import MAX_EVENT, Event

#: How far a fact may lie after the moment at which its delivery was claimed.
_WRONG_CLOCKS = timedelta(days=1)


def check_facts(events: Sequence[Event], catalogue: Catalogue, declared: Collection[str], *, claimed: datetime) -> None:
    """Raises `RecordError` for too many facts, a type that is not declared, two facts with one subject, or one in the future.

    `ValueError` is a fault of the mapping: a time without zone.
    """
    if len(events) > MAX_EVENT + 1:
        raise RecordError("too many events", rule="too_many_events", received=str(len(events)), allowed=f"<= {MAX_EVENT + 1}")
    subjects: set[tuple[str, str]] = set()
    for event in events:
        if event.type not in declared:
            raise RecordError("undeclared type", rule="undeclared_event", received=event.type, allowed=", ".join(sorted(declared)))
        if catalogue[event.type].correctable and (event.type, event.subject) in subjects:
            raise RecordError("two facts with one subject", rule="duplicate_subject", allowed="satu fakta per subjek/one fact per subject")
        subjects.add((event.type, event.subject))
        if event.occurred_at.utcoffset() is None:
            raise ValueError("occurred_at has no zone")
        if event.occurred_at > claimed + _WRONG_CLOCKS:
            # it would also end windows that have only begun
            when, latest = event.occurred_at.date().isoformat(), claimed.date().isoformat()
            raise RecordError("in the future", field="occurred_at", rule="in_future", received=when, allowed=f"<= {latest}")

"""What the agencies of a made-up regency count for themselves each day: control totals that have to agree with what the bus holds."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import date
from pathlib import Path

from bus.events.envelope import Op
from bus.indicators.windows import LOCAL_ZONE
from bus.ingest.manifest import TotalsSpec
from bus.ingest.totals import COLUMNS
from bus.simulation.story import Fact
from bus.simulation.world import World


def facts_of(world: World, agency: str, silent: Collection[tuple[str, str]]) -> Iterable[Fact]:
    """The facts that an agency's system tells, in the order in which it tells them; those of silent sources stay with it."""
    for told in world.told:
        if told.agency == agency and (agency, told.telling.source) not in silent:
            yield from told.telling.facts


def counted(facts: Iterable[Fact]) -> dict[tuple[str, date], int]:
    """(event type, day in Asia/Jakarta) -> the things that stand at the end, each on the day that was said last."""
    days: dict[tuple[str, str], date] = {}
    for fact in facts:
        thing = fact.event.type, fact.event.subject
        if fact.op is Op.CANCEL:
            days.pop(thing, None)
        else:
            days[thing] = fact.event.occurred_at.astimezone(LOCAL_ZONE).date()
    return dict(Counter((name, day) for (name, _), day in days.items()))


def write_counts(path: Path, spec: TotalsSpec, counts: dict[tuple[str, date], int]) -> None:
    """The file that the agency puts into its folder of counts."""
    names = {event_type: name for name, event_type in spec.types.items()}
    rows = sorted((day.isoformat(), names[event_type], count) for (event_type, day), count in counts.items() if event_type in names)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])

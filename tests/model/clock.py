"""The SLA clock: states of one application in order of their versions, working time between them.

Choices:

- C1  Steps: CREATE appends one, CORRECT replaces the last one (or appends, if there is none), CANCEL takes all away, in order of version.
- C2  The clock is idle, running, paused, held (at zero) or finished. `start`: from idle or held it runs, from zero. `restart`: it runs from
      zero, always. `pause`: a running one is paused. `resume`: a paused or held one runs on. `hold`: held at zero, unless idle.
- C3  `finish` ends one that runs, is paused or held; only `restart` opens it again, and `hold` takes the finish back. A finish without a
      start is none.
- C4  The contribution lies at that step: its time, `where`, dimensions and `limit`. Of `within` it is 1 or 0; without a limit: nothing.
- C5  A step that is dated before the one before it adds nothing.
- C6  A step that could not be used (`Fault`) is a step all the same, but one that finishes contributes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from tests.model.events import Row
from tests.model.sql import Value, evaluate
from tests.model.times import SECOND, working_us

DAY = 86_400


def clock_values(
    clock: Mapping[str, Any], measure: Mapping[str, Any], rows: Sequence[Row], holidays: Collection[date]
) -> tuple[Row, tuple[Value, ...]] | None:
    """The step that finished the application, and what it measures; None while it is not finished."""
    found = finished(clock, steps_of(rows), holidays)
    if found is None:
        return None
    row, worked = found
    if measure["kind"] != "within":
        return row, (worked,)
    limit = evaluate(clock["limit"], row.values)
    return None if limit is None else (row, (Fraction(worked <= limit * DAY),))


def steps_of(rows: Sequence[Row]) -> list[Row]:
    """The steps that the events make (C1)."""
    steps: list[Row] = []
    for row in sorted(rows, key=lambda row: row.version):
        match row.op:
            case "CREATE":
                steps.append(row)
            case "CORRECT":
                steps[-1:] = [row]
            case "CANCEL":
                steps = []
    return steps


def finished(clock: Mapping[str, Any], steps: Sequence[Row], holidays: Collection[date]) -> tuple[Row, Fraction] | None:
    """The finishing step and the working seconds until then."""
    state, since, worked, end = "idle", 0, 0, None
    for step in steps:
        code = evaluate(clock["status"], step.values)
        role = next((role for role in ("start", "pause", "resume", "hold", "restart", "finish") if code in clock.get(role, ())), None)
        ran = working_us(since, step.at, holidays) if state == "running" else 0
        if role == "restart" or (role == "start" and state in ("idle", "held")):
            state, since, worked, end = "running", step.at, 0, None
        elif role == "hold" and state != "idle":
            state, worked, end = "held", 0, None
        elif role == "resume" and state in ("paused", "held"):
            state, since = "running", step.at
        elif role == "pause" and state == "running":
            state, worked = "paused", worked + ran
        elif role == "finish" and state in ("running", "paused", "held"):
            state, worked, end = "finished", worked + ran, step
    return None if end is None else (end, Fraction(worked, SECOND))

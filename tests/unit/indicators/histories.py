"""Generated logs: several sources, replays, duplicates, corrections that arrive in any order, nulls, values at every edge."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from tests.unit.indicators.worlds import event

EDGES = [
    datetime(2021, 1, 31, 16, 59, 59, 999_999, tzinfo=UTC),
    datetime(2021, 1, 31, 17, tzinfo=UTC),
    datetime(2020, 12, 31, 17, tzinfo=UTC),
    datetime(2021, 3, 28, 17, tzinfo=UTC),
    datetime(2021, 3, 28, 16, 44, 59, tzinfo=UTC),
    datetime(1963, 12, 31, 16, 45, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, tzinfo=UTC),
]
TIMES = st.sampled_from(EDGES) | st.datetimes(datetime(2021, 1, 1), datetime(2021, 4, 1)).map(lambda when: when.replace(tzinfo=UTC))
INTEGERS = st.sampled_from([2**63 - 1, -(2**63), 0, 1]) | st.integers(-5, 5)
DOUBLES = st.sampled_from([0.125, 0.135, 2.675, 1.005, -0.005, 1e15 + 0.3, 1e22, 1e40, float("nan"), float("inf")]) | st.floats(-100, 100)


@st.composite
def logs(draw: st.DrawFn, *, correctable: bool, longest: int = 25) -> list[dict[str, Any]]:
    """A log of one partition, offsets from 0 without a gap."""
    rows: list[dict[str, Any]] = []
    for offset in range(draw(st.integers(0, longest))):
        if rows and draw(st.integers(0, 5)) == 0:
            rows.append({**draw(st.sampled_from(rows)), "_offset": offset})
            continue
        rows.append(
            event(
                offset,
                source=draw(st.sampled_from(["a/x", "a/x", "b/y", "a/x#1.2"])),
                sequence=draw(st.integers(0, longest)) if draw(st.booleans()) else offset,
                version=draw(st.integers(0, 8)),
                subject=draw(st.sampled_from("stuv")),
                occurred_at=draw(TIMES),
                op=draw(st.sampled_from(["CREATE", "CREATE", "CORRECT", "CANCEL"])) if correctable else "CREATE",
                place=draw(st.sampled_from(["p", "q", None])),
                amount=draw(st.none() | INTEGERS),
                small=draw(st.none() | st.integers(-(2**31), 2**31 - 1)),
                level=draw(st.none() | DOUBLES),
                urgent=draw(st.none() | st.booleans()),
            )
        )
    return rows


@st.composite
def cuts(draw: st.DrawFn, length: int) -> list[tuple[int, int]]:
    """A way to read `length` records in batches (first, last), some of them again from an earlier place on."""
    position, batches = 0, []
    while position < length:
        first = draw(st.integers(max(0, position - 4), position)) if draw(st.integers(0, 3)) == 0 else position
        last = draw(st.integers(first, length - 1))
        batches.append((first, last))
        position = max(position, last + 1)
    return batches

"""Control totals, the pure part: what an agency counted, what stands in a log, and how they compare."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.ingest.totals import Line, Reconciliation, Standing, compare, read_counts

TYPES = {"ISPU": "a.x.recorded.v1", "lain": "a.y.recorded.v1"}
X = "a.x.recorded.v1"
DAY = date(2024, 1, 31)


def frame(rows: list[tuple[str, int, str, int, str, datetime]]) -> pl.DataFrame:
    names = ("source", "sequence", "subject", "version", "op", "occurred_at")
    schema: dict[str, Any] = dict(zip(names, (pl.String, pl.Int64, pl.String, pl.Int64, pl.String, pl.Datetime("us", "UTC")), strict=True))
    return pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows], schema=schema)


def test_counts_are_read_and_the_later_file_stands() -> None:
    first = "tanggal,jenis,jumlah\n2024-01-31,ISPU,5\n2024-01-30,ISPU,4\n"
    second = "\ufeffJumlah; Jenis ;TANGGAL\r\n6;ISPU;31/01/2024\r\n\r\n0;lain;31-1-2024\r\n"
    counts, faults = read_counts([("a.csv", first), ("b.csv", second)], TYPES)
    assert not faults
    assert counts == {(X, DAY): 6, (X, date(2024, 1, 30)): 4, ("a.y.recorded.v1", DAY): 0}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("2024-01-31,ispu,5", "jenis"), ("2024-02-30,ISPU,5", "tanggal"), ("31 Januari,ISPU,5", "tanggal"), ("2024-01-31,ISPU,1.234", "jumlah"),
        ("2024-01-31,ISPU,-1", "jumlah"), ("2024-01-31,ISPU", "jumlah"), ("2024-01-31,3374010101900001,5", "jenis"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_used_is_named(line: str, what: str) -> None:
    counts, (fault,) = read_counts([("a.csv", f"tanggal,jenis,jumlah\n2024-01-30,ISPU,4\n{line}\n")], TYPES)
    assert len(counts) == 1
    assert (fault.file, fault.line) == ("a.csv", 3)
    assert what in fault.id
    assert "3374" not in fault.id + fault.en


def test_a_file_that_contradicts_itself_or_is_another_table_is_named() -> None:
    _, faults = read_counts(
        [("a.csv", "tanggal,jenis,jumlah\n2024-01-31,ISPU,4\n2024-01-31,ISPU,4\n2024-01-31,ISPU,5\n"), ("b.csv", "no,value\n1,2\n")], TYPES
    )
    assert [(each.file, each.line) for each in faults] == [("a.csv", 4), ("b.csv", 1)]


def test_a_day_is_that_of_jakarta_and_the_newest_version_stands() -> None:
    late = datetime(2024, 1, 30, 17, 30, tzinfo=UTC)  # half past midnight on the 31st in Jakarta
    standing = Standing(correctable=True)
    standing.add(0, frame([("s", 1, "k", 10, "CREATE", late), ("s", 2, "m", 10, "CREATE", late), ("s", 2, "m2", 10, "CREATE", late)]))
    assert standing.counts == {DAY: 2}
    standing.add(0, frame([("s", 3, "k", 30, "CORRECT", late + timedelta(days=1)), ("t", 1, "k", 20, "CANCEL", late)]))
    assert standing.counts == {DAY: 1, date(2024, 2, 1): 1}
    standing.add(0, frame([("s", 4, "k", 40, "CANCEL", late), ("s", 5, "m", 40, "CANCEL", late)]))
    assert standing.counts == {}
    standing.add(0, frame([("s", 6, "m", 50, "CREATE", late)]))
    assert standing.counts == {DAY: 1}


def test_facts_that_are_final_count_each() -> None:
    standing = Standing(correctable=False)
    at = datetime(2024, 1, 31, tzinfo=UTC)
    standing.add(0, frame([("s", 1, "k", 1, "CREATE", at), ("s", 2, "k", 2, "CREATE", at), ("s", 2, "k", 2, "CREATE", at)]))
    standing.add(1, frame([("s", 1, "j", 1, "CREATE", at)]))
    assert standing.counts == {DAY: 3}


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 9), st.sampled_from(["CREATE", "CORRECT", "CANCEL"]), st.integers(0, 3)), max_size=40
    ),
    st.randoms(),
)
def test_what_stands_does_not_depend_on_batches_or_on_what_is_said_again(said: list[tuple[int, int, str, int]], rng: random.Random) -> None:
    begin = datetime(2024, 1, 31, tzinfo=UTC)
    rows = [("s", n, str(subject), version, op, begin + timedelta(days=day)) for n, (subject, version, op, day) in enumerate(said)]
    newest: dict[str, tuple[int, str, date]] = {}
    for _, _, subject, version, op, at in rows:
        if subject not in newest or version > newest[subject][0]:
            newest[subject] = version, op, at.date()
    expected = Counter(day for _, op, day in newest.values() if op != "CANCEL")
    standing = Standing(correctable=True)
    position = 0
    while position < len(rows):
        step = rng.randint(1, 7)
        standing.add(0, frame(rows[max(0, position - rng.randint(0, 5)) : position + step]))
        position += step
    assert standing.counts == expected


def test_days_are_compared_in_the_span_that_the_agency_counted() -> None:
    days = [DAY + timedelta(days=n) for n in range(6)]
    claimed = {(X, days[1]): 3, (X, days[2]): 1, (X, days[4]): 0}
    held = {(X, days[0]): 9, (X, days[1]): 3, (X, days[2]): 2, (X, days[3]): 1, (X, days[5]): 9, ("a.y.recorded.v1", days[2]): 7}
    lines = compare(TYPES.values(), claimed, held, {X: {days[1]: 3, days[2]: 1, days[3]: 1}})
    assert lines == [Line(X, days[1], 3, 3, 3), Line(X, days[2], 1, 2, 1), Line(X, days[3], None, 1, 1), Line(X, days[4], 0, 0, 0)]
    assert [line.difference for line in lines] == [0, -1, -1, 0]
    assert [line.agrees for line in lines] == [True, False, False, True]
    assert len(compare([X], claimed, held, {}, first=days[0], last=days[5])) == 6
    assert not Line(X, DAY, 3, 3, 2).agrees, "the indicator too"


def test_the_hash_names_the_figures() -> None:
    def found(bus: int, at: int = 5) -> str:
        return Reconciliation("a", [Line(X, DAY, 3, bus)], [], {"events.x/0": at}).sha256

    assert found(3) == found(3)
    assert len({found(3), found(4), found(3, 6)}) == 3

"""WORKING_DAYS in expressions: its value, its type, and the rows that the calendar says nothing about."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from bus.indicators.calendar import WorkingCalendar
from bus.indicators.expression import compile_expression
from bus.indicators.typed import Column, ExpressionError, columns_of

#: Two weeks, of which Wednesday 12 May 2021 was collective leave, and Thursday and Friday Idul Fitri.
CALENDAR = WorkingCalendar(date(2021, 5, 3), date(2021, 5, 16), {date(2021, 5, 12), date(2021, 5, 13), date(2021, 5, 14)})
SCHEMA = {"filed": pl.Date(), "done_at": pl.Datetime("us", "UTC"), "money": pl.Int64(), "code": pl.String(), "urgent": pl.Boolean()}
COLUMNS = columns_of(SCHEMA, {"money": 2})
ROW = {"filed": date(2021, 5, 4), "done_at": datetime(2021, 5, 10, 17, tzinfo=UTC), "money": 200, "code": "x", "urgent": False}


def computed(text: str, **changes: object) -> tuple[object, list[str]]:
    """The value in a row, and the rules that fault the row."""
    typed = compile_expression(text, COLUMNS, CALENDAR)
    frame = pl.DataFrame([ROW | changes], schema=SCHEMA)
    broken = [frame.select(fault.broken.alias("broken")).item() for fault in typed.faults]
    assert None not in broken
    return frame.select(typed.expr).item(), [fault.rule for fault, hit in zip(typed.faults, broken, strict=True) if hit]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("WORKING_DAYS(filed, done_at)", 5),  # 10 May 17:00 UTC is 11 May in Jakarta: 5, 6, 7, 10 and 11 May
        ("working_days(filed, filed)", 0),
        ("WORKING_DAYS(done_at, filed)", 0),
        ("WORKING_DAYS(filed, DATE '2021-05-16')", 5),
        ("WORKING_DAYS(DATE '2021-05-03', TIMESTAMP '2021-05-04 23:59')", 1),
        ("WORKING_DAYS(filed, done_at) * 2 - 1", 9),
        ("WORKING_DAYS(filed, done_at) * money > 9.99", True),
        ("WORKING_DAYS(filed, done_at) BETWEEN 5 AND 6", True),
        ("WORKING_DAYS(filed, NULL) IS NULL", True),
        ("CASE WHEN urgent THEN 0 ELSE WORKING_DAYS(filed, done_at) END", 5),
    ],
)
def test_meaning(text: str, value: object) -> None:
    assert computed(text) == (value, [])


def test_null_gives_null_and_no_fault() -> None:
    for column in ("filed", "done_at"):
        assert computed("WORKING_DAYS(filed, done_at)", **{column: None}) == (None, [])


LATE = {"done_at": datetime(2021, 5, 16, 17, tzinfo=UTC)}
FAULT = ["outside_calendar"]


@pytest.mark.parametrize(
    ("text", "changes", "faults"),
    [
        ("WORKING_DAYS(filed, done_at)", LATE, FAULT),
        ("WORKING_DAYS(filed, done_at)", {"done_at": datetime(2021, 5, 16, 16, 59, tzinfo=UTC)}, []),
        ("WORKING_DAYS(filed, done_at)", {"filed": date(2021, 5, 2)}, FAULT),
        ("WORKING_DAYS(filed, done_at)", {"filed": None} | LATE, FAULT),
        ("COALESCE(WORKING_DAYS(filed, done_at), 0) + 1", LATE, FAULT),
        ("(WORKING_DAYS(filed, done_at)) IS NULL", LATE, FAULT),
        ("NOT WORKING_DAYS(filed, done_at) > 3", LATE, FAULT),
        ("WORKING_DAYS(filed, done_at) - WORKING_DAYS(filed, done_at)", LATE, FAULT * 2),
        # The other side decides, whatever the calendar would say.
        ("urgent AND WORKING_DAYS(filed, done_at) > 3", LATE, []),
        ("WORKING_DAYS(filed, done_at) > 3 AND urgent", LATE, []),
        ("urgent AND WORKING_DAYS(filed, done_at) > 3", LATE | {"urgent": True}, FAULT),
        ("urgent AND WORKING_DAYS(filed, done_at) > 3", LATE | {"urgent": None}, FAULT),
        ("urgent OR WORKING_DAYS(filed, done_at) > 3", LATE | {"urgent": True}, []),
        ("urgent OR WORKING_DAYS(filed, done_at) > 3", LATE, FAULT),
        ("urgent OR WORKING_DAYS(filed, done_at) > 3", LATE | {"urgent": None}, FAULT),
        ("done_at < TIMESTAMP '2021-05-17 00:00' AND code = 'x' AND WORKING_DAYS(filed, done_at) > 3", LATE, []),
        # A branch that is not taken faults nothing.
        ("CASE WHEN done_at < TIMESTAMP '2021-05-17 00:00' THEN WORKING_DAYS(filed, done_at) END", LATE, []),
        ("CASE WHEN urgent THEN WORKING_DAYS(filed, done_at) END", LATE | {"urgent": True}, FAULT),
        ("CASE WHEN urgent THEN WORKING_DAYS(filed, done_at) END", LATE | {"urgent": None}, []),
        ("CASE WHEN urgent THEN 1 ELSE WORKING_DAYS(filed, done_at) END", LATE | {"urgent": True}, []),
        ("CASE WHEN urgent THEN 1 ELSE WORKING_DAYS(filed, done_at) END", LATE | {"urgent": None}, FAULT),
        ("CASE WHEN urgent THEN 1 WHEN WORKING_DAYS(filed, done_at) > 3 THEN 2 END", LATE, FAULT),
        ("CASE WHEN urgent THEN 1 WHEN WORKING_DAYS(filed, done_at) > 3 THEN 2 END", LATE | {"urgent": True}, []),
        ("CASE WHEN urgent THEN 1 WHEN code = 'x' THEN WORKING_DAYS(filed, done_at) END", LATE | {"urgent": True}, []),
        ("CASE WHEN urgent THEN 1 WHEN code = 'x' THEN WORKING_DAYS(filed, done_at) END", LATE, FAULT),
        ("WORKING_DAYS(CASE WHEN WORKING_DAYS(filed, filed) = 0 THEN done_at END, filed)", LATE, FAULT),
        ("WORKING_DAYS(CASE WHEN WORKING_DAYS(filed, done_at) = 0 THEN filed END, filed)", LATE, FAULT),
        ("1 + CASE WHEN urgent THEN WORKING_DAYS(filed, done_at) ELSE 1 END", LATE, []),
    ],
)
def test_a_day_outside_the_calendar_faults_the_row_where_it_matters(text: str, changes: dict[str, object], faults: list[str]) -> None:
    assert computed(text, **changes)[1] == faults


def test_a_fault_names_the_expression_and_the_table_and_no_value() -> None:
    (fault,) = compile_expression("working_days(filed, done_at) + 1", COLUMNS, CALENDAR).faults
    assert fault.table == "hari_libur"
    assert fault.message == (
        "WORKING_DAYS(filed, done_at) needs a day outside of 2021-05-03 to 2021-05-16, which is all that the reference table hari_libur covers"
    )
    assert not compile_expression("money + 1", COLUMNS, CALENDAR).faults


def test_it_is_a_small_integer() -> None:
    typed = compile_expression("WORKING_DAYS(filed, done_at)", COLUMNS, CALENDAR)
    assert (typed.kind, typed.scale, typed.bits) == ("integer", 0, 4)


@pytest.mark.parametrize(
    "text",
    [
        "WORKING_DAYS(filed)", "WORKING_DAYS(filed, done_at, filed)", "WORKING_DAYS()", "WORKING_DAYS(filed, money)",
        "WORKING_DAYS(code, done_at)", "WORKING_DAYS(filed, done_at) OVER ()", "WORKING_DAYS(DISTINCT filed, done_at)",
        "WORKING_DAYS(filed, done_at) FILTER (WHERE urgent)", "HOLIDAYS(filed, done_at)", "WORKING_DAYS(filed, done_at) / 2",
        "WORKING_DAYS(filed, CURRENT_DATE)", "WORKING_DAYS(filed, missing)",
    ],
)  # fmt: skip
def test_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text, COLUMNS, CALENDAR)


def test_without_a_calendar_it_is_refused() -> None:
    columns = {"filed": Column(pl.Date())}
    with pytest.raises(ExpressionError, match="there is no reference table 'hari_libur'"):
        compile_expression("WORKING_DAYS(filed, filed)", columns)


def test_it_holds_over_many_rows_filtered_and_grouped() -> None:
    typed = compile_expression("WORKING_DAYS(filed, DATE '2021-05-11')", COLUMNS, CALENDAR)
    days = [date(2021, 5, day) for day in range(3, 12)] * 3
    frame = pl.DataFrame({"filed": days, "n": range(len(days))})
    expected = [day for day in days if 0 < sum(date(2021, 5, d).weekday() < 5 for d in range(day.day + 1, 12)) <= 2]
    lazy = frame.lazy().with_columns(typed.expr.alias("left")).filter(typed.expr.is_between(1, 2))
    assert lazy.select("filed").collect()["filed"].to_list() == expected
    assert lazy.group_by("left").agg(pl.len()).collect()["len"].sum() == len(expected)
    assert frame.head(0).select(typed.expr).to_series().dtype == pl.Int64

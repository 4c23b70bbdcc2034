"""Expressions: what each means, row by row, and exactness at the edges."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from bus.indicators.compiler import usable_columns
from bus.indicators.expression import compile_expression
from bus.indicators.measure import Measured, exact_integers
from bus.indicators.typed import ExpressionError
from bus.indicators.windows import WINDOWS, window_end, window_start, window_starts
from tests.unit.indicators import oracle
from tests.unit.indicators.histories import EDGES
from tests.unit.indicators.worlds import Schema, batch, event

ROW = {
    "place": "Desa_1", "kind": None, "amount": 7, "small": -3, "money": 12_345, "level": 0.5, "urgent": True, "born": date(2021, 1, 31),
    "seen_at": datetime(2021, 1, 31, 17, 30, tzinfo=UTC),
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amount * 3 - small", 24), ("-amount + 1", -6), ("ABS(small)", 3), ("amount * 0.5 = 3.5", True), ("money = 123.45", True),
        ("money > 123.4 AND money < 123.46", True), ("money = amount * 10 + 53.45", True), ("level = 0.5", True), ("kind = 'x'", None),
        ("kind IS NULL", True), ("kind IS NOT NULL", False), ("kind = 'x' OR urgent", True), ("NOT urgent", False),
        ("urgent IS NOT TRUE", False), ("amount IN (1, 7)", True), ("amount NOT IN (1, 7)", False), ("place IN ('Desa_1')", True),
        ("place LIKE 'Desa\\_%'", False), ("place LIKE 'D_sa%'", True), ("place NOT LIKE 'x%'", True), ("amount BETWEEN 7 AND 9", True),
        ("CASE WHEN amount > 9 THEN 'much' WHEN urgent THEN 'soon' END", "soon"), ("COALESCE(kind, place)", "Desa_1"),
        ("NULLIF(amount, 7)", None), ("GREATEST(amount, small)", 7), ("LEAST(amount, small)", -3), ("UPPER(place)", "DESA_1"),
        ("LEFT(place, 4) || '!'", "Desa!"), ("SUBSTRING(place, 6, 1)", "1"), ("LENGTH(place)", 6), ("EXTRACT(HOUR FROM seen_at)", 0),
        ("EXTRACT(MONTH FROM seen_at)", 2), ("EXTRACT(DAY FROM born)", 31), ("CAST(seen_at AS DATE) = DATE '2021-02-01'", True),
        ("seen_at = TIMESTAMP '2021-02-01 00:30'", True), ("CAST(amount AS TEXT)", "7"), ("born < seen_at", True),
    ],
)  # fmt: skip
def test_meaning(text: str, expected: object) -> None:
    frame = batch([event(0, **ROW)]).frame
    assert frame.select(compile_expression(text, usable_columns(Schema())).expr).item() == expected


@pytest.mark.parametrize(
    "text",
    [
        "amount % 2 = 0", "amount / 2", "sum(amount)", "count(*)", "row_number() over ()", "now()", "current_date", "random()", "(SELECT 1)",
        "sequence", "a.amount", "amount; amount", "", "'a", "money * level > 1", "place + 1", "place > 1", "amount AND urgent", "place ILIKE 'x'",
        "amount BETWEEN SYMMETRIC 1 AND 2", "CAST(place AS INTEGER)", "LEFT(place, amount)", "amount * amount * amount", "DATE 'soon' = born",
        "TIMESTAMP '2021-01-01 00:00+07:00' = seen_at", "EXTRACT(SECOND FROM seen_at)", "CASE amount WHEN 1 THEN 2 END",
    ],
)  # fmt: skip
def test_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text, usable_columns(Schema()))


@pytest.mark.parametrize("window", WINDOWS)
def test_windows_follow_the_calendar(window: str) -> None:
    moments = [*EDGES, datetime(2024, 2, 29, 17, tzinfo=UTC), datetime(2021, 12, 31, 16, 59, tzinfo=UTC)]
    for group in (moments, [moment for moment in moments if moment.year > 1965]):
        starts = window_starts(pl.Series(group, dtype=pl.Datetime("us", "UTC")), window).to_list()
        assert starts == [oracle.start_of(moment, window) for moment in group]
    for moment in moments:
        start = window_start(oracle.micros(moment), window)
        end = window_end(start, window)
        assert start <= oracle.micros(moment) < end
        if moment.year > 1965:
            assert window_start(end, window) == end
            assert window_start(end - 1, window) == start


@pytest.mark.parametrize(
    ("value", "scaled"),
    [
        (0.125, 12),
        (0.375, 38),
        (2.675, 267),
        (1.115, 111),
        (-0.125, -12),
        (1e15 + 0.25, 10**17 + 25),
        (1e22, 10**24),
        (None, None),
        (float("nan"), None),
    ],
)
def test_doubles_are_rounded_half_even_by_their_exact_value(value: float | None, scaled: int | None) -> None:
    values, faults = exact_integers(pl.Series([value], dtype=pl.Float64), Measured("of", "level", pl.col("level"), True, 2, 128))
    assert values.to_list() == [scaled]
    assert bool(faults) == (value is not None and scaled is None)

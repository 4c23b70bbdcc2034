from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.clock import LOCAL_ZONE
from bus.kafka.ports import Record
from consumers.dashboard.cells import Cell
from consumers.dashboard.query import near, select, window_test
from consumers.dashboard.selection import QueryError
from tests.unit.gateway.feed import DECODE, month, value


def cell(start: datetime, days: int = 1, station: str | None = "DKI1") -> Cell:
    message = value("dlh.x", "1", window=(start, start + timedelta(days=days)), dimensions={"station": station})
    return DECODE(Record(message.topic, 0, 0, message.key, message.value, message.headers))


DAY = datetime(2021, 1, 5, tzinfo=LOCAL_ZONE)
CELLS = sorted(
    (cell(DAY + timedelta(days=day), station=station) for day in range(40) for station in ("DKI1", "DKI2", None)), key=lambda c: c.sort_key
)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("2021", True),
        ("2021-Q1", True),
        ("2021-01", True),
        ("2021-01-05", True),
        ("2021-01-05T00:00:00+07:00", True),
        ("2021-01-05T00:00:00 07:00", True),
        ("2021-01-05T00:00:00", True),
        ("2021-01-04T17:00:00+00:00", True),
        ("2020", False),
        ("2021-Q2", False),
        ("2021-02", False),
        ("2021-01-04", False),
        ("2021-01-05T00:00:00+00:00", False),
    ],
)
def test_a_window_is_a_period_or_a_begin_in_civil_time(text: str, fits: bool) -> None:
    assert window_test(text)(cell(DAY)) is fits


def test_a_window_longer_than_the_period_is_not_in_it() -> None:
    start, end = month(1)
    assert window_test("2021-01")(cell(start, (end - start).days))
    assert not window_test("2021-01-01")(cell(start, (end - start).days))
    assert window_test("2021-12")(cell(datetime(2021, 12, 31, tzinfo=LOCAL_ZONE)))
    assert window_test("2021-Q4")(cell(datetime(2021, 12, 31, tzinfo=LOCAL_ZONE)))


@pytest.mark.parametrize(
    "text", ["", "21", "2021-13", "2021-1", "2021-Q5", "2021-02-30", "0000", "Now", "now/", "2021-01-05T99:00", "٢٠٢١", "2021-01-05 00:00"]
)
def test_a_malformed_window_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(QueryError) as refused:
        select(CELLS, [("window", text)], ["station"])
    assert refused.value.received == text
    assert "2021-01-05" in refused.value.allowed


@pytest.mark.parametrize(
    "parameters",
    [
        [("stasiun", "DKI1")],
        [("limit", "0")],
        [("limit", "-1")],
        [("limit", "5001")],
        [("limit", "ten")],
        [("limit", "²")],
        [("limit", "1"), ("limit", "2")],
        [("cursor", "x")],
        [("cursor", "W10")],
        [("cursor", "WzEsWzFdXQ")],
        [("cursor", "é")],
    ],
)
def test_other_malformed_parameters_are_refused(parameters: list[tuple[str, str]]) -> None:
    with pytest.raises(QueryError) as refused:
        select(CELLS, parameters, ["station"])
    assert refused.value.received
    assert refused.value.allowed


def test_an_unknown_parameter_names_those_that_are_known() -> None:
    with pytest.raises(QueryError) as refused:
        select(CELLS, [("stasiun", "DKI1")], ["station"])
    assert refused.value.received == "stasiun"
    assert list(refused.value.allowed) == ["window", "limit", "cursor", "station"]


def test_dimensions_filter_by_any_of_their_values_and_empty_means_none() -> None:
    found = select(CELLS, [("station", "DKI2"), ("station", "")], ["station"])
    assert {c.dimensions["station"] for c in found.cells} == {"DKI2", None}
    assert select(CELLS, [("station", "elsewhere")], ["station"]).total == 0


@given(st.integers(1, 130), st.sampled_from([None, "2021-01", "2021-02"]))
def test_pages_together_are_the_whole(limit: int, window: str | None) -> None:
    fixed = [("window", window)] if window else []
    whole = list(select(CELLS, [*fixed, ("limit", "5000")], ["station"]).cells)
    pages: list[Cell] = []
    cursor: str | None = None
    while True:
        page = select(CELLS, [*fixed, ("limit", str(limit)), *([("cursor", cursor)] if cursor else [])], ["station"])
        assert page.total == len(whole)
        pages += page.cells
        cursor = page.next_cursor
        if cursor is None:
            break
        assert len(page.cells) == limit
    assert pages == whole


def test_near_names() -> None:
    known = ["dlh.pm10_mean", "dlh.pm10_max", "dlh.co_mean", "mpp.waiting_time"]
    assert near("dlh.pm10_men", known)[0] == "dlh.pm10_mean"
    assert near("waiting", known) == ["mpp.waiting_time"]
    assert near("", known) == []

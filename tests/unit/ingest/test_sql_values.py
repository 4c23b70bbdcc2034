"""Values of databases as JSON knows them, watermarks, and what a manifest of these kinds may say."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from bus.ingest.kinds import AnySpec
from bus.ingest.kinds.cdc_changes import value_of
from bus.ingest.kinds.sql_values import Unreadable, json_object, json_row, json_value
from bus.ingest.kinds.sql_watermark import NoWatermark, Watermark, floor_of, from_json, to_json, watermark_of
from bus.ingest.source import Reason

WIB = ZoneInfo("Asia/Jakarta")
NOW = datetime(2024, 5, 6, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2024, 5, 6, 7, 8), "2024-05-06T07:08:00+07:00"),
        (datetime(2024, 5, 6, 7, 8, tzinfo=UTC), "2024-05-06T14:08:00+07:00"),
        (date(2024, 5, 6), "2024-05-06"),
        (time(7, 8), "07:08:00"),
        (timedelta(hours=30, microseconds=5), "30:00:00.000005"),
        (-timedelta(minutes=1), "-00:01:00"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        (True, True),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"a": [Decimal("1.0"), None]}, {"a": ["1.0", None]}),
    ],
)
def test_values(value: object, expected: object) -> None:
    assert json_value(value, WIB) == expected


@pytest.mark.parametrize("value", [b"x", memoryview(b"x"), float("nan"), float("inf"), Decimal("NaN"), object(), [b"x"]])
def test_what_json_has_no_honest_form_for_is_refused_with_its_column(value: object) -> None:
    reason = json_row({"a": 1, "b": value}, WIB)
    assert isinstance(reason, Reason)
    assert (reason.rule, reason.field) == ("invalid_value", "b")


@pytest.mark.parametrize("text", ["[1]", "1", "{", '{"a": NaN}', "[" * 100_000])
def test_only_an_object_is_a_payload(text: str) -> None:
    with pytest.raises(Unreadable):
        json_object(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("NaN", 1700), ("Infinity", 701), ("infinity", 1184), ("0044-03-15 BC", 1082), ("\\xff", 17), ("0044-03-15 00:00:00 BC", 1114)],
)
def test_texts_of_postgresql_that_mean_nothing_in_json(text: str, kind: int) -> None:
    with pytest.raises(Unreadable):
        value_of(text, kind, WIB)


_WATERMARK = st.one_of(
    st.datetimes(), st.datetimes(timezones=st.just(UTC)), st.dates(), st.integers(), st.datetimes().map(lambda at: at.isoformat(" "))
)


@given(_WATERMARK)
def test_a_watermark_comes_back_from_the_cursor(watermark: Watermark) -> None:
    assert from_json(json.loads(json.dumps(to_json(watermark)))) == watermark


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.floats(0, 1e6))
def test_the_window_reaches_back_from_the_newest_or_from_now_and_so_does_its_text(newest: datetime, seconds: float) -> None:
    floor = floor_of(newest, NOW, WIB, seconds=seconds, numbers=0)
    assert floor == min(newest, NOW.astimezone(WIB).replace(tzinfo=None)) - timedelta(seconds=seconds)
    assert isinstance(floor, datetime)
    for separator in " T":
        for suffix in ("", "+07:00"):
            text = floor_of(newest.isoformat(separator) + suffix, NOW, WIB, seconds=seconds, numbers=0)
            assert isinstance(text, str)
            assert text <= floor.isoformat(separator)
            assert floor - datetime.fromisoformat(text) < timedelta(seconds=1)


def test_windows_of_days_and_numbers() -> None:
    assert floor_of(date(2024, 5, 6), NOW, WIB, seconds=1, numbers=0) == date(2024, 5, 5)
    assert floor_of("2024-05-06", NOW, WIB, seconds=1, numbers=0) == "2024-05-05"
    assert floor_of(5_000, NOW, WIB, seconds=1, numbers=1_000) == 4_000
    assert watermark_of(Decimal(7)) == 7


@pytest.mark.parametrize("value", [1.5, True, Decimal("1.5"), "kemarin", b"x", None])
def test_what_is_no_watermark(value: object) -> None:
    with pytest.raises(NoWatermark):
        watermark_of(value)


SQL = {"type": "sql", "mode": "query", "table": "a", "watermark": "w", "key": ["no"]}
CDC = {"type": "postgres-cdc", "tables": ["public.a"], "key": ["no"]}


@pytest.mark.parametrize(
    ("base", "change", "field"),
    [
        (SQL, {"query": "SELECT 1"}, "query"),
        (SQL, {"table": None}, "query"),
        (SQL, {"table": None, "query": "DELETE FROM a"}, "query"),
        (SQL, {"table": None, "query": "SELECT 1; DELETE FROM a"}, "query"),
        (SQL, {"table": "a; DROP TABLE a"}, "table"),
        (SQL, {"watermark": None}, "watermark"),
        (SQL, {"key": []}, "key"),
        (SQL, {"after": "delete"}, "after"),
        (SQL, {"timezone": "Asia/Bandung"}, "timezone"),
        (SQL, {"mode": "outbox"}, "watermark"),
        (CDC, {"tables": ["a"]}, "tables"),
        (CDC, {"tables": ["public.a", "public.a"], "key": ["_table", "no"]}, "tables"),
        (CDC, {"tables": ["public.a", "public.b"]}, "key"),
        (CDC, {"key": ["_table", "no"]}, "key"),
        (CDC, {"key": []}, "key"),
        (CDC, {"ignore": ["no"]}, "ignore"),
        (CDC, {"slot": "Bus-1"}, "slot"),
        (CDC, {"timezone": "WIB"}, "timezone"),
    ],
)
def test_what_a_manifest_may_not_say(base: dict[str, object], change: dict[str, object], field: str) -> None:
    adapter: TypeAdapter[AnySpec] = TypeAdapter(AnySpec)
    assert adapter.validate_python(base).faults() == []
    assert [name for name, _ in adapter.validate_python(base | change).faults()] == [field]

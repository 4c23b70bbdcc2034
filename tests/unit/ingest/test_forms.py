"""Numbers, days and times are taken in the spellings that are said, exactly, and nothing else is."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bus.clock import LOCAL_ZONE
from bus.errors import RecordError
from bus.ingest.forms import Day, LocalNumber, Moment, Text, Whole
from bus.ingest.record import parse

WHOLE, NUMBER, DAY, MOMENT, TEXT = (TypeAdapter[object](kind) for kind in (Whole, LocalNumber, Day, Moment, Text))


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_a_whole_number_is_itself_however_it_comes(number: int) -> None:
    assert [WHOLE.validate_python(value) for value in (number, str(number), f" {number} ", f"{number}.0", f"{number}.0000")] == [number] * 5


@given(st.decimals(-(10**15) + 1, 10**15 - 1, places=3), st.sampled_from(",."))
def test_a_decimal_is_exact_with_comma_or_point(number: Decimal, mark: str) -> None:
    text = format(number, "f").replace(".", mark)
    assert NUMBER.validate_python(text) == number


@given(st.dates(date(1900, 1, 1), date(2100, 12, 31)))
def test_a_day_is_the_same_in_every_form(day: date) -> None:
    forms = [day.isoformat(), f"{day:%d/%m/%Y}", f"{day:%d-%m-%Y}", f"{day.isoformat()}T00:00:00+07:00", f"{day.isoformat()} 23:59:59"]
    assert [DAY.validate_python(form) for form in forms] == [day] * 5


def test_a_time_has_a_zone_and_its_day_is_the_local_one() -> None:
    assert MOMENT.validate_python("2026-01-05 08:00:00") == datetime(2026, 1, 5, 8, tzinfo=LOCAL_ZONE)
    assert MOMENT.validate_python("2026-01-05T23:30:00Z") == datetime(2026, 1, 5, 23, 30, tzinfo=UTC)
    assert DAY.validate_python("2026-01-05T23:30:00Z") == date(2026, 1, 6)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (WHOLE, (True, 1.0, "1.5", "2.000", "-15.000", "150.000", "1,0", "", "1e3", "1_000", "١", "9" * 19, 10**18, None, [1])),
        (NUMBER, (True, 1.5, "1.234,5", "1,", ",5", "NaN", "1e3", "", None, "--1", 10**15, -(10**400))),
        (DAY, (7, True, "2026-02-30", "30/02/2026", "05.01.2026", "5 Januari", "2026-1-5", "", None, "2026-01-05T25:00")),
        (MOMENT, (7, True, "08:00", "2026-01-05T25:00:00", "05/01/2026 08:00", "", None)),
        (TEXT, ("", "  ", 7, True, None, ["a"])),
    ],
)
def test_what_is_none_of_these_is_refused(kind: TypeAdapter[object], values: tuple[object, ...]) -> None:
    for value in values:
        with pytest.raises(ValidationError):
            kind.validate_python(value)


class Born(BaseModel):
    model_config = ConfigDict(extra="forbid")

    lahir: Day = Field(json_schema_extra={"pii": "quasi"})
    jumlah: Whole


def test_the_error_says_what_is_allowed_and_shows_nothing_of_a_person() -> None:
    with pytest.raises(RecordError) as refused:
        parse(Born, {"lahir": "31-02-1990", "jumlah": "dua"})
    assert (refused.value.field, refused.value.rule) == ("lahir", "invalid_value")
    assert "1990" not in f"{refused.value} {refused.value.received} {refused.value.allowed}"
    assert refused.value.allowed.startswith("tanggal/date")
    (other,) = refused.value.others
    assert (other.field, other.received) == ("jumlah", "dua")

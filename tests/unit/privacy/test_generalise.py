"""What is made coarse is made so exactly, and says what it cannot make."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import RecordError, SourceChanged
from bus.ingest.privacy import age_band, age_years, desa_of, sex, year_of

BANDS = (0, 5, 15, 65)
DAYS = st.dates(date(1930, 1, 1), date(2030, 12, 31))


@pytest.mark.parametrize(
    ("born", "on", "years"),
    [
        ("2020-05-10", "2025-05-09", 4), ("2020-05-10", "2025-05-10", 5), ("2020-02-29", "2021-02-28", 0), ("2020-02-29", "2021-03-01", 1),
        ("2025-01-01", "2025-01-01", 0),
    ],
)  # fmt: skip
def test_completed_years(born: str, on: str, years: int) -> None:
    assert age_years(date.fromisoformat(born), date.fromisoformat(on)) == years


@given(DAYS, DAYS)
def test_each_age_is_in_its_band(born: date, on: date) -> None:
    if on < born:
        with pytest.raises(RecordError):
            age_band(born, on, BANDS, field="lahir")
        return
    low, _, high = age_band(born, on, BANDS).replace("+", "-999").partition("-")
    assert int(low) in BANDS
    assert int(low) <= age_years(born, on) <= int(high)


def test_bands_are_named_by_their_bounds() -> None:
    on = date(2026, 1, 1)
    assert [age_band(date(2026 - age, 1, 1), on, BANDS) for age in (0, 4, 5, 14, 15, 64, 65, 99)] == [
        "0-4", "0-4", "5-14", "5-14", "15-64", "15-64", "65+", "65+",
    ]  # fmt: skip
    with pytest.raises(RecordError):
        age_band(date(2024, 1, 1), on, (5, 15))
    for bounds in ((), (5, 5), (15, 5)):
        with pytest.raises(ValueError, match="rise"):
            age_band(on, on, bounds)


def test_sex_has_many_spellings() -> None:
    assert {sex(text) for text in ("L", "laki-laki", "Laki Laki", 1, "LK")} == {"L"}
    assert {sex(text) for text in ("P", "perempuan", 2, "Wanita")} == {"P"}
    for wrong in ("X", "", None, 3):
        with pytest.raises(SourceChanged):
            sex(wrong, field="jk")


def test_regions_come_from_region_codes_only() -> None:
    assert {desa_of(code) for code in ("33.09.01.2001", "3309012001", "33.09.01.2001.003", "33.09.01.2001.003.012", " 3309012001 ")} == {
        "33.09.01.2001"
    }
    for wrong in ("33.09.01", "3309121203990001", "33.09.01.4001", "", "33.09.01.2001.1", "3309012001003012", "3309012001.003"):
        with pytest.raises(RecordError) as caught:
            desa_of(wrong, field="desa")
        assert caught.value.received == ""
    assert year_of(date(1999, 3, 5)) == 1999

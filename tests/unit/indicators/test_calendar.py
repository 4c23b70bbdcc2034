"""Working days and working time: against counting day by day and second by second, and against what is known of the years."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import ConfigurationError
from bus.indicators.calendar import OutsideCalendar, WorkingCalendar
from bus.indicators.reference import ReferenceTable
from bus.indicators.reference_files import load_references
from bus.indicators.reference_rows import parse_table

SCHEMAS = Path(__file__).parents[3] / "schemas"
JAKARTA = ZoneInfo("Asia/Jakarta")
SECOND = timedelta(seconds=1)
#: In the generated calendars, so that moments of one fall into all of them.
FIRST, DAYS = date(2020, 2, 24), 40


def micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def local(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return micros(datetime(year, month, day, hour, minute, tzinfo=JAKARTA))


OFF = st.sets(st.integers(0, DAYS - 1).map(lambda n: FIRST + timedelta(days=n)), max_size=12)
WORKDAYS = st.sampled_from([(1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 6), (7,), (1, 2, 3, 4, 5, 6, 7)])
Case = tuple[WorkingCalendar, Callable[[date], bool]]


def case(off: set[date], workdays: tuple[int, ...]) -> Case:
    names = [("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")[number - 1] for number in workdays]
    calendar = WorkingCalendar(FIRST, FIRST + timedelta(days=DAYS - 1), off, workdays)
    return calendar, lambda day: day.strftime("%a")[:2] in names and day not in off


CASES = st.builds(case, OFF, WORKDAYS)
DATES = st.integers(0, DAYS - 1).map(lambda n: FIRST + timedelta(days=n))
BEGINNING, END = local(2020, 2, 24), local(2020, 4, 4)
MOMENTS = st.one_of(
    st.integers(BEGINNING, END - 1),
    st.builds(lambda day, near: BEGINNING + day * 86_400_000_000 + near, st.integers(1, DAYS - 1), st.integers(-2, 2)),
)


def counted_by_days(works: Callable[[date], bool], since: int, until: int) -> int:
    """Working microseconds, by cutting the interval at each midnight in Jakarta with the zone database."""
    total, day = timedelta(), FIRST
    begin, end = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=each) for each in (since, until))
    while day < FIRST + timedelta(days=DAYS):
        midnight, next_one = (datetime(d.year, d.month, d.day, tzinfo=JAKARTA) for d in (day, day + timedelta(days=1)))
        if works(day):
            total += max(timedelta(), min(end, next_one) - max(begin, midnight))
        day += timedelta(days=1)
    return total // timedelta(microseconds=1)


@given(CASES, MOMENTS, MOMENTS)
def test_working_time_is_what_counting_day_by_day_gives(case: Case, since: int, until: int) -> None:
    calendar, works = case
    assert calendar.working_micros(since, until) == counted_by_days(works, since, until)


@given(CASES, st.integers(1, DAYS - 2), st.integers(-4000, 4000), st.integers(0, 8000))
def test_working_time_is_what_counting_second_by_second_gives(case: Case, day: int, start: int, length: int) -> None:
    calendar, works = case
    first = datetime(2020, 2, 24, tzinfo=JAKARTA).astimezone(UTC) + timedelta(days=day, seconds=start)
    worked = sum(works((first + n * SECOND).astimezone(JAKARTA).date()) for n in range(length))
    assert calendar.working_micros(micros(first), micros(first + length * SECOND)) == worked * 1_000_000


@given(CASES, st.lists(MOMENTS, min_size=3, max_size=3).map(sorted))
def test_adjacent_intervals_add_up_exactly(case: Case, moments: list[int]) -> None:
    calendar, (a, b, c) = case[0], moments
    assert calendar.working_micros(a, c) == calendar.working_micros(a, b) + calendar.working_micros(b, c)
    assert calendar.working_micros(c, a) == 0


@given(CASES, DATES, DATES)
def test_working_days_are_what_counting_gives(case: Case, since: date, until: date) -> None:
    calendar, works = case
    between = [day for n in range(DAYS) if since < (day := FIRST + timedelta(days=n)) <= until and works(day)]
    assert calendar.working_days_between(since, until) == len(between)
    assert calendar.is_working_day(since) == works(since)


@given(CASES, DATES, st.integers(0, DAYS))
def test_a_period_ends_on_its_last_working_day(case: Case, day: date, count: int) -> None:
    calendar, works = case
    following = [each for n in range(DAYS) if (each := FIRST + timedelta(days=n)) > day and works(each)]
    if count > len(following):
        with pytest.raises(OutsideCalendar):
            calendar.add_working_days(day, count)
    else:
        assert calendar.add_working_days(day, count) == [day, *following][count]


@given(CASES, st.lists(st.tuples(st.none() | MOMENTS, st.none() | MOMENTS), max_size=8))
def test_columns_are_computed_as_single_values_are(case: Case, pairs: list[tuple[int | None, int | None]]) -> None:
    calendar = case[0]
    schema = {"a": pl.Datetime("us", "UTC"), "b": pl.Datetime("us", "UTC")}
    frame = pl.DataFrame({name: [pair[place] for pair in pairs] for place, name in enumerate("ab")}, schema_overrides=schema)
    frame = frame.cast(schema)  # type: ignore[arg-type]
    dates = frame.select(pl.col("a", "b").dt.convert_time_zone("Asia/Jakarta").dt.date())
    times = frame.select(calendar.working_micros_expr(pl.col("a"), pl.col("b"))).to_series()
    days = dates.select(calendar.working_days_expr(pl.col("a"), pl.col("b"))).to_series()
    assert times.to_list() == [None if a is None or b is None else calendar.working_micros(a, b) for a, b in pairs]
    assert days.to_list() == [None if a is None or b is None else calendar.working_days_between(a, b) for a, b in dates.iter_rows()]
    assert times.dtype == days.dtype == pl.Int64
    assert not dates.select(calendar.outside(pl.col("a")).any()).item()


def test_days_that_are_not_covered_are_refused_and_never_counted() -> None:
    calendar = WorkingCalendar(FIRST, date(2020, 4, 3), set())
    before, after, inside = FIRST - timedelta(days=1), date(2020, 4, 4), date(2020, 3, 2)
    for pair in ((before, inside), (inside, before), (inside, after), (after, inside), (after, after)):
        with pytest.raises(OutsideCalendar, match="covers 2020-02-24 to 2020-04-03"):
            calendar.working_days_between(*pair)
        moments = [micros(datetime(d.year, d.month, d.day, tzinfo=JAKARTA)) for d in pair]
        with pytest.raises(OutsideCalendar):
            calendar.working_micros(*moments)
        frame = pl.DataFrame({"a": pair[:1], "b": pair[1:]})
        assert frame.select(calendar.working_days_expr(pl.col("a"), pl.col("b"))).item() is None
        assert frame.select(calendar.outside(pl.col("a")) | calendar.outside(pl.col("b"))).item() is True
        us = frame.select(pl.col("a", "b").cast(pl.Datetime("us")).dt.replace_time_zone("Asia/Jakarta"))
        assert us.select(calendar.working_micros_expr(pl.col("a"), pl.col("b"))).item() is None
    assert [calendar.covers(us) for us in (BEGINNING - 1, BEGINNING, END - 1, END)] == [False, True, True, False]
    for day in (before, after):
        with pytest.raises(OutsideCalendar):
            calendar.is_working_day(day)
    with pytest.raises(ValueError, match="got -1"):
        calendar.add_working_days(inside, -1)


# The regency's own table.


@pytest.fixture(scope="module")
def table() -> ReferenceTable:
    return load_references([SCHEMAS])["hari_libur"]


@pytest.fixture(scope="module")
def calendar(table: ReferenceTable) -> WorkingCalendar:
    return WorkingCalendar.from_table(table)


def test_holidays_that_everybody_knows(calendar: WorkingCalendar) -> None:
    fixed = [(year, month, day) for year in range(2016, 2027) for month, day in ((1, 1), (5, 1), (8, 17), (12, 25))]
    idul_fitri = [
        (2016, 7, 6), (2017, 6, 26), (2018, 6, 15), (2019, 6, 5), (2020, 5, 25), (2021, 5, 13), (2022, 5, 2), (2023, 4, 21), (2024, 4, 10),
        (2025, 3, 31), (2026, 3, 20),
    ]  # fmt: skip
    elections = [(2017, 2, 15), (2018, 6, 27), (2019, 4, 17), (2020, 12, 9), (2024, 2, 14), (2024, 11, 27)]
    moved = [(2020, 12, 31), (2021, 8, 11), (2021, 10, 20), (2025, 8, 18)]
    for day in [*fixed, *idul_fitri, *elections, *moved, (2017, 6, 1)]:
        assert not calendar.is_working_day(date(*day)), day
    # Days that were holidays in a first decree, or of another year, and worked in the end.
    for day in [(2016, 6, 1), (2020, 12, 28), (2021, 8, 10), (2021, 10, 19), (2021, 12, 24), (2024, 8, 16), (2026, 8, 18)]:
        assert calendar.is_working_day(date(*day)), day


def test_each_year_has_the_days_of_its_decree(table: ReferenceTable) -> None:
    kinds = {(year, kind): 0 for year in range(2016, 2027) for kind in ("libur_nasional", "cuti_bersama")}
    names: dict[int, list[str]] = {year: [] for year in range(2016, 2028)}
    for row in table.rows:
        day = row.values["tanggal"]
        assert isinstance(day, date)
        names[day.year].append(str(row.values["nama"]))
        if day.year < 2027:
            kinds[day.year, str(row.values["jenis"])] += 1
    # As announced: 2024 without two election days, 2025 with one day added in August.
    assert [kinds[year, "libur_nasional"] for year in (2024, 2025, 2026)] == [19, 17, 17]
    assert [kinds[year, "cuti_bersama"] for year in (2024, 2025, 2026)] == [10, 11, 8]
    for year in range(2016, 2027):
        joined = "; ".join(names[year])
        for each in ("Imlek", "Nyepi", "Wafat", "Kenaikan", "Waisak", "Idul Fitri, hari kedua", "Idul Adha", "Tahun Baru Islam", "Maulid"):
            assert each in joined, (year, each)
        assert "Isra Mikraj" in joined
        assert ("Kebangkitan" in joined) == (year >= 2024)


def test_a_week_with_a_holiday(calendar: WorkingCalendar) -> None:
    # Thursday 8 May 2025, 10:00, to Thursday 15 May, 16:00: weekend, Waisak on Monday, collective leave on Tuesday.
    hours = calendar.working_micros(local(2025, 5, 8, 10), local(2025, 5, 15, 16)) / 3_600_000_000
    assert hours == 14 + 24 + 24 + 16
    assert calendar.working_days_between(date(2025, 5, 8), date(2025, 5, 15)) == 3
    assert calendar.add_working_days(date(2025, 5, 9), 1) == date(2025, 5, 14)


FORM = """
title = { id = "Libur", en = "Days off" }
version = 1
source = "a decree"
licence = "CC0"
key = ["tanggal"]
[calendar]
covers_from = 2021-01-01
covers_to = 2021-12-31
[columns.tanggal]
about = { id = "Hari", en = "Day" }
type = "date"
"""


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("2021-12-31", "2020-12-31", "in this order"),
        ("2021-01-01", "1959-01-01", "from 1965-01-01 on"),
        ("covers_to", "covers_until", "unknown key"),
        ("covers_to = 2021-12-31", "", "is required"),
        ("covers_to = 2021-12-31", "covers_to = 2021-12-31\nworkdays = [5, 1]", "in order"),
        ("covers_to = 2021-12-31", "covers_to = 2021-12-31\nworkdays = [0]", "greater than or equal to 1"),
        ("covers_to = 2021-12-31", "covers_to = 2021-12-31\nworkdays = []", "at least 1"),
        ('type = "date"', 'type = "text"', "one key column, of dates"),
    ],
)
def test_what_a_calendar_may_not_say(old: str, new: str, wrong: str) -> None:
    form = FORM.replace(old, new)
    made, problems = parse_table("libur", form, "tanggal\n", ("libur.toml", "libur.csv"))
    assert made is None
    assert any(wrong in problem.what for problem in problems), problems


def test_what_the_table_covers_is_under_its_fingerprint() -> None:
    def fingerprint(form: str) -> str:
        made, problems = parse_table("libur", form, "tanggal\n2021-08-17\n", ("libur.toml", "libur.csv"))
        assert made is not None, problems
        return made.fingerprint

    same = FORM.replace("covers_to = 2021-12-31", "covers_to = 2021-12-31\nworkdays = [1, 2, 3, 4, 5]")
    longer = FORM.replace("2021-12-31", "2022-12-31")
    six_days = same.replace("4, 5]", "4, 5, 6]")
    assert fingerprint(FORM) == fingerprint(same)
    assert len({fingerprint(form) for form in (FORM, longer, six_days)}) == 3


def test_a_day_off_that_is_not_covered_is_a_problem_of_its_line(tmp_path: Path) -> None:
    made, _ = parse_table("libur", FORM, "tanggal\n2021-08-17\n2022-08-17\n", ("libur.toml", "libur.csv"))
    assert made is not None
    with pytest.raises(ConfigurationError, match=r"libur\.csv:3: tanggal: received 2022-08-17"):
        WorkingCalendar.from_table(made)
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "libur.toml").write_text(FORM)
    (tmp_path / "reference" / "libur.csv").write_text("tanggal\n2020-08-17\n")
    with pytest.raises(ConfigurationError, match=r"libur\.csv:2: tanggal"):
        load_references([tmp_path])


def test_a_table_of_other_things_is_no_calendar() -> None:
    with pytest.raises(ConfigurationError, match="no \\[calendar\\] section"):
        WorkingCalendar.from_table(load_references([SCHEMAS])["wilayah"])

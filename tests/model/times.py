"""Calendar by the standard library: windows in Asia/Jakarta, and working seconds day by day."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

JAKARTA = ZoneInfo("Asia/Jakarta")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The window of the current state: all of time.
NOW = (0, 253_402_214_400_000_000)
SECOND = 1_000_000
_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime; of one without zone, as a clock in Jakarta shows it."""
    return (moment.replace(tzinfo=moment.tzinfo or JAKARTA) - EPOCH) // timedelta(microseconds=1)


def local(moment_us: int) -> datetime:
    """Civil time in Jakarta, without zone."""
    return (EPOCH + timedelta(microseconds=moment_us)).astimezone(JAKARTA).replace(tzinfo=None)


def span(text: str) -> int:
    """Microseconds of a time span such as `7d` or `15m`."""
    return int(text[:-1]) * _UNITS[text[-1]] * SECOND


def window_of(moment_us: int, window: str) -> tuple[int, int]:
    """Start and end of the window that the moment lies in."""
    if window == "now":
        return NOW
    civil = local(moment_us)
    day = civil.replace(hour=0, minute=0, second=0, microsecond=0)
    match window:
        case "15m":
            start = civil.replace(minute=civil.minute // 15 * 15, second=0, microsecond=0)
            end = start + timedelta(minutes=15)
        case "1h":
            start = civil.replace(minute=0, second=0, microsecond=0)
            end = start + timedelta(hours=1)
        case "1d":
            start, end = day, day + timedelta(days=1)
        case "1w":
            start = day - timedelta(days=day.weekday())
            end = start + timedelta(days=7)
        case "1mo" | "1q" | "6mo" | "1y":
            months = {"1mo": 1, "1q": 3, "6mo": 6, "1y": 12}[window]
            start = day.replace(day=1, month=(day.month - 1) // months * months + 1)
            end = _first_of_month(start.year * 12 + start.month - 1 + months)
        case _:
            raise ValueError(window)
    return micros(start), micros(end)


def _first_of_month(months: int) -> datetime:
    return datetime(months // 12, months % 12 + 1, 1)


def window_before(start_us: int, window: str) -> int:
    """Start of the window that ends where this one starts."""
    return window_of(start_us - 1, window)[0]


def year_before(start_us: int, window: str) -> int:
    """Start of the same window a year earlier: of 29 February that of 28 February, of week 53 that of the last week."""
    civil = local(start_us)
    if window == "1w":
        year, week, _ = civil.isocalendar()
        while True:
            try:
                return micros(datetime.fromisocalendar(year - 1, week, 1))
            except ValueError:
                week -= 1
    try:
        return micros(civil.replace(year=civil.year - 1))
    except ValueError:
        return micros(civil.replace(year=civil.year - 1, day=28))


def working_us(since_us: int, until_us: int, holidays: Collection[date]) -> int:
    """Microseconds between two moments on days that are neither Saturday, Sunday nor holiday: each such day counts its 24 hours."""
    total = 0
    moment = since_us
    while moment < until_us:
        midnight = window_of(moment, "1d")[1]
        day = local(moment).date()
        if day.weekday() < 5 and day not in holidays:
            total += min(midnight, until_us) - moment
        moment = midnight
    return total

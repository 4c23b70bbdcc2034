"""Calendar windows in the regency's civil time: where each begins and ends, as microseconds since 1970 in UTC.

A window is named by its start. Days begin at local midnight, weeks on Monday, quarters in January, April, July and October.
Time that the clock showed twice (last on 31 December 1963) counts for the window of the first.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import polars as pl

#: The regency's civil time. (Of `bus.clock`, which knows the time, this package must know nothing.)
LOCAL_ZONE = ZoneInfo("Asia/Jakarta")

#: The windows that an indicator may have, from the shortest to the longest.
WINDOWS = ("15m", "1h", "1d", "1w", "1mo", "1q", "6mo", "1y")

#: The window of the current state: one, that never ends.
NOW = "now"
NOW_START = 0
#: 9999-12-31T00:00:00Z: later than any window's end.
NOW_END = 253_402_214_400_000_000

_SECOND = 1_000_000
_LENGTHS = {"15m": 900 * _SECOND, "1h": 3600 * _SECOND, "1d": 86_400 * _SECOND, "1w": 7 * 86_400 * _SECOND}
_MONTHS = {"1mo": 1, "1q": 3, "6mo": 6, "1y": 12}
_FIRST_MONDAY = 4 * 86_400 * _SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  civil time has no zone

#: From 1965 (the last change came into force on 1 January 1964) Asia/Jakarta is UTC+7; earlier times go through the zone database.
_FIXED_SINCE = -157_766_400 * _SECOND
_OFFSET = 7 * 3600 * _SECOND


def to_datetime(micros: int) -> datetime:
    """The same moment as an aware datetime in Asia/Jakarta."""
    return (_EPOCH + timedelta(microseconds=micros)).astimezone(LOCAL_ZONE)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


@lru_cache(maxsize=65_536)
def window_start(micros: int, window: str) -> int:
    """Start of the window that the moment lies in."""
    if window == NOW:
        return NOW_START
    return to_micros(_civil_start(to_datetime(micros), window).replace(tzinfo=LOCAL_ZONE))


@lru_cache(maxsize=65_536)
def window_end(start: int, window: str) -> int:
    """End (exclusive) of the window that begins at `start`: the start of the next one."""
    if window == NOW:
        return NOW_END
    local = to_datetime(start).replace(tzinfo=None)
    if window in _LENGTHS:
        end = local + timedelta(microseconds=_LENGTHS[window])
    else:
        months = local.year * 12 + local.month - 1 + _MONTHS[window]
        end = local.replace(year=months // 12, month=months % 12 + 1)
    return to_micros(end.replace(tzinfo=LOCAL_ZONE))


def local_time(moments: pl.Series) -> pl.Series:
    """UTC moments (`Datetime('us', 'UTC')`) as civil time in Asia/Jakarta without zone."""
    return moments.dt.convert_time_zone(LOCAL_ZONE.key).dt.replace_time_zone(None)


def window_starts(moments: pl.Series, window: str) -> pl.Series:
    """`window_start` of a column of moments (`Datetime('us', 'UTC')`, no nulls), as an Int64 column."""
    micros = moments.to_physical()
    if window == NOW:
        return pl.repeat(NOW_START, len(micros), dtype=pl.Int64, eager=True).alias(moments.name)
    earliest = micros.min()
    if isinstance(earliest, int) and earliest < _FIXED_SINCE:
        return pl.Series(moments.name, [window_start(each, window) for each in micros.to_list()], dtype=pl.Int64)
    local = micros + _OFFSET
    if window in _MONTHS:
        return local.cast(pl.Datetime("us")).dt.truncate(window).to_physical() - _OFFSET
    shift = _FIRST_MONDAY if window == "1w" else 0
    length = _LENGTHS[window]
    return (local - shift) // length * length + (shift - _OFFSET)


def window_ends(starts: pl.Series, window: str) -> pl.Series:
    """`window_end` of a column of starts, as an Int64 column."""
    known = {start: window_end(start, window) for start in starts.unique().to_list()}
    return starts.replace_strict(known, return_dtype=pl.Int64)


def earlier_window(start: int, window: str, against: str) -> int:
    """Start of the window before the one that begins at `start` (`against` = "previous"), or of the same one a year before ("year").

    A year before 29 February is 28 February; of weeks it is the ISO week of the same number (week 53 of a year without one: week 52).
    """
    if against == "previous":
        return window_start(start - 1, window)
    local = to_datetime(start).replace(tzinfo=None)
    if window == "1w":
        year, week, _ = local.isocalendar()
        last = datetime(year - 1, 12, 28).isocalendar().week  # noqa: DTZ001
        former = datetime.fromisocalendar(year - 1, min(week, last), 1)
    else:
        day = 28 if (local.month, local.day) == (2, 29) else local.day
        former = local.replace(year=local.year - 1, day=day)
    return window_start(to_micros(former.replace(tzinfo=LOCAL_ZONE)), window)


def _civil_start(local: datetime, window: str) -> datetime:
    civil = local.replace(tzinfo=None, fold=0)
    if window in _LENGTHS:
        since = _LOCAL_EPOCH + timedelta(microseconds=_FIRST_MONDAY if window == "1w" else 0)
        length = timedelta(microseconds=_LENGTHS[window])
        return since + (civil - since) // length * length
    month = (civil.month - 1) // _MONTHS[window] * _MONTHS[window] + 1
    return civil.replace(month=month, day=1, hour=0, minute=0, second=0, microsecond=0)

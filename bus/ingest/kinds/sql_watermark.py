"""Watermarks: how far a query has been read, how far back it looks, and both as JSON. Pure."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

Watermark = datetime | date | int | str

#: Where the date ends in an ISO text.
_DAY = 10


class NoWatermark(ValueError):
    """A value that cannot be one."""


def watermark_of(value: object) -> Watermark:
    """What a database gave, as a watermark. Raises `NoWatermark` for what has no order that can be looked back in."""
    if isinstance(value, Decimal) and value == int(value):
        return int(value)
    if isinstance(value, str):
        _parsed(value)
        return value
    if isinstance(value, bool) or not isinstance(value, datetime | date | int):
        raise NoWatermark(type(value).__name__)
    return value


def floor_of(newest: Watermark, now: datetime, zone: ZoneInfo, *, seconds: float, numbers: int) -> Watermark:
    """From where to read again: the look-back before the newest, or before now where the newest lies in the future."""
    back = timedelta(seconds=seconds)
    match newest:
        case datetime():
            latest = now if newest.tzinfo is not None else now.astimezone(zone).replace(tzinfo=None)
            return min(newest, latest) - back
        case date():
            return min(newest, now.astimezone(zone).date()) - timedelta(days=math.ceil(seconds / 86_400))
        case int():
            return newest - numbers
        case str():
            return _text_floor(newest, now, zone, back)


def to_json(value: Watermark) -> list[object]:
    """A watermark with its kind."""
    match value:
        case datetime():
            return ["datetime", value.isoformat()]
        case date():
            return ["date", value.isoformat()]
        case int():
            return ["number", value]
        case str():
            return ["text", value]


def from_json(stored: object) -> Watermark | None:
    """The watermark that `to_json` made; None for anything else."""
    match stored:
        case ["datetime", str(text)]:
            return datetime.fromisoformat(text)
        case ["date", str(text)]:
            return date.fromisoformat(text)
        case ["number", int(number)]:
            return number
        case ["text", str(text)]:
            return text
    return None


def same_kind(one: Watermark, other: Watermark) -> bool:
    """Whether the two can be compared."""
    aware = [each.tzinfo is not None for each in (one, other) if isinstance(each, datetime)]
    return type(one) is type(other) and len(set(aware)) < len({True, False})


def _text_floor(newest: str, now: datetime, zone: ZoneInfo, back: timedelta) -> str:
    """A beginning of ISO texts of the same form: whole seconds and no offset, so that it sorts before all that follow."""
    parsed = _parsed(newest)
    latest = now.astimezone(parsed.tzinfo if parsed.tzinfo is not None else zone)
    floor = min(parsed.replace(tzinfo=None), latest.replace(tzinfo=None)) - back
    if len(newest) == _DAY:
        return floor.date().isoformat()
    return floor.isoformat(sep=newest[_DAY], timespec="seconds")


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise NoWatermark("a text that is no ISO time") from error

"""What drivers and servers give as values, as JSON knows them. Pure.

Times become ISO texts with an offset: one without a zone is in the source's. Decimals become texts, for a float would round them. What
JSON has no honest form for (bytes, NaN, infinity) is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from bus.ingest.source import Reason


class Unreadable(ValueError):
    """A value that cannot be said in JSON; `allowed` is what can."""

    def __init__(self, allowed: str) -> None:
        super().__init__(allowed)
        self.allowed = allowed


_NO_BYTES = "teks atau angka, bukan biner/text or numbers, not binary"
_FINITE = "angka berhingga/a finite number"
_KNOWN = "teks, angka, waktu/text, numbers, times"


def json_value(value: object, zone: ZoneInfo) -> object:
    """A driver's value. Raises `Unreadable`."""
    match value:
        case None | bool() | int() | str():
            return value
        case float() | Decimal():
            if not math.isfinite(value):
                raise Unreadable(_FINITE)
            return format(value, "f") if isinstance(value, Decimal) else value
        case datetime():
            return zoned(value, zone)
        case date() | time():
            return value.isoformat()
        case timedelta():
            return _clock_text(value)
        case UUID():
            return str(value)
        case list() | tuple():
            return [json_value(item, zone) for item in value]
        case dict():
            return {str(name): json_value(item, zone) for name, item in value.items()}
        case bytes() | bytearray() | memoryview():
            raise Unreadable(_NO_BYTES)
        case _:
            raise Unreadable(_KNOWN)


def json_row(row: Mapping[str, object], zone: ZoneInfo) -> dict[str, object] | Reason:
    """All values of a row, or why it is refused."""
    found: dict[str, object] = {}
    for name, value in row.items():
        try:
            found[name] = json_value(value, zone)
        except Unreadable as error:
            return Reason("invalid_value", field=name, shape=type(value).__name__, allowed=error.allowed)
    return found


def json_object(text: str) -> dict[str, object]:
    """The JSON object that a text holds. Raises `Unreadable`."""
    value = json_of(text)
    if not isinstance(value, dict):
        raise Unreadable("objek JSON/a JSON object")
    return value


def json_of(text: str) -> object:
    """What JSON a text holds. Raises `Unreadable`."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Unreadable("objek JSON/a JSON object") from error


def zoned(value: datetime, zone: ZoneInfo) -> str:
    """A moment as ISO text in the zone: servers and sessions with other zones say the same."""
    return (value.replace(tzinfo=zone) if value.tzinfo is None else value.astimezone(zone)).isoformat()


def _clock_text(value: timedelta) -> str:
    """A duration as H:MM:SS, as databases write it; hours may be more than 24."""
    sign, micros = ("-", -value) if value < timedelta(0) else ("", value)
    seconds, rest = divmod(micros // timedelta(microseconds=1), 1_000_000)
    fraction = f".{rest:06}" if rest else ""
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}"


def _refuse_constant(name: str) -> object:
    raise ValueError(name)

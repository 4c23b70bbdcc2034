"""What the engine must give, worked out the naive way from the whole log: no batches, no Polars, no accumulators of ours."""

from __future__ import annotations

import hashlib
import math
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

Row = Mapping[str, Any]
Key = tuple[int, tuple[str | None, ...]]

JAKARTA = ZoneInfo("Asia/Jakarta")


def micros(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def start_of(moment: datetime, window: str) -> int:
    local = moment.astimezone(JAKARTA).replace(tzinfo=None, fold=0)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    start = {
        "15m": lambda: local.replace(minute=local.minute // 15 * 15, second=0, microsecond=0),
        "1h": lambda: local.replace(minute=0, second=0, microsecond=0),
        "1d": lambda: day,
        "1w": lambda: day - timedelta(days=day.weekday()),
        "1mo": lambda: day.replace(day=1),
        "1q": lambda: day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1),
        "6mo": lambda: day.replace(month=1 if day.month < 7 else 7, day=1),
        "1y": lambda: day.replace(month=1, day=1),
    }[window]()
    return micros(start.replace(tzinfo=JAKARTA))


@dataclass(frozen=True)
class Case:
    """An indicator, said a second time in Python: what a row gives (None: nothing; "fault": it cannot be used)."""

    name: str
    spec: Mapping[str, Any]
    values: Callable[[Row], tuple[Any, ...] | str | None]
    dims: Callable[[Row], tuple[str | None, ...]]
    where: Callable[[Row], bool] = lambda row: True


def rounded(value: object) -> tuple[int, ...] | str | None:
    if value is None:
        return None
    assert isinstance(value, float)
    if not math.isfinite(value):
        return "fault"
    scaled = int((Decimal(value) * 100).to_integral_value(ROUND_HALF_EVEN)) if abs(value) < 1e25 else 2**200
    return "fault" if abs(scaled) >= 2**95 else (scaled,)


def one(value: int | None) -> tuple[int, ...] | None:
    return None if value is None else (value,)


def place(row: Row) -> tuple[str | None, ...]:
    return (row["place"],)


def rush(row: Row) -> tuple[str | None, ...]:
    return (*place(row), None if row["urgent"] is None else str(row["urgent"]).lower())


def both(row: Row) -> tuple[int, ...] | None:
    return None if row["amount"] is None else (row["amount"], 1 if row["urgent"] else 0)


def weighted(row: Row) -> tuple[int, ...] | None:
    return None if None in (row["amount"], row["small"]) else (row["amount"] * row["small"], row["small"])


def elements(row: Row) -> tuple[int, ...] | None:
    parts = (row["small"], row["urgent"], row["amount"])
    return None if None in parts else (sum(parts),)


def known_by(row: Row) -> tuple[str, ...] | None:
    """The hash of the amount's text: 22 digits of six bits, the lowest digit first in ASCII."""
    if row["amount"] is None:
        return None
    number = int.from_bytes(hashlib.blake2b(str(row["amount"]).encode(), digest_size=16).digest(), "big") << 4
    digits = sorted(f"{string.ascii_letters}{string.digits}-_")
    return ("".join(digits[number >> shift & 63] for shift in range(126, -1, -6)),)


CASES = [
    Case("count", {"measure": {"kind": "count"}, "window": "1d"}, lambda row: (), place),
    Case("sum", {"measure": {"kind": "sum", "of": "amount"}, "window": "1h"}, lambda row: one(row["amount"]), place),
    Case("min", {"measure": {"kind": "min", "of": "amount"}, "window": "1mo", "by": []}, lambda row: one(row["amount"]), lambda row: ()),
    Case("max", {"measure": {"kind": "max", "of": "small"}, "window": "1w"}, lambda row: one(row["small"]), place),
    Case(
        "mean of a double",
        {"measure": {"kind": "mean", "of": "level", "scale": 2}, "window": "1q", "by": {"who": "place", "rush": "urgent"}},
        lambda row: rounded(row["level"]),
        rush,
    ),
    Case(
        "ratio, where",
        {
            "measure": {"kind": "ratio", "numerator": "amount", "denominator": "COALESCE(urgent, FALSE)"},
            "window": "1y",
            "where": "place <> 'q'",
        },
        both,
        place,
        lambda row: row["place"] is not None and row["place"] != "q",
    ),
    Case(
        "weighted mean",
        {"measure": {"kind": "weighted_mean", "of": "amount", "weight": "small"}, "window": "6mo"},
        weighted,
        place,
    ),
    Case(
        "index",
        {"measure": {"kind": "index", "of": ["small", "urgent", "amount"], "weight": "1/3", "factor": 25}, "window": "1q"},
        elements,
        place,
    ),
    Case("distinct", {"measure": {"kind": "distinct", "of": "amount"}, "window": "1q"}, known_by, place),
    Case(
        "quantile",
        {"measure": {"kind": "quantile", "of": "amount", "p": "0.5", "error": "0.1"}, "window": "1q"},
        lambda row: one(row["amount"]),
        place,
    ),
]


def accepted(log: Sequence[Row]) -> list[Row]:
    """The rows whose sequence is above all earlier ones of their source."""
    highest: dict[object, int] = {}
    kept = []
    for row in log:
        if row["sequence"] > highest.get(row["source"], -1):
            highest[row["source"]] = row["sequence"]
            kept.append(row)
    return kept


def watermarks(log: Sequence[Row]) -> dict[str, int]:
    marks: dict[str, int] = {}
    for row in accepted(log):
        base = str(row["source"]).split("#")[0]
        at = micros(row["occurred_at"])
        marks[base] = max(at, marks.get(base, at))
    return marks


def cells(case: Case, log: Sequence[Row], *, correctable: bool) -> tuple[dict[Key, tuple[list[Any], int]], list[int]]:
    """Cell -> (summary, revision), and the offsets of the rows that cannot be used."""
    now: dict[object, tuple[int, tuple[Key, tuple[Any, ...]] | None]] = {}
    revisions: Counter[Key] = Counter()
    faults = []
    for number, row in enumerate(accepted(log)):
        subject = row["subject"] if correctable else number
        version: int = row["version"]
        if correctable and subject in now and version <= now[subject][0]:
            continue
        entry = None
        if case.where(row) and row["op"] != "CANCEL":
            values = case.values(row)
            if isinstance(values, str):
                faults.append(row["_offset"])
                continue
            if values is not None:
                entry = ((start_of(row["occurred_at"], str(case.spec["window"])), case.dims(row)), values)
        before = now[subject][1] if subject in now else None
        now[subject] = (version, entry)
        if before != entry:
            revisions.update({each[0] for each in (before, entry) if each is not None})
    inside: dict[Key, list[tuple[Any, ...]]] = {key: [] for key in revisions}
    for _, entry in now.values():
        if entry is not None:
            inside[entry[0]].append(entry[1])
    kind = case.spec["measure"]["kind"]
    return {key: (summary(kind, values), revisions[key]) for key, values in inside.items()}, faults


def summary(kind: str, values: list[tuple[Any, ...]]) -> list[Any]:
    n = len(values)
    match kind:
        case "count":
            return [n]
        case "min" | "max":
            return [n, (min if kind == "min" else max)(v[0] for v in values) if n else None]
        case "distinct":
            return [n, "".join(sorted({v[0] for v in values}))]
        case "quantile":
            return [n, [list(pair) for pair in sorted(Counter(bucket(v[0]) for v in values).items())]]
    return [n, *(sum(v[part] for v in values) for part in range(2 if kind in ("ratio", "weighted_mean") else 1))]


def bucket(value: int) -> int:
    """The bucket of a value with an error of a tenth, found by walking: each is as wide as one number can stand for."""
    number, largest = 0, 0
    while abs(value) > largest:
        standing = math.floor((largest + 1) * Fraction(11, 10))
        number, largest = number + 1, math.floor(standing / Fraction(9, 10))
    return number if value > 0 else -number

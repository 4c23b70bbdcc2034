"""One cell of an indicator as readers see it: parsed once, written as JSON once however many clients want it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bus.clock import LOCAL_ZONE
from bus.errors import SchemaViolation
from bus.indicators.outputs import FINAL, PROVISIONAL, order_of

#: What orders the records of one cell (`bus.indicators.outputs.order_of`); a reader ignores a lower one (ADR 0014 R5).
Order = tuple[int, int, int]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def canonical_key(window_start_us: int, dimensions: Sequence[str | None]) -> str:
    """The record key of a cell: JSON without spaces, `[window start in µs UTC, [dimension values]]`."""
    return json.dumps([window_start_us, list(dimensions)], separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Cell:
    """A number with everything that proves it. `value`, `numerator` and `denominator` are exact decimals."""

    key: str
    indicator: str
    version: int
    fingerprint: str
    window_start: datetime
    window_end: datetime
    dimensions: Mapping[str, str | None]
    value: str | None
    numerator: str
    denominator: str
    n: int
    revision: int
    status: str
    evidence: tuple[tuple[str, int, int], ...]
    watermarks: Mapping[str, datetime]
    _json: dict[bool, bytes] = field(default_factory=dict, compare=False, repr=False)

    @property
    def order(self) -> Order:
        return order_of(self.version, self.revision, (offset for _, _, offset in self.evidence))

    @property
    def sort_key(self) -> tuple[datetime, tuple[tuple[bool, str], ...]]:
        """By window, then by dimension values; a missing value comes last."""
        return (self.window_start, tuple((value is None, value or "") for value in self.dimensions.values()))

    @property
    def shown(self) -> bool:
        """A cell that no event is left in has no row."""
        return self.n > 0 and self.value is not None

    def json(self, *, brief: bool = False) -> bytes:
        """The cell as JSON; `brief` leaves out evidence, watermarks, exact fraction and fingerprint."""
        known = self._json.get(brief)
        if known is None:
            known = self._json[brief] = _dump(self.brief() if brief else self.full())
        return known

    def brief(self) -> dict[str, object]:
        """What a screen needs of the cell."""
        return {
            "key": self.key,
            "indicator": self.indicator,
            "version": self.version,
            "window_start": local(self.window_start),
            "window_end": local(self.window_end),
            "dimensions": dict(self.dimensions),
            "value": self.value,
            "n": self.n,
            "revision": self.revision,
            "status": self.status,
        }

    def full(self) -> dict[str, object]:
        """All of the cell."""
        return self.brief() | {
            "numerator": self.numerator,
            "denominator": self.denominator,
            "fingerprint": self.fingerprint,
            "evidence": [{"topic": topic, "partition": partition, "offset": offset} for topic, partition, offset in self.evidence],
            "watermarks": {source: local(at) for source, at in sorted(self.watermarks.items())},
        }


def removal(key: str, indicator: str, version: int) -> bytes:
    """What a stream says of a cell that is no longer there."""
    return _dump({"key": key, "indicator": indicator, "version": version, "removed": True})


def local(moment: datetime) -> str:
    """ISO 8601 in the regency's civil time, with its offset."""
    return moment.astimezone(LOCAL_ZONE).isoformat()


def from_value(key: str, value: Mapping[str, object]) -> Cell:
    """The cell in a decoded indicator value. Raises `SchemaViolation` when a field is not what the schema says."""
    try:
        dimensions = _items(value["dimensions"])
        status = str(value["status"])
        if status not in (PROVISIONAL, FINAL):
            raise ValueError(f"status {status!r} is neither provisional nor final")
        return Cell(
            key=key,
            indicator=str(value["indicator"]),
            version=_int(value["version"]),
            fingerprint=str(value["fingerprint"]),
            window_start=_moment(value["window_start"]),
            window_end=_moment(value["window_end"]),
            dimensions={str(item["name"]): _text(item["value"]) for item in dimensions},
            value=_text(value["value"]),
            numerator=str(value["numerator"]),
            denominator=str(value["denominator"]),
            n=_int(value["n"]),
            revision=_int(value["revision"]),
            status=status,
            evidence=tuple((str(e["topic"]), _int(e["partition"]), _int(e["offset"])) for e in _items(value["evidence"])),
            watermarks={str(w["source"]): _moment(w["at"]) for w in _items(value["watermarks"])},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SchemaViolation(f"an indicator value is not readable: {error!r}") from error


def _dump(item: object) -> bytes:
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode()


def _text(item: object) -> str | None:
    return None if item is None else str(item)


def _int(item: object) -> int:
    if not isinstance(item, int):
        raise TypeError(f"{item!r} is no integer")
    return item


def _moment(item: object) -> datetime:
    if isinstance(item, datetime):
        return item if item.tzinfo else item.replace(tzinfo=UTC)
    return _EPOCH + timedelta(microseconds=_int(item))


def _items(item: object) -> Sequence[Mapping[str, object]]:
    if not isinstance(item, Sequence):
        raise TypeError(f"{item!r} is no list")
    return item

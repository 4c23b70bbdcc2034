"""One cell of an indicator as readers see it: parsed once, written as JSON once however many clients want it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bus.clock import LOCAL_ZONE
from bus.errors import SchemaViolation
from bus.indicators.outputs import FINAL, PROVISIONAL, Leaf, order_of
from bus.indicators.windows import NOW_END

#: What orders the records of one cell (`bus.indicators.outputs.order_of`); a reader ignores a lower one (ADR 0014 R5).
Order = tuple[int, int, int]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOW_END = _EPOCH + timedelta(microseconds=NOW_END)


def canonical_key(window_start_us: int, dimensions: Sequence[str | None]) -> str:
    """The record key of a cell: JSON without spaces, `[window start in µs UTC, [dimension values]]`."""
    return json.dumps([window_start_us, list(dimensions)], separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Cell:
    """A number with everything that proves it. `value`, `numerator` and `denominator` are exact decimals.

    `revision` counts the events that changed it, `late`, `corrected` and `withdrawn` those of these kinds. `heard` of `expected` reporters
    have sent anything in its window (expected 0: nobody has said how many there are). `leaves`: of a composite, whose evidence is whose.
    `closing`: the row stands until the next one of its dimensions; its value is null, or 0 with n = 0, where nobody is left.
    """

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
    late: int = 0
    corrected: int = 0
    withdrawn: int = 0
    heard: int = 0
    expected: int = 0
    label: str | None = None
    error: str | None = None
    as_of: datetime | None = None
    leaves: tuple[Leaf, ...] = ()
    closing: bool = False
    _json: dict[bool, bytes] = field(default_factory=dict, compare=False, repr=False)

    @property
    def order(self) -> Order:
        return order_of(self.version, self.revision, (offset for _, _, offset in self.evidence))

    @property
    def now(self) -> bool:
        """Whether it is about the current state, whose one window never ends."""
        return self.window_end == _NOW_END

    @property
    def sort_key(self) -> tuple[datetime, tuple[tuple[bool, str], ...]]:
        """By window, then by dimension values; a missing value comes last."""
        return (self.window_start, tuple((value is None, value or "") for value in self.dimensions.values()))

    @property
    def shown(self) -> bool:
        """A cell that no event is left in has no row, unless it is a closing: that one ends what stood before it."""
        return self.closing or (self.n > 0 and self.value is not None)

    def json(self, *, brief: bool = False) -> bytes:
        """The cell as JSON; `brief` leaves out evidence, watermarks, exact fraction and fingerprint."""
        known = self._json.get(brief)
        if known is None:
            known = self._json[brief] = _dump(self.brief() if brief else self.full())
        return known

    def brief(self) -> dict[str, object]:
        """What a screen needs of the cell. The current state has no window: both its ends are null."""
        return {
            "key": self.key,
            "indicator": self.indicator,
            "version": self.version,
            "window_start": None if self.now else local(self.window_start),
            "window_end": None if self.now else local(self.window_end),
            "dimensions": dict(self.dimensions),
            "value": self.value,
            "label": self.label,
            "error": self.error,
            "as_of": None if self.as_of is None else local(self.as_of),
            "n": self.n,
            "revision": self.revision,
            "status": self.status,
            "heard": self.heard,
            "expected": self.expected,
        }

    def full(self) -> dict[str, object]:
        """All of the cell."""
        return self.brief() | {
            "numerator": self.numerator,
            "denominator": self.denominator,
            "fingerprint": self.fingerprint,
            "late": self.late,
            "corrected": self.corrected,
            "withdrawn": self.withdrawn,
            "leaves": [{"indicator": leaf.indicator, "version": leaf.version} for leaf in self.leaves],
            "evidence": self._evidence(),
            "watermarks": {source: local(at) for source, at in sorted(self.watermarks.items())},
        }

    def _evidence(self) -> list[dict[str, object]]:
        """The log positions; of a composite each with the indicator that was read up to there."""
        places: list[dict[str, object]] = [
            {"topic": topic, "partition": number, "offset": offset} for topic, number, offset in self.evidence
        ]
        owners = [leaf.indicator for leaf in self.leaves for _ in range(leaf.partitions)]
        return [{**place, "indicator": owner} for place, owner in zip(places, owners, strict=True)] if owners else places


def removal(key: str, indicator: str, version: int) -> bytes:
    """What a stream says of a cell that is no longer there."""
    return _dump({"key": key, "indicator": indicator, "version": version, "removed": True})


def local(at: datetime) -> str:
    """ISO 8601 in the regency's civil time, with its offset."""
    return at.astimezone(LOCAL_ZONE).isoformat()


def moment_of(milliseconds: int) -> str | None:
    """A record's time in the regency's civil time; nothing for none."""
    return local(datetime.fromtimestamp(milliseconds / 1000, tz=UTC)) if milliseconds else None


def from_value(key: str, value: Mapping[str, object]) -> Cell:
    """The cell in a decoded indicator value. Raises `SchemaViolation` when a field is not what the schema says."""
    try:
        dimensions = items(value["dimensions"])
        status = str(value["status"])
        if status not in (PROVISIONAL, FINAL):
            raise ValueError(f"status {status!r} is neither provisional nor final")
        evidence = tuple((str(e["topic"]), integer(e["partition"]), integer(e["offset"])) for e in items(value["evidence"]))
        leaves = tuple(
            Leaf(str(each["indicator"]), integer(each["version"]), integer(each["partitions"])) for each in items(value["leaves"])
        )
        if leaves and sum(leaf.partitions for leaf in leaves) != len(evidence):
            raise ValueError(f"leaves of {sum(leaf.partitions for leaf in leaves)} partitions do not share out evidence of {len(evidence)}")
        return Cell(
            key=key,
            indicator=str(value["indicator"]),
            version=integer(value["version"]),
            fingerprint=str(value["fingerprint"]),
            window_start=moment(value["window_start"]),
            window_end=moment(value["window_end"]),
            dimensions={str(item["name"]): text(item["value"]) for item in dimensions},
            value=text(value["value"]),
            numerator=str(value["numerator"]),
            denominator=str(value["denominator"]),
            n=integer(value["n"]),
            revision=integer(value["revision"]),
            status=status,
            evidence=evidence,
            watermarks={str(w["source"]): moment(w["at"]) for w in items(value["watermarks"])},
            late=integer(value["late"]),
            corrected=integer(value["corrected"]),
            withdrawn=integer(value["withdrawn"]),
            heard=integer(value["heard"]),
            expected=integer(value["expected"]),
            label=text(value["label"]),
            error=text(value["error"]),
            as_of=None if value["as_of"] is None else moment(value["as_of"]),
            leaves=leaves,
            closing=bool(value["closing"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SchemaViolation(f"an indicator value is not readable: {error!r}") from error


def _dump(item: object) -> bytes:
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode()


def text(item: object) -> str | None:
    """A text or nothing."""
    return None if item is None else str(item)


def integer(item: object) -> int:
    """A whole number. Raises `TypeError` for anything else."""
    if not isinstance(item, int):
        raise TypeError(f"{item!r} is no integer")
    return item


def moment(item: object) -> datetime:
    """A time, or the microseconds since 1970 that mean one, in UTC."""
    if isinstance(item, datetime):
        return item if item.tzinfo else item.replace(tzinfo=UTC)
    return _EPOCH + timedelta(microseconds=integer(item))


def items(item: object) -> Sequence[Mapping[str, object]]:
    """A list of records. Raises `TypeError` for anything else."""
    if not isinstance(item, Sequence):
        raise TypeError(f"{item!r} is no list")
    return item

"""One cell as the public may see it: what disclosure control has let out of it, by `bus.public_value.v1`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bus.errors import SchemaViolation
from bus.indicators.outputs import FINAL, PROVISIONAL
from consumers.dashboard.cells import Cell, Order, integer, items, local, moment, text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ReleasedCell(Cell):
    """A released cell. Of a suppressed one there are window and dimensions, and that it is suppressed; why is not said."""

    suppressed: bool = False
    released: datetime | None = None

    @property
    def order(self) -> Order:
        """By version and release; of a suppressed cell there is no revision to order by."""
        return (self.version, 0 if self.released is None else (self.released - _EPOCH) // timedelta(microseconds=1), 0)

    @property
    def shown(self) -> bool:
        """A suppressed cell is shown as such."""
        return self.suppressed or Cell.shown.__get__(self)

    def brief(self) -> dict[str, object]:
        """What a screen needs of the cell."""
        all_ = Cell.brief(self)
        if self.suppressed:
            names = ("key", "indicator", "version", "window_start", "window_end", "dimensions")
            return {name: all_[name] for name in names} | {"suppressed": True, "value": None}
        del all_["as_of"]
        return all_ | {"suppressed": False}

    def full(self) -> dict[str, object]:
        """All of the cell."""
        if self.suppressed:
            return self.brief()
        return self.brief() | {
            "numerator": self.numerator,
            "denominator": self.denominator,
            "evidence": [{"topic": topic, "partition": number, "offset": offset} for topic, number, offset in self.evidence],
            "released": None if self.released is None else local(self.released),
        }


def from_released(key: str, value: Mapping[str, object]) -> ReleasedCell:
    """The cell in a decoded public value. Raises `SchemaViolation` when a field is not what the schema says.

    What a suppressed record may carry beside window and dimensions is dropped here, so that no mistake before us lets it out.
    """
    try:
        status = str(value["status"])
        if status not in (PROVISIONAL, FINAL):
            raise ValueError(f"status {status!r} is neither provisional nor final")
        suppressed = bool(value["suppressed"])
        kept: Mapping[str, object] = {} if suppressed else value
        return ReleasedCell(
            key=key,
            indicator=str(value["indicator"]),
            version=integer(value["version"]),
            fingerprint="",
            window_start=moment(value["window_start"]),
            window_end=moment(value["window_end"]),
            dimensions={str(item["name"]): text(item["value"]) for item in items(value["dimensions"])},
            value=text(kept.get("value")),
            numerator=text(kept.get("numerator")) or "",
            denominator=text(kept.get("denominator")) or "",
            n=integer(kept.get("n") or 0),
            revision=integer(kept.get("revision") or 0),
            status=PROVISIONAL if suppressed else status,
            evidence=tuple((str(e["topic"]), integer(e["partition"]), integer(e["offset"])) for e in items(kept.get("evidence", ()))),
            watermarks={},
            heard=integer(kept.get("heard", 0)),
            expected=integer(kept.get("expected", 0)),
            label=text(kept.get("label")),
            error=text(kept.get("error")),
            closing=bool(kept.get("closing", False)),
            suppressed=suppressed,
            released=moment(value["released"]).astimezone(UTC),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SchemaViolation(f"a public value is not readable: {error!r}") from error

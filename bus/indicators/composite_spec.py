"""The `[composite]` of an indicator's TOML file: an indicator made of the published rows of others."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from bus.indicators.section import Section

#: Kind -> (how many parts, the keys that it needs beside `of`, the keys that it may have).
_TAKES: dict[str, tuple[range, frozenset[str], frozenset[str]]] = {
    "sum": (range(2, 33), frozenset(), frozenset()),
    "gap": (range(2, 3), frozenset(), frozenset()),
    "ratio": (range(2, 3), frozenset(), frozenset({"per"})),
    "rate": (range(1, 2), frozenset({"table"}), frozenset({"per"})),
    "change": (range(1, 2), frozenset({"against"}), frozenset({"as"})),
    "top": (range(1, 2), frozenset({"item", "k"}), frozenset({"level"})),
    "reconcile": (range(2, 3), frozenset(), frozenset()),
}


class TableRef(Section):
    """A column of a reference table, found by a dimension of the indicator."""

    name: Annotated[str, Field(min_length=1)]
    key: Annotated[str, Field(min_length=1)]
    column: Annotated[str, Field(min_length=1)]


class CompositeSpec(Section):
    """What is made of which indicators.

    sum, gap (first - second), ratio (first / second, times `per`): joined on equal windows and dimensions. rate: divided by a column of a
    reference table. change: against the window before or the same one a year ago. top: the `k` largest along the dimension `item`;
    of regions those of one `level` (desa: kelurahan too).
    reconcile: two registers compared subject by subject.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    kind: Literal["sum", "gap", "ratio", "rate", "change", "top", "reconcile"]
    of: Annotated[list[str], Field(min_length=1)]
    per: Annotated[int, Field(ge=1)] = 1
    table: TableRef | None = None
    against: Literal["previous", "year"] | None = None
    as_: Literal["difference", "percent"] = Field("difference", alias="as")
    item: str | None = None
    k: Annotated[int, Field(ge=1, le=100)] | None = None
    level: Literal["rt", "rw", "desa", "kecamatan"] | None = None

    @model_validator(mode="after")
    def _fits(self) -> CompositeSpec:
        counts, required, allowed = _TAKES[self.kind]
        if len(self.of) not in counts:
            wanted = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
            raise ValueError(f"kind = {self.kind!r} is made of {wanted} indicators, got {len(self.of)}")
        if len(set(self.of)) != len(self.of) and self.kind != "sum":
            raise ValueError(f"of names {', '.join(self.of)}; two different indicators are needed")
        given = {"as" if name == "as_" else name for name in self.model_fields_set} - {"kind", "of"}
        if missing := sorted(required - given):
            raise ValueError(f"kind = {self.kind!r} needs {' and '.join(missing)}")
        if extra := sorted(given - required - allowed):
            takes = ", ".join(sorted(required | allowed)) or "nothing"
            raise ValueError(f"kind = {self.kind!r} takes {takes} beside `of`, got {', '.join(extra)}")
        return self

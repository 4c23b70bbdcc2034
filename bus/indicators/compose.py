"""From a composite's file and its parts to the composite: everything checked at load, so that merge only computes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bus.errors import Problem
from bus.indicators.accumulators import ACCUMULATOR_VERSION
from bus.indicators.composite_spec import CompositeSpec
from bus.indicators.indicator import Indicator, family_partition
from bus.indicators.partial import Definition, Feed, canonical
from bus.indicators.reference import References, ReferenceTable
from bus.indicators.regions import level_parts
from bus.indicators.spec import Spec
from bus.indicators.windows import NOW


@dataclass(frozen=True, slots=True)
class CompositeIndicator:
    """An indicator made of others. Made by `compile_composite` only."""

    spec: Spec
    definition: Definition
    feed: Feed
    #: Ids of the leaf indicators below it.
    leaves: tuple[str, ...]

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def version(self) -> int:
        return self.definition["version"]

    @property
    def fingerprint(self) -> str:
        return self.definition["fingerprint"]

    @property
    def kind(self) -> str:
        return str(self.feed["kind"])

    @property
    def window(self) -> str:
        return self.spec.window

    @property
    def parts(self) -> Sequence[str]:
        """The indicators that it is made of."""
        return [name for name, _, _ in self.feed["of"]]

    def partials_partition(self, partitions: int) -> int:
        """The partition of bus.partials where it is computed."""
        return family_partition(self.spec, partitions)


AnyIndicator = Indicator | CompositeIndicator


def compile_composite(
    spec: Spec, parts: Mapping[str, AnyIndicator], where: str, references: References
) -> tuple[CompositeIndicator | None, list[Problem]]:
    """The composite, or all that is wrong with it. `parts` are those of its parts that there are."""
    return _Compiler(spec, parts, where, references).compile()


class _Compiler:
    def __init__(self, spec: Spec, parts: Mapping[str, AnyIndicator], file: str, references: References) -> None:
        assert spec.composite is not None
        self.spec, self.file, self.references = spec, file, references
        self.composite: CompositeSpec = spec.composite
        self.parts = [parts[name] for name in self.composite.of]
        self.table: ReferenceTable | None = None
        self.problems: list[Problem] = []

    def compile(self) -> tuple[CompositeIndicator | None, list[Problem]]:
        self._same_family()
        self._registers()
        dims = self._dims()
        self._level()
        rates = self._rates(dims)
        if self.problems:
            return None, self.problems
        of = [[part.id, part.version, part.fingerprint] for part in self.parts]
        details: dict[str, object] = {
            "kind": self.composite.kind, "of": of, "per": self.composite.per, "against": self.composite.against,
            "as": self.composite.as_, "item": self.composite.item, "k": self.composite.k, "table": rates,
            "key": self.composite.table and self.composite.table.key,
        }  # fmt: skip
        if self.composite.level is not None:
            details["level"] = level_parts(self.composite.level)
        if self.composite.as_ == "percent":
            details["percent_of"] = "amount"  # of what was below zero; it was the value itself once
        first = self.parts[0].definition
        numbers = {"accumulator": ACCUMULATOR_VERSION, "decimals": self.spec.decimals, "dims": dims, "window": self.spec.window, **details}
        versions = sum(part.version - 1 for part in self.parts) + (self.table.version - 1 if self.table else 0)
        definition = Definition(
            id=self.spec.id,
            version=self.spec.version + versions,
            fingerprint=hashlib.sha256(canonical(numbers).encode()).hexdigest(),
            measure={"kind": self.composite.kind},
            window=self.spec.window,
            late_seconds=self.spec.late_seconds,
            decimals=self.spec.decimals,
            dims=dims,
            stock=all(part.definition["stock"] for part in self.parts),
            region=first["region"],
            expected=0,
        )
        leaves = {name for part in self.parts for name in ([part.id] if isinstance(part, Indicator) else part.leaves)}
        return CompositeIndicator(self.spec, definition, {"definition": definition, **details}, tuple(sorted(leaves))), []

    def _problem(self, key: str, what: str) -> None:
        self.problems.append(Problem(f"{self.file}: {key}", what, "I01"))

    def _same_family(self) -> None:
        family = self.spec.family or self.spec.id
        for part in self.parts:
            if (part.spec.family or part.id) != family:
                what = f"is {self.spec.family!r}, but that of its part {part.id} is {part.spec.family!r}; write the same in both"
                self._problem("family", what)
            if isinstance(part, Indicator) and part.spec.minimum_n is not None:
                self._problem("of", f"its part {part.id} has minimum_n, which rows made of its rows would not show")
            if part.window != self.spec.window:
                self._problem("window", f"is {self.spec.window!r}, but its part {part.id} has {part.window!r}; they must be the same")
        if self.composite.kind == "change" and self.spec.window == NOW:
            self._problem("window", "the current state has no window before it; use closings (stock = true)")

    def _registers(self) -> None:
        for part in self.parts:
            register = part.kind == "register"
            if register != (self.composite.kind == "reconcile"):
                what = f"{part.id} is {'a' if register else 'no'} register; registers are for kind = 'reconcile', which takes nothing else"
                self._problem("composite.of", what)
        if self.composite.kind == "reconcile" and len({_fields(part) for part in self.parts}) > 1:
            self._problem("composite.of", "the registers have different numbers of fields, or only one has a region")

    def _dims(self) -> list[str]:
        if self.composite.kind == "reconcile":
            return ["match", *(["region"] if self.parts[0].definition["region"] else [])]
        dims = list(self.parts[0].definition["dims"])
        for part in self.parts[1:]:
            if part.definition["dims"] != dims:
                names = ", ".join(part.definition["dims"]) or "none"
                self._problem("composite.of", f"{part.id} has the dimensions {names}; {self.parts[0].id} has {', '.join(dims) or 'none'}")
        if self.composite.kind != "top":
            return dims
        if "rank" in dims:
            self._problem("composite.of", f"its part {self.parts[0].id} has a dimension 'rank' already; name that one otherwise")
        if self.composite.item not in dims:
            self._problem("composite.item", f"{self.composite.item!r} is no dimension of its part; these are: {', '.join(dims) or 'none'}")
        return [*(name for name in dims if name != self.composite.item), "rank"]

    def _level(self) -> None:
        if self.composite.kind != "top":
            return
        allowed, rolls_up = "rt, rw, desa, kecamatan", self.composite.item == "region" and self.parts[0].definition["region"]
        if rolls_up and self.composite.level is None:
            what = f"is required with item = 'region', or the regency would always stand above what lies in it; allowed: {allowed}"
            self._problem("composite.level", what)
        elif self.composite.level is not None and not rolls_up:
            self._problem("composite.level", "is for item = 'region' of a part that rolls up; remove it")

    def _rates(self, dims: Sequence[str]) -> list[list[object]]:
        wanted = self.composite.table
        if wanted is None:
            return []
        self.table = self.references.get(wanted.name)
        if self.table is None:
            self._problem("composite.table.name", f"there is no table {wanted.name!r}; tables: {', '.join(self.references) or 'none'}")
            return []
        column = self.table.columns.get(wanted.column)
        if column is None or column.type not in ("integer", "decimal"):
            numeric = ", ".join(name for name, each in self.table.columns.items() if each.type in ("integer", "decimal"))
            self._problem(
                "composite.table.column", f"{wanted.column!r} is no numeric column of {wanted.name}; these are: {numeric or 'none'}"
            )
            return []
        if wanted.key not in dims or len(self.table.form.key) != 1:
            what = f"{wanted.key!r} must be a dimension ({', '.join(dims) or 'none'}), and {wanted.name} have one key column"
            self._problem("composite.table.key", what)
        rows = [(str(key[0]), row.since, row.until, row.values[wanted.column]) for key, held in self.table.history.items() for row in held]
        return [[key, since, until, str(number)] for key, since, until, number in rows if number is not None]


def _fields(part: AnyIndicator) -> tuple[int, bool]:
    measure = part.spec.measure
    return len(getattr(measure, "fields", None) or ()), part.definition["region"]

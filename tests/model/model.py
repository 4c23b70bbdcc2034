"""The reference: what every indicator must publish, said a second time, from the whole log, as plainly as can be.

No batches, partials, accumulators or snapshots, and nothing of the engine is imported. Where the contract leaves something open, the
plainest meaning was chosen; the choices are listed, with a letter and a number, where they are made: E events, R regions, S states,
C clock, M measures, V views, K composites.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from tests.model.composites import Composed, Part, Table, read_table, reconciled
from tests.model.events import Entry, Schema, read, read_schemas
from tests.model.regions import Regions
from tests.model.states import Definition, State, fold
from tests.model.views import Rows, leaf_rows


@dataclass(frozen=True)
class Model:
    """All definitions, and the tables that they use. `partitions`: of each event topic. `reporters`: expected ones, by event type."""

    indicators: Mapping[str, Mapping[str, Any]]
    schemas: Mapping[str, Schema]
    regions: Regions
    holidays: frozenset[date]
    tables: Mapping[str, Table]
    partitions: int = 2
    reporters: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(
        cls, roots: Sequence[Path], references: Mapping[str, Path], *, partitions: int = 2, reporters: Mapping[str, int] | None = None
    ) -> Model:
        """The indicators under `<root>/indicators`; `references` names the CSV files of the tables."""
        files = [path for root in roots for path in sorted((root / "indicators").glob("*.toml"))]
        indicators = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in files}
        with references["hari_libur"].open(encoding="utf-8", newline="") as lines:
            holidays = frozenset(date.fromisoformat(line["tanggal"]) for line in csv.DictReader(lines))
        tables = {name: read_table(path) for name, path in references.items()}
        return cls(indicators, read_schemas(roots), Regions.from_csv(references["wilayah"]), holidays, tables, partitions, reporters or {})

    def dims(self, name: str) -> tuple[str, ...]:
        """Names of an indicator's dimensions."""
        raw = self.indicators[name]
        if "composite" not in raw:
            return Definition(raw, self.schemas[raw["event"]], self.regions).dims
        dims, spec = self.dims(raw["composite"]["of"][0]), raw["composite"]
        match spec["kind"]:
            case "top":
                return (*(each for each in dims if each != spec["item"]), "rank")
            case "reconcile":
                return ("match", *dims)
        return dims

    def state(self, name: str, log: Iterable[Entry]) -> State:
        """An indicator with an event, over the whole log."""
        raw = self.indicators[name]
        schema = self.schemas[raw["event"]]
        return fold(Definition(raw, schema, self.regions, self.holidays), read(log, schema))

    def rows(self, name: str, log: Sequence[Entry]) -> Rows:
        """Every row of an indicator after the whole log. A register has none of its own."""
        raw = self.indicators[name]
        if "composite" in raw:
            return self._composed(raw, log)
        if raw["measure"]["kind"] == "register":
            return {}
        return leaf_rows(self.state(name, log), self.partitions, self.reporters.get(raw["event"], 0))

    def _composed(self, raw: Mapping[str, Any], log: Sequence[Entry]) -> Rows:
        names = raw["composite"]["of"]
        if raw["composite"]["kind"] == "reconcile":
            return reconciled(*(self.state(name, log) for name in names))
        return self._part(str(raw["id"]), log).rows

    def _part(self, name: str, log: Sequence[Entry]) -> Part:
        raw = self.indicators[name]
        if "composite" in raw:
            return Composed(raw, self.dims(name), [self._part(each, log) for each in raw["composite"]["of"]], self.tables)
        state = self.state(name, log)
        return Part.leaf(state.definition, state.reading, self.rows(name, log), self.partitions)

    def closing(self, name: str) -> bool:
        """Whether its rows stand until the next, so that there are also such that nobody is in."""
        raw = self.indicators[name]
        if "composite" in raw:
            return all(self.closing(each) for each in raw["composite"]["of"])
        return bool(raw.get("stock")) and raw["window"] != "now"

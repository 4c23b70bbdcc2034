"""A made-up regency's people, and the rows that merge would publish of them: what disclosure control gets, and what only the truth knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bus.disclosure.tables import Table
from bus.indicators.outputs import Output
from bus.indicators.windows import NOW, window_end, window_start

#: 1 January 2026, midnight in Asia/Jakarta.
START = 1_767_200_400_000_000
DAY = 86_400_000_000
K = 10


@dataclass(frozen=True)
class Place:
    """Where persons are counted: their window's begin, their dimensions, and the region that their events name."""

    start: int
    dims: tuple[tuple[str, str | None], ...]
    code: str | None = None

    def value(self, name: str) -> str | None:
        return self.code if name == "region" else dict(self.dims)[name]


@dataclass
class World:
    """Per place how many persons there are, how many have the property, and how many changes there were."""

    tables: Sequence[Table]
    persons: dict[Place, int] = field(default_factory=dict)
    having: dict[Place, int] = field(default_factory=dict)
    changes: dict[Place, int] = field(default_factory=dict)

    def add(self, place: Place, persons: int, having: int = 0, changes: int | None = None) -> None:
        """So many more (or, below 0, fewer); `changes` as many unless it is said."""
        assert self.persons.get(place, 0) + persons >= 0
        self.persons[place] = self.persons.get(place, 0) + persons
        self.having[place] = max(0, min(self.persons[place], self.having.get(place, 0) + having))
        self.changes[place] = self.changes.get(place, 0) + (abs(persons) if changes is None else changes)

    def outputs(self) -> list[Output]:
        """The rows of all tables, as they are."""
        return [self._output(table, key, places) for table in self.tables for key, places in self.cells(table).items()]

    def cells(self, table: Table) -> dict[tuple[int, tuple[str | None, ...]], list[Place]]:
        """The places that each row of a table is the sum of."""
        found: dict[tuple[int, tuple[str | None, ...]], list[Place]] = {}
        for place in self.persons:
            for code in above(place.code) if table.region else [None]:
                values = tuple(place.value(name) for name in table.dims)
                key = window_start(place.start, table.window), (*values, code) if table.region else values
                found.setdefault(key, []).append(place)
        return found

    def _output(self, table: Table, key: tuple[int, tuple[str | None, ...]], places: Iterable[Place]) -> Output:
        n, revision, having = (sum(each[place] for place in places) for each in (self.persons, self.changes, self.having))
        if table.counted == "having":
            n = having
        reports = sum(bool(self.changes[place]) for place in places) if table.people == "value" else n
        names = (*table.dims, "region") if table.region else table.dims
        numerator = having * table.per if table.per else n
        return Output(
            indicator=table.id, version=1, fingerprint="f", window_start_us=key[0], window_end_us=window_end(key[0], table.window),
            dimensions=dict(zip(names, key[1], strict=True)), value=str(numerator) if n else None, numerator=str(numerator),
            denominator=str(n) if table.per else "1", n=reports, revision=revision, status="provisional", evidence=(("events.x", 0, revision),),
            watermarks={"s": key[0]},
        )  # fmt: skip


def above(code: str | None) -> list[str | None]:
    """A region and all that it lies in, up to the kabupaten."""
    found = [code]
    while code is not None and code.count(".") > 1:
        code = code.rpartition(".")[0]
        found.append(code)
    return found


def table(
    name: str,
    dims: Sequence[str] = (),
    *,
    region: bool = False,
    window: str = "1mo",
    per: int = 0,
    counted: str = "all",
    people: Literal["events", "value"] = "events",
) -> Table:
    return Table(
        id=name, version=1, window=window, dims=tuple(sorted(dims)), region=region, counted=counted, people=people, per=per, threshold=K,
        late_us=7 * DAY, stock=window == NOW,
    )  # fmt: skip


def place(code: str | None = None, start: int = START, **dims: str | None) -> Place:
    return Place(start, tuple(sorted(dims.items())), code)

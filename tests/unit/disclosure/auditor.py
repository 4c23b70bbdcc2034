"""An auditor who is given everything that was published, and who is told besides which rows are up to date and where nobody ever was.

What is true of each place at each release is a variable; all that is out are equations between sums of them. Linear programming then tells
how little and how much each hidden cell, and each difference between two releases, may be. Nothing of `bus.disclosure` is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog

from bus.disclosure.released import Released
from bus.disclosure.tables import Table
from tests.unit.disclosure.world import K, Place, World

Cell = tuple[str, bytes]
#: A sum of variables: (release, place, what) -> coefficient.
Sum = dict[tuple[int, Place, str], float]


@dataclass
class Auditor:
    """`look` at each release, then `findings`."""

    world: World
    facts: list[tuple[Sum, float]] = field(default_factory=list)
    limits: list[tuple[Sum, float]] = field(default_factory=list)
    seen: list[dict[Cell, Released]] = field(default_factory=list)
    cells: list[dict[Cell, Sequence[Place]]] = field(default_factory=list)
    truth: list[dict[Place, tuple[int, int, int]]] = field(default_factory=list)

    def look(self, public: Mapping[Cell, Released], current: set[Cell]) -> None:
        """Everything that is out now; `current` are the rows that tell what is so now, whether or not they were published anew."""
        release = len(self.seen)
        outputs = {(each.indicator, each.key()): each for each in self.world.outputs()}
        places: dict[Cell, Sequence[Place]] = {
            cell: found
            for table in self.world.tables
            for (key, found), cell in zip(self.world.cells(table).items(), [c for c in outputs if c[0] == table.id], strict=True)
        }
        self.seen.append(dict(public))
        self.cells.append(places)
        self.truth.append({p: (self.world.persons[p], self.world.changes[p], self.world.having[p]) for p in self.world.persons})
        for cell in current:
            row = public[cell]
            assert row.n is not None
            assert row.revision is not None
            table = self._table(cell)
            if table.counted == "having":
                self.facts.append((self._sum(release, places[cell], "having"), row.n))
                continue
            if table.people == "value":
                self.facts.append((self._sum(release, places[cell], "n"), int(row.numerator or 0)))
                continue
            self.facts.append((self._sum(release, places[cell], "n"), row.n))
            self.facts.append((self._sum(release, places[cell], "changes"), row.revision))
            if table.per:
                self.facts.append((self._sum(release, places[cell], "having"), int(row.numerator or 0) / table.per))
        for place, (n, changes, _) in self.truth[-1].items():
            before = self.truth[release - 1].get(place) if release else None
            self._bounds(release, place, known_before=before is not None)
            if not n and not changes:
                self.facts.append(({(release, place, "n"): 1.0}, 0))

    def _table(self, cell: Cell) -> Table:
        return next(table for table in self.world.tables if table.id == cell[0])

    @staticmethod
    def _sum(release: int, places: Sequence[Place], what: str) -> Sum:
        return {(release, place, what): 1.0 for place in places}

    def _bounds(self, release: int, place: Place, *, known_before: bool) -> None:
        """Nobody is counted below nothing, more with a property than there are, or moved without a change."""
        now = {what: (release, place, what) for what in ("n", "changes", "having")}
        self.limits.append(({now["having"]: 1.0, now["n"]: -1.0}, 0))
        if any(table.people == "value" for table in self.world.tables):
            return
        if not release:
            self.limits.append(({now["n"]: 1.0, now["changes"]: -1.0}, 0))
            return
        # of a place that there was not, there was nobody: the variables are there all the same, and are nothing
        then = {what: (release - 1, place, what) for what in ("n", "changes")}
        if not known_before:
            self.facts += [({variable: 1.0}, 0) for variable in then.values()]
        moved = {now["changes"]: -1.0, then["changes"]: 1.0}
        self.limits.append((moved, 0))
        self.limits.append(({now["n"]: 1.0, then["n"]: -1.0, **moved}, 0))
        self.limits.append(({now["n"]: -1.0, then["n"]: 1.0, **moved}, 0))

    # what can be worked out

    def findings(self) -> list[str]:
        """Every hidden cell that is recovered to within k, and every difference of less than k that is."""
        return list(self.search())

    def search(self) -> Iterator[str]:
        """The findings one by one."""
        solve = _Solver(self.facts, self.limits)
        yield from self._cells(solve)
        yield from self._differences(solve)
        yield from self._others(solve)

    def _cells(self, solve: _Solver) -> Iterator[str]:
        for release, public in enumerate(self.seen):
            for cell, row in public.items():
                if row.suppressed:
                    table = self._table(cell)
                    for what in ("having",) if table.counted == "having" else ("n", "having") if table.per else ("n",):
                        low, high = solve.range(self._sum(release, self.cells[release][cell], what))
                        if high - low < K - 0.01:
                            yield f"release {release}: {what} of suppressed {cell} lies between {low:g} and {high:g}"

    def _differences(self, solve: _Solver) -> Iterator[str]:
        for release in range(1, len(self.seen)):
            for cell, row in self.seen[release - 1].items():
                if row.suppressed:
                    continue
                what = "n" if self._table(cell).people == "value" else "changes"
                places = self.cells[release][cell]
                change: Sum = {**self._sum(release, places, what)}
                change |= {(release - 1, place, what): -1.0 for place in places if place in self.truth[release - 1]}
                low, high = solve.range(change)
                if high - low < K - 0.01 and max(abs(low), abs(high)) > 0.01 and min(abs(low), abs(high)) < K - 0.01:
                    yield f"release {release}: the changes ({what}) of {cell} are between {low:g} and {high:g}"

    def _others(self, solve: _Solver) -> Iterator[str]:
        """Of whom one table tells and another does not."""
        if not any(table.counted == "having" for table in self.world.tables):
            return
        for release, cells in enumerate(self.cells):
            for cell, places in cells.items():
                truth = sum(self.truth[release][place][0] - self.truth[release][place][2] for place in places)
                without = self._sum(release, places, "n") | dict.fromkeys(self._sum(release, places, "having"), -1.0)
                low, high = solve.range(without)
                if 0 < truth < K and high - low < K - 0.01:
                    yield f"release {release}: of {cell} those without lie between {low:g} and {high:g}"


class _Solver:
    def __init__(self, facts: Sequence[tuple[Sum, float]], limits: Sequence[tuple[Sum, float]]) -> None:
        names = {name for sums, _ in (*facts, *limits) for name in sums}
        self._index = {name: number for number, name in enumerate(sorted(names, key=repr))}
        self._equal, self._equals = self._matrix(facts)
        self._below, self._belows = self._matrix(limits)

    def _matrix(self, rows: Sequence[tuple[Sum, float]]) -> tuple[np.ndarray, np.ndarray]:
        matrix = np.zeros((len(rows), len(self._index)))
        for number, (sums, _) in enumerate(rows):
            for name, coefficient in sums.items():
                matrix[number, self._index[name]] += coefficient
        return matrix, np.array([right for _, right in rows], dtype=float)

    def range(self, sums: Sum) -> tuple[float, float]:
        """The least and the most that a sum of variables can be."""
        cost = np.zeros(len(self._index))
        for name, coefficient in sums.items():
            cost[self._index[name]] += coefficient
        return self._least(cost), -self._least(-cost)

    def _least(self, cost: np.ndarray) -> float:
        found = linprog(
            cost, A_ub=self._below, b_ub=self._belows, A_eq=self._equal if len(self._equals) else None,
            b_eq=self._equals if len(self._equals) else None, bounds=(0, None), method="highs",
        )  # fmt: skip
        if found.status == 3:  # unbounded
            return float("-inf")
        assert found.status == 0, found.message
        return float(found.fun)

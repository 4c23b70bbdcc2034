"""From the cells that folds know to the rows that readers see: up the region tree, and from changes to closings. Pure.

A region's row is made of its own cell and its parts' rows, and a closing of the one before it and the changes since, so one touched cell
costs the way up and not the whole tree. The caller tells which cells were touched.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache

from bus.indicators import changes
from bus.indicators.accumulators import Summary, merging
from bus.indicators.partial import Cell, CellKey, Definition, is_closing

#: The cells of one key, one of each partition that has it.
Leaves = Callable[[CellKey], Sequence[Cell]]

#: Part of the fingerprints of closings: a change of what their rows are makes them be computed anew. 2: one that nobody is in has a row.
CLOSINGS_VERSION = 2

#: The kabupaten, where the tree of this regency ends: 33.09
ROOT_PARTS = 2


def merged(merge: Callable[[Sequence[Summary]], Summary], cells: Sequence[Cell]) -> Cell | None:
    """One cell of several; None of none."""
    if len(cells) < 2:
        return cells[0] if cells else None
    summaries, counted = zip(*cells, strict=True)
    return merge(summaries), changes.total(counted)


def above(key: CellKey) -> CellKey | None:
    """The cell of the region that this one lies in: its code without the last part; None at the top."""
    dims = _above(key[1])
    return None if dims is None else (key[0], dims)


@lru_cache(maxsize=65_536)
def _above(dims: tuple[str | None, ...]) -> tuple[str | None, ...] | None:
    code = dims[-1]
    return None if code is None or code.count(".") < ROOT_PARTS else (*dims[:-1], code.rpartition(".")[0])


class Rows:
    """The rows of one definition over given leaves."""

    def __init__(self, definition: Definition, leaves: Leaves) -> None:
        self._merge = merging(definition["measure"])
        self._leaves = leaves
        self._rolls_up = definition["region"]
        self._closes = is_closing(definition)
        self._nodes: dict[CellKey, Cell] = {}
        self._parts: dict[CellKey, set[CellKey]] = {}
        self._closings: dict[tuple[str | None, ...], _Closings] = {}

    def names(self, touched: Iterable[CellKey]) -> set[CellKey]:
        """The rows that change, or appear, when these cells do."""
        found = set(touched)
        if self._rolls_up:
            for key in list(found):
                up = above(key)
                while up is not None and up not in found:
                    found.add(up)
                    up = above(up)
        if not self._closes:
            return found
        return {(start, dims) for begin, dims in found for start in (begin, *self._after(begin, dims))}

    def touch(self, touched: Collection[CellKey], new: Collection[CellKey]) -> Collection[CellKey]:
        """The leaves say something new of these cells, of which some are new; all rows, of theirs and of those above them, that may be new
        by that."""
        reached = self._climb(touched) if self._rolls_up else touched
        if self._closes:
            for start, dims in reached:
                self._closings.setdefault(dims, _Closings(self._merge)).touch(start)
        return reached if self._rolls_up else new

    def row(self, key: CellKey) -> Cell | None:
        """A row's cell; None where there is none."""
        return self.whole(self.cells(key))

    def cells(self, key: CellKey) -> Sequence[Cell]:
        """What a row's cell is made of by `whole`, and that nobody changes; nothing where there is no row."""
        if not self._closes:
            return _some(self._nodes.get(key)) if self._rolls_up else self._leaves(key)
        closings = self._closings.get(key[1])
        return () if closings is None else _some(closings.row(key[0], lambda start: self._node((start, key[1]))))

    def whole(self, cells: Sequence[Cell]) -> Cell | None:
        """One cell of several; None of none."""
        return merged(self._merge, cells)

    def standing(self, key: CellKey) -> Cell | None:
        """What stands at the end of a window, whether or not anything changed in it: of closings the newest row so far."""
        if not self._closes:
            return self._node(key)
        closings = self._closings.get(key[1])
        return None if closings is None else closings.standing(key[0], lambda start: self._node((start, key[1])))

    def _node(self, key: CellKey) -> Cell | None:
        return self._nodes.get(key) if self._rolls_up else merged(self._merge, self._leaves(key))

    def _climb(self, touched: Iterable[CellKey]) -> set[CellKey]:
        """Make the nodes of these cells anew and those of all above them, the deepest first, so that each is made once; their keys."""
        levels: dict[int, set[CellKey]] = {}
        for key in touched:
            levels.setdefault(_depth(key), set()).add(key)
        reached: set[CellKey] = set().union(*levels.values())
        for depth in range(max(levels, default=0), 0, -1):
            ups = levels.setdefault(depth - 1, set())
            for key in levels[depth]:
                up = above(key)
                self._make(key, up)
                if up is not None:
                    ups.add(up)
            reached |= ups
        return reached

    def _make(self, key: CellKey, up: CellKey | None) -> None:
        parts = self._parts.get(key)
        cells = self._leaves(key)
        node = merged(self._merge, [*cells, *map(self._nodes.__getitem__, parts)] if parts else cells)
        if node is None:
            return
        if up is not None and key not in self._nodes:
            self._parts.setdefault(up, set()).add(key)
        self._nodes[key] = node

    def _after(self, start: int, dims: tuple[str | None, ...]) -> Sequence[int]:
        closings = self._closings.get(dims)
        return () if closings is None else closings.after(start)


class _Closings:
    """The closings of one combination of dimensions: sums of the changes up to each of its windows, made when they are asked for."""

    def __init__(self, merge: Callable[[Sequence[Summary]], Summary]) -> None:
        self._merge = merge
        self._starts: list[int] = []
        self._sums: list[Cell] = []

    def touch(self, start: int) -> None:
        place = bisect_left(self._starts, start)
        if place == len(self._starts) or self._starts[place] != start:
            insort(self._starts, start)
        del self._sums[place:]

    def after(self, start: int) -> Sequence[int]:
        return self._starts[bisect_left(self._starts, start) :]

    def row(self, start: int, change: Callable[[int], Cell | None]) -> Cell | None:
        place = bisect_left(self._starts, start)
        return self._sum(place, change) if place < len(self._starts) and self._starts[place] == start else None

    def standing(self, start: int, change: Callable[[int], Cell | None]) -> Cell | None:
        place = bisect_right(self._starts, start) - 1
        return None if place < 0 else self._sum(place, change)

    def _sum(self, place: int, change: Callable[[int], Cell | None]) -> Cell:
        while len(self._sums) <= place:
            entering = change(self._starts[len(self._sums)])
            known = [self._sums[-1]] if self._sums else []
            total = merged(self._merge, [*known, *([entering] if entering is not None else [])])
            assert total is not None
            self._sums.append(total)
        return self._sums[place]


def _some(cell: Cell | None) -> Sequence[Cell]:
    return () if cell is None else (cell,)


def _depth(key: CellKey) -> int:
    code = key[1][-1]
    return 0 if code is None else code.count(".") + 1

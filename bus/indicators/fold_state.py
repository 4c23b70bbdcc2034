"""What a fold keeps: ledger and watermarks, cells, reporters and subjects; the last three in blocks, closed windows in memory only when needed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from bus.errors import FatalError
from bus.indicators import changes, columns
from bus.indicators.accumulators import ACCUMULATOR_VERSION
from bus.indicators.blocks import Blocks, Frozen, Pending, letter_of
from bus.indicators.indicator import Indicator
from bus.indicators.kinds.sums import SUMS
from bus.indicators.partial import CellKey, in_order, keeping, sharing
from bus.indicators.stretches import cell_place, closes_before, stretch_of, subject_place, window_place

#: The block of what is not in `Blocks`.
HEAD = "head"

#: Entries in a block where cells can be large: sets of hashes or values, counts by bucket.
_FEW = 64


class FoldState:
    """The state of one indicator over one source partition. It knows neither events nor rules."""

    def __init__(self, indicator: Indicator) -> None:
        self._window, self._late_us = indicator.window, indicator.late_us
        self._cell, self._entity = indicator.accumulator(), indicator.entity()
        #: Gives the keys that are kept, of cells and of what subjects contribute to them.
        self.shared = sharing()
        self.ledger: Mapping[str, int] = {}
        self.watermarks: Mapping[str, int] = {}
        #: [state of the accumulator, how often and why it changed]
        self.cells: Blocks[CellKey, list[Any]] = Blocks(
            "c", cell_place(self._window), self._freeze_cell, self._thaw_cell,
            order=in_order, per_block=None if indicator.kind in SUMS else _FEW, share=keeping(self._window, self.shared),
        )  # fmt: skip
        #: Reporters by window.
        self.heard: Blocks[int, set[str]] = Blocks("h", window_place(self._window), sorted, set, per_block=_FEW)
        self.subjects: Blocks[str, Any] = Blocks("s", subject_place, self._entity.dump, self._thaw_subject)
        self._parts: dict[str, Blocks[Any, Any]] = {"c": self.cells, "h": self.heard, "s": self.subjects}

    # snapshots

    def frozen(self, unit_id: str, offset: int, *, whole: bool) -> Pending:
        """The state as it is now, to be made bytes of later and elsewhere."""
        head = {
            "accumulator": ACCUMULATOR_VERSION,
            "ledger": dict(self.ledger),
            "offset": offset,
            "unit": unit_id,
            "watermarks": dict(self.watermarks),
        }
        found: Frozen = {HEAD: [head]}
        for part in self._parts.values():
            found |= part.frozen(whole=whole)
        return Pending(found)

    def saved(self) -> None:
        """What `frozen` gave is durable, and nothing has changed since."""
        for part in self._parts.values():
            part.saved()

    def load(self, unit_id: str, offset: int, blocks: Mapping[str, bytes], elsewhere: Collection[str] = ()) -> None:
        """Begin with a snapshot. Raises `FatalError` when it is of another unit, offset or form."""
        if HEAD not in blocks:
            raise FatalError(f"snapshot of {unit_id} at offset {offset} has no block {HEAD!r}")
        (head,) = columns.decode(blocks[HEAD])
        expected = {"accumulator": ACCUMULATOR_VERSION, "offset": offset, "unit": unit_id}
        found = {name: head.get(name) for name in expected}
        if found != expected:
            raise FatalError(f"snapshot of {unit_id} at offset {offset} says it is {found}")
        self.ledger, self.watermarks = head["ledger"], head["watermarks"]
        here, there = self._by_part(blocks), self._by_part(elsewhere)
        for letter, part in self._parts.items():
            part.load({name: blocks[name] for name in here[letter]}, there[letter])

    # what leaves memory, and comes back

    @property
    def all_here(self) -> bool:
        """Whether everything is in memory."""
        return self.cells.all_here and self.heard.all_here

    def cold(self, starts: Iterable[int] | None = None) -> set[str]:
        """The blocks that are not in memory, of those windows or of all."""
        if starts is None:
            return self.cells.cold() | self.heard.cold()
        groups = {stretch_of(start, self._window) for start in starts}
        return self.cells.cold(groups) | self.heard.cold(groups)

    def warm(self, blocks: Mapping[str, bytes]) -> None:
        """Blocks that come back, those of a stretch together."""
        for letter, names in self._by_part(blocks).items():
            self._parts[letter].warm({name: blocks[name] for name in names})

    def evict(self) -> None:
        """Let go of the windows that no event in time can change any more, as far as a snapshot has them."""
        reached = max(self.watermarks.values(), default=None)
        if reached is None:
            return
        for part in (self.cells, self.heard):
            part.evict([group for group in part.clean() if closes_before(group, self._window, reached - self._late_us)])

    def _by_part(self, names: Iterable[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {letter: [] for letter in self._parts}
        for name in names:
            if name != HEAD:
                found.setdefault(letter_of(name), []).append(name)
        if others := found.keys() - self._parts.keys():
            raise FatalError(f"a fold's snapshot has blocks of other kinds: {', '.join(sorted(others))}")
        return found

    def _freeze_cell(self, cell: list[Any]) -> object:
        dumped: Any = self._cell.dump(cell[0])
        return tuple(dumped), cell[1]

    def _thaw_cell(self, raw: Any) -> list[Any]:
        return [self._cell.load(raw[0]), changes.loaded(raw[1])]

    def _thaw_subject(self, raw: Any) -> Any:
        return self._entity.load(raw, self.shared)


def lasting(name: str) -> bool:
    """Whether a block has to be in memory from the beginning: all but those of windows."""
    return letter_of(name) not in {"c", "h"}

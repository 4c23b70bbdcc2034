"""The cells and reporters that merge keeps of one edition, as blocks of its snapshots (ADR 0015). They are all in memory.

The cells of one key lie together, one of each partition: a change looks a key up once, and not once in each partition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Protocol, TypeVar

from bus.indicators.blocks import Blocks, Frozen, letter_of
from bus.indicators.changes import loaded, revision
from bus.indicators.partial import Cell, CellKey, Definition, in_order, keeping, sharing
from bus.indicators.stretches import cell_place, window_place

T = TypeVar("T")
V = TypeVar("V")

#: The cells of one key, by source partition; None where one has none.
Held = list[Cell | None]

#: Stretches of a fold that are one here: merge has many editions, each of all partitions, and nothing of them leaves memory.
_TIMES = 16


class Source(Protocol):
    """What is known of a source partition."""

    heard: dict[int, set[str]]


class EditionBlocks:
    """Blocks of an edition. Its sources stay their owner's, who tells of the reporters that are about to be taken in."""

    def __init__(self, definition: Definition, source: Callable[[int], Source]) -> None:
        self._source = source
        self.prefix = f"{definition['id']}.{definition['version']}.{definition['fingerprint'][:16]}/"
        window = definition["window"]
        of_cell, of_window = cell_place(window, _TIMES), window_place(window, _TIMES)

        def of(place: tuple[str, int]) -> tuple[str, int]:
            return f"{self.prefix}{place[0][:-1]}:", place[1]

        self.cells: Blocks[CellKey, Held] = Blocks(
            "c", lambda key: of(of_cell(key)), _frozen_cells, _cells, order=in_order, share=keeping(window, sharing())
        )
        self.heard: Blocks[tuple[int, int], set[str]] = Blocks(
            "h", lambda key: of(of_window(key[1])), sorted, set, entries=_Entries(lambda number: source(number).heard)
        )

    def take(self, number: int, cells: Mapping[CellKey, Cell]) -> tuple[list[CellKey], int]:
        """A source's cells as they are now; the keys that no source had before, and how many more changes the cells have seen."""
        held, new, changes = self.cells.entries, list[CellKey](), 0
        for key, cell in cells.items():
            known = held.get(key)
            if known is None:
                known = [None]
                self.cells.add(key, known)
                new.append(key)
            if number >= len(known):
                known.extend([None] * (number + 1 - len(known)))
            former, known[number] = known[number], cell
            changes += revision(cell[1]) - (revision(former[1]) if former is not None else 0)
        self.cells.touched.update(cells)
        return new, changes

    def hear(self, number: int, heard: Mapping[int, Sequence[str]]) -> None:
        """A source is about to hear of these reporters; the windows that it has not heard of are taken in."""
        source = self._source(number)
        # one by one: the difference of two views of keys goes through all of the second
        for start in [start for start in heard if start not in source.heard]:
            self.heard.add((number, start), set())
        self.heard.touched.update([(number, start) for start in heard])

    def frozen(self, *, whole: bool) -> Frozen:
        return self.cells.frozen(whole=whole) | self.heard.frozen(whole=whole)

    def saved(self) -> None:
        self.cells.saved()
        self.heard.saved()

    def load(self, blocks: Mapping[str, bytes]) -> None:
        """Fill the sources from a snapshot."""
        for letter, part in (("c", self.cells), ("h", self.heard)):
            part.load({name: content for name, content in blocks.items() if letter_of(name) == letter})


class _Entries(MutableMapping[tuple[int, T], V]):
    """The entries of all partitions as one mapping: (partition, key) -> entry."""

    def __init__(self, part: Callable[[int], dict[T, V]]) -> None:
        self._part = part

    def __getitem__(self, key: tuple[int, T]) -> V:
        return self._part(key[0])[key[1]]

    def __setitem__(self, key: tuple[int, T], entry: V) -> None:
        self._part(key[0])[key[1]] = entry

    def __delitem__(self, key: tuple[int, T]) -> None:
        del self._part(key[0])[key[1]]

    def __iter__(self) -> Iterator[tuple[int, T]]:
        raise TypeError("nobody goes through these; each partition has its own")

    def __len__(self) -> int:
        raise TypeError("nobody counts these; each partition has its own")


def _frozen_cells(held: Held) -> object:
    return tuple([None if cell is None else (tuple(cell[0]), cell[1]) for cell in held])


def _cells(raw: Any) -> Held:
    return [None if cell is None else (list(cell[0]), loaded(cell[1])) for cell in raw]

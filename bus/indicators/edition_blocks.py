"""The cells and reporters that merge keeps of one edition, as blocks of its snapshots (ADR 0015). They are all in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Protocol, TypeVar

from bus.indicators.blocks import Blocks, Frozen, letter_of
from bus.indicators.changes import loaded
from bus.indicators.partial import Cell, CellKey, Definition, sort_key
from bus.indicators.stretches import cell_place, window_place

T = TypeVar("T")
V = TypeVar("V")

#: Stretches of a fold that are one here: merge has many editions, each of all partitions, and nothing of them leaves memory.
_TIMES = 16


class Source(Protocol):
    """What is known of a source partition."""

    cells: dict[CellKey, Cell]
    heard: dict[int, set[str]]


class EditionBlocks:
    """Blocks over the sources of an edition. These stay their owner's, who tells of what is about to be taken in."""

    def __init__(self, definition: Definition, source: Callable[[int], Source]) -> None:
        self._source = source
        self.prefix = f"{definition['id']}.{definition['version']}.{definition['fingerprint'][:16]}/"
        of_cell, of_window = cell_place(definition["window"], _TIMES), window_place(definition["window"], _TIMES)

        def of(place: tuple[str, int]) -> tuple[str, int]:
            return f"{self.prefix}{place[0][:-1]}:", place[1]

        self.cells: Blocks[tuple[int, CellKey], Cell] = Blocks(
            "c",
            lambda key: of(of_cell(key[1])),
            _frozen_cell,
            _cell,
            order=_in_order,
            entries=_Entries(lambda number: source(number).cells),
        )
        self.heard: Blocks[tuple[int, int], set[str]] = Blocks(
            "h", lambda key: of(of_window(key[1])), sorted, set, entries=_Entries(lambda number: source(number).heard)
        )

    def take(self, number: int, cells: Mapping[CellKey, Cell], heard: Mapping[int, Sequence[str]]) -> None:
        """A source is about to hear of these cells and reporters; those it has not heard of are taken in."""
        source = self._source(number)
        # one by one: the difference of two views of keys goes through all of the second
        for key in [key for key in cells if key not in source.cells]:
            self.cells.add((number, key), cells[key])
        for start in [start for start in heard if start not in source.heard]:
            self.heard.add((number, start), set())
        self.cells.touched.update([(number, key) for key in cells])
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


def _frozen_cell(cell: Cell) -> object:
    return tuple(cell[0]), cell[1]


def _cell(raw: Any) -> Cell:
    return list(raw[0]), loaded(raw[1])


def _in_order(keys: Iterable[tuple[int, CellKey]]) -> list[tuple[int, CellKey]]:
    return sorted(keys, key=lambda key: (key[0], sort_key(key[1])))

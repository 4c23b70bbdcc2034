"""All versions of one indicator that merge still cares about, and which one readers see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from bus.indicators.edition import Edition
from bus.indicators.outputs import Output
from bus.indicators.partial import CellKey, Definition, Partial, sort_key

#: (version, fingerprint)
Mark = tuple[int, str]

#: `Output.order`
Order = tuple[int, int, int]


class Published(Protocol):
    """What a line publishes: a leaf's edition or a composite."""

    @property
    def id(self) -> str: ...
    @property
    def mark(self) -> Mark: ...
    @property
    def definition(self) -> Definition: ...
    def row_names(self) -> Iterable[CellKey]: ...
    def output(self, key: CellKey) -> Output | None: ...
    def window_end(self, key: CellKey) -> int: ...
    def withdrawn(self, key: CellKey, end: int, names: tuple[str, ...]) -> Output: ...
    def emptied(self, key: CellKey, order: Order) -> Output | None: ...


P = TypeVar("P", bound=Published)


class Line(Generic[P]):
    """`published` is what readers see; `retired` the cells that they saw of earlier versions: key -> (window end, dimension names)."""

    def __init__(self) -> None:
        self.published: P | None = None
        self.retired: dict[CellKey, tuple[int, tuple[str, ...]]] = {}
        #: Whether there are more of them than when the last snapshot was written.
        self.retired_touched = False

    def retire(self) -> None:
        """Readers will no longer be given what is published now."""
        if self.published is not None:
            names = tuple(self.published.definition["dims"])
            self.retired |= {key: (self.published.window_end(key), names) for key in self.published.row_names()}
            self.retired_touched = True
            self.published = None

    def all(self) -> Iterable[Output]:
        """Every row as it is now, those withdrawn included, in order."""
        held = self.published
        if held is None:
            return
        for key in sorted({*held.row_names(), *self.retired}, key=sort_key):
            output = held.output(key)
            if output is not None:
                yield output
            elif key in self.retired:
                yield held.withdrawn(key, *self.retired[key])

    def without(self, key: CellKey, end: int, names: tuple[str, ...], order: Order) -> Output | None:
        """What to say now of a row of that order which readers have and this line does not know; None when it is known, or may yet come.

        Such a row was given to them by a merge whose memory is lost.
        """
        held = self.published
        if held is None or held.output(key) is not None or key in self.retired:
            return None
        return held.withdrawn(key, end, names) if order[0] < held.mark[0] else held.emptied(key, order)


class LeafLine(Line[Edition]):
    """The editions of a leaf indicator."""

    def __init__(self) -> None:
        super().__init__()
        self.editions: dict[Mark, Edition] = {}

    def retire(self) -> None:
        """As of any line; nobody has seen rows that are hidden."""
        if self.published is not None and self.published.hidden:
            self.published = None
        super().retire()

    def edition(self, partial: Partial) -> Edition | None:
        """The edition that a partial belongs to; None when readers have moved on from it."""
        mark = (partial.definition["version"], partial.definition["fingerprint"])
        held = self.published
        if held is not None and mark != held.mark and mark[0] <= held.mark[0]:
            return None
        return self.editions.setdefault(mark, Edition(partial.definition, partial.partitions))

    def promote(self, edition: Edition) -> None:
        """Publish that edition if it is complete and not yet published. Of two with one version the first to be complete stays."""
        if edition is self.published or not edition.complete:
            return
        self.retire()
        self.published = edition
        self.editions = {mark: each for mark, each in self.editions.items() if each is edition or mark[0] > edition.mark[0]}

"""The composites of one merge: which versions are published over which parts, and how a change spreads through them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bus.indicators.composite import Composite, Group
from bus.indicators.composite_kinds import KINDS
from bus.indicators.line import LeafLine, Line, Mark
from bus.indicators.partial import CellKey, Feed, canonical
from bus.indicators.reconcile import Entry, Reconcile


class CompositeLine(Line[Composite]):
    """The versions of a composite that were heard of."""

    def __init__(self) -> None:
        super().__init__()
        self.feeds: dict[Mark, Feed] = {}

    def learn(self, feed: Feed) -> None:
        """Of feeds with one version the first stands, and a lower one than the published is of no interest."""
        mark = _mark(feed)
        versions = {version for version, _ in self.feeds}
        if mark[0] not in versions and mark[0] > max(versions, default=0):
            self.feeds[mark] = feed


class Family:
    """The composites over the leaf lines of one merge."""

    def __init__(self, leaves: Mapping[str, LeafLine]) -> None:
        self._leaves = leaves
        self._composites: dict[str, CompositeLine] = {}
        #: Published composites, parts before what is made of them.
        self.published: tuple[Composite, ...] = ()

    def line(self, indicator: str) -> Line[Any] | None:
        """The line of an indicator, leaf or composite."""
        return self._leaves.get(indicator) or self._composites.get(indicator)

    def lines(self) -> Iterator[Line[Any]]:
        """All lines that readers see: leaves, then composites, by id."""
        leaves = (self._leaves[name] for name in sorted(self._leaves))
        yield from (line for line in leaves if line.published is not None and not line.published.hidden)
        yield from (self._composites[name] for name in sorted(self._composites))

    def composite(self, indicator: str) -> CompositeLine:
        """The line of a composite, which may be new."""
        return self._composites.setdefault(indicator, CompositeLine())

    def composite_lines(self) -> Mapping[str, CompositeLine]:
        """The lines of composites by id."""
        return self._composites

    def learn(self, feeds: Iterable[Feed]) -> None:
        """Hear of composites."""
        for feed in feeds:
            self.composite(feed["definition"]["id"]).learn(feed)

    def follow(self) -> None:
        """Let every composite stand on the published versions of its parts: one whose parts have moved on is taken back until its own
        version for them is there."""
        if all(self._stands(line) for line in self._composites.values()):
            return
        while gone := [line for line in self._composites.values() if line.published is not None and not self._fits(line.published.feed)]:
            for line in gone:
                line.retire()
        moved = True
        while moved:
            promoted = [self._promote(line) for line in self._composites.values()]
            moved = any(promoted)
        self.published = tuple(self._in_order())

    def spread(self, changed: Mapping[str, Iterable[CellKey]], *, later: bool = True) -> Iterator[tuple[Composite, set[Group]]]:
        """The groups of each composite that change when these rows do, parts before what is made of them; without `later` those of the
        same windows only."""
        rows = {name: set(keys) for name, keys in changed.items()}
        for each in self.published:
            groups: set[Group] = set()
            for part in each.parts:
                if part.id in rows:
                    groups |= each.groups(part.id, rows[part.id])
            if groups:
                each.note(groups)
                groups |= each.later(groups) if later else set()
                rows[each.id] = {key for group in groups for key in each.row_keys(group)}
                yield each, groups

    def settled(self, leaf: str, keys: Iterable[CellKey]) -> None:
        """Those rows of a leaf have changed; what is made of it takes note of the rows that there are now, whether or not readers are told."""
        for each in self.published:
            if any(part.id == leaf for part in each.parts):
                each.settled(leaf, keys)
        for _ in self.spread({leaf: keys}, later=False):
            pass

    def lists(self) -> list[Reconcile]:
        """The published comparisons of registers."""
        return [each for each in self.published if isinstance(each, Reconcile)]

    def listed(self, *, all_of_it: bool = False) -> list[Entry]:
        """The lines of the published lists that changed since the last call, or all."""
        return [entry for each in self.lists() for entry in (each.entries() if all_of_it else each.take_news())]

    def entries(self) -> Iterable[str]:
        """The state besides what is retired, as lines of a snapshot."""
        for name in sorted(self._composites):
            line = self._composites[name]
            for mark in sorted(line.feeds):
                yield canonical(["feed", line.feeds[mark]])
            if line.published is not None and line.published.memory():
                yield canonical(["feed_memory", name, line.published.memory()])

    def restored(self, memories: Mapping[str, Any]) -> None:
        """All entries are there, and the leaves are whole."""
        self.follow()
        for each in self.published:
            if each.id in memories:
                each.remember(memories[each.id])
        for each in self.lists():
            each.take_news()  # said before the snapshot was written

    def _stands(self, line: CompositeLine) -> bool:
        best = self._best(line)
        return (best is None and line.published is None) or (
            best is not None and line.published is not None and _mark(best) == line.published.mark and self._fits(best)
        )

    def _best(self, line: CompositeLine) -> Feed | None:
        fitting = [mark for mark, feed in line.feeds.items() if self._fits(feed)]
        return line.feeds[max(fitting)] if fitting else None

    def _fits(self, feed: Feed) -> bool:
        for name, version, fingerprint in feed["of"]:
            line = self.line(name)
            if line is None or line.published is None or line.published.mark != (version, fingerprint):
                return False
        return True

    def _promote(self, line: CompositeLine) -> bool:
        best = self._best(line)
        if best is None or (line.published is not None and line.published.mark == _mark(best)):
            return False
        line.retire()
        parts = [self.line(name) for name, _, _ in best["of"]]
        make = Reconcile if best["kind"] == "reconcile" else KINDS[best["kind"]]
        line.published = make(best, [part.published for part in parts if part is not None and part.published is not None])
        line.published.learn()
        line.feeds = {mark: feed for mark, feed in line.feeds.items() if mark >= _mark(best)}
        return True

    def _in_order(self) -> Iterator[Composite]:
        waiting = {name: line.published for name, line in sorted(self._composites.items()) if line.published is not None}
        while waiting:
            ready = [name for name, each in waiting.items() if not any(part.id in waiting for part in each.parts)]
            for name in ready:
                yield waiting.pop(name)


def _mark(feed: Feed) -> Mark:
    return feed["definition"]["version"], feed["definition"]["fingerprint"]

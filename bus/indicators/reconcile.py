"""Two registers compared, subject by subject: who is in both and alike, in both and different, in one only.

Each register is a fold's state per subject, a pure function of its own topic; the comparison is one of both, as of a vector of offsets, so
it does not depend on how the two were interleaved. The case it is for: the population that RTs report and civil registration (MCD and
SIAK differed by 30,421 people, DOMAIN §1.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from bus.indicators.composite import Composite, Group, Part
from bus.indicators.outputs import Output
from bus.indicators.partial import CellKey, Feed
from bus.indicators.rollup import above
from bus.indicators.windows import NOW_START

STATUSES = ("matched", "conflicting", "only_left", "only_right")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list: how a subject stands. `left` and `right` are what the registers say of it, None where one has nothing."""

    list_id: str
    version: int
    subject: str
    status: str | None
    region: str | None
    left: tuple[str | None, ...] | None
    right: tuple[str | None, ...] | None
    #: Of two lines of one version and subject the higher is the newer.
    revision: int


class Reconcile(Composite):
    """Counts of subjects by how they match and region, rolled up."""

    def __init__(self, feed: Feed, parts: Sequence[Part]) -> None:
        super().__init__(feed, parts)
        self._region = bool(self.definition["region"])
        self._standing: dict[str, CellKey] = {}
        self._counts: dict[CellKey, int] = {}
        self._news: dict[str, Entry] = {}
        self._reached: set[Group] = set()
        for subject in {key[1][0] for part in parts for key in part.row_names()}:
            self._look(subject or "")
        self._reached.clear()

    def groups(self, part: str, keys: Iterable[CellKey]) -> set[Group]:
        """The rows that count those subjects now; which ones will, nobody knows before it is looked (`reached`)."""
        standing = {self._standing[subject or ""] for _, (subject, *_) in keys if (subject or "") in self._standing}
        return {row for cell in standing for row in self._above(cell)}

    def reached(self) -> set[Group]:
        reached, self._reached = self._reached, set()
        return reached

    def all_groups(self) -> set[Group]:
        return set(self._counts)

    def rows(self, group: Group) -> dict[CellKey, Output]:
        revision = self.revision
        return {group: self._row(group, self._counts[group], revision)} if group in self._counts else {}

    def has(self, key: CellKey) -> bool:
        return key in self._counts

    def stands(self, key: CellKey) -> Output | None:
        return self.output(key)

    def output(self, key: CellKey) -> Output | None:
        count = self._counts.get(key)
        return None if count is None else self._row(key, count, self.revision)

    def settled(self, part: str, keys: Iterable[CellKey]) -> None:
        for _, (subject, *_) in keys:
            self._look(subject or "")

    def memory(self) -> Any:
        """The rows that there ever were: one that nobody is in any more still has to say so."""
        return sorted([list(dims) for _, dims in self._counts], key=str)

    def remember(self, memory: Any) -> None:
        for dims in memory:
            self._counts.setdefault((NOW_START, tuple(dims)), 0)

    def take_news(self) -> list[Entry]:
        """The lines of the list that changed since the last call, by subject."""
        news, self._news = self._news, {}
        return [news[subject] for subject in sorted(news)]

    def entries(self) -> Iterable[Entry]:
        """The whole list."""
        for subject in sorted(self._standing):
            yield self.entry(subject)

    def emptied(self, key: CellKey, order: tuple[int, int, int]) -> Output | None:
        row = self._row(key, 0, self.revision)
        return row if order <= row.order else None

    @property
    def revision(self) -> int:
        """All changes of both registers: which of them moved a row depends on how the two were interleaved, and that no row may."""
        return sum(edition.changes for edition in self.editions)

    def _row(self, key: CellKey, count: int, revision: int) -> Output:
        row = self.make(key, [], Fraction(count) if count else None, ())
        return replace(row, n=count, revision=revision)

    def _look(self, subject: str) -> None:
        before = self._standing.pop(subject, None)
        entry = self.entry(subject)
        if entry.status is not None:
            dims = (entry.status, entry.region) if self._region else (entry.status,)
            self._standing[subject] = (NOW_START, dims)
            self._count((NOW_START, dims), 1)
        if before is not None:
            self._count(before, -1)
        self._news[subject] = entry

    def _count(self, key: CellKey, difference: int) -> None:
        for at in self._above(key):
            self._counts[at] = self._counts.get(at, 0) + difference
            self._reached.add(at)

    def _above(self, key: CellKey) -> Iterator[CellKey]:
        """The row itself, and those of the regions that it lies in."""
        at: CellKey | None = key
        while at is not None:
            yield at
            at = above(at) if self._region else None

    def entry(self, subject: str) -> Entry:
        """How a subject stands now."""
        left, right = (self._values(part, subject) for part in self.parts)
        if left is None and right is None:
            status, region = None, None
        else:
            alike = (left[:-1] == right[:-1] if self._region else left == right) if left is not None and right is not None else False
            status = "only_right" if left is None else "only_left" if right is None else "matched" if alike else "conflicting"
            known = left if left is not None else right
            region = known[-1] if known is not None and self._region else None
        return Entry(self.id, self.definition["version"], subject, status, region, left, right, self.revision)

    @staticmethod
    def _values(part: Part, subject: str) -> tuple[str | None, ...] | None:
        (edition,) = part.editions
        summary = edition.summary((NOW_START, (subject,)))
        return tuple(summary[1]) if summary is not None and summary[0] and summary[1] is not None else None

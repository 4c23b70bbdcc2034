"""Indicators made of the rows of others: how a row is computed from theirs, and which rows change when theirs do. Pure.

Rows are exact fractions. Everything a row depends on is in the feed (which travels in partials) and in the parts' rows, so by R1 a
composite is as provable as its leaves: its evidence is theirs.

A part that is a closing is taken with what stands of it at the end of the window, whether or not it has a row there: a row of closings is
there for every window in which any part has one, and a change of one part reaches all rows of later windows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

from bus.indicators.decimals import quotient
from bus.indicators.edition import Edition
from bus.indicators.outputs import FINAL, PROVISIONAL, Evidence, Leaf, Output, is_over, newest_of, withdrawn_output
from bus.indicators.partial import CellKey, Definition, Feed, is_closing
from bus.indicators.windows import window_end

#: What is computed together: a row for most kinds, a ranking for `top`.
Group = tuple[int, tuple[str | None, ...]]

Dims = tuple[str | None, ...]


class Part(Protocol):
    """What a composite is made of: a leaf indicator's edition, or another composite."""

    @property
    def id(self) -> str: ...
    @property
    def definition(self) -> Definition: ...
    @property
    def editions(self) -> tuple[Edition, ...]: ...
    @property
    def closes(self) -> bool: ...
    def row_names(self) -> Iterable[CellKey]: ...
    def output(self, key: CellKey) -> Output | None: ...
    def has(self, key: CellKey) -> bool: ...
    def stands(self, key: CellKey) -> Output | None: ...


class _Heading(NamedTuple):
    stood: Sequence[Evidence]
    evidence: Evidence
    leaves: tuple[Leaf, ...]
    watermarks: Mapping[str, int]


class Composite:
    """One version of one composite over the editions that are published now."""

    def __init__(self, feed: Feed, parts: Sequence[Part]) -> None:
        self.feed = feed
        self.definition: Definition = feed["definition"]
        self.parts = parts
        seen: dict[str, Edition] = {edition.id: edition for part in parts for edition in part.editions}
        self.editions = tuple(seen[name] for name in sorted(seen))
        self._closes = any(part.closes for part in parts)
        self._windows: dict[Dims, list[int]] = {}
        self._heading: _Heading | None = None

    @property
    def id(self) -> str:
        return self.definition["id"]

    @property
    def mark(self) -> tuple[int, str]:
        return self.definition["version"], self.definition["fingerprint"]

    @property
    def closes(self) -> bool:
        """Whether a change of a part can reach rows of later windows."""
        return self._closes

    def window_end(self, key: CellKey) -> int:
        return window_end(key[0], self.definition["window"])

    def groups(self, part: str, keys: Iterable[CellKey]) -> set[Group]:
        """The groups of the windows of these rows of a part that change when they do."""
        return set(keys)

    def learn(self) -> None:
        """Look through the parts' rows once: which groups there are."""
        for part in self.parts if self.closes else ():
            self.note(self.groups(part.id, part.row_names()))

    def note(self, groups: Iterable[Group]) -> None:
        """There are, or will be, rows of these groups."""
        for start, dims in groups if self.closes else ():
            starts = self._windows.setdefault(dims, [])
            place = bisect_left(starts, start)
            if place == len(starts) or starts[place] != start:
                starts.insert(place, start)

    def later(self, groups: Iterable[Group]) -> set[Group]:
        """The groups of later windows in which it shows what these groups' parts changed to."""
        first: dict[Dims, int] = {}
        for start, dims in groups if self.closes else ():
            first[dims] = min(start, first.get(dims, start))
        return {(start, dims) for dims, since in first.items() for start in self._since(dims, since)}

    def _since(self, dims: Dims, start: int) -> Sequence[int]:
        starts = self._windows.get(dims, [])
        return starts[bisect_left(starts, start) :]

    def _before(self, group: Group) -> Group | None:
        """The last group with the same dimensions before that one."""
        starts = self._windows.get(group[1], [])
        place = bisect_left(starts, group[0])
        return (starts[place - 1], group[1]) if place else None

    def has(self, key: CellKey) -> bool:
        """Whether there is such a row: any part has one."""
        return any(part.has(key) for part in self.parts)

    def stands(self, key: CellKey) -> Output | None:
        """What the row is, or would be were there one in that window; None where nothing stands of any part."""
        outputs = [part.stands(key) for part in self.parts]
        if not any(outputs):
            return None
        there = [output for part, output in zip(self.parts, outputs, strict=True) if output is not None and part.has(key)]
        return self.make(key, outputs, self.value(key, [number_of(output) for output in outputs]), there)

    def rows(self, group: Group) -> dict[CellKey, Output]:
        """The rows of a group as they are now."""
        row = self.stands(group) if self.has(group) else None
        return {} if row is None else {group: row}

    def value(self, key: CellKey, numbers: Sequence[Fraction | None]) -> Fraction | None:
        """The row's value from its parts'; None where it has none. Each kind says it, but for those that make their rows themselves."""
        raise NotImplementedError(self.id)

    def row_names(self) -> Iterable[CellKey]:
        for group in self.all_groups():
            yield from self.rows(group)

    def all_groups(self) -> set[Group]:
        """Every group that has rows."""
        return {group for part in self.parts for group in self.groups(part.id, part.row_names())}

    def output(self, key: CellKey) -> Output | None:
        return self.rows(key).get(key)

    def text(self, value: Fraction) -> str:
        """The value as readers see it: exactly, where it has so many decimal places at most; otherwise rounded half-even."""
        places = max(10, self.definition["decimals"])
        exact = value * 10**places
        rounded = quotient(value.numerator, value.denominator, places)
        return rounded.rstrip("0").rstrip(".") if exact.denominator == 1 else rounded

    def row_keys(self, group: Group) -> Iterable[CellKey]:
        """The rows that a group has, or may have."""
        return (group,)

    def settled(self, part: str, keys: Iterable[CellKey]) -> None:
        """Those rows of a part have changed."""

    def reached(self) -> set[Group]:
        """The groups, since the last call, of which `groups` could not know beforehand that they would change."""
        return set()

    def memory(self) -> Any:
        """What it knows beyond its parts' present state, for a snapshot; None when that is nothing."""
        return None

    def remember(self, memory: Any) -> None:
        """What `memory` gave, back from a snapshot."""

    def withdrawn(self, key: CellKey, end: int, names: Sequence[str]) -> Output:
        """The row that takes back a cell which only an earlier version had."""
        evidence, leaves, watermarks = self._shared()
        return withdrawn_output(self.definition, key, end, names, evidence=evidence, watermarks=watermarks, leaves=leaves)

    def emptied(self, key: CellKey, order: tuple[int, int, int]) -> Output | None:
        """How a row that readers have of this version, and that is not known here, is said to be empty; None where that cannot be."""
        return None

    def make(
        self, key: CellKey, outputs: Sequence[Output | None], value: Fraction | None, there: Sequence[Output], *, label: str | None = None
    ) -> Output:
        """A row with that value, made of these rows; `there` are those of windows that have them: who was heard of is known of no other."""
        known = [output for output in outputs if output is not None]
        n = sum(output.n for output in known) if value is not None else 0
        whole = value if value is not None else Fraction(0)
        shown = None if value is None else self.text(whole)
        heard = _least_complete(there)
        evidence, leaves, watermarks = self._shared()
        return Output(
            indicator=self.id,
            version=self.definition["version"],
            fingerprint=self.definition["fingerprint"],
            window_start_us=key[0],
            window_end_us=self.window_end(key),
            dimensions=dict(zip(self.definition["dims"], key[1], strict=True)),
            value=shown,
            numerator=str(whole.numerator),
            denominator=str(whole.denominator),
            n=n,
            revision=sum(output.revision for output in known),
            status=FINAL if all(self._final(edition, key) for edition in self.editions) else PROVISIONAL,
            evidence=evidence,
            watermarks=watermarks,
            late=sum(output.late for output in known),
            corrected=sum(output.corrected for output in known),
            withdrawn=sum(output.withdrawn for output in known),
            heard=heard.heard if heard else 0,
            expected=heard.expected if heard else 0,
            label=label,
            error="; ".join(f"{output.indicator} {output.error}" for output in known if output.error) or None,
            as_of_us=max((output.as_of_us for output in known if output.as_of_us is not None), default=None),
            leaves=leaves,
            closing=is_closing(self.definition),
        )

    def _shared(self) -> tuple[Evidence, tuple[Leaf, ...], Mapping[str, int]]:
        """What all rows have in common until an edition takes something in, and with it gets another evidence."""
        stood = [edition.evidence for edition in self.editions]
        if self._heading is None or any(one is not other for one, other in zip(stood, self._heading.stood, strict=True)):
            self._heading = _Heading(
                stood,
                tuple(place for evidence in stood for place in evidence),
                tuple(Leaf(each.id, each.definition["version"], len(each.evidence)) for each in self.editions),
                newest_of(edition.watermarks for edition in self.editions),
            )
        return self._heading[1:]

    @staticmethod
    def _final(edition: Edition, key: CellKey) -> bool:
        return is_over(edition.definition, key[0], edition.finished)


def number_of(output: Output | None) -> Fraction | None:
    """The exact value of a row; of those whose value is rounded by rule (an index) or estimated, that value."""
    if output is None or output.value is None:
        return None
    return Fraction(output.value) if output.label is not None else Fraction(_exact(output.numerator), _exact(output.denominator))


def _exact(text: str) -> Fraction | int:
    return Fraction(text) if "." in text else int(text)


def _least_complete(outputs: Sequence[Output]) -> Output | None:
    """The first of those in whose windows the smallest share of the expected reporters was heard of."""
    if len({(output.heard, output.expected) for output in outputs}) < 2:
        return outputs[0] if outputs else None
    return min(outputs, key=lambda output: Fraction(output.heard, output.expected or 1))

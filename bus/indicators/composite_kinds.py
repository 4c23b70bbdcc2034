"""The kinds of composites whose rows follow from their parts' rows: sum, gap, ratio, rate, change, top."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from bus.indicators.composite import Composite, Dims, Group, Part, number_of
from bus.indicators.decimals import quotient
from bus.indicators.edition import Edition
from bus.indicators.outputs import Output
from bus.indicators.partial import CellKey, Definition, Feed
from bus.indicators.ranking import Member, Ranking
from bus.indicators.windows import earlier_window, window_end, window_start

_DAY_US = 86_400_000_000

#: Rankings that a `top` keeps: enough for the windows that are still open.
KEPT = 32


class Sum(Composite):
    """The parts added up; one that has no such row counts as nothing."""

    def value(self, key: CellKey, numbers: Sequence[Fraction | None]) -> Fraction | None:
        return sum((number for number in numbers if number is not None), Fraction(0)) if any(n is not None for n in numbers) else None


class Gap(Composite):
    """First minus second; one that has no such row counts as nothing."""

    def value(self, key: CellKey, numbers: Sequence[Fraction | None]) -> Fraction | None:
        first, second = numbers
        return None if first is None and second is None else (first or Fraction(0)) - (second or Fraction(0))


class Ratio(Composite):
    """First divided by second, times `per`."""

    def text(self, value: Fraction) -> str:
        return _quotient(value, self.definition)

    def value(self, key: CellKey, numbers: Sequence[Fraction | None]) -> Fraction | None:
        first, second = numbers
        return first / second * self.feed["per"] if first is not None and second else None


class Rate(Composite):
    """Divided by a column of a reference table, times `per`: the row of the table that was in force when the window began.

    `feed["table"]`: [[key, since, until, value as text], …], moments in UTC microseconds.
    """

    def __init__(self, feed: Feed, parts: Sequence[Part]) -> None:
        super().__init__(feed, parts)
        self._place = self.definition["dims"].index(feed["key"])
        self._table: dict[str, list[tuple[int, int, Fraction]]] = {}
        for key, since, until, number in feed["table"]:
            self._table.setdefault(key, []).append((since, until, Fraction(number)))

    def text(self, value: Fraction) -> str:
        return _quotient(value, self.definition)

    def value(self, key: CellKey, numbers: Sequence[Fraction | None]) -> Fraction | None:
        (first,) = numbers
        below = next((number for since, until, number in self._table.get(key[1][self._place] or "", ()) if since <= key[0] < until), None)
        return first / below * self.feed["per"] if first is not None and below else None


class Change(Composite):
    """Against the window before, or the same one a year ago: the difference, or in percent of the earlier value."""

    def text(self, value: Fraction) -> str:
        return _quotient(value, self.definition) if self.feed["as"] == "percent" else super().text(value)

    def groups(self, part: str, keys: Iterable[CellKey]) -> set[Group]:
        if self.closes:
            return set(keys)  # every later row may change, whatever it is held against
        return {(start, dims) for begin, dims in keys for start in (begin, *self._later(begin))}

    def stands(self, key: CellKey) -> Output | None:
        (part,) = self.parts
        former = self._earlier(key[0]), key[1]
        now, before = part.stands(key), part.stands(former)
        if now is None:
            return None
        one, other = number_of(now), number_of(before)
        value = None if one is None or other is None else one - other
        if value is not None and other is not None and self.feed["as"] == "percent":
            # by the amount of the earlier value: what grows is a positive change, also from below zero
            value = value / abs(other) * 100 if other else None
        there = [output for at, output in ((key, now), (former, before)) if output is not None and part.has(at)]
        return self.make(key, [now, before], value, there)

    def _earlier(self, start: int) -> int:
        return earlier_window(start, self.definition["window"], self.feed["against"])

    def _later(self, start: int) -> Iterable[int]:
        """The windows whose earlier one this is."""
        window = self.definition["window"]
        if self.feed["against"] == "previous":
            return (window_end(start, window),)
        near = {window_start(start + days * _DAY_US, window) for days in (364, 365, 366, 371)}
        return [later for later in sorted(near) if self._earlier(later) == start]


class Top(Composite):
    """The k largest along one dimension; a row a rank, labelled with what stands on it. Of equal ones the first by text stands higher.

    Of closings the members are all that stand at the end of the window. Regions are those of one level (`feed["level"]`: how many
    components their codes have), for whatever lies in another has at least as much as it.

    The rankings that were asked for last are kept, where a member's place can change only with its own row: over a leaf indicator that does
    not age. So a changed member costs the search for its place, and not the whole group.
    """

    def __init__(self, feed: Feed, parts: Sequence[Part]) -> None:
        super().__init__(feed, parts)
        (self._part,) = parts
        self._place = self._part.definition["dims"].index(feed["item"])
        self._level: int | None = feed.get("level")
        self._members: dict[Group, set[Member]] = {}
        #: Of closings, the members of a group's windows together.
        self._ever: dict[Dims, set[Member]] = {}
        self._keeps = isinstance(self._part, Edition) and self._part.definition["measure"]["kind"] != "age"
        self._kept: dict[Group, tuple[Ranking, set[Member]]] = {}

    def learn(self) -> None:
        self.note(self.groups(self._part.id, self._part.row_names()))

    def groups(self, part: str, keys: Iterable[CellKey]) -> set[Group]:
        found = set()
        for start, member in keys:
            if self._ranks(member):
                group = start, self._others(member)
                self._members.setdefault(group, set()).add(member)
                if self.closes:
                    self._ever.setdefault(group[1], set()).add(member)
                found.add(group)
        return found

    def settled(self, part: str, keys: Iterable[CellKey]) -> None:
        if not self._keeps:
            return
        first: dict[Dims, dict[Member, int]] = {}
        for start, member in keys:
            if self._ranks(member):
                members = first.setdefault(self._others(member), {})
                members[member] = min(start, members.get(member, start))
                kept = self._kept.get((start, self._others(member)))
                if kept is not None:
                    kept[1].add(member)
        for (start, dims), (_, stale) in self._kept.items() if self.closes else ():
            stale.update(member for member, since in first.get(dims, {}).items() if since < start)

    def has(self, key: CellKey) -> bool:
        return self._any(self._group_of(key))

    def rows(self, group: Group) -> dict[CellKey, Output]:
        if not self._any(group):
            return {}
        ranking, found = self._ranked(group)
        return {key: self._row(key, ranking, found) for key in self.row_keys(group)}

    def stands(self, key: CellKey) -> Output | None:
        ranking, found = self._ranked(self._group_of(key))
        return self._row(key, ranking, found) if found else None

    def row_keys(self, group: Group) -> Iterable[CellKey]:
        return [(group[0], (*group[1], str(rank))) for rank in range(1, self.feed["k"] + 1)]

    def output(self, key: CellKey) -> Output | None:
        return self.rows(self._group_of(key)).get(key)

    def _row(self, key: CellKey, ranking: Ranking, found: Sequence[Output]) -> Output:
        whole = _together(ranking, found)
        rank = int(key[1][-1] or 0)
        errors = "; ".join(f"{self._part.id} {error}" for error in ranking.errors) or None
        member = ranking.at(rank)
        shown = None if member is None else self._part.stands((key[0], member))
        if member is None or shown is None:
            row = self.make(key, [whole], None, [whole])
            # of closings nobody may stand where somebody stood; where nobody can have stood there is no row
            return replace(row, error=errors, closing=row.closing and rank <= len(ranking))
        row = self.make(key, [whole], number_of(shown), [whole], label=member[self._place] or "")
        return replace(row, n=shown.n, value=shown.value, numerator=shown.numerator, denominator=shown.denominator, error=errors)

    def _any(self, group: Group) -> bool:
        """Whether a member has a row in that window."""
        return any(self._part.has((group[0], member)) for member in self._members.get(group, ()))

    def _ranks(self, member: Member) -> bool:
        return self._level is None or (member[self._place] or "").count(".") == self._level - 1

    def _others(self, member: Member) -> Dims:
        return member[: self._place] + member[self._place + 1 :]

    @staticmethod
    def _group_of(key: CellKey) -> Group:
        return key[0], key[1][:-1]

    def _ranked(self, group: Group) -> tuple[Ranking, list[Output]]:
        """The ranking as it is now, and rows of members that can stand for all of them; none where no member has a row."""
        start = group[0]
        ranking, stale = self._known(group)
        shown = {member: self._part.stands((start, member)) for member in stale}
        for member, output in shown.items():
            ranking.put(member, output)
        if self._keeps and ranking:
            self._kept[group] = ranking, set()
            if len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
            shown = {ranking.any(): self._part.stands((start, ranking.any()))}  # all of a window have heard of the same reporters
        there = [output for member, output in shown.items() if output is not None and (self._keeps or self._part.has((start, member)))]
        return ranking, there

    def _known(self, group: Group) -> tuple[Ranking, set[Member]]:
        """A ranking of that group, and the members that are not in their places in it: of closings that of the window before may serve."""
        if group in self._kept:
            return self._kept.pop(group)
        former = self._before(group) if self._keeps and self.closes else None
        if former is not None and former in self._kept:
            ranking, stale = self._kept[former]
            return ranking.copy(), stale | self._members.get(group, set())
        members = self._ever.get(group[1], set()) if self.closes else self._members.get(group, set())
        return Ranking(self._place), set(members)


def _together(ranking: Ranking, found: Sequence[Output]) -> Output:
    """A row with all that a ranking's rows say of its members together; as complete as the least complete of `found`."""
    heard = {(output.heard, output.expected): output for output in found}
    least = min(heard, key=lambda each: (Fraction(each[0], each[1] or 1), each))
    revision, late, corrected, withdrawn = ranking.changes
    as_of = max((output.as_of_us for output in found if output.as_of_us is not None), default=None)
    return replace(
        heard[least], revision=revision, late=late, corrected=corrected, withdrawn=withdrawn, error=None, as_of_us=as_of
    )  # fmt: skip


#: The kinds whose rows follow from their parts' rows.
KINDS: Mapping[str, Callable[[Feed, Sequence[Part]], Composite]] = {
    "sum": Sum,
    "gap": Gap,
    "ratio": Ratio,
    "rate": Rate,
    "change": Change,
    "top": Top,
}


def _quotient(value: Fraction, definition: Definition) -> str:
    """What is divided is shown with ten places at least, as ratios and means of leaf indicators are."""
    return quotient(value.numerator, value.denominator, max(10, definition["decimals"]))

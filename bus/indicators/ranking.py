"""The members of a group in order of their values, kept member by member: a changed one is put in its place without a look at the others."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from fractions import Fraction

from bus.indicators.composite import number_of
from bus.indicators.outputs import Output

#: The dimensions of a part's row.
Member = tuple[str | None, ...]

#: The value below zero, the item (null as ""), whether the item is null: the smallest stands first.
_Rank = tuple[Fraction | int, str, bool]

#: revision, late, corrected, withdrawn
_Changes = tuple[int, int, int, int]


class Ranking:
    """The members that have rows. `place` is where a member's dimensions have the item that is ranked."""

    def __init__(self, place: int) -> None:
        self._place = place
        self._standing: dict[Member, tuple[_Rank | None, _Changes, str | None]] = {}
        self._order: list[_Rank] = []
        self._members: dict[_Rank, Member] = {}
        self._errors: Counter[str] = Counter()
        #: Of all members, those without a value included: revision, late, corrected, withdrawn.
        self.changes = [0, 0, 0, 0]

    def __len__(self) -> int:
        """How many members have rows."""
        return len(self._standing)

    def any(self) -> Member:
        """One that has a row."""
        return next(iter(self._standing))

    def copy(self) -> Ranking:
        """Another with the same members on the same ranks."""
        other = Ranking(self._place)
        other._standing, other._order, other._members = self._standing.copy(), self._order.copy(), self._members.copy()
        other._errors, other.changes = self._errors.copy(), self.changes.copy()
        return other

    @property
    def errors(self) -> list[str]:
        """The bounds of the members' errors, each once."""
        return sorted(self._errors)

    def put(self, member: Member, output: Output | None) -> None:
        """What a member's row says now; None where it has none. One in which nobody is, as closings have them, stands on no rank."""
        self._take(member)
        if output is None:
            return
        item, number = member[self._place], number_of(output) if output.n else None
        rank = None if number is None else (-_plain(number), item or "", item is None)
        counted = output.revision, output.late, output.corrected, output.withdrawn
        self._standing[member] = rank, counted, output.error
        self._count(counted, 1)
        if output.error:
            self._errors[output.error] += 1
        if rank is not None:
            insort(self._order, rank)
            self._members[rank] = member

    def at(self, rank: int) -> Member | None:
        """Who stands on a rank, from 1 on; None: nobody."""
        return self._members[self._order[rank - 1]] if rank <= len(self._order) else None

    def _take(self, member: Member) -> None:
        rank, counted, error = self._standing.pop(member, (None, (0, 0, 0, 0), None))
        self._count(counted, -1)
        if error:
            self._errors[error] -= 1
            self._errors += Counter()  # without those that nobody has any more
        if rank is not None:
            del self._order[bisect_left(self._order, rank)]
            del self._members[rank]

    def _count(self, counted: _Changes, times: int) -> None:
        for place, number in enumerate(counted):
            self.changes[place] += times * number


def _plain(number: Fraction) -> Fraction | int:
    """The same number, as an integer where it is one: those are compared much faster."""
    return number.numerator if number.denominator == 1 else number

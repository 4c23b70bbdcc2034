"""Rows that readers were given by a merge whose memory is lost, and that no merge will ever say again (ADR 0014 R5).

Such are rows of an older definition, and of comparisons those that nobody is in any more. Whoever owns the merge says that they are empty.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output
from bus.streams.outputs import Place


class Strays:
    """The rows in the output topics of which the merges of this process know nothing. True while there are any to be judged.

    Those that were said to be empty stay here, for the owner watches over them as over its own. They are not in the merge's state, which is
    a function of bus.partials alone.
    """

    def __init__(self) -> None:
        self._found: dict[Place, Output] = {}
        self._emptied: dict[Place, Output] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def clear(self) -> None:
        """Another assignment: nothing is known."""
        self._found.clear()
        self._emptied.clear()

    def note(self, place: Place, shown: Output | None) -> None:
        """A later row of a place takes the place of the one before."""
        self._found.pop(place, None)
        if shown is not None and shown.is_row:
            self._found[place] = shown

    def empty(self, units: Iterable[MergeUnit], known: Container[Place]) -> list[Output]:
        """The rows to be said now. Those of which it cannot be told yet are looked at again the next time; those that are `known` are none."""
        units = list(units)
        said = []
        for place, shown in list(self._found.items()):
            if place in known:
                del self._found[place]
                continue
            row = next((row for unit in units if (row := unit.without(shown)) is not None), None)
            if row is not None:
                self._emptied[place] = row
                said.append(row)
                del self._found[place]
        return said

    def emptied(self) -> Mapping[Place, Output]:
        """The rows that were said to be empty."""
        return self._emptied

"""All releases of an installation: when which rows leave. A pure function of the indicators' histories and of the cuts through them.

A *cut* says up to which record of each history a release reaches. It is decided once, from the time that the records themselves tell, and
written down before anything leaves; whoever has histories and cuts makes the same releases again, to the letter. Numbers about persons
leave group by group (`bus.disclosure.group`), others indicator by indicator, at the end of their release window or at once.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bus.disclosure.group import Group
from bus.disclosure.released import Released, shown
from bus.disclosure.tables import Table, groups, guarded, public
from bus.indicators.compose import AnyIndicator
from bus.indicators.outputs import Output
from bus.indicators.partial import canonical
from bus.indicators.windows import NOW, WINDOWS, window_start

#: Part of every cut: a change of how cells are protected begins a new account of what was let out.
DISCLOSURE_VERSION = 1

#: (indicator, key of the record): one cell.
Place = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Cut:
    """A release: of which lane, under which definition of it, the end of its window, and per indicator the first offset that is not in it."""

    lane: str
    fingerprint: str
    at_us: int
    offsets: Mapping[str, int]


class Plain:
    """Rows that say nothing of persons: the newest of each cell leaves."""

    def __init__(self) -> None:
        self.released: dict[Place, Released] = {}
        self._rows: dict[bytes, Output] = {}
        self._changed: set[bytes] = set()

    def apply(self, output: Output) -> None:
        known = self._rows.get(output.key())
        if known is None or output.order > known.order:
            self._rows[output.key()] = output
            self._changed.add(output.key())

    def release(self, at_us: int) -> list[Released]:
        found = []
        for key in sorted(self._changed):
            output = self._rows[key]
            before = self.released.get((output.indicator, key))
            new = shown(output, at_us)
            if (output.is_row or before is not None) and not new.says_what(before):
                self.released[output.indicator, key] = new
                found.append(new)
        self._changed.clear()
        return found


@dataclass(slots=True)
class Lane:
    """Indicators that leave together, at the end of each `window`. `at_us`: of the last one that was; `time_us`: what the log says it is."""

    name: str
    indicators: tuple[str, ...]
    window: str
    account: Plain | Group
    fingerprint: str = ""
    at_us: int = 0
    time_us: int = 0
    #: What has been read and is in no release yet: (offset, row), by indicator.
    waiting: dict[str, deque[tuple[int, Output]]] = field(default_factory=dict)
    #: The first offset that is in no release.
    applied: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.waiting = {name: deque() for name in self.indicators}
        self.applied = dict.fromkeys(self.indicators, 0)


class Releases:
    """Feed it the histories, ask it which cuts are due, and tell it the cuts that were written down, in their order."""

    def __init__(self, lanes: Iterable[Lane]) -> None:
        self.lanes = {lane.name: lane for lane in lanes}
        self.lane_of = {name: lane.name for lane in self.lanes.values() for name in lane.indicators}

    @classmethod
    def of(cls, indicators: Iterable[AnyIndicator]) -> Releases:
        """Those of all that the public may see something of. What is made of guarded rows, or of rows that are not public, is left out: it
        is not proven what it gives away."""
        wanted = {each.id: each for each in indicators if public(each)}
        lanes = []
        for name, tables in groups(wanted.values()).items():
            window = max((wanted[table.id].spec.publish.release_window for table in tables), key=WINDOWS.index)
            lanes.append(Lane(name, tuple(table.id for table in tables), window, Group(tables), _fingerprint(tables)))
        plain = [each for each in wanted.values() if not guarded(each) and not _reveals(each, wanted)]
        return cls([*lanes, *(Lane(each.id, (each.id,), each.spec.publish.release_window, Plain()) for each in plain)])

    def feed(self, indicator: str, offset: int, output: Output) -> list[Released]:
        """The next record of a history; what leaves by that at once."""
        lane = self.lanes[self.lane_of[indicator]]
        lane.time_us = max(lane.time_us, *output.watermarks.values(), 0)
        if lane.window == NOW:
            lane.account.apply(output)
            return lane.account.release(max(output.watermarks.values(), default=0))
        lane.waiting[indicator].append((offset, output))
        return []

    def due(self) -> list[Cut]:
        """The releases whose windows have ended by the time of the log, as far as it was fed."""
        found = []
        for lane in self.lanes.values():
            if lane.window == NOW:
                continue
            at = window_start(lane.time_us, lane.window)
            if at > lane.at_us and any(lane.waiting.values()):
                offsets = {name: rows[-1][0] + 1 if rows else lane.applied[name] for name, rows in lane.waiting.items()}
                found.append(Cut(lane.name, lane.fingerprint, at, offsets))
        return found

    def wants(self, cut: Cut) -> bool:
        """Whether a cut makes a release: the first one of its lane for that time, under the definition of today."""
        lane = self.lanes.get(cut.lane)
        if lane is None:
            return False
        if cut.fingerprint != lane.fingerprint:
            # Under another definition something was let out: what began before that stays as it is (see `Group.since`).
            if isinstance(lane.account, Group) and lane.account.since < cut.at_us:
                lane.account.since = cut.at_us
            return False
        return cut.at_us > lane.at_us

    def cut(self, cut: Cut) -> list[Released]:
        """Make a release that is wanted; the histories have been fed at least that far."""
        lane = self.lanes[cut.lane]
        for name, rows in lane.waiting.items():
            end = cut.offsets.get(name, 0)
            while rows and rows[0][0] < end:
                lane.account.apply(rows.popleft()[1])
            lane.applied[name] = max(lane.applied[name], end)
        lane.at_us = cut.at_us
        return lane.account.release(cut.at_us)

    def standing(self, place: Place) -> Released | None:
        """What is out of a cell."""
        lane = self.lane_of.get(place[0])
        return None if lane is None else self.lanes[lane].account.released.get(place)

    def places(self) -> Iterable[Place]:
        """Every cell of which something is out."""
        for lane in self.lanes.values():
            yield from lane.account.released


def _fingerprint(tables: Iterable[Table]) -> str:
    return hashlib.sha256(canonical([DISCLOSURE_VERSION, sorted(repr(table) for table in tables)]).encode()).hexdigest()[:16]


def _reveals(indicator: AnyIndicator, indicators: Mapping[str, AnyIndicator]) -> bool:
    """Whether it is made of rows that may not all be seen (I10 refuses such a file)."""
    parts = [indicators.get(name) for name in indicator.parts]
    return any(part is None or guarded(part) or _reveals(part, indicators) for part in parts)

"""One rule over one group of cells: when an episode begins, changes and ends. Pure: no clock, no log, no settings.

Time is that of the log: a record's own, or a moment up to which the log is known whole. What happens by time alone (a window is judged, or
alarms nobody any more; nothing was said for too long) happens at its deadline, whenever that is noticed: before a record later than the
deadline is looked at, or when the log is known past it. So neither batches nor restarts nor how often somebody looks change an episode.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal

from bus.alerts.rule import Rule
from bus.indicators.windows import NOW_END, earlier_window

Told = Literal["begun", "changed", "revised", "ended"]

#: Windows of a group that are remembered, the newest ones.
_KEPT = 4
_NAMES = uuid.UUID("0b9a4f6e-5d53-5a0e-9c57-1a0c6a3b7e11")
#: A row that goes away may be about to come back under another name (a level that has become another one): it is gone when it was so this long.
_GONE_US = 10_000_000
#: The offset of what no record caused.
BY_TIME = -1


@dataclass(frozen=True, slots=True)
class Cell:
    """A row of an indicator as far as rules look at it. `row`: readers have it; a cell that no event is left in is none."""

    start_us: int
    end_us: int
    dims: Mapping[str, str | None]
    value: str | None
    n: int
    heard: int
    expected: int
    order: tuple[int, int, int]
    row: bool = True

    @property
    def key(self) -> str:
        return json.dumps(list(self.dims.values()), separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is told of a group at a moment: its worst cell, the limit that it is beyond, and how far. `value` is the cell's, exact."""

    dims: Mapping[str, str | None]
    value: str | None = None
    previous: str | None = None
    limit: str | None = None
    n: int = 0
    heard: int = 0
    expected: int = 0
    start_us: int = 0
    end_us: int = NOW_END


@dataclass(frozen=True, slots=True)
class Episode:
    """One that goes on. `told` counts what was said of it, the beginning included; `phase` is the number of limits it is beyond."""

    id: str
    begun_us: int
    phase: int
    told: int
    facts: Facts


@dataclass(frozen=True, slots=True)
class Group:
    """The cells that share the dimensions of `Rule.per`: window start -> key -> cell, when it was last heard of and judged.

    `gone_us`: since when an episode has no row any more that could say that it goes on, or that it is over.
    """

    windows: Mapping[int, Mapping[str, Cell]] = field(default_factory=dict)
    last_us: int = 0
    judged_us: int = -1
    gone_us: int | None = None
    episode: Episode | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """Something that became so, at `at_us` of the log's time. "revised" is for who looks: nobody is told of a new value alone."""

    rule: str
    group: str
    episode: Episode
    kind: Told
    at_us: int
    reason: str = ""


def apply(rule: Rule, name: str, group: Group, cell: Cell, at_us: int, offset: int) -> tuple[Group, list[Transition]]:
    """The group after a record of one of its cells; a record that is not newer than what is known of the cell changes nothing."""
    known = group.windows.get(cell.start_us, {})
    held = known.get(cell.key)
    forgotten = cell.start_us not in group.windows and len(group.windows) >= _KEPT and cell.start_us < min(group.windows)
    if forgotten or (held is not None and cell.order <= held.order):
        return group, []
    group, found = pass_time(rule, name, group, at_us)
    windows = {**group.windows, cell.start_us: {**known, cell.key: cell}}
    for start in sorted(windows)[:-_KEPT]:
        del windows[start]
    group, more = _settle(rule, name, replace(group, windows=windows, last_us=max(group.last_us, at_us)), at_us, offset)
    return group, [*found, *more]


def pass_time(rule: Rule, name: str, group: Group, until_us: int) -> tuple[Group, list[Transition]]:
    """The group after all its deadlines before `until_us`."""
    found: list[Transition] = []
    while (due := next_deadline(rule, group)) is not None and due < until_us:
        group, more = _settle(rule, name, group, due, BY_TIME)
        found += more
    return group, found


def next_deadline(rule: Rule, group: Group) -> int | None:
    """When something may become so by time alone."""
    return min((due for due in _deadlines(rule, group) if due > group.judged_us), default=None)


def _deadlines(rule: Rule, group: Group) -> Iterator[int]:
    if group.gone_us is not None:
        yield group.gone_us + _GONE_US
    if rule.of == "silent":
        if group.last_us:
            yield group.last_us + rule.silent_us
        return
    for cells in group.windows.values():
        end = next(iter(cells.values())).end_us
        if end != NOW_END:
            yield end + rule.fresh_us
            if rule.after_us is not None:
                yield end + rule.after_us


def _settle(rule: Rule, name: str, group: Group, at_us: int, offset: int) -> tuple[Group, list[Transition]]:
    """Judge the group as it is at that moment."""
    episode = group.episode
    phase, facts, reason = _judge(rule, group, at_us)
    gone_us = group.gone_us if group.gone_us is not None else at_us
    gone = episode is not None and not phase and reason == "gone" and at_us < gone_us + _GONE_US
    group = replace(group, judged_us=max(at_us, group.judged_us), gone_us=gone_us if gone else None)
    if episode is None:
        if not phase:
            return group, []
        begun = Episode(_episode_id(rule, name, at_us, offset), at_us, phase, 1, facts)
        return replace(group, episode=begun), [Transition(rule.id, name, begun, "begun", at_us)]
    if gone:
        return group, []
    if not phase:
        over = replace(episode, phase=0, told=episode.told + 1, facts=facts if facts.value is not None else episode.facts)
        return replace(group, episode=None), [Transition(rule.id, name, over, "ended", at_us, reason)]
    if phase == episode.phase and facts == episode.facts:
        return group, []
    kind: Told = "revised" if phase == episode.phase else "changed"
    now = replace(episode, phase=phase, facts=facts, told=episode.told + (kind == "changed"))
    return replace(group, episode=now), [Transition(rule.id, name, now, kind, at_us)]


def _judge(rule: Rule, group: Group, at_us: int) -> tuple[int, Facts, str]:
    """How many limits the group is beyond, what of, and why it is none."""
    if rule.of == "silent":
        return _silent(rule, group, at_us)
    cells, reason = _current(rule, group, at_us)
    measured = sorted(
        ((found, cell.key, cell) for cell in cells if (found := _measure(rule, group, cell)) is not None), key=lambda m: m[:2]
    )
    if not measured:
        return 0, Facts({}), reason
    worst, _, cell = measured[0] if rule.downward else measured[-1]
    phase = _phase(rule, worst, group.episode.phase if group.episode is not None else 0)
    return phase, _facts(rule, group, cell, phase), "cleared"


def _silent(rule: Rule, group: Group, at_us: int) -> tuple[int, Facts, str]:
    newest = [cell for _, cells in sorted(group.windows.items()) for _, cell in sorted(cells.items())]
    silent = bool(newest) and at_us >= group.last_us + rule.silent_us
    return int(silent), _facts(rule, group, newest[-1], 0) if newest else Facts({}), "cleared"


def _current(rule: Rule, group: Group, at_us: int) -> tuple[list[Cell], str]:
    """The rows of the newest window that is judged at that moment and still alarms somebody; or why there are none."""
    stale = False
    for _, cells in sorted(group.windows.items(), reverse=True):
        rows = [cell for cell in cells.values() if cell.row]
        if not rows:
            continue
        end = rows[0].end_us
        if end != NOW_END and rule.after_us is not None and at_us < end + rule.after_us:
            continue
        if end != NOW_END and at_us >= end + rule.fresh_us:
            stale = True
            break
        return rows, "gone"
    return [], "stale" if stale else "gone"


def _measure(rule: Rule, group: Group, cell: Cell) -> Decimal | None:
    if rule.of == "reporters":
        return Decimal(cell.expected - cell.heard) if cell.expected else None
    value = None if cell.value is None else Decimal(cell.value)
    if rule.of == "threshold" or value is None:
        return value
    before = _before(rule, group, cell)
    if before is None or before.value is None:
        return None
    base = Decimal(before.value)
    if rule.of == "change":
        return value - base
    return (value - base) * 100 / abs(base) if base else None


def _before(rule: Rule, group: Group, cell: Cell) -> Cell | None:
    """The row of the same dimensions in the window before."""
    found = group.windows.get(earlier_window(cell.start_us, rule.subject.window, "previous"), {}).get(cell.key)
    return found if found is not None and found.row else None


def _phase(rule: Rule, measure: Decimal, known: int) -> int:
    """How many limits are passed; those passed already are so until the measure is back by the margin."""
    sign = -1 if rule.downward else 1
    passed = [sign * measure > sign * limit - (rule.margin if number <= known else 0) for number, limit in enumerate(rule.limits, start=1)]
    return max((number for number, beyond in enumerate(passed, start=1) if beyond), default=0)


def _facts(rule: Rule, group: Group, cell: Cell, phase: int) -> Facts:
    relative = rule.of in {"change", "percent"}
    before = _before(rule, group, cell) if relative else None
    limit = rule.limits[max(phase, 1) - 1]
    return Facts(
        dims=dict(cell.dims),
        value=cell.value,
        previous=None if before is None else before.value,
        limit=None if rule.of == "silent" else str(abs(limit) if relative else limit),
        n=cell.n,
        heard=cell.heard,
        expected=cell.expected,
        start_us=cell.start_us,
        end_us=cell.end_us,
    )


def _episode_id(rule: Rule, name: str, at_us: int, offset: int) -> str:
    """Rule, group and beginning; the offset tells apart what began, ended and began again within a millisecond.

    A rule that decides otherwise has other episodes: what was told of the former ones must not count as told of these.
    """
    return str(uuid.uuid5(_NAMES, json.dumps([rule.id, rule.fingerprint, name, at_us, offset])))

"""The clock of a service: how much working time one application has taken, from the steps it went through (ADR 0016).

The rules are those of the status codes of OSS-RBA (Lampiran 10, "kode status izin"): 41 stops the clock, 42 lets it go on, 43 stops it
and puts it back to zero, 44 starts it again from zero.

    step      idle      running   paused    held      finished  unknown
    start     running   -         -         running   -         -
    pause     -         paused    -         -         -         -
    resume    -         -         running   running   -         -
    hold      -         held      held      held      held      held
    restart   running   running   running   running   running   running
    finish    -         finished  finished  finished  -         -

"-" changes nothing, and so does every other code. hold and restart set the working time to zero, and alone open a finished clock
again: the first finish stands until then. A finish without a start finishes nothing, for nobody knows how long it took.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from bus.indicators.calendar import DAY_US, OutsideCalendar, WorkingCalendar
from bus.indicators.clock_spec import Role

State = Literal["idle", "running", "paused", "held", "finished", "unknown"]


@dataclass(frozen=True, slots=True)
class Step:
    """A state that an application entered at that moment (UTC microseconds).

    `carried`: what the caller needs of the finishing step (dimension values, the limit), or None when the step's row has none to give.
    """

    at_us: int
    role: Role
    carried: tuple[str | int | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """What the clock shows after the last step.

    `working_us`: working time in microseconds, of a running clock without the piece that began at `since_us`. `finish`: the step that
    finished it. "unknown": a piece to be counted begins or ends outside of the calendar.
    """

    state: State = "idle"
    working_us: int = 0
    since_us: int | None = None
    finish: Step | None = None

    @property
    def finished_at_us(self) -> int | None:
        """When it was finished, UTC microseconds; None if it is not."""
        return None if self.finish is None else self.finish.at_us

    def within(self, working_days: int) -> bool:
        """Whether the working time is at most that many working days."""
        return self.working_us <= working_days * DAY_US


def clock(steps: Iterable[Step], calendar: WorkingCalendar) -> Clock:
    """The clock after those steps, in the order of their versions.

    A piece that ends before it begins, because a later step bears an earlier time, counts nothing. Never raises: what the calendar does
    not cover makes the clock "unknown" until it is put back to zero.
    """
    shown = Clock()
    for step in steps:
        shown = _after(shown, step, calendar)
    return shown


def _after(shown: Clock, step: Step, calendar: WorkingCalendar) -> Clock:
    role, state = step.role, shown.state
    if role == "restart" or (role == "start" and state in ("idle", "held")):
        return Clock("running", since_us=step.at_us)
    if role == "hold" and state != "idle":
        return Clock("held")
    if role == "resume" and state in ("paused", "held"):
        return replace(shown, state="running", since_us=step.at_us)
    if role == "pause" and state == "running":
        return _stopped(shown, step, calendar)
    if role == "finish" and state in ("running", "paused", "held"):
        stopped = _stopped(shown, step, calendar)
        return stopped if stopped.state == "unknown" else replace(stopped, state="finished", finish=step)
    return shown


def _stopped(shown: Clock, step: Step, calendar: WorkingCalendar) -> Clock:
    if shown.since_us is None:
        return shown
    try:
        piece = calendar.working_micros(shown.since_us, step.at_us)
    except OutsideCalendar:
        return Clock("unknown")
    return Clock("paused", shown.working_us + piece)


class History:
    """The steps of one application, whatever the order in which its events arrive.

    In the order of versions, CREATE appends a step, CORRECT replaces the last one (and stands for it when there is none yet), CANCEL
    leaves none. Of two events of one version the one that arrived first stands.
    """

    __slots__ = ("_entries", "_floor")

    def __init__(self) -> None:
        #: (version, whether it replaces the step before it, the step), in the order of versions; none at or below the floor.
        self._entries: list[tuple[int, bool, Step]] = []
        #: The version of the highest CANCEL: what is not above it can never count again.
        self._floor: int | None = None

    def add(self, version: int, op: str, step: Step | None) -> bool:
        """Take an event in; whether it was new. Only a CANCEL has no step."""
        place = bisect_left(self._entries, version, key=_version)
        known = place < len(self._entries) and self._entries[place][0] == version
        if known or (self._floor is not None and version <= self._floor):
            return False
        if op == "CANCEL":
            self._floor = version
            del self._entries[:place]
            return True
        if step is None:
            raise ValueError(f"{op} needs a step")
        self._entries.insert(place, (version, op == "CORRECT", step))
        return True

    def steps(self) -> list[Step]:
        """The steps that stand, in the order of versions."""
        standing: list[Step] = []
        for _, replaces, step in self._entries:
            if replaces and standing:
                standing[-1] = step
            else:
                standing.append(step)
        return standing

    def all_steps(self) -> list[Step]:
        """Every step, those that were replaced included: another event may make any of them count."""
        return [step for _, _, step in self._entries]

    def dump(self) -> list[object]:
        """The history for JSON; equal histories give equal values."""
        entries = [[version, replaces, step.at_us, step.role, step.carried] for version, replaces, step in self._entries]
        return [self._floor, entries]

    @classmethod
    def load(cls, dumped: Any) -> History:
        """The history that `dump` gave, also after JSON made lists of tuples."""
        history = cls()
        floor, entries = dumped
        history._floor = floor
        for version, replaces, at_us, role, carried in entries:
            history._entries.append((version, replaces, Step(at_us, role, None if carried is None else tuple(carried))))
        return history


def _version(entry: tuple[int, bool, Step]) -> int:
    return entry[0]

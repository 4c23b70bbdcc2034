"""State per subject, for events that can be corrected: what a subject's events, taken together, contribute to the cells.

Each form is a pure function of the *set* of a subject's events (of two with one version the first in the log stands), so the order of
their arrival changes nothing. `admit` takes one event in and says what the subject contributed before and contributes now.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

from bus.events.envelope import Op
from bus.indicators.calendar import TABLE, WorkingCalendar
from bus.indicators.clock_spec import Role
from bus.indicators.partial import CellKey, RowFault
from bus.indicators.sla import History, Step, clock
from bus.indicators.windows import NOW, NOW_START, window_start

Values = tuple[Any, ...]

#: What enters a cell: (cell, measured values).
Contribution = tuple[CellKey, Values]

#: Gives an equal key to be kept.
Share = Callable[[CellKey], CellKey]


class Row(NamedTuple):
    """One event of a correctable type as an indicator sees it. `at`: occurred_at, UTC microseconds. `contribution` is None for a CANCEL
    and where the condition or a value keeps it out. `step`: (operation, status, limit) where a clock runs."""

    offset: int
    subject: str
    version: int
    at: int
    contribution: Contribution | None
    fault: RowFault | None = None
    late: bool = False
    withdrawn: bool = False
    step: tuple[str, str | None, int | None] | None = None


class Admitted(NamedTuple):
    """What one event did: the subject's state now, what it contributes no more and what is new, and whether something said earlier was revised.

    `fault`: why the subject cannot contribute as it is (rule, message); the event stays in its state all the same.
    """

    state: Any
    gone: Sequence[Contribution]
    new: Sequence[Contribution]
    revises: bool
    fault: tuple[str, str] | None = None


class Entity(Protocol):
    """A form of state per subject. `keeps_faulty`: an event that this indicator cannot use still has its place in the state."""

    keeps_faulty: bool

    def admit(self, state: Any, row: Row) -> Admitted | None:
        """Take an event in; None when it says nothing new (an older or equal version)."""
        ...

    def windows(self, state: Any) -> Iterable[int]:
        """The windows whose cells the subject's next event may change, besides that of the event itself."""
        ...

    def dump(self, state: Any) -> object:
        """The state for a snapshot, no part of the state itself that could change; equal states give equal values."""
        ...

    def load(self, raw: Any, share: Share) -> Any:
        """The state that a snapshot gave back, its keys as `share` gives them."""
        ...


def contribution_of(raw: Any, share: Share) -> Contribution | None:
    """A contribution that went through JSON."""
    return None if raw is None else (share((raw[0][0], tuple(raw[0][1]))), tuple(raw[1]))


class _Plain:
    """States that are JSON as they are."""

    keeps_faulty = False

    def dump(self, state: Any) -> object:
        return state


class Latest(_Plain):
    """Flow: the highest version alone stands, wherever it lies in time. State: [version, contribution]."""

    def admit(self, state: Any, row: Row) -> Admitted | None:
        if state is not None and row.version <= state[0]:
            return None
        gone, new = _instead(None if state is None else state[1], row.contribution)
        return Admitted((row.version, row.contribution), gone, new, state is not None)

    def windows(self, state: Any) -> Iterable[int]:
        return () if state[1] is None else (state[1][0][0],)

    def load(self, raw: Any, share: Share) -> Any:
        return raw[0], contribution_of(raw[1], share)


class Current(_Plain):
    """Stock, now: the highest version is the current state. State: [version, at, contribution].

    It revises what was said when it does not lie after the state before it.
    """

    def admit(self, state: Any, row: Row) -> Admitted | None:
        if state is not None and row.version <= state[0]:
            return None
        gone, new = _instead(None if state is None else state[2], row.contribution)
        revises = state is not None and row.at <= state[1]
        return Admitted((row.version, row.at, row.contribution), gone, new, revises)

    def windows(self, state: Any) -> Iterable[int]:
        return (NOW_START,)

    def load(self, raw: Any, share: Share) -> Any:
        return raw[0], raw[1], contribution_of(raw[2], share)


class Timeline(_Plain):
    """Stock, closings: at a time t stands the highest version among those with `occurred_at` <= t.

    State: [the versions that stand at some time: [version, at, contribution], …, both rising; the other versions]. What a higher version
    with no later time covers can never stand again; only its version is remembered. Each change of standing takes the old contribution
    out and puts the new one in, in the window of its own time; the closing of a window is the sum of all changes up to its end.
    """

    def __init__(self, window: str) -> None:
        self._window = window

    def admit(self, state: Any, row: Row) -> Admitted | None:
        entries, covered = state or ((), ())
        if row.version in covered or any(entry[0] == row.version for entry in entries):
            return None
        # both columns rise, so the entries that are no later in time are exactly those before `place`
        place = bisect_right(entries, row.at, key=lambda entry: entry[1])
        if place and entries[place - 1][0] > row.version:
            return Admitted((entries, (*covered, row.version)), (), (), False)
        start = place - 1 if place and entries[place - 1][1] == row.at else place
        stop = start
        while stop < len(entries) and entries[stop][0] < row.version:
            stop += 1
        stale = tuple(entry[0] for entry in entries[start:stop])
        after = (*entries[:start], (row.version, row.at, row.contribution), *entries[stop:])
        return Admitted((after, (*covered, *stale)), *self._moved(entries, after), start < len(entries))

    def windows(self, state: Any) -> Iterable[int]:
        return {window_start(at, self._window) for _, at, _ in state[0]}

    def load(self, raw: Any, share: Share) -> Any:
        return tuple((version, at, contribution_of(held, share)) for version, at, held in raw[0]), tuple(raw[1])

    def _moved(self, before: Sequence[Any], after: Sequence[Any]) -> tuple[list[Contribution], list[Contribution]]:
        """What goes and what is new when other entries take the place of some. Both, where a state both came and went in a window."""
        difference = Counter(self._steps(after))
        difference.subtract(self._steps(before))
        gone: list[Contribution] = []
        new: list[Contribution] = []
        for (step, sign), times in difference.items():
            (new if times * sign > 0 else gone).extend([step] * abs(times))
        return gone, new

    def _steps(self, entries: Sequence[Any]) -> Iterator[tuple[Contribution, int]]:
        """What comes (1) and goes (-1), each in the window of the moment when it does."""
        standing: Contribution | None = None
        for _, at, entering in entries:
            period = window_start(at, self._window)
            if _content(standing) != _content(entering):
                if standing is not None:
                    yield ((period, standing[0][1]), standing[1]), -1
                if entering is not None:
                    yield ((period, entering[0][1]), entering[1]), 1
            standing = entering


class Registered(_Plain):
    """A register: each subject is a cell of its own, whose only value is what its newest state says. State: [version, at, values]."""

    def admit(self, state: Any, row: Row) -> Admitted | None:
        if state is not None and row.version <= state[0]:
            return None
        values = None if row.contribution is None else (*row.contribution[1], *row.contribution[0][1])
        revises = state is not None and row.at <= state[1]
        before = None if state is None else self._of(row.subject, state[2])
        return Admitted((row.version, row.at, values), *_instead(before, self._of(row.subject, values)), revises)

    def windows(self, state: Any) -> Iterable[int]:
        return (NOW_START,)

    def load(self, raw: Any, share: Share) -> Any:
        return raw[0], raw[1], None if raw[2] is None else tuple(raw[2])

    @staticmethod
    def _of(subject: str, values: Values | None) -> Contribution | None:
        return None if values is None else ((NOW_START, (subject,)), values)


class Timed:
    """A clock over a subject's successive states (`bus.indicators.sla`): once finished it contributes its working time, where and when the
    finishing state says; over `within` whether that is within the limit. State: a `History`. A state that cannot contribute is a step of the
    history all the same, or the corrections that follow would replace another step."""

    keeps_faulty = True

    def __init__(self, roles: Mapping[str, Role], calendar: WorkingCalendar, window: str, *, within: bool) -> None:
        self._roles, self._calendar, self._window, self._within = roles, calendar, window, within

    def admit(self, state: Any, row: Row) -> Admitted | None:
        history: History = History() if state is None else state
        assert row.step is not None
        op, status, limit = row.step
        before = self._finished(history)[0]
        carried = None if row.contribution is None else (limit, *row.contribution[0][1])
        step = Step(row.at, self._roles.get(status or "", "other"), carried)
        if not history.add(row.version, op, None if op == Op.CANCEL else step):
            return None
        after, fault = self._finished(history)
        if fault is None and step.role != "other" and op != Op.CANCEL and not self._calendar.covers(row.at):
            fault = "outside_calendar", f"the state is of a day that the table {TABLE} does not cover"
        return Admitted(history, *_instead(before, after), op != Op.CREATE, fault)

    def windows(self, state: Any) -> Iterable[int]:
        return {window_start(step.at_us, self._window) for step in state.all_steps()}

    def dump(self, state: Any) -> object:
        return state.dump()

    def load(self, raw: Any, share: Share) -> Any:
        return History.load(raw)

    def _finished(self, history: History) -> tuple[Contribution | None, tuple[str, str] | None]:
        shown = clock(history.steps(), self._calendar)
        if shown.finish is None or shown.finish.carried is None:
            return None, None
        limit, *dims = shown.finish.carried
        if self._within and not isinstance(limit, int):
            return None, ("no_limit", "the finishing state has no limit in working days")
        value = int(shown.within(cast("int", limit))) if self._within else shown.working_us
        cell = window_start(shown.finish.at_us, self._window), cast("tuple[str | None, ...]", tuple(dims))
        return (cell, (value,)), None


def stock_entity(window: str) -> Entity:
    """The state of a stock indicator with that window."""
    return Current() if window == NOW else Timeline(window)


def _content(contribution: Contribution | None) -> tuple[tuple[str | None, ...], Values] | None:
    """A contribution without its window."""
    return None if contribution is None else (contribution[0][1], contribution[1])


def _instead(before: Contribution | None, after: Contribution | None) -> tuple[tuple[Contribution, ...], tuple[Contribution, ...]]:
    """What goes and what is new when one takes the place of the other."""
    if before == after:
        return (), ()
    return () if before is None else (before,), () if after is None else (after,)

"""The clock of a service: the rules of OSS, against the table in its documentation and against counting hour by hour."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bus.indicators import sla
from bus.indicators.calendar import WorkingCalendar
from bus.indicators.clock_spec import ClockSpec, Role
from bus.indicators.reference_files import load_references
from bus.indicators.sla import Clock, History, State, Step, clock

JAKARTA = ZoneInfo("Asia/Jakarta")
HOUR = 3_600_000_000
OSS = ClockSpec(
    status="kode_status", start=["20"], pause=["41"], resume=["42"], hold=["43"], restart=["44"], finish=["50", "90", "93"], limit="hari"
)
#: Days 0 to 19; days 2, 3, 9, 10, 16 and 17 of it are Saturdays and Sundays, day 5 is off.
FIRST = date(2025, 5, 8)
CALENDAR = WorkingCalendar(FIRST, date(2025, 5, 27), {date(2025, 5, 13)})
ZERO = int(datetime(2025, 5, 8, tzinfo=JAKARTA).timestamp()) * 1_000_000
MOMENTS = st.integers(ZERO, ZERO + 480 * HOUR - 1)


@pytest.fixture(scope="module")
def holidays() -> WorkingCalendar:
    return WorkingCalendar.from_table(load_references([Path(__file__).parents[3] / "schemas"])["hari_libur"])


def shown(calendar: WorkingCalendar, *events: tuple[str, str]) -> Clock:
    """The clock of an application with those codes at those times of Jakarta."""
    steps = [
        Step(round(datetime.fromisoformat(time).replace(tzinfo=JAKARTA).timestamp() * 1e6), OSS.roles.get(code, "other"), (code,))
        for code, time in events
    ]
    return clock(steps, calendar)


def test_41_and_42_take_a_weekend_and_a_holiday_out(holidays: WorkingCalendar) -> None:
    # Thursday to Thursday over a weekend, Waisak (Monday 12 May) and the collective leave after it.
    whole = shown(holidays, ("05", "2025-05-08 09:00"), ("20", "2025-05-08 10:00"), ("50", "2025-05-15 16:00"))
    assert (whole.state, whole.working_us) == ("finished", (14 + 24 + 24 + 16) * HOUR)
    paused = shown(holidays, ("20", "2025-05-08 10:00"), ("41", "2025-05-09 10:00"), ("42", "2025-05-14 10:00"), ("50", "2025-05-15 16:00"))
    assert (paused.state, paused.working_us) == ("finished", (24 + 30) * HOUR)  # the pause cost 14 h on Friday and 10 h on Wednesday
    assert paused.finish is not None
    assert paused.finish.carried == ("50",)
    assert paused.finished_at_us == int(datetime(2025, 5, 15, 9, tzinfo=UTC).timestamp()) * 1_000_000
    assert (paused.within(2), paused.within(3)) == (False, True)


def test_43_and_44_begin_again_from_zero(holidays: WorkingCalendar) -> None:
    begun = [("20", "2025-06-02 08:00"), ("43", "2025-06-03 08:00")]
    assert shown(holidays, *begun) == Clock("held")
    again = shown(holidays, *begun, ("44", "2025-06-04 09:00"), ("90", "2025-06-05 09:00"))
    assert (again.state, again.working_us) == ("finished", 24 * HOUR)
    at_once = shown(holidays, begun[0], ("44", "2025-06-04 09:00"), ("50", "2025-06-05 09:00"))
    assert at_once.working_us == 24 * HOUR
    over_idul_adha = shown(holidays, *begun, ("44", "2025-06-05 09:00"), ("50", "2025-06-10 09:00"))
    assert over_idul_adha.working_us == (15 + 9) * HOUR  # Friday 6 June, the weekend and Monday 9 June count nothing


def test_exactly_the_limit_is_within_it(holidays: WorkingCalendar) -> None:
    done = shown(holidays, ("20", "2025-06-02 08:00"), ("50", "2025-06-04 08:00"))
    assert done.within(2)
    late = shown(holidays, ("20", "2025-06-02 08:00"), ("50", "2025-06-04 08:00:00.000001"))
    assert not late.within(2)


def test_a_finish_stands_until_the_clock_is_put_back(holidays: WorkingCalendar) -> None:
    done = [("20", "2025-06-02 08:00"), ("50", "2025-06-02 09:00")]
    for after in ("50", "20", "41", "42", "57"):
        assert shown(holidays, *done, (after, "2025-06-03 09:00")) == shown(holidays, *done)
    assert shown(holidays, *done, ("44", "2025-06-03 09:00")).state == "running"
    assert shown(holidays, *done, ("43", "2025-06-03 09:00")) == Clock("held")
    renewed = shown(holidays, *done, ("44", "2025-06-03 09:00"), ("90", "2025-06-03 11:00"))
    assert (renewed.working_us, renewed.finish and renewed.finish.carried) == (2 * HOUR, ("90",))


def test_a_finish_without_a_start_finishes_nothing(holidays: WorkingCalendar) -> None:
    assert shown(holidays, ("93", "2025-06-02 08:00")) == Clock()
    assert shown(holidays, ("93", "2025-06-02 08:00"), ("20", "2025-06-03 08:00")).state == "running"


def test_time_that_goes_backward_counts_nothing(holidays: WorkingCalendar) -> None:
    back = shown(
        holidays, ("20", "2025-06-02 12:00"), ("41", "2025-06-02 08:00"), ("42", "2025-06-02 13:00"), ("11", "2025-06-01 13:00"),
        ("50", "2025-06-02 15:00"),
    )  # fmt: skip
    assert back.working_us == 2 * HOUR


def test_what_the_calendar_does_not_cover_is_unknown_until_zero(holidays: WorkingCalendar) -> None:
    early = [("20", "2015-12-31 12:00"), ("41", "2016-01-04 12:00")]
    assert shown(holidays, *early) == Clock("unknown")
    assert shown(holidays, *early, ("42", "2016-01-05 12:00"), ("50", "2016-01-06 12:00")) == Clock("unknown")
    assert shown(holidays, early[0], ("50", "2016-01-04 12:00")).finished_at_us is None
    known = shown(holidays, *early, ("44", "2016-01-06 12:00"), ("50", "2016-01-06 13:00"))
    assert (known.state, known.working_us) == ("finished", HOUR)
    assert shown(holidays, ("05", "2015-12-31 12:00"), ("20", "2016-01-04 12:00"), ("50", "2016-01-04 13:00")).working_us == HOUR


@given(st.lists(MOMENTS, min_size=4, max_size=4).map(sorted))
def test_a_pause_takes_exactly_its_working_time_out(moments: list[int]) -> None:
    start, pause, resume, finish = moments
    whole = clock([Step(start, "start"), Step(finish, "finish")], CALENDAR)
    paused = clock([Step(start, "start"), Step(pause, "pause"), Step(resume, "resume"), Step(finish, "finish")], CALENDAR)
    assert paused.working_us == whole.working_us - CALENDAR.working_micros(pause, resume)


def documented() -> dict[tuple[str, str], str]:
    """(role, state) -> the state after, from the table in the module's documentation."""
    assert sla.__doc__ is not None
    head, *lines = [line.split() for line in re.findall(r"(?m)^    (?!.*[.,]).+$", sla.__doc__)]
    assert tuple(head[1:]) == get_args(State)
    assert {line[0] for line in lines} == set(get_args(Role)) - {"other"}
    return {(line[0], state): after for line in lines for state, after in zip(head[1:], line[1:], strict=True)}


TABLE = documented()
ROLES = st.sampled_from(get_args(Role))

#: Roles that bring a clock into each state; "unknown" begins before the calendar does.
WAYS: dict[State, list[Role]] = {
    "idle": [], "running": ["start"], "paused": ["start", "pause"], "held": ["start", "hold"], "finished": ["start", "finish"],
    "unknown": ["start", "pause"],
}  # fmt: skip


@pytest.mark.parametrize("role", get_args(Role))
@pytest.mark.parametrize("state", get_args(State))
def test_each_step_in_each_state_does_what_the_table_says(state: State, role: Role) -> None:
    way = [Step(ZERO + place * HOUR - (HOUR if state == "unknown" else 0), each) for place, each in enumerate(WAYS[state])]
    before = clock(way, CALENDAR)
    assert before.state == state
    after = clock([*way, Step(ZERO + 5 * HOUR, role)], CALENDAR)
    wanted = TABLE.get((role, state), "-")
    assert (after == before) if wanted == "-" else (after.state == wanted)


def by_hours(steps: Sequence[tuple[int, str]]) -> tuple[str, int]:
    """State and working hours, counted hour by hour: steps lie on full hours and in order."""
    state, hours, left = "idle", 0, list(steps)
    for hour in range(481):
        while left and left[0][0] == hour:
            role = left.pop(0)[1]
            after = TABLE.get((role, state), "-")
            hours = 0 if role in ("hold", "restart") else hours
            state = state if after == "-" else after
        day = FIRST + timedelta(days=hour // 24)
        if state == "running" and left and day.strftime("%a") not in ("Sat", "Sun") and day != date(2025, 5, 13):
            hours += 1
    return state, hours


@given(st.lists(st.tuples(st.integers(0, 479), ROLES), max_size=12).map(lambda steps: sorted(steps, key=lambda step: step[0])))
def test_the_clock_shows_what_counting_hour_by_hour_gives(steps: list[tuple[int, Role]]) -> None:
    clocked = clock([Step(ZERO + hour * HOUR, role) for hour, role in steps], CALENDAR)
    state, hours = by_hours(steps)
    assert clocked.state == state
    if state == "running":
        assert clocked.since_us is not None
        until = ZERO + max(hour for hour, _ in steps) * HOUR
        assert clocked.working_us + CALENDAR.working_micros(clocked.since_us, until) == hours * HOUR
    else:
        assert (clocked.working_us, clocked.since_us) == (hours * HOUR, None)
    assert (clocked.finish is not None) == (state == "finished")


EVENTS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from(["CREATE", "CREATE", "CORRECT", "CANCEL"]), MOMENTS, ROLES), max_size=12,
    unique_by=lambda event: event[0],
)  # fmt: skip
Event = tuple[int, str, int, Role]


def told(events: Sequence[Event]) -> History:
    history = History()
    for version, op, at_us, role in events:
        assert history.add(version, op, None if op == "CANCEL" else Step(at_us, role, (role, version)))
    return history


def of_all(events: Sequence[Event]) -> list[Step]:
    """The steps that stand, by the sentence that defines them, over all events at once."""
    steps: list[Step] = []
    for version, op, at_us, role in sorted(events):
        if op == "CANCEL":
            steps.clear()
            continue
        if op == "CORRECT" and steps:
            steps.pop()
        steps.append(Step(at_us, role, (role, version)))
    return steps


@given(EVENTS, st.data())
def test_any_order_of_arrival_gives_the_same_history_and_clock(events: list[Event], data: st.DataObject) -> None:
    history = History()
    for version, op, at_us, role in data.draw(st.permutations(events)):
        history.add(version, op, None if op == "CANCEL" else Step(at_us, role, (role, version)))
    assert history.steps() == of_all(events)
    assert history.dump() == told(sorted(events)).dump()
    assert clock(history.steps(), CALENDAR) == clock(of_all(events), CALENDAR)


@given(EVENTS, EVENTS)
def test_a_history_goes_on_after_it_was_stored(before: list[Event], after: list[Event]) -> None:
    one, other = History(), History()
    for history in (one, other):
        for version, op, at_us, role in before:
            history.add(version, op, None if op == "CANCEL" else Step(at_us, role))
    stored = json.dumps(one.dump())
    one = History.load(json.loads(stored))
    assert json.dumps(one.dump()) == stored
    for version, op, at_us, role in after:
        step = None if op == "CANCEL" else Step(at_us, role, ("x", 1, None))
        assert one.add(version, op, step) == other.add(version, op, step)
    assert one.steps() == other.steps()
    assert one.dump() == other.dump()


def test_of_two_events_of_one_version_the_first_stands() -> None:
    history = History()
    assert history.add(3, "CREATE", Step(1, "start"))
    assert not history.add(3, "CREATE", Step(2, "pause"))
    assert not history.add(3, "CANCEL", None)
    assert history.steps() == [Step(1, "start")]
    assert history.add(4, "CANCEL", None)
    assert not history.add(4, "CREATE", Step(2, "pause"))
    assert not history.add(2, "CREATE", Step(2, "pause"))
    assert history.steps() == []
    with pytest.raises(ValueError, match="CORRECT needs a step"):
        history.add(5, "CORRECT", None)


CLOCK = {"status": "kode", "start": ["20"], "finish": ["50"]}


def test_the_form_of_a_clock() -> None:
    made = ClockSpec.model_validate(CLOCK | {"pause": ["41"], "resume": ["42", "05"], "limit": "14"})
    assert made.roles == {"20": "start", "41": "pause", "42": "resume", "05": "resume", "50": "finish"}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"pause": ["20"], "resume": ["42"]}, "'20' is in start and in pause"),
        ({"finish": ["50", "50"]}, "'50' is in finish and in finish"),
        ({"pause": ["41"]}, "pause without resume or restart"),
        ({"start": []}, "at least 1"),
        ({"finish": []}, "at least 1"),
        ({"start": [20]}, "valid string"),
        ({"start": [""]}, "at least 1"),
        ({"status": ""}, "at least 1"),
        ({"stop": ["41"]}, "not permitted"),
    ],
)
def test_what_a_clock_may_not_say(change: dict[str, object], wrong: str) -> None:
    with pytest.raises(ValidationError, match=wrong):
        ClockSpec.model_validate(CLOCK | change)

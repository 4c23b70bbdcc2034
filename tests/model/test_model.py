"""The engine agrees with the model, whatever the history, the batches and the order of arrival."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import chain, product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.events.envelope import Op
from bus.indicators.calendar import WorkingCalendar
from bus.indicators.clock_spec import Role
from bus.indicators.indicator import Indicator
from bus.indicators.sla import Step, clock
from tests.conftest import examples
from tests.model.clock import finished
from tests.model.composites import compared
from tests.model.engine import Found, differences, in_batches, in_one_go, merge_of, said_again, side_by_side
from tests.model.events import Row
from tests.model.histories import CROWDED, FIELDS, Beat, Fact, Published, entries, histories, history, reordered, seeded
from tests.model.times import JAKARTA, micros
from tests.model.worlds import MODEL, TYPES, every, indicator, loaded, types_of

EVERY = pytest.mark.parametrize("name", list(MODEL.indicators))
SEEDS = range(examples(2))
GENERATED = settings(max_examples=examples(8), suppress_health_check=list(HealthCheck))
ANY = st.sampled_from(list(MODEL.indicators))


def test_nothing_is_left_out_silently() -> None:
    assert set(loaded()) == set(MODEL.indicators)


def agrees(name: str, published: list[Published], found: Found) -> None:
    assert differences(found, MODEL.rows(name, entries(published)), composite="composite" in MODEL.indicators[name]) == []


@EVERY
def test_in_one_go(name: str) -> None:
    for seed in SEEDS:
        published = seeded(seed, types_of(name))
        agrees(name, published, in_one_go(indicator(name), published))


@EVERY
def test_in_batches_with_restarts(name: str) -> None:
    for seed in SEEDS:
        published = seeded(seed, types_of(name))
        agrees(name, published, in_batches(indicator(name), published, random.Random(seed).choice))


@EVERY
def test_said_again_by_folds_that_lost_their_state(name: str) -> None:
    for seed in SEEDS:
        choose = random.Random(seed).choice
        published = history(choose, types_of(name), size=range(2, 9), instants=CROWDED, subjects=2)
        agrees(name, published, said_again(indicator(name), published, choose))


@EVERY
def test_in_another_order_of_arrival(name: str) -> None:
    for seed in SEEDS:
        choose = random.Random(seed).choice
        published = reordered(seeded(seed, types_of(name)), choose)
        agrees(name, published, in_batches(indicator(name), published, choose))


@pytest.mark.parametrize("event_type", TYPES)
def test_units_that_share_their_batches(event_type: str) -> None:
    together = [each for each in every() if isinstance(each, Indicator) and each.event_type == event_type]
    for seed in SEEDS:
        choose = random.Random(seed).choice
        published = seeded(seed, [event_type])
        for name, found in side_by_side(together, published, choose).items():
            agrees(name, published, found)


def test_a_composite_turns_final_by_a_part_that_has_no_row_there() -> None:
    """Its other part allows 7 days for being late, and passes them in two steps."""
    case, reading = types_of("uji.total")
    start = datetime(2026, 3, 1, tzinfo=JAKARTA)
    data = {**dict.fromkeys(FIELDS[case]), "place": "selo", "amount": 1}
    published: list[Published] = [Fact(case, "uji/a", 1, "s", 256, Op.CREATE, start, data)]
    days = {case: (20, 20), reading: (9, 5, 9)}
    published += [
        Beat(name, "uji/a", min(place, 1), start + timedelta(days=each))
        for name, passed in days.items()
        for place, each in enumerate(passed)
    ]
    found = in_batches(indicator("uji.total"), published, lambda options: options[0])
    assert [output.status for output in found.values()] == ["final"]


def test_every_short_history_of_a_clock() -> None:
    raw = MODEL.indicators["uji.permit_time"]["clock"]
    roles: dict[Role, str] = {"start": "10", "pause": "41", "resume": "42", "hold": "43", "restart": "44", "finish": "50", "other": "20"}
    calendar = WorkingCalendar(date(2026, 1, 1), date(2026, 12, 31), off=())
    begin = micros(datetime(2026, 3, 2, 8, tzinfo=JAKARTA))
    moments = [begin, begin + 3_600_000_000, begin - 60_000_000, begin + 86_400_000_000, begin + 90_000_000_000]
    for codes in chain.from_iterable(product(roles, repeat=length) for length in range(1, 6)):
        steps = list(zip(codes, moments, strict=False))
        rows = [Row((0, n), "a", "s", n, at, "CREATE", {"status": roles[role]}, None) for n, (role, at) in enumerate(steps)]
        shown = clock([Step(at, role) for role, at in steps], calendar)
        wanted = finished(raw, rows, ())
        found = None if shown.finish is None else (shown.finish.at_us, Fraction(shown.working_us, 1_000_000))
        assert found == (wanted and (wanted[0].at, wanted[1])), codes


def test_the_list_of_a_reconciliation() -> None:
    name = "uji.reconciled"
    left, right = MODEL.indicators[name]["composite"]["of"]
    for seed in SEEDS:
        published = seeded(seed, types_of(name))
        log = entries(published)
        listed = merge_of(indicator(name), published).listed(all_of_it=True)
        wanted = compared(MODEL.state(left, log), MODEL.state(right, log))
        assert {entry.subject: (entry.status, entry.region) for entry in listed} == wanted


@GENERATED
@given(data=st.data(), name=ANY)
def test_generated_histories(data: st.DataObject, name: str) -> None:
    published = data.draw(histories(types_of(name)))
    choose: Callable[..., Any] = lambda options: data.draw(st.sampled_from(options))  # noqa: E731
    agrees(name, published, in_one_go(indicator(name), published))
    agrees(name, published, in_batches(indicator(name), published, choose))

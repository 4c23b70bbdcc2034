"""After a withdrawal everything counts as if the batch had never been sent: whatever came before, between and after, in whatever order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import ConfigurationError
from bus.events.envelope import Envelope, Event, Op, sequence_of
from bus.events.withdrawal import Compensation, Logged, compensations, source_of
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from tests.unit.indicators import worlds

TYPE = "test.thing.counted.v1"
START = datetime(2021, 1, 30, 10, tzinfo=UTC)
FIRST, SECOND, THIRD = "a/x/1", "a/x/2", "a/x/3"


def fact(
    delivery: int,
    line: int = 1,
    *,
    op: Op = Op.CREATE,
    day: int = 0,
    amount: int = 1,
    subject: str = "s",
    name: str = "a/x",
    replayed: bool = False,
) -> Envelope:
    event = Event(TYPE, subject, START + timedelta(days=day), {"amount": amount, "place": "p"})
    source = f"{name}#{delivery}.{line}" if replayed else name
    sequence = 1 if replayed else sequence_of(delivery, line)
    return Envelope(event, source, sequence, sequence_of(delivery, line), op, f"{name}/{delivery}")


def in_log(said: Iterable[Envelope | Compensation]) -> list[Logged]:
    """The log of one partition, in that order."""
    return [
        Logged(each.envelope, each.envelope.id, 0, offset, each.undoes)
        if isinstance(each, Compensation)
        else Logged(each, each.id, 0, offset)
        for offset, each in enumerate(said)
    ]


def taken(log: Sequence[Logged]) -> list[Logged]:
    """What a fold takes: of each source only rising sequences."""
    highest: dict[str, int] = {}
    kept = []
    for each in log:
        if each.envelope.sequence > highest.get(each.envelope.source, -1):
            highest[each.envelope.source] = each.envelope.sequence
            kept.append(each)
    return kept


def withdrawn(said: Sequence[Envelope | Compensation], *batches: str) -> list[Envelope | Compensation]:
    log = list(said)
    for batch in batches:
        log += compensations(batch, taken(in_log(log)))
    return log


# three ways in which indicators look at a subject, worked out naively


def newest(log: Sequence[Logged]) -> dict[str, object]:
    """Flows: the highest version alone stands."""
    found: dict[str, Envelope] = {}
    for each in taken(log):
        subject = each.envelope.event.subject
        if subject not in found or each.envelope.version > found[subject].version:
            found[subject] = each.envelope
    return {name: (e.event.occurred_at, dict(e.event.data)) for name, e in found.items() if e.op is not Op.CANCEL}


def states(log: Sequence[Logged]) -> dict[tuple[str, int], object]:
    """Stocks: at each moment the highest version that had happened by then."""
    found: dict[tuple[str, int], object] = {}
    versions = first_of_each_version(log)
    for day in range(-1, 8):
        happened = [each for each in versions if each.event.occurred_at <= START + timedelta(days=day)]
        for subject in "st":
            mine = [each for each in happened if each.event.subject == subject]
            standing = max(mine, key=lambda each: each.version, default=None)
            if standing is not None and standing.op is not Op.CANCEL:
                found[subject, day] = dict(standing.event.data)
    return found


def first_of_each_version(log: Sequence[Logged]) -> list[Envelope]:
    """Of two events with one version of a subject the first in the log, whatever each says."""
    first: dict[tuple[str, int], Envelope] = {}
    for each in taken(log):
        first.setdefault((each.envelope.event.subject, each.envelope.version), each.envelope)
    return list(first.values())


def steps(log: Sequence[Logged]) -> dict[str, list[object]]:
    """Clocks: what was entered, in the order of versions."""
    entered: dict[str, list[object]] = {}
    for each in sorted(first_of_each_version(log), key=lambda envelope: envelope.version):
        mine = entered.setdefault(each.event.subject, [])
        content = (each.event.occurred_at, dict(each.event.data))
        if each.op is Op.CANCEL:
            mine.clear()
        elif each.op is Op.CORRECT and mine:
            mine[-1] = content
        else:
            mine.append(content)
    return {name: mine for name, mine in entered.items() if mine}


def folded(log: Sequence[Logged], indicator: Indicator | None = None) -> dict[object, object]:
    """The engine's own numbers: unless told otherwise a daily sum by place."""
    unit = FoldUnit.new(indicator or worlds.indicator(), f"events.{TYPE}", 0, 1)
    rows = [_row(each) for each in log]
    if rows:
        unit.apply(worlds.batch(rows))
    return {key: summary for key, (summary, _) in unit.cells().items() if summary[0]}


def _row(each: Logged) -> dict[str, Any]:
    envelope = each.envelope
    return worlds.event(
        each.offset, source=envelope.source, sequence=envelope.sequence, version=envelope.version, subject=envelope.event.subject,
        occurred_at=envelope.event.occurred_at, op=envelope.op.value, batch=envelope.batch, **envelope.event.data,
    )  # fmt: skip


def without(said: Iterable[Envelope | Compensation], *batches: str) -> list[Logged]:
    """The log in which these batches were never sent, nor any withdrawal."""
    return in_log(each for each in said if isinstance(each, Envelope) and each.batch not in batches)


# examples


def test_a_first_version_is_cancelled_and_a_later_one_goes_back() -> None:
    first, second = fact(1, amount=4), fact(2, op=Op.CORRECT, amount=5, day=1)
    (cancel,) = compensations(FIRST, in_log([first]))
    assert cancel.envelope == replace(
        first, source="bus/withdraw/a/x/1", sequence=1 << 8, version=first.version + 1, op=Op.CANCEL, batch="withdraw:a/x/1"
    )
    assert cancel.undoes == first.id
    (back,) = compensations(SECOND, in_log([first, second]))
    assert (back.envelope.op, back.envelope.event, back.envelope.version) == (Op.CORRECT, first.event, second.version + 1)
    assert back.undoes == second.id


def test_a_cancellation_that_is_withdrawn_gives_the_fact_back() -> None:
    first = fact(1)
    (back,) = compensations(SECOND, in_log([first, fact(2, op=Op.CANCEL)]))
    assert (back.envelope.op, back.envelope.event) == (Op.CORRECT, first.event)


def test_what_was_cancelled_before_stays_cancelled() -> None:
    log = [fact(1), fact(2, op=Op.CANCEL, day=2), fact(3, day=5)]
    (back,) = compensations(THIRD, in_log(log))
    assert (back.envelope.op, back.envelope.event) == (Op.CANCEL, log[1].event)


def test_what_a_later_version_covers_is_undone_beneath_it() -> None:
    log = [fact(1, amount=1), fact(2, op=Op.CORRECT, amount=2), fact(3, op=Op.CORRECT, amount=3)]
    (back,) = compensations(SECOND, in_log(log))
    assert log[1].version < back.envelope.version < log[2].version
    assert newest(in_log(withdrawn(log, SECOND))) == newest(in_log(log))


def test_withdrawing_the_later_batch_first_does_not_keep_the_earlier_one() -> None:
    log = withdrawn([fact(1, amount=1), fact(2, op=Op.CORRECT, amount=2), fact(3, op=Op.CORRECT, amount=3)], THIRD, SECOND)
    assert newest(in_log(log))["s"] == (START, {"amount": 1, "place": "p"})
    assert newest(in_log(withdrawn(log, FIRST))) == {}


def test_a_correction_that_moved_a_fact_to_an_earlier_day_is_undone_on_that_day_too() -> None:
    log = [fact(1, day=5, amount=1), fact(2, op=Op.CORRECT, day=2, amount=2)]
    chain = [each.envelope for each in compensations(SECOND, in_log(log))]
    assert [(each.op, each.event.occurred_at) for each in chain] == [
        (Op.CANCEL, log[1].event.occurred_at),
        (Op.CORRECT, log[0].event.occurred_at),
    ]
    assert [each.version - log[1].version for each in chain] == [1, 2]
    assert [each.sequence for each in chain] == [1 << 8, 1 << 8 | 1]


def test_an_older_delivery_that_is_replayed_after_the_withdrawal_comes_to_light_in_a_second_run() -> None:
    log = withdrawn([fact(2, amount=2)], SECOND)
    log.append(late := fact(1, amount=1, replayed=True))
    assert newest(in_log(log)) == {}
    (light,) = compensations(SECOND, taken(in_log(log)))
    assert (light.envelope.op, light.envelope.event, light.envelope.source) == (Op.CORRECT, late.event, "bus/withdraw/a/x/2#1")
    assert newest(in_log([*log, light]))["s"] == (START, {"amount": 1, "place": "p"})


def test_the_steps_that_a_cancellation_emptied_are_all_given_back() -> None:
    log = [fact(1, 1, amount=40), fact(1, 2, day=1, amount=41), fact(1, 3, day=2, amount=42), fact(2, op=Op.CANCEL, day=2)]
    assert steps(in_log(withdrawn(log, SECOND))) == steps(in_log(log[:3]))


def test_an_earlier_version_that_an_indicator_could_not_use_does_not_leave_the_withdrawn_one_standing() -> None:
    said = [fact(1), fact(2, op=Op.CORRECT)]
    log = [replace(each, event=replace(each.event, data={"level": level})) for each, level in zip(said, (math.nan, 2.0), strict=True)]
    level = worlds.indicator(measure={"kind": "sum", "of": "level", "scale": 2})
    assert folded(in_log(log), level)
    chain = compensations(SECOND, in_log(log), {(0, 0)})
    assert [each.envelope.op for each in chain] == [Op.CANCEL, Op.CREATE]
    assert not folded(in_log([*log, *chain]), level)


def test_sequences_count_the_places_of_the_batch_in_the_log() -> None:
    log = [fact(1, line, subject=f"s{line}") for line in (1, 2, 3)]
    placed = [Logged(each, each.id, partition, 7) for each, partition in zip(log, (2, 0, 1), strict=True)]
    said = compensations(FIRST, placed)
    assert [(each.partition, each.envelope.event.subject, each.envelope.sequence >> 8) for each in said] == [
        (0, "s2", 1),
        (1, "s3", 2),
        (2, "s1", 3),
    ]


def test_there_has_to_be_room_below_the_next_fact() -> None:
    tight = replace(fact(1), version=(1 << 8) - 1)
    with pytest.raises(ConfigurationError, match="leaves no versions above it"):
        compensations(FIRST, in_log([tight]))


# laws


@st.composite
def histories(draw: st.DrawFn, *, longest: int = 9) -> list[Envelope]:
    """Deliveries 1 to 4 of two sources that speak of two subjects, with equal versions now and then, any of them replayed from quarantine
    after later ones, days in any order.
    """
    made = []
    for line in range(draw(st.integers(1, longest))):
        delivery, subject = draw(st.integers(1, 4)), draw(st.sampled_from("st"))
        made.append(
            fact(
                delivery, draw(st.integers(1, line + 1)), op=draw(st.sampled_from(list(Op))), day=draw(st.integers(0, 6)), amount=draw(st.integers(0, 3)),
                subject=subject, replayed=draw(st.integers(0, 4)) == 0, name=draw(st.sampled_from(["a/x", "a/x", "a/y"])),
            )
        )  # fmt: skip
    once = {each.batch + str(each.version): each for each in made}.values()
    in_order = {name: sorted((each for each in once if each.source == name), key=lambda each: each.sequence) for name in ("a/x", "a/y")}
    log: list[Envelope] = []
    while any(in_order.values()):
        log.append(in_order[draw(st.sampled_from([name for name, left in in_order.items() if left]))].pop(0))
    for each in once:
        if "#" in each.source:
            log.insert(draw(st.integers(0, len(log))), each)
    return log


BATCHES = st.lists(st.sampled_from(["a/x/1", "a/x/2", "a/x/3", "a/x/4", "a/y/2"]), min_size=1, max_size=4, unique=True)


@given(histories(), BATCHES)
def test_withdrawn_batches_count_as_never_sent(history: list[Envelope], batches: list[str]) -> None:
    log = in_log(withdrawn(history, *batches))
    never = without(history, *batches)
    assert newest(log) == newest(never)
    assert states(log) == states(never)
    assert steps(log) == steps(never)
    assert folded(log) == folded(never)


@given(histories(), histories(), BATCHES)
def test_what_comes_after_the_withdrawal_counts_as_always(history: list[Envelope], later: list[Envelope], batches: list[str]) -> None:
    """Deliveries 5 to 8 follow; what is known of the withdrawn facts does not matter to them."""
    after = [
        replace(
            each,
            sequence=each.sequence + sequence_of(4, 0),
            version=each.version + sequence_of(4, 0),
            batch=f"{each.source}/{4 + int(each.batch[4:])}",
        )
        for each in later
        if "#" not in each.source
    ]
    log = in_log([*withdrawn(history, *batches), *after])
    never = without([*history, *after], *batches)
    assert (newest(log), states(log), steps(log), folded(log)) == (newest(never), states(never), steps(never), folded(never))


@given(histories(), BATCHES, st.data())
def test_a_run_that_ended_anywhere_is_completed_and_doubles_nothing(
    history: list[Envelope], batches: list[str], data: st.DataObject
) -> None:
    *earlier, batch = batches
    log = withdrawn(history, *earlier)
    planned = compensations(batch, taken(in_log(log)))
    log += planned[: data.draw(st.integers(0, len(planned)))]
    log += compensations(batch, taken(in_log(log)))
    assert compensations(batch, taken(in_log(log))) == []
    if all(each.envelope.sequence & 255 == 0 for each in planned):  # one for each event, as nearly always
        assert [each for each in log if isinstance(each, Compensation) and each.envelope.source == source_of(batch)] == planned
    assert newest(in_log(log)) == newest(without(history, *batches))
    assert states(in_log(log)) == states(without(history, *batches))
    assert steps(in_log(log)) == steps(without(history, *batches))


@given(histories(), BATCHES)
def test_runs_that_know_nothing_of_one_another_are_as_one(history: list[Envelope], batches: list[str]) -> None:
    *earlier, batch = batches
    log = withdrawn(history, *earlier)
    planned = compensations(batch, taken(in_log(log)))
    accepted = [each.envelope for each in taken(in_log([*log, *planned, *planned])) if each.envelope.source == source_of(batch)]
    assert accepted == [each.envelope for each in planned]


@given(histories(), histories())
def test_a_batch_that_grew_after_it_was_withdrawn_is_withdrawn_whole_by_a_second_run(history: list[Envelope], more: list[Envelope]) -> None:
    log = withdrawn(history, FIRST)
    log += [replace(each, source=f"a/x#late.{number}", sequence=1) for number, each in enumerate(more) if each.batch != SECOND]
    again = in_log(withdrawn(log, FIRST))
    never = without(log, FIRST)
    assert (newest(again), states(again), steps(again)) == (newest(never), states(never), steps(never))

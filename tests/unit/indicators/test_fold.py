"""Fold is a pure function of the log: any batches give the oracle's cells and the same state, byte for byte."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.errors import FatalError, OffsetGap
from bus.indicators.changes import revision
from bus.indicators.fold import FoldUnit
from bus.indicators.fold_state import lasting
from bus.indicators.partial import Partial
from tests.conftest import examples
from tests.pipeline.crumbled import crumbled
from tests.unit.indicators import oracle
from tests.unit.indicators.histories import cuts, logs
from tests.unit.indicators.oracle import CASES, Case
from tests.unit.indicators.worlds import batch, event, indicator

TOPIC = "events.test.thing.counted.v1"


def folded(case: Case, rows: list[dict[str, Any]], batches: list[tuple[int, int]], correctable: bool) -> tuple[FoldUnit, list[Partial]]:
    unit = FoldUnit.new(indicator(correctable=correctable, **case.spec), TOPIC, 0, 4)
    partials = []
    for first, last in batches:
        partial = unit.apply(batch(rows[first : last + 1], first, last))
        partials += [partial] if partial is not None else []
    return unit, partials


@pytest.mark.parametrize("correctable", [True, False], ids=["correctable", "immutable"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@settings(max_examples=examples(8))
@given(data=st.data())
def test_any_batches_give_the_naive_result(case: Case, correctable: bool, data: st.DataObject) -> None:
    rows = data.draw(logs(correctable=correctable))
    whole, once = folded(case, rows, [(0, len(rows) - 1)] if rows else [], correctable)
    parts, partials = folded(case, rows, data.draw(cuts(len(rows))), correctable)
    cells, faults = oracle.cells(case, rows, correctable=correctable)
    assert {key: (acc, revision(counted)) for key, (acc, counted) in parts.cells().items() if counted} == cells
    assert parts.watermarks == oracle.watermarks(rows)
    assert [fault.offset for partial in partials for fault in partial.faults] == faults
    assert [fault for partial in once for fault in partial.faults] == [fault for partial in partials for fault in partial.faults]
    assert parts.dump() == whole.dump()
    assert FoldUnit.load(parts.indicator, TOPIC, 0, 4, parts.offset, parts.dump()).dump() == whole.dump()
    cumulative = {key: value for partial in partials for key, value in partial.cells.items()}
    assert cumulative == parts.cells()


def some_fold(data: st.DataObject) -> tuple[Case, bool, list[dict[str, Any]], int]:
    """A case, whether its events can be corrected, its rows, and how many of them a snapshot holds."""
    case, correctable = data.draw(st.sampled_from(CASES)), data.draw(st.booleans())
    rows = data.draw(logs(correctable=correctable).filter(lambda rows: len(rows) > 1))
    return case, correctable, rows, data.draw(st.integers(1, len(rows) - 1))


def loaded(unit: FoldUnit) -> FoldUnit:
    return FoldUnit.load(unit.indicator, TOPIC, 0, 4, unit.offset, unit.dump())


@settings(max_examples=examples(25))
@given(data=st.data())
def test_what_is_touched_is_a_function_of_the_log(data: st.DataObject) -> None:
    """ADR 0015 rests on it: a block is given again exactly if some record after the snapshot changed it, whatever the batches."""
    with crumbled():
        case, correctable, rows, cut = some_fold(data)
        before, _ = folded(case, rows, [(0, cut - 1)], correctable)
        found = []
        for pieces in (data.draw(cuts(len(rows) - cut)), [(number, number) for number in range(len(rows) - cut)]):
            unit = loaded(before)
            for first, last in pieces:
                unit.apply(batch(rows[cut + first : cut + last + 1], cut + first, cut + last))
            found.append({name for name, content in unit.frozen(whole=False).encode().items() if content is not None})
            former, now = before.dump(), unit.dump()
            assert found[-1] == {name for name, content in now.items() if former.get(name) != content}
        assert found[0] == found[1]


@settings(max_examples=examples(25))
@given(data=st.data())
def test_a_unit_that_is_mostly_out_of_memory_goes_on_as_if_it_were_in_it(data: st.DataObject) -> None:
    with crumbled():
        case, correctable, rows, cut = some_fold(data)
        whole, _ = folded(case, rows, [(0, cut - 1)], correctable)
        stored = whole.dump()
        here = {name: content for name, content in stored.items() if lasting(name)}
        unit = FoldUnit.load(whole.indicator, TOPIC, 0, 4, whole.offset, here, stored.keys() - here.keys())
        assert unit.cold() == stored.keys() - here.keys()
        for first, last in data.draw(cuts(len(rows) - cut)):
            following = batch(rows[cut + first : cut + last + 1], cut + first, cut + last)
            unit.warm({name: stored[name] for name in unit.needs(following)})
            assert unit.apply(following) == whole.apply(following)
            stored |= {name: content for name, content in unit.frozen(whole=False).encode().items() if content is not None}
            unit.saved()
            unit.evict()
            if unit.cold():
                with pytest.raises(FatalError, match="left memory"):
                    unit.full_partial()
        unit.warm({name: stored[name] for name in unit.cold()})
        assert unit.dump() == whole.dump()
        assert unit.full_partial() == whole.full_partial()


@settings(max_examples=examples(8))
@given(data=st.data())
def test_a_loaded_unit_goes_on_as_the_one_it_was(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(CASES))
    rows = data.draw(logs(correctable=True).filter(lambda rows: len(rows) > 1))
    cut = data.draw(st.integers(1, len(rows) - 1))
    unit, _ = folded(case, rows, [(0, cut - 1)], True)
    again = FoldUnit.load(unit.indicator, TOPIC, 0, 4, unit.offset, unit.dump())
    rest = batch(rows[cut:], cut)
    assert unit.apply(rest) == again.apply(rest)
    assert unit.dump() == again.dump()


def test_a_jump_is_never_applied() -> None:
    unit = FoldUnit.new(indicator(), TOPIC, 0, 4)
    with pytest.raises(OffsetGap):
        unit.apply(batch([event(1)]))
    assert unit.offset == -1


def test_offsets_may_be_missing_inside_a_batch() -> None:
    unit = FoldUnit.new(indicator(), TOPIC, 0, 4)
    unit.apply(batch([event(2)], 0, 9))
    assert unit.offset == 9
    assert unit.apply(batch([], 10, 12)) is None
    assert unit.offset == 12


def test_a_batch_that_changes_nothing_is_silent_and_an_old_one_too() -> None:
    unit = FoldUnit.new(indicator(), TOPIC, 0, 4)
    first = batch([event(0)])
    assert unit.apply(first) is not None
    assert unit.apply(first) is None
    assert unit.apply(batch([event(0, _offset=1)])) is None


def test_units_of_one_lane_do_not_change_each_other() -> None:
    units = [FoldUnit.new(indicator(correctable=False, **case.spec), TOPIC, 0, 4) for case in CASES]
    alone = [FoldUnit.new(indicator(correctable=False, **case.spec), TOPIC, 0, 4) for case in CASES]
    rows = [event(offset, place="pq"[offset % 2], small=offset, level=0.5, urgent=True) for offset in range(8)]
    for first, last in [(0, 2), (3, 7)]:
        shared = batch(rows[first : last + 1])
        for unit, other in zip(units, alone, strict=True):
            unit.apply(shared)
            other.apply(batch(rows[first : last + 1]))
    assert [unit.dump() for unit in units] == [unit.dump() for unit in alone]


def test_a_snapshot_of_something_else_is_refused() -> None:
    unit = FoldUnit.new(indicator(), TOPIC, 0, 4)
    unit.apply(batch([event(0)]))
    for other, partition, offset in [
        (indicator(version=2), 0, 0),
        (indicator(window="1h"), 0, 0),
        (indicator(), 1, 0),
        (indicator(), 0, 1),
    ]:
        with pytest.raises(FatalError):
            FoldUnit.load(other, TOPIC, partition, 4, offset, unit.dump())


def test_a_large_state_is_divided_and_only_what_was_touched_is_given_again() -> None:
    unit = FoldUnit.new(indicator(), TOPIC, 0, 4)
    unit.apply(batch([event(offset, subject=f"s{offset}") for offset in range(5000)]))
    whole = unit.dump()
    assert len(whole) > 6
    assert FoldUnit.load(unit.indicator, TOPIC, 0, 4, unit.offset, whole).dump() == whole
    unit.saved()
    unit.apply(batch([event(5000, subject="s7", version=10_000)]))
    found = unit.frozen(whole=False).encode()
    assert found.keys() == whole.keys()
    assert max(name[:9] for name, content in found.items() if content is not None and "/" in name) == "subjects/"
    assert len([name for name, content in found.items() if content is not None]) == 4, "head, those of the two cells, the subject's"
    assert {name: content for name, content in unit.dump().items() if found[name] is None} == {
        name: content for name, content in whole.items() if found[name] is None
    }


def test_sums_beyond_64_bits_are_exact() -> None:
    unit = FoldUnit.new(indicator(correctable=False, by=[]), TOPIC, 0, 4)
    unit.apply(batch([event(offset, amount=2**63 - 1, occurred_at=event(0)["occurred_at"]) for offset in range(5)]))
    assert [summary for summary, _ in unit.cells().values()] == [[5, 5 * (2**63 - 1)]]


def test_a_product_that_is_too_large_is_a_fault_of_its_row() -> None:
    for correctable in (True, False):
        unit = FoldUnit.new(indicator(correctable=correctable, measure={"kind": "sum", "of": "amount * amount"}), TOPIC, 0, 4)
        partial = unit.apply(batch([event(0, amount=-(2**63)), event(1, amount=3)]))
        assert partial is not None
        assert [(fault.offset, fault.rule) for fault in partial.faults] == [(0, "too_large")]
        assert [summary for summary, _ in unit.cells().values()] == [[1, 9]]

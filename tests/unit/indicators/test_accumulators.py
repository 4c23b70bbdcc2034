"""Laws that every kind of measure keeps: parts put together are the whole, and what was taken out was never there."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.indicators.accumulators import Form, accumulator, closable, merge_summaries, results
from bus.indicators.kinds.distinct import identity
from bus.indicators.partial import canonical
from tests.conftest import examples

WIDE = st.sampled_from([2**63 - 1, -(2**63), 2**95 - 1, 1 - 2**95, 0]) | st.integers(-12, 12)
BITS = st.integers(0, 1)
TIMES = st.sampled_from([-1, 0, 3_599_999_999, 3_600_000_000]) | st.integers(-(10**13), 10**16)
WORDS = st.integers(0, 12).map(lambda number: identity(f"value {number}"))


@dataclass(frozen=True)
class Kind:
    form: Form
    values: st.SearchStrategy[tuple[Any, ...]]
    #: Polars' type of a column of values.
    dtype: type[pl.DataType] = pl.Int128


KINDS = [
    Kind({"kind": "count"}, st.just(())),
    Kind({"kind": "sum", "scale": 2}, st.tuples(WIDE)),
    Kind({"kind": "mean", "scale": 0}, st.tuples(WIDE)),
    Kind({"kind": "min", "scale": 1}, st.tuples(WIDE)),
    Kind({"kind": "max", "scale": 0}, st.tuples(WIDE)),
    Kind({"kind": "ratio", "scale": 0, "denominator_scale": 2}, st.tuples(WIDE, BITS)),
    Kind({"kind": "weighted_mean", "scale": 2, "denominator_scale": 1}, st.tuples(WIDE, WIDE)),
    Kind({"kind": "index", "scale": 0, "weight": "1/9", "factor": "25", "places": 2, "grades": [["A", "3"]]}, st.tuples(WIDE)),
    Kind({"kind": "within"}, st.tuples(BITS)),
    Kind({"kind": "age"}, st.tuples(TIMES)),
    Kind({"kind": "age", "p": "0.5", "resolution": 3600}, st.tuples(TIMES)),
    Kind({"kind": "quantile", "scale": 0, "p": "0.9", "error": "0.05"}, st.tuples(WIDE)),
    Kind({"kind": "distinct", "exact": 5}, st.tuples(WORDS), pl.String),
]
NAMES = [f"{kind.form['kind']}{' p' if 'p' in kind.form else ''}" for kind in KINDS]

every_kind = pytest.mark.parametrize("kind", KINDS, ids=NAMES)
both = pytest.mark.parametrize("correctable", [True, False], ids=["correctable", "immutable"])


def entered(kind: Kind, contributions: Sequence[tuple[Any, ...]], correctable: bool) -> list[Any]:
    made = accumulator(kind.form, correctable=correctable)
    acc = made.empty()
    for values in contributions:
        made.add(acc, values)
    return acc


def summary(kind: Kind, contributions: Sequence[tuple[Any, ...]], correctable: bool) -> list[Any]:
    return accumulator(kind.form, correctable=correctable).summary(entered(kind, contributions, correctable))


def many(kind: Kind) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    return st.lists(kind.values, max_size=30)


@every_kind
@both
@given(data=st.data())
def test_the_summary_of_parts_is_that_of_the_whole(kind: Kind, correctable: bool, data: st.DataObject) -> None:
    values = data.draw(many(kind))
    parts: list[list[tuple[Any, ...]]] = [[], [], []]
    for each in values:
        parts[data.draw(st.integers(0, 2))].append(each)
    whole = summary(kind, values, correctable)
    one, two, three = (summary(kind, part, correctable) for part in parts)
    form = kind.form
    assert merge_summaries(form, [one, two, three]) == whole
    assert merge_summaries(form, [three, one, two]) == whole
    assert merge_summaries(form, [merge_summaries(form, [one, two]), three]) == whole
    assert merge_summaries(form, [one, merge_summaries(form, [three, two])]) == whole
    assert merge_summaries(form, [whole, merge_summaries(form, [])]) == whole
    assert merge_summaries(form, []) == summary(kind, [], correctable)
    assert merge_summaries(form, json.loads(canonical([one, two, three]))) == whole == json.loads(canonical(whole))
    assert whole[0] == len(values)


@every_kind
@both
@given(data=st.data())
def test_the_order_is_of_no_consequence(kind: Kind, correctable: bool, data: st.DataObject) -> None:
    values = data.draw(many(kind))
    made = accumulator(kind.form, correctable=correctable)
    one, other = entered(kind, values, correctable), entered(kind, data.draw(st.permutations(values)), correctable)
    assert canonical(made.dump(one)) == canonical(made.dump(other))
    assert made.summary(one) == made.summary(other)


@every_kind
@given(data=st.data())
def test_what_is_taken_out_was_never_there(kind: Kind, data: st.DataObject) -> None:
    values, others = data.draw(many(kind)), data.draw(many(kind))
    made = accumulator(kind.form, correctable=True)
    acc = entered(kind, values, True)
    steps = data.draw(st.permutations([*((True, each) for each in others), *((False, each) for each in values)]))
    for adds, each in steps:
        (made.add if adds else made.remove)(acc, each)
        if data.draw(st.integers(0, 3)) == 0:
            made.summary(acc)
    assert canonical(made.dump(acc)) == canonical(made.dump(entered(kind, others, True)))
    assert made.summary(acc) == summary(kind, others, True)


@every_kind
@given(data=st.data())
def test_a_group_is_its_events_one_by_one(kind: Kind, data: st.DataObject) -> None:
    values = data.draw(many(kind))
    made = accumulator(kind.form, correctable=False)
    names = [f"v{number}" for number in range(made.width)]
    gaps = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    columns = {
        name: pl.Series([None if gap and made.width and number == 0 else each[number] for each, gap in zip(values, gaps, strict=True)],
                        dtype=kind.dtype)
        for number, name in enumerate(names)
    }  # fmt: skip
    cut = data.draw(st.lists(st.integers(0, 2), min_size=len(values), max_size=len(values)))
    frame = pl.DataFrame({"part": pl.Series(cut, dtype=pl.Int8), **columns})
    groups = frame.group_by("part", maintain_order=True).agg(*made.totals(names)).drop("part")
    acc = None
    for row in zip(*(column.to_list() for column in groups.get_columns()), strict=True):
        if acc is None:
            acc = made.begin(list(row))
        else:
            made.absorb(acc, row)
    entering = [each for each, gap in zip(values, gaps, strict=True) if not (gap and made.width)]
    assert canonical(made.dump(made.empty() if acc is None else acc)) == canonical(made.dump(entered(kind, entering, False)))


@every_kind
@both
@given(data=st.data())
def test_a_loaded_state_goes_on_as_the_one_it_was(kind: Kind, correctable: bool, data: st.DataObject) -> None:
    values, later = data.draw(many(kind)), data.draw(many(kind))
    made = accumulator(kind.form, correctable=correctable)
    acc = entered(kind, values, correctable)
    again = made.load(json.loads(canonical(made.dump(acc))))
    for each in later:
        made.add(acc, each)
        made.add(again, each)
    if correctable:
        for each in values:
            made.remove(acc, each)
            made.remove(again, each)
    assert canonical(made.dump(again)) == canonical(made.dump(acc))
    assert made.summary(again) == made.summary(acc)


@every_kind
@given(data=st.data())
def test_differences_add_up_to_the_state_where_closings_are_allowed(kind: Kind, data: st.DataObject) -> None:
    if not closable(kind.form):
        assert kind.form["kind"] in ("min", "max", "distinct")
        return
    made = accumulator(kind.form, correctable=True)
    windows = [made.empty() for _ in range(3)]
    standing = []
    for values in data.draw(many(kind)):
        windows_in_order = sorted(data.draw(st.tuples(st.integers(0, 2), st.integers(0, 3))))
        made.add(windows[windows_in_order[0]], values)
        if windows_in_order[1] < 3:
            made.remove(windows[windows_in_order[1]], values)
        else:
            standing.append(values)
    assert merge_summaries(kind.form, [made.summary(acc) for acc in windows]) == summary(kind, standing, True)


@every_kind
@both
@settings(max_examples=examples(20))
@given(data=st.data())
def test_a_summary_is_no_part_of_the_state(kind: Kind, correctable: bool, data: st.DataObject) -> None:
    made = accumulator(kind.form, correctable=correctable)
    acc = entered(kind, data.draw(many(kind)), correctable)
    given_out = made.summary(acc)
    text = canonical(given_out)
    for each in data.draw(many(kind)):
        made.add(acc, each)
    assert canonical(given_out) == text


@every_kind
def test_nothing_has_no_value(kind: Kind) -> None:
    result = results(kind.form, merge_summaries(kind.form, []), 2, 10**15)
    assert (result.value, result.label, result.error) == (None, None, None)
    assert float(result.numerator) == 0
    assert result.denominator in ("0", "0.00", "0.0", "1")

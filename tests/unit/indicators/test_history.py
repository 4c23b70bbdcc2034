"""A history reads the same whatever was written into it twice or late, and the reasons add up to the revision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.indicators.history import Change, History, Reason, Why
from bus.indicators.outputs import FINAL, PROVISIONAL, Output

DAY = 86_400_000_000
KINDS = ("late", "corrected", "withdrawn")


def row(place: str = "utara", offset: int = 0, **changes: Any) -> Output:
    made = Output(
        indicator="lab.count", version=1, fingerprint="abc", window_start_us=0, window_end_us=DAY, dimensions={"place": place},
        value="1", numerator="1", denominator="1", n=1, revision=1, status=PROVISIONAL, evidence=(("events.lab", 0, offset),), watermarks={},
    )  # fmt: skip
    return replace(made, **changes)


def read(*outputs: Output) -> list[Change]:
    history = History()
    changes = (history.read(number, output) for number, output in enumerate(outputs))
    return [change for change in changes if change is not None]


def why(*outputs: Output) -> list[str]:
    return [", ".join(map(str, change.reasons)) for change in read(*outputs)]


def test_each_kind_of_event_is_a_reason_and_the_rest_is_new() -> None:
    assert why(
        row(revision=1200, n=1200),
        row(revision=1203, late=2, offset=5),
        row(revision=1210, late=2, corrected=3, withdrawn=4, offset=9),
    ) == ["1,200 new", "1 new, 2 late", "3 corrected, 4 withdrawn"]


def test_a_row_is_compared_with_the_one_before_it_in_its_own_cell() -> None:
    first, other, second = row(revision=2), row("selatan", revision=7), row(revision=3, offset=4)
    changes = read(first, other, second)
    assert [change.former for change in changes] == [None, None, first]
    assert [change.at_ms for change in changes] == [0, 1, 2]


def test_repeated_and_older_records_are_no_change() -> None:
    old, new = row(revision=2, offset=3), row(revision=5, offset=8)
    assert [change.output for change in read(old, old, new, old, new, new)] == [old, new]


def test_another_version_is_a_new_definition_whatever_its_counters_say() -> None:
    assert why(row(revision=9), row(version=2, revision=30, late=4), row(revision=12, offset=50)) == ["9 new", "definition"]


def test_a_cell_that_a_new_definition_took_back_has_no_other_reason() -> None:
    gone: dict[str, Any] = {"version": 2, "revision": 0, "n": 0, "value": None}
    assert why(row(revision=2), row(**gone)) == ["2 new", "definition"]
    assert why(row(**gone)) == ["definition"]


def test_only_a_later_record_of_one_revision_changes_the_status() -> None:
    first, final, again = row(), row(status=FINAL, offset=7), row(offset=9)
    assert why(first, final, again) == ["1 new", "status", "status"]
    assert why(first, final, first) == ["1 new", "status"]
    assert why(again, final) == ["1 new"]


def test_a_row_that_was_said_again_later_outranks_what_lies_between() -> None:
    assert why(row(offset=1), row(offset=9), row(offset=5, status=FINAL)) == ["1 new"]


def test_reporters_and_later_looks_at_ages_are_reasons_of_their_own() -> None:
    assert why(row(), row(heard=2, expected=5, offset=3), row(heard=2, expected=5, as_of_us=9, value="2", offset=4)) == [
        "1 new",
        "reporters",
        "time",
    ]


def test_a_reason_says_how_many_events_it_was() -> None:
    assert str(Reason(Why.LATE, 3)) == "3 late"
    assert str(Reason(Why.STATUS)) == "status"


@st.composite
def stories(draw: st.DrawFn) -> list[Output]:
    """The rows of two cells as one merge publishes them: everything only grows."""
    made: list[Output] = []
    for place in ("utara", "selatan"):
        counters, revision, offset = dict.fromkeys(KINDS, 0), 0, 0
        for _ in range(draw(st.integers(0, 5))):
            grown = {name: draw(st.integers(0, 2)) for name in KINDS}
            counters = {name: counters[name] + grown[name] for name in KINDS}
            revision += draw(st.integers(0 if any(grown.values()) else 1, 3)) + sum(grown.values())
            offset += draw(st.integers(1, 4))
            made.append(row(place, offset, revision=revision, value=str(revision), **counters))
    return made


@given(stories(), st.data())
def test_what_is_written_twice_or_late_changes_nothing(story: list[Output], data: st.DataObject) -> None:
    noisy: list[Output] = []
    for output in story:
        noisy.append(output)
        noisy += data.draw(st.lists(st.sampled_from(noisy), max_size=3))
    assert [(each.output, each.former, each.reasons) for each in read(*noisy)] == [
        (each.output, each.former, each.reasons) for each in read(*story)
    ]


@given(stories())
def test_the_reasons_add_up_to_the_revision(story: list[Output]) -> None:
    for place in ("utara", "selatan"):
        mine = [change for change in read(*story) if change.output.dimensions["place"] == place]
        counted = sum(reason.count for change in mine for reason in change.reasons)
        assert counted == (mine[-1].output.revision if mine else 0)


@pytest.mark.parametrize("name", KINDS)
def test_a_counter_that_another_state_of_the_log_had_is_never_negative(name: str) -> None:
    assert why(row("utara", 0, **{"revision": 4, name: 3}), row(revision=5, offset=3)) == [f"1 new, 3 {name}", "1 new"]

"""The state of a source: kept exactly, compared exactly."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import FatalError
from bus.events.envelope import Event
from bus.ingest.rows import Row, Rows, content_of, event_of, identities

plain = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text(max_size=10)
rich = (
    plain
    | st.dates()
    | st.decimals(allow_nan=False, places=3)
    | st.binary(max_size=5)
    | st.datetimes(min_value=datetime(1950, 1, 1), timezones=st.just(UTC))
)
values = st.recursive(
    rich, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6
)
times = st.datetimes(min_value=datetime(1950, 1, 1), timezones=st.just(UTC))
payloads = st.dictionaries(st.text(max_size=5), values, max_size=3)
events = st.builds(Event, st.just("lab.sample.recorded.v1"), st.text(min_size=1, max_size=5), times, payloads)


@given(events)
def test_an_event_survives_its_content(event: Event) -> None:
    assert event_of(content_of(event)) == event


def test_types_are_told_apart() -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    contents = {
        content_of(Event("t", "s", at, {"x": value})) for value in (1, True, "1", 1.0, Decimal(1), date(2024, 1, 1), "2024-01-01", at, None)
    }
    assert len(contents) == 9


keys = st.tuples(st.text(max_size=4), st.text(max_size=4))
dropped = st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4), st.integers(1)), max_size=2).map(tuple)
found = st.builds(
    Row, st.integers(0, 9), st.lists(st.text(max_size=4)).map(tuple), st.booleans(), st.lists(st.integers(0)).map(tuple), dropped
)
spans = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=3).map(tuple)
states = st.builds(
    Rows, st.integers(0, 9), st.integers(0, 9), st.dictionaries(keys, found, max_size=5), st.booleans(), st.frozensets(st.integers(1, 9)),
    st.dictionaries(st.integers(1), spans, max_size=3), spans, st.integers(0, 9),
)  # fmt: skip


@given(states)
def test_a_state_survives_its_snapshot(state: Rows) -> None:
    assert Rows.load(state.dump()) == state


def test_a_state_of_the_first_layout_is_read_on() -> None:
    """It does not know under which sequences its events were said, nor what was repeated until then."""
    state = Rows.load([b'[1,7,3,1,0,[2]]\n[["k"],5,1,["a","b"]]'])
    assert state == Rows(7, 3, {("k",): Row(5, ("a", "b"), doubtful=True, said=(0, 0))}, unread=frozenset({2}), uncounted=7)
    assert Rows.load(state.dump()) == state


def test_a_large_state_is_cut_into_chunks() -> None:
    state = Rows(1, 0, {(str(number),): Row(1, ("x" * 1000,)) for number in range(2000)})
    chunks = state.dump()
    assert len(chunks) > 3
    assert max(map(len, chunks)) <= 512 * 1024
    assert Rows.load(chunks) == state
    with pytest.raises(FatalError, match="not whole"):
        Rows.load(chunks[:-1])
    with pytest.raises(FatalError, match="layout"):
        Rows.load([b"[99]"])


def test_events_of_one_subject_are_told_apart_by_their_order() -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    contents = [content_of(Event("t", "s", at, {"x": number})) for number in (1, 2)]
    assert list(identities(contents)) == [("t", "s", 0), ("t", "s", 1)]

"""Blocks of a state: where an entry lies follows from the state alone, touched is what was touched, and what leaves memory comes back."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import FatalError
from bus.indicators.blocks import Blocks, Pending, letter_of

Key = tuple[int, str]


def place(key: Key) -> tuple[str, int]:
    return f"g{key[0]}/", zlib.crc32(key[1].encode())


def blocks(per_block: int = 3) -> Blocks[Key, list[int]]:
    return Blocks("c", place, tuple, list, per_block=per_block)


def contents(state: Blocks[Key, list[int]]) -> dict[str, bytes]:
    return {name: content for name, content in Pending(state.frozen(whole=True)).encode().items() if content is not None}


KEYS = st.tuples(st.integers(0, 2), st.integers(0, 40).map(str))
#: Each of these touches an entry: how is decided by whether it is there.
TOUCHES = st.lists(KEYS, max_size=80)


def touch(state: Blocks[Key, list[int]], key: Key) -> None:
    entry = state.entries.get(key)
    if entry is None:
        state.add(key, [1])
    else:
        entry[0] += 1
        state.touched.add(key)


@given(TOUCHES, st.randoms(use_true_random=False))
def test_equal_states_have_equal_blocks_whatever_their_history(keys: list[Key], chance) -> None:
    shuffled = list(keys)
    chance.shuffle(shuffled)
    one, other = blocks(), blocks()
    for state, order in ((one, keys), (other, shuffled)):
        for key in order:
            touch(state, key)
    assert contents(one) == contents(other)
    assert one.names() == contents(one).keys()
    again = blocks()
    again.load(contents(one))
    assert again.entries == one.entries == {key: [keys.count(key)] for key in keys}
    assert contents(again) == contents(one)


@given(TOUCHES, TOUCHES)
def test_what_is_given_again_is_what_was_touched_or_divided(before: list[Key], after: list[Key]) -> None:
    state = blocks()
    for key in before:
        touch(state, key)
    former = contents(state)
    state.saved()
    assert set(state.frozen().values()) <= {None}
    for key in after:
        touch(state, key)
    found, whole = Pending(state.frozen()).encode(), contents(state)
    given_again = {name for name, content in found.items() if content is not None}
    assert given_again == {name for name, content in whole.items() if former.get(name) != content}, "each touch shows in these entries"
    assert {name: whole[name] for name in given_again} == {name: found[name] for name in given_again}
    assert found.keys() == whole.keys()


@given(TOUCHES, TOUCHES, st.sets(st.integers(0, 2)))
def test_a_state_with_groups_out_of_memory_goes_on_as_if_it_had_all(before: list[Key], after: list[Key], out: set[int]) -> None:
    state, whole = blocks(), blocks()
    for key in before:
        touch(state, key)
        touch(whole, key)
    stored = contents(state)
    state.saved()
    whole.saved()
    leaving = {f"g{number}/" for number in out} & state.clean()
    state.evict(leaving)
    assert not leaving & state.clean()
    assert state.names() == stored.keys()
    for key in after:
        needed = state.needs([key])
        assert needed <= state.cold()
        if needed:
            assert key not in state.entries
            for take in (lambda: touch(state, key), lambda: state.frozen(whole=True)):  # noqa: B023
                with pytest.raises(FatalError, match="left memory"):
                    take()
            state.warm({name: stored[name] for name in needed})
        touch(state, key)
        touch(whole, key)
    assert Pending(state.frozen()).encode() == Pending(whole.frozen()).encode()
    state.warm({name: stored[name] for name in state.cold()})
    assert contents(state) == contents(whole)


def test_what_no_snapshot_has_stays_in_memory() -> None:
    state = blocks()
    touch(state, (0, "a"))
    assert state.clean() == set()
    with pytest.raises(FatalError, match="no snapshot"):
        state.evict(["g0/"])


def test_what_is_given_away_does_not_change_any_more() -> None:
    state = blocks()
    touch(state, (0, "a"))
    frozen = state.frozen()
    expected = Pending(frozen).encode()
    touch(state, (0, "a"))
    touch(state, (0, "b"))
    assert Pending(frozen).encode() == expected


def test_groups_that_stay_in_the_store_are_known_by_name() -> None:
    state, other = blocks(), blocks()
    for number in range(20):
        touch(state, (number % 2, str(number)))
    stored = contents(state)
    there = {name for name in stored if name.startswith("g0/")}
    other.load({name: stored[name] for name in stored.keys() - there}, there)
    assert other.names() == stored.keys()
    assert other.cold() == other.cold(["g0/", "elsewhere/"]) == there
    other.warm({name: stored[name] for name in there})
    assert contents(other) == stored


def test_half_a_group_is_refused() -> None:
    state = blocks()
    for number in range(20):
        touch(state, (0, str(number)))
    stored = contents(state)
    half = dict(list(stored.items())[:-1])
    for some, elsewhere in ((half, set()), ({}, half.keys())):
        with pytest.raises(FatalError, match="has the blocks"):
            blocks().load(some, elsewhere)
    state.saved()
    state.evict(["g0/"])
    with pytest.raises(FatalError, match="did not come back"):
        state.warm(half)
    with pytest.raises(FatalError, match="not the name"):
        blocks().load({"head": b""})


def test_where_entries_lie_is_fixed_for_good() -> None:
    """Another division is another definition of the state: it needs another accumulator version, and with it a replay."""
    state = blocks(per_block=2)
    for number in range(9):
        touch(state, (0, str(number)))
    placed = {name: [key[1] for key, _ in rows] for name, rows in state.frozen().items() if rows is not None}
    assert placed == PLACED
    assert {letter_of(name) for name in placed} == {"c"}
    assert letter_of("head") == ""


PLACED = {"g0/c3.0": ["4"], "g0/c2.1": ["0", "2"], "g0/c2.2": ["5", "7"], "g0/c2.3": ["1", "3", "8"], "g0/c3.4": ["6"]}

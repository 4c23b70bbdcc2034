"""Rows to bytes and back: exact for every value that a state may hold, the same bytes for the same rows, and readable for good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import FatalError
from bus.indicators import columns

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.integers(-(1 << 200), 1 << 200), st.text(max_size=8))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=20).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.dictionaries(st.integers(), inner, max_size=3),
    ),
    max_leaves=12,
)
#: Rows that mostly look alike, as those of a state do.
ALIKE = st.lists(
    st.tuples(
        st.tuples(st.integers(-(1 << 40), 1 << 60), st.tuples(st.sampled_from(["a", "b", None, "Dukuh é"]), st.text(max_size=3))),
        st.one_of(st.integers(-200, 200), st.just(7), st.integers(1 << 62, 1 << 66)),
        st.lists(st.integers(0, 9), max_size=20).map(tuple),
    ),
    max_size=30,
)


@given(st.one_of(st.lists(VALUES, max_size=12), ALIKE))
def test_rows_come_back_as_they_were(rows: list[object]) -> None:
    packed = columns.encode(rows)
    found = columns.decode(packed)
    assert found == rows
    assert repr(found) == repr([_in_order(row) for row in rows]), "1 is not True"
    assert columns.encode(found) == packed


@given(ALIKE)
def test_lists_and_tuples_are_the_same(rows: list[tuple[object, ...]]) -> None:
    assert columns.encode([list(row) for row in rows]) == columns.encode(rows)


@given(st.lists(VALUES, min_size=1, max_size=6), st.data())
def test_what_is_cut_short_or_goes_on_is_refused(rows: list[object], data: st.DataObject) -> None:
    packed = columns.encode(rows)
    for wrong in (packed[: data.draw(st.integers(0, len(packed) - 1))], packed + b"\x00"):
        with pytest.raises(FatalError):
            columns.decode(wrong)


def test_a_float_has_no_place_in_a_state() -> None:
    with pytest.raises(FatalError, match="float"):
        columns.encode([(1, 2.0)])


def test_another_layout_is_refused() -> None:
    with pytest.raises(FatalError, match="02"):
        columns.decode(b"\x02" + columns.encode([1])[1:])


def test_blocks_of_version_1_stay_readable_and_are_written_so() -> None:
    """These bytes are in snapshots: whoever changes the layout gives it another version and keeps reading this one."""
    rows = [
        ((1_767_225_600_000_000, ("puskesmas", None)), ((3, -4), (3, 0, 1, 0))),
        ((1_767_225_600_000_000, ("puskesmas", "33.09.01")), ((1 << 70, 5), (2, 0, 0, 0))),
        ((1_767_229_200_000_000, ("rs é", "33.09.01")), ((9, 6), (2, 0, 0, 0))),
        ("subject", {"b": True, "a": (1, "x")}),
        ("other", {}),
    ]
    written = bytes.fromhex(FIXTURE)
    assert columns.decode(written) == rows
    assert columns.encode(rows) == written


def _in_order(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(_in_order, value))
    if isinstance(value, dict):
        return {key: _in_order(each) for key, each in sorted(value.items())}
    return value


FIXTURE = (
    "010500000046025874747473737302000000540c0000007375626a6563746f7468657249620705740300000046024971004020464847060000402046"
    "4847060000e4b31c49470600460254170000007075736b65736d61737075736b65736d6173727320c3a949620909044f000101440100000008000000"
    "33332e30392e30314b01000000084b010000000058747474646464020000004d4962020002000000540200000061624b010000000158746262010000"
    "004201740100000046024b01000000015401000000784b01000000017403000000460246025709000000030000000000000000000000000000000040"
    "0900000000000000004962fc0506460449620302024b010000000049620100004b0100000000"
)

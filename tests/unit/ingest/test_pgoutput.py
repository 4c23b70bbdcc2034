"""The decoder of `pgoutput`: what an encoder of the manual's layout writes comes back, and no bytes whatever do more than be refused."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import FatalError
from bus.ingest.kinds.cdc_changes import transactions
from bus.ingest.kinds.cdc_spec import CdcSpec
from bus.ingest.kinds.pgoutput import (
    UNCHANGED,
    Begin,
    Column,
    Commit,
    Delete,
    Image,
    Insert,
    Malformed,
    Message,
    Other,
    Relation,
    Truncate,
    Update,
    decode,
)

_NUMBER, _LSN = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
_NAME = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
_IMAGE = st.lists(st.none() | st.just(UNCHANGED) | st.text(st.characters(exclude_categories=["Cs"])), max_size=6).map(tuple)
_COLUMN = st.builds(Column, _NAME, _NUMBER, st.booleans())
_MESSAGE = st.one_of(
    st.builds(Begin, _LSN, _NUMBER),
    st.builds(Commit, _LSN, _LSN),
    st.builds(Relation, _NUMBER, _NAME, _NAME, st.sampled_from("dnfi"), st.lists(_COLUMN, max_size=4).map(tuple)),
    st.builds(Insert, _NUMBER, _IMAGE),
    st.builds(Update, _NUMBER, _IMAGE),
    st.builds(Update, _NUMBER, _IMAGE, _IMAGE, st.booleans()),
    st.builds(Delete, _NUMBER, _IMAGE, st.booleans()),
    st.builds(Truncate, st.lists(_NUMBER, max_size=4).map(tuple)),
)


def encode(message: Message) -> bytes:
    """The manual's layout, written independently of the decoder."""
    match message:
        case Begin(lsn, xid):
            return b"B" + struct.pack(">QqI", lsn, 7, xid)
        case Commit(lsn, end):
            return b"C" + struct.pack(">BQQq", 0, lsn, end, 7)
        case Relation(oid, schema, table, identity, columns):
            head = b"R" + struct.pack(">I", oid) + f"{schema}\0{table}\0{identity}".encode() + struct.pack(">H", len(columns))
            return head + b"".join(bytes([each.key]) + each.name.encode() + b"\0" + struct.pack(">Ii", each.type, -1) for each in columns)
        case Insert(relation, new):
            return b"I" + struct.pack(">I", relation) + b"N" + image(new)
        case Update(relation, new, old, whole):
            before = b"" if old is None else (b"O" if whole else b"K") + image(old)
            return b"U" + struct.pack(">I", relation) + before + b"N" + image(new)
        case Delete(relation, old, whole):
            return b"D" + struct.pack(">I", relation) + (b"O" if whole else b"K") + image(old)
        case Truncate(relations):
            return b"T" + struct.pack(">IB", len(relations), 0) + b"".join(struct.pack(">I", each) for each in relations)
        case Other(kind):
            return kind.encode()


def image(values: Image) -> bytes:
    pieces = [struct.pack(">H", len(values))]
    for value in values:
        if value is None or value is UNCHANGED:
            pieces.append(b"n" if value is None else b"u")
        else:
            text = str(value).encode()
            pieces.append(b"t" + struct.pack(">I", len(text)) + text)
    return b"".join(pieces)


@given(_MESSAGE)
def test_what_is_written_comes_back(message: Message) -> None:
    assert decode(encode(message)) == message


@given(_MESSAGE, st.data())
def test_a_message_that_is_cut_or_longer_is_refused(message: Message, data: st.DataObject) -> None:
    whole = encode(message)
    with pytest.raises(Malformed):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(Malformed):
        decode(whole + b"\0")


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused(content: bytes) -> None:
    with contextlib.suppress(Malformed):
        decode(content)


@pytest.mark.parametrize("kind", "OYM")
def test_what_says_nothing_of_rows_is_passed_over(kind: str) -> None:
    assert decode(kind.encode() + b"anything") == Other(kind)


SPEC = CdcSpec(type="postgres-cdc", tables=("public.a",), key=("no",))
TABLE = Relation(1, "public", "a", "d", (Column("no", 23, key=True), Column("value", 25, key=False)))


def test_a_changed_key_deletes_what_the_old_one_stood_for() -> None:
    messages: list[Message] = [
        Begin(1, 1),
        TABLE,
        Update(1, ("2", "x"), ("1", None)),
        Update(1, ("3", "y"), ("3", "x"), whole=True),
        Commit(1, 9),
    ]
    ((transaction),) = transactions(messages, SPEC)
    assert transaction.end == 9
    assert [(each.values, each.deleted) for each in transaction.records] == [
        ({"no": 1}, True), ({"no": 2, "value": "x"}, False), ({"no": 3, "value": "y"}, False),
    ]  # fmt: skip


def test_an_untouched_long_value_is_filled_from_the_image_before_or_refused() -> None:
    messages: list[Message] = [
        Begin(1, 1),
        TABLE,
        Update(1, ("1", UNCHANGED), ("1", "long"), whole=True),
        Update(1, ("1", UNCHANGED)),
        Commit(1, 9),
    ]
    ((transaction),) = transactions(messages, SPEC)
    filled, refused = transaction.records
    assert filled.values == {"no": 1, "value": "long"}
    assert refused.problem is not None
    assert (refused.problem.rule, refused.problem.field) == ("unchanged_toast", "value")


def test_other_tables_and_half_a_transaction_are_left_out() -> None:
    other = Relation(2, "public", "b", "d", TABLE.columns)
    messages: list[Message] = [
        Begin(1, 1),
        other,
        Insert(2, ("1", "x")),
        Truncate((2,)),
        Commit(1, 9),
        Begin(2, 2),
        TABLE,
        Insert(1, ("1", "x")),
    ]
    ((transaction),) = transactions(messages, SPEC)
    assert (transaction.records, transaction.truncated) == ([], set())


@pytest.mark.parametrize("messages", [[Commit(1, 9)], [Insert(1, ("1",))], [Begin(1, 1), Insert(1, ("1",))]])
def test_messages_out_of_place_stop_the_source(messages: list[Message]) -> None:
    with pytest.raises(FatalError):
        list(transactions(messages, SPEC))

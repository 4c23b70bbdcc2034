"""The two decoders are one: same columns, same types, same verdicts, whatever bytes come."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from bus.errors import RecordError
from bus.events.avro import node_of
from bus.events.batches import NotHot, UndecodableRecords, decode_data, decode_hot, decode_reference, read_datum, wire_size
from bus.events.codec import FRAME
from bus.events.schema import Schema
from tests.conftest import examples
from tests.unit.events.generated import TYPE, Case, cases, codec_of, envelope

_SETTINGS = settings(max_examples=examples(75), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@_SETTINGS
@given(cases())
def test_what_was_encoded_is_decoded_alone_in_a_batch_and_on_both_paths(case: Case) -> None:
    codec = codec_of(case.fields)
    schema = codec.catalogue[TYPE]
    encoded = [codec.encode(envelope(row, number=i)) for i, row in enumerate(case.rows)]

    singles = [codec.decode(value, headers) for value, headers in encoded]
    data = [value[FRAME:] for value, _ in encoded]
    hot, reference = decode_hot(schema, data), decode_reference(schema, data)
    batch = codec.decode_batch(TYPE, [value for value, _ in encoded], range(10, 10 + len(encoded)))

    assert schema.hot
    assert [{name: single[name] for name in row} for single, row in zip(singles, case.rows, strict=True)] == case.rows
    assert dict(hot.schema) == dict(reference.schema) == schema.polars_schema
    assert_frame_equal(hot, reference, check_exact=True)
    assert_frame_equal(batch.drop("_offset"), reference, check_exact=True)
    assert batch["_offset"].to_list() == list(range(10, 10 + len(encoded)))
    assert batch["subject"].to_list() == [single["subject"] for single in singles]


@_SETTINGS
@given(cases(), st.data())
def test_on_damaged_data_the_fast_decoder_never_accepts_what_the_reference_refuses(case: Case, data: st.DataObject) -> None:
    codec = codec_of(case.fields)
    schema = codec.catalogue[TYPE]
    good = [codec.encode(envelope(row, number=i))[0][FRAME:] for i, row in enumerate(case.rows)]
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = [*good[:at], _damage(good[at], data), *good[at + 1 :]]

    expected, indices = _by_the_reference(schema, damaged)
    assert indices in {(), (at,)}
    try:
        found: pl.DataFrame | None = decode_hot(schema, damaged)
    except NotHot:
        found = None
    if expected is None:
        assert found is None
        with pytest.raises(UndecodableRecords) as raised:
            decode_data(schema, damaged)
        assert raised.value.indices == (at,)
    else:
        assert found is not None
        assert_frame_equal(found, expected, check_exact=True)


def _by_the_reference(schema: Schema, data: list[bytes]) -> tuple[pl.DataFrame | None, tuple[int, ...]]:
    try:
        return decode_reference(schema, data), ()
    except UndecodableRecords as error:
        return None, error.indices


def _damage(datum: bytes, data: st.DataObject) -> bytes:
    at = data.draw(st.integers(0, len(datum) - 1))
    match data.draw(st.sampled_from(["cut", "longer", "change", "insert"])):
        case "cut":
            return datum[:at]
        case "longer":
            return datum + data.draw(st.binary(min_size=1, max_size=3))
        case "change":
            return datum[:at] + data.draw(st.binary(min_size=1, max_size=1)) + datum[at + 1 :]
    return datum[:at] + data.draw(st.binary(min_size=1, max_size=3)) + datum[at:]


_TEXT, _INT = {"name": "text", "type": "string"}, {"name": "number", "type": "int"}


@pytest.mark.parametrize(
    ("fields", "tail"),
    [
        ([_INT], b"\x80\x80\x80\x80\x10"),  # 2^31: five bytes, and pyruhvro alone reads -2^31
        ([_INT], b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        ([_INT], b"\x82\x00"),  # 1, with a byte too many
        ([_INT], b"\x02\x00"),
        ([_INT], b""),
        ([_TEXT], b"\x04\xff\xfe"),  # not UTF-8: pyruhvro alone hands it on
        ([_TEXT], b"\x01"),  # length -1
        ([_TEXT], b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01a"),
        ([{"name": "flag", "type": "boolean"}], b"\x07"),
        ([{"name": "maybe", "type": ["null", "string"]}], b"\x04\x02a"),
        ([{"name": "maybe", "type": ["null", "string"]}], b"\x01\x02a"),
        ([{"name": "list", "type": {"type": "array", "items": "long"}}], b"\x01\x02\x02\x00"),  # a block with its size: not canonical
        ([{"name": "list", "type": {"type": "array", "items": "long"}}], b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02"),
        ([{"name": "symbol", "type": {"type": "enum", "name": "E", "symbols": ["A"], "default": "A"}}], b"\x02"),
        ([{"name": "symbol", "type": {"type": "enum", "name": "E", "symbols": ["A"], "default": "A"}}], b"\x01"),
    ],
)
def test_a_damaged_datum_is_named_and_the_others_decode(fields: list[dict[str, Any]], tail: bytes) -> None:
    codec = codec_of(fields)
    values = {"text": "ab", "number": 1, "flag": True, "maybe": "a", "list": [1], "symbol": "A"}
    row = {field["name"]: values[field["name"]] for field in fields}
    good = codec.encode(envelope(row))[0]
    plain = codec_of([]).encode(envelope({}))[0]
    bad = plain + tail

    with pytest.raises(UndecodableRecords) as raised:
        codec.decode_batch(TYPE, [good, bad, good, bad], range(4))
    assert raised.value.indices == (1, 3)
    assert len(raised.value.reasons) == 2
    with pytest.raises(RecordError):
        codec.decode(bad)
    assert codec.decode_batch(TYPE, [good, good], [0, 2]).height == 2


def test_a_panic_of_the_fast_decoder_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    class Panic(BaseException):
        pass

    def panic(*_: object) -> None:
        raise Panic("not implemented")

    codec = codec_of([_INT])
    values = [codec.encode(envelope({"number": n}, number=n))[0] for n in range(3)]
    monkeypatch.setattr("bus.events.batches.pyruhvro.deserialize_array", panic)
    assert codec.decode_batch(TYPE, values, range(3))["number"].to_list() == [0, 1, 2]


def test_a_real_panic_of_the_fast_decoder_is_survived() -> None:
    codec = codec_of([{"name": "raw", "type": "bytes"}])
    value = codec.encode(envelope({"raw": b"ab"}))[0]
    with pytest.raises(NotHot, match="PanicException"):
        decode_hot(codec.catalogue[TYPE], [value[FRAME:]])


@pytest.mark.parametrize("avro", ["bytes", "float", {"type": "fixed", "name": "F", "size": 2}])
def test_types_that_the_fast_decoder_cannot_read_take_the_reference(avro: Any) -> None:
    codec = codec_of([{"name": "value", "type": avro}])
    value = 1.5 if avro == "float" else b"ab"
    assert not codec.catalogue[TYPE].hot
    frame = codec.decode_batch(TYPE, [codec.encode(envelope({"value": value}))[0]], [3])
    assert frame["value"].to_list() == [value]
    assert dict(frame.drop("_offset").schema) == codec.catalogue[TYPE].polars_schema


def test_an_empty_batch_has_all_columns_with_their_types() -> None:
    codec = codec_of([_INT, _TEXT])
    assert dict(codec.decode_batch(TYPE, [], []).schema) == codec.catalogue[TYPE].polars_schema | {"_offset": pl.Int64()}


@_SETTINGS
@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1)))
def test_wire_size_counts_what_the_reference_writes(numbers: list[int]) -> None:
    codec = codec_of([{"name": "n", "type": "long"}])
    schema = codec.catalogue[TYPE]
    without = len(codec_of([]).encode(envelope({}))[0])
    written = 0
    for number in numbers:
        datum = codec_of([]).encode(envelope({}))[0][FRAME:] + _zigzag(number)
        assert read_datum(schema, datum)["n"] == number
        written += len(datum) + FRAME - without
    assert wire_size(pl.Series(numbers, dtype=pl.Int64), node_of("long")) == written


def _zigzag(number: int) -> bytes:
    rest, out = (number << 1) ^ (number >> 63), bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])

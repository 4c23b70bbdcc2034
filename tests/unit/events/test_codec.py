"""Encoding is strict, and its errors name field, shape and what is allowed, never a personal value."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from bus.errors import RecordError, SchemaMismatch, SchemaViolation
from bus.events.catalogue import Catalogue, build
from bus.events.codec import Codec, envelope_of
from bus.events.envelope import Envelope, Event, Op
from tests.unit.events.generated import SCHEMAS, TYPE, codec_of, envelope, event_avro

NIK = "3309121203990001"
FIELDS: list[dict[str, Any]] = [
    {"name": "text", "type": "string"},
    {"name": "secret", "type": ["null", "string"], "pii": "quasi"},
    {"name": "small", "type": ["null", "int"]},
    {"name": "big", "type": "long"},
    {"name": "price", "type": ["null", "long"]},
    {"name": "level", "type": "double"},
    {"name": "flag", "type": "boolean"},
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["ONE", "TWO"], "default": "ONE"}},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "people", "type": {"type": "array", "items": {"type": "record", "name": "P", "fields": [
        {"name": "name", "type": "string", "pii": "quasi"}, {"name": "age", "type": "int"}]}}},
    {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "I", "fields": [{"name": "n", "type": "int"}]}}},
]  # fmt: skip
FIELDS[4]["type"] = ["null", {"type": "long", "scale": 2}]


FIRST = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=7)))  # in UTC it is in the year 0
NAIVE = datetime(2024, 1, 1)


def good() -> dict[str, Any]:
    return {
        "text": "halo", "secret": None, "small": 1, "big": 2, "price": Decimal("12.50"), "level": 0.5, "flag": True, "kind": "TWO",
        "day": date(2024, 2, 29), "at": datetime(2024, 2, 29, 7, tzinfo=timezone(timedelta(hours=7))),
        "people": [{"name": "Siti", "age": 30}], "items": [],
    }  # fmt: skip


def refused(changes: dict[str, Any], *, drop: str = "") -> SchemaViolation:
    data = good() | changes
    data.pop(drop, None)
    with pytest.raises(SchemaViolation) as raised:
        codec_of(FIELDS).encode(envelope(data))
    return raised.value


def test_an_event_decodes_to_itself_and_its_envelope_comes_back() -> None:
    codec = codec_of(FIELDS)
    event = envelope(good(), number=5, op=Op.CORRECT)
    value, headers = codec.encode(event)
    decoded = codec.decode(value, headers)
    assert envelope_of(TYPE, decoded) == event
    assert decoded["at"] == datetime(2024, 2, 29, tzinfo=UTC)
    assert str(decoded["price"]) == "12.50"
    frame = codec.decode_batch(TYPE, [value], [0])
    assert frame["price"].to_list() == [1250]
    assert codec.catalogue[TYPE].scale_of("price") == 2
    assert codec.catalogue[TYPE].scale_of("big") == 0


def test_framing_and_headers_are_those_of_confluent_and_cloudevents() -> None:
    codec = codec_of(FIELDS)
    value, headers = codec.encode(envelope(good()))
    assert value[:5] == b"\x00\x00\x00\x00\x07"
    assert [name for name, _ in headers] == ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_dataschema"]
    assert dict(headers)["ce_type"] == TYPE.encode()
    assert dict(headers)["ce_dataschema"] == codec.catalogue[TYPE].fingerprint.encode()
    assert dict(headers)["ce_id"] == envelope(good()).id.encode()


@pytest.mark.parametrize(
    ("changes", "field", "rule", "received"),
    [
        ({"extra": 1}, "extra", "unknown_field", "an integer of 1 digits"),
        ({"text": 5}, "text", "type", "5"),
        ({"text": None}, "text", "null", "None"),
        ({"text": "\ud800"}, "text", "type", "1 characters, not valid Unicode"),
        ({"small": True}, "small", "type", "True"),
        ({"small": 1.0}, "small", "type", "1.0"),
        ({"small": "1"}, "small", "type", "'1'"),
        ({"small": 1 << 31}, "small", "range", "2147483648"),
        ({"big": -(1 << 63) - 1}, "big", "range", "-9223372036854775809"),
        ({"price": 12}, "price", "type", "12"),
        ({"price": 12.5}, "price", "type", "12.5"),
        ({"price": Decimal("1.234")}, "price", "scale", "Decimal('1.234')"),
        ({"price": Decimal("NaN")}, "price", "type", "Decimal('NaN')"),
        ({"price": Decimal("1e17")}, "price", "range", "Decimal('1E+17')"),
        ({"level": float("nan")}, "level", "finite", "nan"),
        ({"level": float("-inf")}, "level", "finite", "-inf"),
        ({"level": "0.5"}, "level", "type", "'0.5'"),
        ({"level": (1 << 53) + 1}, "level", "range", "9007199254740993"),
        ({"level": 10**400}, "level", "range", "an integer of 401 digits"),
        ({"flag": 1}, "flag", "type", "1"),
        ({"kind": "THREE"}, "kind", "enum", "'THREE'"),
        ({"day": datetime(2024, 1, 1, tzinfo=UTC)}, "day", "type", "datetime.datetime(2024, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)"),
        ({"at": NAIVE}, "at", "zone", "datetime.datetime(2024, 1, 1, 0, 0)"),
        ({"at": "2024-01-01"}, "at", "type", "'2024-01-01'"),
        ({"at": FIRST}, "at", "range", "a time with zone"),
        ({"people": "x"}, "people", "type", "1 characters"),
        ({"items": [{"n": 1}, {"n": "2"}]}, "items[1].n", "type", "'2'"),
        ({"items": [{"n": 1, "m": 2}]}, "items[0].m", "unknown_field", "an integer of 1 digits"),
        ({"items": [{}]}, "items[0].n", "missing_field", "missing"),
        ({"people": [{"name": "Siti", "age": "tiga"}]}, "people[0].age", "type", "4 characters"),
        ({"secret": 12345}, "secret", "type", "an integer of 5 digits"),
    ],
)
def test_what_does_not_fit_is_refused_with_field_and_shape(changes: dict[str, Any], field: str, rule: str, received: str) -> None:
    error = refused(changes)
    assert (error.field, error.rule, error.received) == (field, rule, received)
    assert error.allowed
    assert field in str(error)


def test_a_missing_field_is_refused_also_where_the_schema_has_a_default() -> None:
    assert refused({}, drop="small").rule == "missing_field"
    codec = codec_of([{"name": "note", "type": ["null", "string"], "default": None}])
    with pytest.raises(SchemaViolation, match="'note' is missing"):
        codec.encode(envelope({}))


def test_an_envelope_field_in_the_payload_is_refused() -> None:
    assert refused({"sequence": 99}).field == "sequence"


@pytest.mark.parametrize(
    "changes",
    [
        {"text": NIK}, {"text": f"KTP {NIK}, RT 01"}, {"secret": NIK}, {"text": "3309.1212.0399.0001"}, {"big": int(NIK)},
        {"level": float(NIK)}, {"people": [{"name": NIK, "age": 1}]}, {"items": [{"n": NIK}]}, {NIK: "x"},
        {"items": [{"n": 1, NIK: 2}]},
    ],
)  # fmt: skip
def test_a_nik_is_refused_everywhere_and_never_shown(changes: dict[str, Any]) -> None:
    error = refused(changes)
    for text in (str(error), error.field, error.received, error.allowed, repr(error), repr(error.__cause__)):
        assert "1203990001" not in text.replace(".", "")


@pytest.mark.parametrize("place", ["subject", "source", "batch"])
def test_a_nik_in_the_envelope_is_refused(place: str) -> None:
    changes: dict[str, Any] = {place: f"x/{NIK}"}
    with pytest.raises(SchemaViolation) as raised:
        codec_of(FIELDS).encode(envelope(good(), **changes))
    assert raised.value.rule == "nik"
    assert raised.value.field == place
    assert NIK not in str(raised.value)


def test_a_sequence_may_look_like_a_nik() -> None:
    value, headers = codec_of(FIELDS).encode(envelope(good(), number=int(NIK), subject="a"))
    assert codec_of(FIELDS).decode(value, headers)["sequence"] == int(NIK)


@pytest.mark.parametrize("at", [datetime(1899, 12, 31, 23, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)])
def test_an_event_outside_of_1900_to_2199_is_refused(at: datetime) -> None:
    with pytest.raises(SchemaViolation) as raised:
        codec_of(FIELDS).encode(envelope(good(), occurred_at=at))
    assert raised.value.field == "occurred_at"


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(SchemaViolation) as raised:
        codec_of(FIELDS).encode(envelope(good(), occurred_at=NAIVE))
    assert (raised.value.field, raised.value.rule) == ("occurred_at", "zone")


@pytest.mark.parametrize("op", [Op.CORRECT, Op.CANCEL])
def test_a_type_that_is_not_correctable_takes_only_create(op: Op) -> None:
    codec = codec_of([], correctable=False)
    codec.encode(envelope({}))
    with pytest.raises(SchemaViolation) as raised:
        codec.encode(envelope({}, op=op))
    assert (raised.value.field, raised.value.rule) == ("op", "not_correctable")


def test_an_empty_subject_and_an_unknown_type_are_refused() -> None:
    with pytest.raises(SchemaViolation, match="subject is empty"):
        codec_of([]).encode(envelope({}, subject=""))
    event = Envelope(Event("no.such.thing.v1", "a", datetime(2024, 1, 1, tzinfo=UTC)), "s", 1, 1, Op.CREATE, "b")
    with pytest.raises(SchemaViolation, match=TYPE):
        codec_of([]).encode(event)


def test_an_id_and_a_fingerprint_that_disagree_are_an_error_never_a_misread_record() -> None:
    one, other = codec_of([]), codec_of([{"name": "n", "type": "int"}])
    value, headers = other.encode(envelope({"n": 1}))
    with pytest.raises(SchemaMismatch):
        one.decode(value, headers)
    with pytest.raises(SchemaMismatch):
        one.decode_batch(TYPE, [value], [0], fingerprints=[dict(headers)["ce_dataschema"]])
    other.decode_batch(TYPE, [value], [0], fingerprints=[dict(headers)["ce_dataschema"]])


def test_an_unknown_id_and_another_types_id_are_mismatches() -> None:
    second = "test.other.happened.v1"
    avro = event_avro([]) | {"namespace": "test.other.happened"}
    codec = Codec(Catalogue([build(TYPE, event_avro([]), 7), build(second, avro, 8)]))
    value, _ = codec.encode(envelope({}))
    strange = b"\x00\x00\x00\x00\x09" + value[5:]
    for call in (lambda: codec.decode(strange), lambda: codec.decode_batch(TYPE, [value, strange], [0, 1])):
        with pytest.raises(SchemaMismatch, match="9"):
            call()
    with pytest.raises(SchemaMismatch, match="expected"):
        codec.decode_batch(second, [value], [0])
    with pytest.raises(SchemaMismatch, match="ce_type"):
        codec.decode(value, (("ce_type", second.encode()),))


@pytest.mark.parametrize("value", [b"", b"\x00\x00", b"\x01\x00\x00\x00\x07\x00"])
def test_a_value_without_framing_is_a_bad_record(value: bytes) -> None:
    with pytest.raises(RecordError, match="framing"):
        codec_of([]).decode(value)


def test_the_buss_own_records_encode_as_strictly_as_events() -> None:
    codec = Codec(Catalogue.load([SCHEMAS]))
    at = datetime(2024, 1, 1, tzinfo=UTC)
    values = {
        "indicator": "dlh.pm10_mean", "version": 1, "fingerprint": "ab", "window_start": at, "window_end": at, "value": "1.5",
        "dimensions": [{"name": "station", "value": None}], "numerator": "3309121203990001", "denominator": "2", "n": 2, "revision": 3,
        "status": "final", "evidence": [{"topic": "t", "partition": 0, "offset": -1}], "watermarks": [{"source": "s", "at": at}],
        "late": 1, "corrected": 1, "withdrawn": 0, "heard": 26, "expected": 27, "label": None, "error": "0", "as_of": at,
        "leaves": [{"indicator": "dlh.pm10_mean", "version": 1, "partitions": 1}], "closing": True,
    }  # fmt: skip
    value, headers = codec.encode_record("bus.indicator_value.v1", values)
    assert codec.decode(value, headers) == values
    assert codec.decode_batch("bus.indicator_value.v1", [value], [0]).height == 1
    with pytest.raises(SchemaViolation, match="status"):
        codec.encode_record("bus.indicator_value.v1", values | {"status": "maybe"})

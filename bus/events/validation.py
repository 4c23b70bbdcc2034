"""Strict checking of what is to be encoded: exactly the schema's fields, exactly its types, nothing that must never enter Kafka.

The result is the datum as it goes on the wire (times and decimals as integers), so that the Avro writer after it has nothing left to
interpret. fastavro alone would write an extra field's record silently, turn True into 1, and cut a number's decimals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from bus.errors import SchemaViolation
from bus.events.avro import Node
from bus.events.nik import PHONE_SHAPE, SHAPE, contains_nik, contains_phone, is_nik_number
from bus.events.personal import FORMS, fits
from bus.events.schema import Schema

EPOCH, _EPOCH_DAY, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), date(1970, 1, 1), timedelta(microseconds=1)
_EARLIEST, _LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999  # of the years 1 to 9999 in UTC: others nobody could read again
_INT, _LONG = (-(1 << 31), (1 << 31) - 1), (-(1 << 63), (1 << 63) - 1)

#: When an event of an agency can have happened; outside of it a year was misread.
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

_NO_NIK = "no NIK: the connector replaces it by its HMAC"
_NO_PHONE = "no telephone number: the connector replaces it by its HMAC; a field of codes that look like one says phone_like in its schema"


def shape_of(value: object) -> str:
    """What kind of thing a value is, without the value."""
    match value:  # bool before int, as True is an int
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return f"an integer of {len(str(abs(value)))} digits"
        case float():
            return "a number with a fraction" if math.isfinite(value) else "not a finite number"
        case Decimal():
            return f"a decimal of {len(value.as_tuple().digits)} digits" if value.is_finite() else "not a finite number"
        case str():
            return f"{len(value)} {'digits' if value.isdecimal() else 'characters'}"
        case datetime():
            return "a time with zone" if value.tzinfo else "a time without zone"
        case Mapping():
            return f"a record of {len(value)} fields"
        case list() | tuple():
            return f"a list of {len(value)}"
    return f"a {type(value).__name__}"


class _Refused(Exception):
    """Carries a refusal up to where the field's path and its `pii` are known."""

    def __init__(self, rule: str, allowed: str, value: object, *, path: str = "", shape: str = "") -> None:
        self.rule, self.allowed, self.value, self.path, self.shape = rule, allowed, value, path, shape

    def inside(self, step: str) -> _Refused:
        self.path = step + self.path
        return self


def wire_datum(schema: Schema, values: Mapping[str, object], *, personal: bool = True) -> dict[str, object]:
    """The values as the Avro writer takes them. Raises `SchemaViolation` naming the first field (path) that does not fit.

    Received values stand in the error only for declared fields without `pii`, and never when they contain a NIK. `personal=False`
    leaves out the search for NIKs, for the bus's own records, which carry numbers and names of columns.
    """
    fields = schema.fields
    if values.keys() != fields.keys():
        _refuse_names(schema, values)
    datum: dict[str, object] = {}
    for name, field in fields.items():
        try:
            datum[name] = _wire(field.node, values[name], personal and name not in {"sequence", "version"})
        except _Refused as refused:
            raise _violation(schema, name, field.pii != "", refused) from None
    return datum


def _refuse_names(schema: Schema, values: Mapping[str, object]) -> None:
    unknown, missing = [n for n in values if n not in schema.fields], [n for n in schema.fields if n not in values]
    allowed = ", ".join(schema.fields)
    for name in unknown:
        shown = f"a name of {len(name)} characters" if contains_nik(str(name)) else str(name)[:60]
        received = shape_of(values[name])
        raise SchemaViolation(
            f"{schema.name}: field {shown!r} ({received}) is not in the schema; its fields are {allowed}",
            field=shown, rule="unknown_field", received=received, allowed=allowed,
        )  # fmt: skip
    raise SchemaViolation(
        f"{schema.name}: field {missing[0]!r} is missing; every field must be given, an unknown value as null where the schema allows it",
        field=missing[0], rule="missing_field", received="missing", allowed="a value for every field of the schema",
    )  # fmt: skip


def _violation(schema: Schema, name: str, secret: bool, refused: _Refused) -> SchemaViolation:
    path = name + refused.path
    received = refused.shape or (shape_of(refused.value) if secret else _shown(refused.value))
    return SchemaViolation(
        f"{schema.name}: field {path}: received {received}; allowed: {refused.allowed}",
        field=path, rule=refused.rule, received=received, allowed=refused.allowed,
    )  # fmt: skip


def _shown(value: object) -> str:
    text = repr(value)
    if isinstance(value, (Mapping, list, tuple, bytes)) or contains_nik(text) or contains_phone(text) or len(text) > 80:
        return shape_of(value)
    return text


def _wire(node: Node, value: object, personal: bool) -> object:
    if value is None:
        if node.nullable:
            return None
        raise _Refused("null", f"{_named(node)}, not null", value)
    if node.guard:
        return _guarded(node, value)
    match node.kind:
        case "string":
            return _string(value, personal, node.phone_like)
        case "int" | "long":
            return _integer(node, value, personal)
        case "double" | "float":
            return _number(node, value, personal)
        case "timestamp":
            return _timestamp(value)
        case "enum":
            if isinstance(value, str) and value in node.symbols:
                return str(value)
            raise _Refused("enum", "one of " + ", ".join(node.symbols), value)
        case "record":
            return _record(node, value, personal)
        case "array":
            return _array(node, value, personal)
    return _other(node, value)


def _guarded(node: Node, value: object) -> str:
    """A text that names nobody: nothing else may be in a field that would."""
    if node.kind == "string" and isinstance(value, str) and fits(node.guard, value):
        return str(value)
    raise _Refused(f"not_{node.guard}", FORMS[node.guard], value, shape=shape_of(value))


def _string(value: object, personal: bool, phone_like: bool) -> str:
    if not isinstance(value, str):
        raise _Refused("type", "text", value)
    if personal and contains_nik(value):
        raise _Refused("nik", _NO_NIK, value, shape=SHAPE)
    if personal and not phone_like and contains_phone(value):
        raise _Refused("phone", _NO_PHONE, value, shape=PHONE_SHAPE)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Refused("type", "text without lone surrogates", value, shape=f"{len(value)} characters, not valid Unicode") from None
    return str(value)


def _integer(node: Node, value: object, personal: bool) -> int:
    low, high = _INT if node.kind == "int" else _LONG
    if node.scale is not None:
        return _scaled(node.scale, value, low, high)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Refused("type", _named(node), value)
    if not low <= value <= high:
        raise _Refused("range", f"{low} to {high}", value)
    if personal and is_nik_number(value):
        raise _Refused("nik", _NO_NIK, value, shape=SHAPE)
    return int(value)


def _scaled(scale: int, value: object, low: int, high: int) -> int:
    allowed = f"a Decimal with at most {scale} decimal places"
    if not isinstance(value, Decimal) or not value.is_finite():
        raise _Refused("type", allowed, value)
    _, digits, exponent = value.as_tuple()
    power = int(exponent) + scale
    if abs(power) > 400 or len(digits) > 400:
        raise _Refused("range", allowed, value, shape=shape_of(value))
    unscaled = int("".join(map(str, digits))) * (-1 if value.is_signed() else 1)
    whole = unscaled * int(10**power) if power >= 0 else unscaled // int(10**-power)
    if power < 0 and whole * int(10**-power) != unscaled:
        raise _Refused("scale", allowed, value)
    if not low <= whole <= high:
        raise _Refused("range", f"{allowed}, from {Decimal(low).scaleb(-scale)} to {Decimal(high).scaleb(-scale)}", value)
    return whole


def _number(node: Node, value: object, personal: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _Refused("type", "a finite number", value)
    if isinstance(value, float) and not math.isfinite(value):
        raise _Refused("finite", "a finite number; an unknown one is null where the schema allows it", value)
    number = float(value) if abs(value) < 1 << 1000 or isinstance(value, float) else math.inf
    if number != value or (node.kind == "float" and abs(number) > 3.4e38):
        raise _Refused("range", "a number that a double holds exactly", value)
    if personal and is_nik_number(number):
        raise _Refused("nik", _NO_NIK, value, shape=SHAPE)
    return number


def micros(value: datetime) -> int:
    """Microseconds since 1970 in UTC, exact."""
    return (value - EPOCH) // _MICROSECOND


def _timestamp(value: object) -> int:
    if not isinstance(value, datetime):
        raise _Refused("type", "a time with zone", value)
    if value.tzinfo is None or value.utcoffset() is None:
        raise _Refused("zone", "a time with zone; which one a source means is said in its mapping", value)
    if not _EARLIEST <= micros(value) <= _LATEST:
        raise _Refused("range", "a time in the years 1 to 9999, in UTC", value)
    return micros(value)


def _record(node: Node, value: object, personal: bool) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise _Refused("type", "a record", value)
    names = [name for name, _ in node.fields]
    for name in value:
        if name not in names:
            path = "" if contains_nik(str(name)) else f".{str(name)[:60]}"
            raise _Refused("unknown_field", ", ".join(names), value, path=path, shape=shape_of(value[name]))
    datum = {}
    for name, inner in node.fields:
        if name not in value:
            raise _Refused("missing_field", "a value for every field of the record", value, path=f".{name}", shape="missing")
        try:
            datum[name] = _wire(inner, value[name], personal)
        except _Refused as refused:
            raise refused.inside(f".{name}") from None
    return datum


def _array(node: Node, value: object, personal: bool) -> list[object]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence) or node.items is None:
        raise _Refused("type", "a list", value)
    datum = []
    for index, item in enumerate(value):
        try:
            datum.append(_wire(node.items, item, personal))
        except _Refused as refused:
            raise refused.inside(f"[{index}]") from None
    return datum


def _other(node: Node, value: object) -> object:
    if node.kind == "boolean" and isinstance(value, bool):
        return value
    if node.kind == "date" and isinstance(value, date) and not isinstance(value, datetime):
        return (value - _EPOCH_DAY).days
    if isinstance(value, bytes) and (node.kind == "bytes" or (node.kind == "fixed" and len(value) == node.size)):
        if contains_nik(value.decode("latin-1")):
            raise _Refused("nik", _NO_NIK, value, shape=SHAPE)
        return value
    raise _Refused("type", _named(node), value)


_NAMES: Mapping[str, str] = {
    "int": "an integer of 32 bits",
    "long": "an integer of 64 bits",
    "string": "text",
    "boolean": "true or false",
    "double": "a finite number",
    "float": "a finite number",
    "date": "a date (not a time)",
    "timestamp": "a time with zone",
    "record": "a record",
    "array": "a list",
    "bytes": "bytes",
}


def _named(node: Node) -> str:
    return f"{node.size} bytes" if node.kind == "fixed" else _NAMES.get(node.kind, node.kind)


def readable(node: Node, wire: object) -> object:
    """The value that `wire_datum` made this from: aware times, dates and decimals again. Raises `OverflowError` outside their ranges."""
    if wire is None:
        return None
    match node.kind:
        case "timestamp" if isinstance(wire, int):
            return EPOCH + timedelta(microseconds=wire)
        case "date" if isinstance(wire, int):
            return _EPOCH_DAY + timedelta(days=wire)
        case "int" | "long" if node.scale is not None and isinstance(wire, int):
            return Decimal((wire < 0, tuple(map(int, str(abs(wire)))), -node.scale))
        case "record" if isinstance(wire, Mapping):
            return {name: readable(inner, wire[name]) for name, inner in node.fields}
        case "array" if isinstance(wire, list) and node.items is not None:
            items = node.items
            return [readable(items, item) for item in wire]
    return wire

"""One Avro schema as the bus uses it: its fields, its fingerprint and id, and the forms that the decoders need, made once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import fastavro
import polars as pl

from bus.events.avro import Json, Node, UnsupportedType, default_fits, fields_of, fingerprint_of, node_of, plain
from bus.events.envelope import ENVELOPE_FIELDS, EventType

_TIME: Json = {"type": "long", "logicalType": "timestamp-micros"}
_ENVELOPE_TYPES: Mapping[str, Json] = {
    "source": "string",
    "sequence": "long",
    "version": "long",
    "subject": "string",
    "occurred_at": _TIME,
    "batch": "string",
}
_NAME = re.compile(r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")
_OPS: Json = ["CREATE", "CORRECT", "CANCEL"]


@dataclass(frozen=True, slots=True)
class Field:
    """A top-level field. `pii` is "direct", "quasi" or empty; `data_class` the class of UU 27/2022, or empty.

    A quasi field is `sealed` (encrypted under a key of its subject), or says in `generalised` how it was made coarse.
    """

    name: str
    node: Node
    avro: Json
    doc: str = ""
    pii: str = ""
    data_class: str = ""
    sealed: bool = False
    generalised: str = ""
    has_default: bool = False
    default: Json = None


@dataclass(frozen=True)
class Schema:
    """A record schema under the id that its records carry. `version` counts the releases of that name."""

    name: str
    avro: dict[str, Json]
    schema_id: int
    version: int = 1
    where: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the schema without docs; the value of the header `ce_dataschema`."""
        return fingerprint_of(self.avro)

    @cached_property
    def node(self) -> Node:
        return node_of(self.avro)

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """All fields by name, in the order of the file."""
        nodes = dict(self.node.fields)
        return {str(raw["name"]): _field(raw, nodes[str(raw["name"])]) for raw in _raw_fields(self.avro)}

    @cached_property
    def correctable(self) -> bool:
        """Whether a later event may correct or cancel an earlier one of the same subject; false: every event is a CREATE."""
        return self.avro.get("correctable", True) is not False

    @cached_property
    def hot(self) -> bool:
        """Whether batches are decoded by pyruhvro, straight into Arrow; decided by type alone."""
        return self.node.hot

    @cached_property
    def polars_schema(self) -> dict[str, pl.DataType]:
        """Column -> type, exactly as `Codec.decode_batch` returns them (it adds `_offset`)."""
        return {name: node.dtype for name, node in self.node.fields}

    def scale_of(self, field: str) -> int:
        """How many decimal places the integers of that column stand for; 0 where none are declared."""
        return self.fields[field].node.scale or 0

    @cached_property
    def prefix(self) -> bytes:
        """The Confluent framing of every record of this schema: a zero byte and the id."""
        return b"\x00" + self.schema_id.to_bytes(4, "big")

    @cached_property
    def plain_json(self) -> dict[str, Json]:
        return cast("dict[str, Json]", plain(self.avro))

    @cached_property
    def plain_parsed(self) -> dict[str, Json]:
        """fastavro's form of the schema, with times as integers."""
        parsed: object = fastavro.parse_schema(self.plain_json)
        return cast("dict[str, Json]", parsed)

    @cached_property
    def hot_json(self) -> str:
        """pyruhvro's form of the schema: times and 32-bit integers as `long`."""
        return json.dumps(plain(self.avro, widen=True))


@dataclass(frozen=True)
class EventSchema(Schema):
    """The schema of one event type: the envelope's fields, then the payload's."""

    @cached_property
    def type(self) -> EventType:
        return EventType.parse(self.name)

    @cached_property
    def payload_fields(self) -> Mapping[str, Field]:
        """The fields after the envelope: what `Event.data` must hold, all of them and no other."""
        return {name: field for name, field in self.fields.items() if name not in ENVELOPE_FIELDS}


def _raw_fields(avro: dict[str, Json]) -> list[dict[str, Json]]:
    fields = avro.get("fields")
    return [field for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []


def _field(raw: dict[str, Json], node: Node) -> Field:
    return Field(
        name=str(raw["name"]),
        node=node,
        avro=raw["type"],
        doc=str(raw.get("doc") or ""),
        pii=_pii(raw),
        data_class=str(raw.get("class") or ""),
        sealed=raw.get("sealed") is True,
        generalised=str(raw.get("generalised") or ""),
        has_default="default" in raw,
        default=raw.get("default"),
    )


def _pii(raw: Json) -> str:
    """The field's own `pii`, or that of anything inside it: an error about a record must not show what one of its fields hides."""
    if isinstance(raw, dict):
        return str(raw.get("pii") or "") or next((found for value in raw.values() if (found := _pii(value))), "")
    if isinstance(raw, list):
        return next((found for value in raw if (found := _pii(value))), "")
    return ""


def full_name(avro: Mapping[str, Json]) -> str:
    """The record's Avro full name."""
    name, space = str(avro.get("name") or ""), str(avro.get("namespace") or "")
    return name if "." in name or not space else f"{space}.{name}"


def record_problems(avro: Mapping[str, Json], name: str) -> list[str]:
    """What stops a record from being a schema of the bus: its name, its types, Avro's own rules."""
    if avro.get("type") != "record":
        return ["the file must hold one Avro record"]
    problems = []
    if full_name(avro) != name:
        problems.append(f"the record's full name is {full_name(avro)!r}, the path says {name!r}")
    if not isinstance(avro.get("correctable", True), bool):
        problems.append("`correctable` is true or false")
    try:
        node_of(dict(avro))
        fastavro.parse_schema(cast("dict[str, Json]", plain(dict(avro))))
        paths = [path for path, _ in fields_of(dict(avro))]
        problems += [
            f"field {path}: not valid Avro here: names are lower case, with digits and _" for path in paths if not _NAME.match(path)
        ]
        problems += [f"field {path} stands twice" for path in sorted({path for path in paths if paths.count(path) > 1})]
        for path, field in fields_of(dict(avro)):
            if "default" in field and not default_fits(node_of(field["type"]), field["default"]):
                problems.append(
                    f"field {path}: the default {json.dumps(field['default'])} is not a value of its type (of a union: of its first branch)"
                )
    except UnsupportedType as error:
        problems.append(str(error))
    except Exception as error:  # noqa: BLE001  whatever fastavro finds wrong, in its many kinds, is wrong with the file
        problems.append(f"not valid Avro: {type(error).__name__}: {error}")
    return problems


def envelope_problems(avro: Mapping[str, Json]) -> list[str]:
    """What is wrong with the first seven fields of an event schema, which are the envelope."""
    fields = _raw_fields(dict(avro))
    names = [field.get("name") for field in fields]
    if tuple(names[: len(ENVELOPE_FIELDS)]) != ENVELOPE_FIELDS:
        return [f"the first fields must be the envelope's, in this order: {', '.join(ENVELOPE_FIELDS)}"]
    problems = []
    for field in fields[: len(ENVELOPE_FIELDS)]:
        name, kind = str(field["name"]), field.get("type")
        if name == "op":
            if not (
                isinstance(kind, dict) and kind.get("type") == "enum" and kind.get("symbols") == _OPS and kind.get("default") == "CREATE"
            ):
                problems.append('op must be an enum of CREATE, CORRECT, CANCEL with the default "CREATE"')
        elif kind != _ENVELOPE_TYPES[name]:
            problems.append(f"{name} must be {json.dumps(_ENVELOPE_TYPES[name])}")
    return problems

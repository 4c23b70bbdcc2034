"""What the bus makes of an Avro type: its Polars type, whether the hot path may read it, the plain form that both decoders read.

Only the type's description is looked at, never data: whether a schema is hot is decided once, at load. Knows nothing of
files, ids or envelopes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import polars as pl

#: A JSON value, as it stands in an .avsc file.
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_PRIMITIVES: Mapping[str, pl.DataType] = {
    "boolean": pl.Boolean(),
    "int": pl.Int32(),
    "long": pl.Int64(),
    "float": pl.Float32(),
    "double": pl.Float64(),
    "string": pl.String(),
    "bytes": pl.Binary(),
}
_LOGICAL: Mapping[tuple[str, str], pl.DataType] = {
    ("int", "date"): pl.Date(),
    ("long", "timestamp-micros"): pl.Datetime("us", "UTC"),
}
#: pyruhvro panics on `bytes` and `fixed`; `float` is left out because no event should carry one.
_HOT_PRIMITIVES = frozenset({"boolean", "int", "long", "double", "string"})

#: An enum of more symbols needs two bytes for some of them, which the hot path's size check does not count.
HOT_SYMBOLS = 64


class UnsupportedType(ValueError):
    """The Avro type is not one that the bus carries; the message says which are."""


@dataclass(frozen=True, slots=True)
class Node:
    """One Avro type, taken apart. `kind` is the primitive's name, or date, timestamp, enum, fixed, record, array."""

    kind: str
    nullable: bool = False
    null_index: int = 0
    symbols: tuple[str, ...] = ()
    enum_default: str | None = None
    size: int = 0
    items: Node | None = None
    fields: tuple[tuple[str, Node], ...] = ()
    scale: int | None = None
    name: str = ""
    #: What a text must be so that it names nobody: "pseudonym" or "sealed"; empty: any text.
    guard: str = ""
    #: Whether texts may look like telephone numbers, being codes.
    phone_like: bool = False

    @property
    def dtype(self) -> pl.DataType:
        """The Polars type of a decoded column."""
        match self.kind:
            case "date":
                return pl.Date()
            case "timestamp":
                return pl.Datetime("us", "UTC")
            case "enum":
                return pl.String()
            case "fixed":
                return pl.Binary()
            case "record":
                return pl.Struct([pl.Field(name, node.dtype) for name, node in self.fields])
            case "array":
                return pl.List(cast("Node", self.items).dtype)
            case _:
                return _PRIMITIVES[self.kind]

    @property
    def physical(self) -> pl.DataType:
        """The same type with times and dates as the integers that they are on the wire."""
        match self.kind:
            case "date":
                return pl.Int32()
            case "timestamp":
                return pl.Int64()
            case "record":
                return pl.Struct([pl.Field(name, node.physical) for name, node in self.fields])
            case "array":
                return pl.List(cast("Node", self.items).physical)
            case _:
                return self.dtype

    @property
    def hot(self) -> bool:
        """Whether pyruhvro decodes it."""
        match self.kind:
            case "date" | "timestamp":
                return True
            case "enum":
                return len(self.symbols) <= HOT_SYMBOLS
            case "record":
                return all(node.hot for _, node in self.fields)
            case "array":
                return cast("Node", self.items).hot
            case _:
                return self.kind in _HOT_PRIMITIVES


def node_of(schema: Json, scale: int | None = None) -> Node:
    """The type that an Avro description means. Raises `UnsupportedType` for what events may not carry."""
    if isinstance(schema, list):
        return _union(schema, scale)
    if isinstance(schema, str):
        if schema not in _PRIMITIVES:
            raise UnsupportedType(
                f"type {schema!r}: allowed are {', '.join(_PRIMITIVES)}, enum, fixed, record, array and [null, T], each written out"
            )
        return Node(schema, scale=scale)
    if not isinstance(schema, dict):
        raise UnsupportedType(f"a type is a name, a list or an object, not {json.dumps(schema)}")
    return _complex(schema, scale)


def _union(branches: list[Json], scale: int | None) -> Node:
    others = [branch for branch in branches if branch != "null"]
    if len(branches) != 2 or len(others) != 1:
        raise UnsupportedType(f"union {json.dumps(branches)}: the only allowed union is [null, T]")
    inner = node_of(others[0], scale)
    if inner.nullable:
        raise UnsupportedType("a union directly inside a union")
    return _with_null(inner, branches.index("null"))


def _with_null(node: Node, index: int) -> Node:
    return replace(node, nullable=True, null_index=index)


def _complex(schema: dict[str, Json], scale: int | None) -> Node:
    kind, logical = schema.get("type"), schema.get("logicalType")
    if isinstance(kind, (list, dict)):
        return node_of(kind, scale)
    own = schema.get("scale", scale)
    if own is not None and not (isinstance(own, int) and not isinstance(own, bool) and 0 <= own <= 18):
        raise UnsupportedType(f"scale {json.dumps(own)}: allowed is an integer from 0 to 18")
    name = str(schema.get("name") or "")
    if kind == "record":
        return Node("record", name=name, fields=tuple(_record_fields(schema)))
    if kind == "array":
        return Node("array", items=node_of(schema.get("items")))
    if kind == "enum":
        symbols = cast("list[str]", schema.get("symbols") or [])
        return Node("enum", name=name, symbols=tuple(symbols), enum_default=cast("str | None", schema.get("default")))
    if kind == "fixed":
        return Node("fixed", name=name, size=cast("int", schema.get("size")))
    if logical is not None:
        if (kind, logical) == ("int", "date"):
            return Node("date")
        if (kind, logical) == ("long", "timestamp-micros"):
            return Node("timestamp")
        raise UnsupportedType(
            f"logicalType {logical!r} on {kind!r}: allowed are timestamp-micros on long and date on int; decimals are long with a scale"
        )
    return node_of(kind, own)


def _record_fields(schema: dict[str, Json]) -> Iterator[tuple[str, Node]]:
    fields = schema.get("fields")
    if not isinstance(fields, list) or not fields:
        raise UnsupportedType(f"record {schema.get('name')!r} has no fields")
    for field in fields:
        if not isinstance(field, dict) or not isinstance(field.get("name"), str) or "type" not in field:
            raise UnsupportedType(f"record {schema.get('name')!r}: a field needs a name and a type")
        try:
            yield cast("str", field["name"]), _guarded(node_of(field["type"], cast("int | None", field.get("scale"))), field)
        except UnsupportedType as error:
            raise UnsupportedType(f"field {field['name']}: {error}") from error


def _guarded(node: Node, field: dict[str, Json]) -> Node:
    """The node with what the field says of its texts: those of a list are its items."""
    guard = "pseudonym" if field.get("pii") == "direct" else "sealed" if field.get("sealed") is True else ""
    phone_like = field.get("phone_like") is True
    if not guard and not phone_like:
        return node
    if node.kind == "array" and node.items is not None:
        return replace(node, items=_guarded(node.items, field))
    return replace(node, guard=guard, phone_like=phone_like)


def fields_of(schema: Json, path: str = "") -> Iterator[tuple[str, dict[str, Json]]]:
    """Every field of a record and of the records inside it, as (path, the field's JSON)."""
    if isinstance(schema, list):
        for branch in schema:
            yield from fields_of(branch, path)
    elif isinstance(schema, dict):
        for field in cast("list[Json]", schema.get("fields") or []):
            if isinstance(field, dict):
                here = f"{path}.{field.get('name')}" if path else str(field.get("name"))
                yield here, field
                yield from fields_of(field.get("type"), here)
        for key in ("items", "type"):
            if isinstance(schema.get(key), (dict, list)):
                yield from fields_of(schema[key], path)


def default_fits(node: Node, default: Json) -> bool:
    """Whether a field's default is a value of its type (for a union: of the first branch, as Avro wants it)."""
    if node.nullable:
        return default is None if node.null_index == 0 else default is not None and default_fits(replace(node, nullable=False), default)
    whole = isinstance(default, int) and not isinstance(default, bool)
    match node.kind:
        case "int" | "date":
            return whole and -(1 << 31) <= cast("int", default) < 1 << 31
        case "long" | "timestamp":
            return whole and -(1 << 63) <= cast("int", default) < 1 << 63
        case "float" | "double":
            return whole or isinstance(default, float)
        case "boolean":
            return isinstance(default, bool)
        case "enum":
            return default in node.symbols
        case "array":
            return isinstance(default, list) and all(default_fits(cast("Node", node.items), item) for item in default)
        case "record":
            return isinstance(default, dict) and all(name in default and default_fits(inner, default[name]) for name, inner in node.fields)
    return isinstance(default, str)


def plain(schema: Json, *, widen: bool = False) -> Json:
    """The schema without logical types, so that times are read as integers; the wire form is the same.

    With `widen`, each `int` becomes `long`, which is the same wire form again: pyruhvro would silently wrap an int that does not fit
    into 32 bits, where a checked cast afterwards notices it.
    """
    if isinstance(schema, list):
        return [plain(branch, widen=widen) for branch in schema]
    if isinstance(schema, str):
        return "long" if widen and schema == "int" else schema
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Json] = {}
    for key, value in schema.items():
        if key in {"logicalType", "scale", "doc", "pii", "class", "correctable", "sealed", "generalised", "phone_like"}:
            continue
        if key in {"type", "items"}:
            out[key] = plain(value, widen=widen)
        elif key == "fields":
            out[key] = [plain(field, widen=widen) for field in cast("list[Json]", value)]
        else:
            out[key] = value
    return out


def without_docs(schema: Json) -> Json:
    """The schema without its `doc`s: better words are not another schema."""
    if isinstance(schema, list):
        return [without_docs(item) for item in schema]
    if isinstance(schema, dict):
        return {key: without_docs(value) for key, value in schema.items() if key != "doc" or not isinstance(value, str)}
    return schema


def fingerprint_of(schema: Json) -> str:
    """SHA-256 (hex) of the whole schema without its docs.

    Avro's own parsing canonical form leaves out logical types, defaults and our properties (scale, pii, correctable), each of which
    changes what a record means.
    """
    text = json.dumps(without_docs(schema), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()

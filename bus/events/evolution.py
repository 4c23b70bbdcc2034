"""Data of an older release of a schema, brought to the current one.

Within a major version only these changes are ever released (`compatibility`): a top-level or nested field with a default comes or goes,
and an enum with a default gains or loses symbols. Resolving is done by value and not by re-reading, so that both decoders share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import polars as pl

from bus.events.avro import Json, Node
from bus.events.compatibility import unwrapped
from bus.events.schema import Schema


def resolve_datum(writer: Schema, reader: Schema, values: Mapping[str, object]) -> dict[str, object]:
    """One datum (wire values) as the reader's schema has it."""
    if writer is reader:
        return dict(values)
    return cast("dict[str, object]", _resolve(writer.node, reader.node, reader.avro, values))


def resolve_frame(writer: Schema, reader: Schema, frame: pl.DataFrame) -> pl.DataFrame:
    """A decoded batch as the reader's schema has it: column by column where a column's type is unchanged, else value by value."""
    if writer is reader:
        return frame
    columns = [_column(writer, reader, name, frame) for name in reader.fields]
    return pl.DataFrame(columns, schema=reader.polars_schema) if columns else frame


def _column(writer: Schema, reader: Schema, name: str, frame: pl.DataFrame) -> pl.Series:
    target = reader.fields[name]
    dtype, physical = target.node.dtype, target.node.physical
    if name not in writer.fields:
        return pl.Series(name, [target.default], dtype=physical).cast(dtype).new_from_index(0, frame.height)
    source = writer.fields[name].node
    if source == target.node:
        return frame.get_column(name)
    values = frame.get_column(name).cast(source.physical).to_list()
    resolved = [_resolve(source, target.node, target.avro, value) for value in values]
    return pl.Series(name, resolved, dtype=physical, strict=True).cast(dtype)


def _resolve(writer: Node, reader: Node, avro: Json, value: object) -> object:
    if value is None or writer == reader:
        return value
    avro = unwrapped(avro)
    if reader.kind == "record":
        return _resolve_record(writer, reader, cast("dict[str, Json]", avro), cast("Mapping[str, object]", value))
    if reader.kind == "array" and writer.items is not None and reader.items is not None:
        items, item_avro = (writer.items, reader.items), cast("dict[str, Json]", avro)["items"]
        return [_resolve(*items, item_avro, item) for item in cast("list[object]", value)]
    if reader.kind == "enum" and value not in reader.symbols:
        return reader.enum_default
    return value


def _resolve_record(writer: Node, reader: Node, avro: dict[str, Json], value: Mapping[str, object]) -> dict[str, object]:
    known = dict(writer.fields)
    raw = {cast("str", field["name"]): field for field in cast("list[dict[str, Json]]", avro["fields"])}
    out: dict[str, object] = {}
    for name, node in reader.fields:
        out[name] = _resolve(known[name], node, raw[name]["type"], value[name]) if name in known else raw[name]["default"]
    return out

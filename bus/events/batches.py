"""Batches of Avro data to Polars columns: pyruhvro straight into Arrow where the type allows it, fastavro as the reference.

Both give the same: a datum counts only when it is *canonical*, that is exactly the bytes our encoder makes of what was read. pyruhvro
(0.4.0) itself ignores bytes after a datum, wraps integers that do not fit and hands over text that is not UTF-8, so what it returns is
checked as a whole batch: integers are read as 64 bits and cast, Arrow validates the text, and the sizes that the columns must have had on
the wire are summed up and compared with the bytes received; no value has a shorter form than the canonical one, so equal sums mean equal
data. Whatever fails, panics included, sends the batch to the reference, which alone decides which records are bad.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import cast

import fastavro
import polars as pl
import pyruhvro

from bus.errors import RecordError
from bus.events.avro import Node
from bus.events.schema import Schema

_READ_ERRORS = (ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, AttributeError, MemoryError, StopIteration)


class UndecodableRecords(RecordError):
    """Some records of a batch are not data of their schema. `indices` (into the batch) and `reasons` go together."""

    def __init__(self, type_name: str, indices: Sequence[int], reasons: Sequence[str]) -> None:
        self.indices = tuple(indices)
        self.reasons = tuple(reasons)
        first = f"{type_name}: {len(self.indices)} records cannot be decoded; the first: {self.reasons[0]}"
        super().__init__(
            first, rule="undecodable", received=self.reasons[0], allowed="the Avro datum of its schema, nothing before or after it"
        )


class NotHot(Exception):
    """The fast decoder could not vouch for the batch."""


def decode_hot(schema: Schema, data: list[bytes]) -> pl.DataFrame:
    """The columns of a batch of data of a hot schema. Raises `NotHot` when any of it is not canonical."""
    try:
        arrow = pyruhvro.deserialize_array(data, schema.hot_json)
        arrow.validate(full=True)
        frame = cast("pl.DataFrame", pl.from_arrow(arrow))
        columns = [_checked(frame.get_column(name), node.physical) for name, node in schema.node.fields]
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # pyo3's PanicException is no Exception, and must not end a worker
        raise NotHot(f"{type(error).__name__}: {error}") from error
    size = sum(wire_size(column, node) for column, (_, node) in zip(columns, schema.node.fields, strict=True))
    if frame.height != len(data) or size != sum(map(len, data)):
        raise NotHot(f"{size} bytes decoded")
    return pl.DataFrame([_as(column, dtype) for column, dtype in zip(columns, schema.polars_schema.values(), strict=True)])


def _checked(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    """The column in that type; an integer that does not fit is an error."""
    return column if column.dtype == dtype else column.cast(dtype, strict=True)


def _as(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    return column if column.dtype == dtype else column.cast(dtype)


def _physical(schema: Schema) -> dict[str, pl.DataType]:
    return {name: node.physical for name, node in schema.node.fields}


def wire_size(column: pl.Series, node: Node) -> int:
    """How many bytes the values of a column (times as integers) take in canonical Avro."""
    size = 0
    if node.nullable:
        size, column = len(column), column.drop_nulls()
    match node.kind:
        case "int" | "long" | "date" | "timestamp":
            return size + _zigzag_size(column)
        case "string":
            lengths = column.str.len_bytes()
            return size + _zigzag_size(lengths) + int(lengths.sum() or 0)
        case "record":
            return size + sum(wire_size(column.struct.field(name), inner) for name, inner in node.fields)
        case "array":
            counts = column.list.len()
            full = column.filter(counts > 0)
            items = full.explode() if len(full) else full.list.explode()
            return size + len(column) + _zigzag_size(counts.filter(counts > 0)) + wire_size(items, cast("Node", node.items))
        case "boolean" | "enum":
            return size + len(column)
    return size + 8 * len(column)


def _zigzag_size(column: pl.Series) -> int:
    """Bytes of the variable-length integers of a column. Only the lengths between the smallest and the largest are counted."""
    if not len(column):
        return 0
    low, high = int(cast("int", column.min())), int(cast("int", column.max()))
    shortest = 1 if low <= 0 <= high else min(_varint(low), _varint(high))
    size = len(column) * shortest
    for length in range(shortest, max(_varint(low), _varint(high))):
        bound = 1 << (7 * length - 1)
        longer = (column >= bound) if low >= 0 else ((column >= bound) | (column < -bound))
        size += int(longer.sum())
    return size


def _varint(value: int) -> int:
    zigzag = (value << 1) ^ (value >> 63)
    return max(1, (zigzag.bit_length() + 6) // 7)


def read_datum(schema: Schema, datum: bytes) -> dict[str, object]:
    """One datum by the reference decoder, times as integers. Raises `RecordError` unless it is canonical."""
    stream = io.BytesIO(datum)
    try:
        values = cast("dict[str, object]", fastavro.schemaless_reader(stream, schema.plain_parsed, None))
        again = io.BytesIO()
        fastavro.schemaless_writer(again, schema.plain_parsed, values, strict=True)
    except _READ_ERRORS as error:
        raise RecordError(
            f"{schema.name}: {len(datum)} bytes that are not a datum of the schema ({type(error).__name__})", rule="undecodable"
        ) from error
    if stream.tell() != len(datum):
        raise RecordError(f"{schema.name}: {len(datum) - stream.tell()} bytes follow the datum", rule="undecodable")
    if again.getvalue() != datum or not _in_range(schema.node, values):
        raise RecordError(f"{schema.name}: the datum is not in canonical form, or a value is outside of its type", rule="undecodable")
    return values


def _in_range(node: Node, value: object) -> bool:
    """Whether 32-bit integers are ones: fastavro reads and writes `int` as `long`."""
    match node.kind:
        case "int" | "date":
            return value is None or -(1 << 31) <= cast("int", value) < 1 << 31
        case "record":
            return value is None or all(_in_range(inner, cast("dict[str, object]", value)[name]) for name, inner in node.fields)
        case "array":
            return value is None or all(_in_range(cast("Node", node.items), item) for item in cast("list[object]", value))
    return True


def decode_reference(schema: Schema, data: Sequence[bytes]) -> pl.DataFrame:
    """The columns of a batch of data of any schema, record by record. Raises `UndecodableRecords` naming every bad one."""
    rows: list[dict[str, object]] = []
    bad: list[tuple[int, str]] = []
    for index, datum in enumerate(data):
        try:
            rows.append(read_datum(schema, datum))
        except RecordError as error:
            bad.append((index, str(error)))
    if bad:
        raise UndecodableRecords(schema.name, [index for index, _ in bad], [reason for _, reason in bad])
    return pl.DataFrame(rows, schema=_physical(schema), orient="row", strict=True).cast(schema.polars_schema)  # type: ignore[arg-type]


def decode_data(schema: Schema, data: list[bytes]) -> pl.DataFrame:
    """The columns of a batch: the hot path for hot schemas, the reference for the others and for whatever the hot path will not vouch for."""
    if not data:
        return pl.DataFrame(schema=schema.polars_schema)
    if schema.hot:
        try:
            return decode_hot(schema, data)
        except NotHot:
            return decode_reference(schema, data)
    return decode_reference(schema, data)

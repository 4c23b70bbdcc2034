"""Samples made from a schema alone: the same for the same schema and number, different between numbers, with nulls now and then."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import cast

from bus.events.avro import Node
from bus.events.envelope import Envelope, Event, Op, sequence_of
from bus.events.personal import sample_text
from bus.events.schema import EventSchema, Schema

_START = datetime(2024, 1, 1, tzinfo=UTC)


def sample_values(schema: Schema, number: int = 0) -> dict[str, object]:
    """A value for every field, as `wire_datum` takes them."""
    return {name: _value(field.node, name, number, index) for index, (name, field) in enumerate(schema.fields.items())}


def sample_event(schema: EventSchema, number: int = 0) -> Envelope:
    """An event of the type that encodes."""
    data = {name: _value(field.node, name, number, index) for index, (name, field) in enumerate(schema.payload_fields.items())}
    event = Event(schema.name, f"sample/{number}", _START + timedelta(hours=number), data)
    position = sequence_of(1, number)
    op = list(Op)[number % 3] if schema.correctable else Op.CREATE
    return Envelope(event, f"{schema.type.agency}/sample", position, position, op, f"{schema.type.agency}/sample/1")


def _value(node: Node, name: str, number: int, index: int) -> object:  # noqa: PLR0911  one line for each kind
    if node.nullable and (number + index) % 3 == 2:
        return None
    step = number * 31 + index
    if node.guard:
        return sample_text(node.guard, f"{name} {step}")
    match node.kind:
        case "string":
            return f"{name} {step} é"
        case "int" | "long":
            return Decimal(step * (-1) ** step).scaleb(-node.scale) if node.scale is not None else step * (-1) ** step
        case "double" | "float":
            return step / 8
        case "boolean":
            return step % 2 == 0
        case "date":
            return date(2024, 1, 1) + timedelta(days=step)
        case "timestamp":
            return _START + timedelta(microseconds=step * 1_000_003)
        case "enum":
            return node.symbols[step % len(node.symbols)]
        case "array":
            return [_value(cast("Node", node.items), name, number + at, index) for at in range(step % 3)]
        case "record":
            return {inner: _value(kind, inner, number, index + at) for at, (inner, kind) in enumerate(node.fields)}
    return bytes([step % 256]) * (node.size or 3)

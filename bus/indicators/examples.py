"""Examples in indicator files, executed: events in, rows out, through the same fold and merge as the worker's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

import polars as pl

from bus.indicators.batch import OFFSET, Batch
from bus.indicators.compose import AnyIndicator
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import export_rows
from bus.indicators.partial import encode
from bus.indicators.spec import Example, ExampleEvent
from bus.indicators.windows import LOCAL_ZONE


def example_rows(family: Sequence[AnyIndicator], example: Example) -> list[dict[str, str]]:
    """The rows of the last indicator, as the CSV export writes them, that the example's events give; before it stands what it is made of.

    Raises `ValueError` for an event that does not fit.
    """
    shown, merge = family[-1], MergeUnit.new(0)
    leaves = [each for each in family if isinstance(each, Indicator)]
    batches = _batches(leaves, example.events)
    partials = []
    for leaf in leaves:
        unit = FoldUnit.new(leaf, leaf.topic, 0, 1)
        partials.append(unit.full_partial())
        batch = batches.get(leaf.event_type)
        partials += [partial for partial in [unit.apply(batch) if batch is not None else None] if partial is not None]
    merge.apply(list(enumerate(record for partial in partials for record in encode(partial))))
    if shown.kind == "register":
        return []
    header, rows = export_rows(merge.outputs(shown.id))
    return [dict(zip(header, row, strict=True)) for row in rows]


def _batches(leaves: Sequence[Indicator], events: Iterable[ExampleEvent]) -> dict[str, Batch]:
    """The events of each type as one batch."""
    by_type: dict[str, list[ExampleEvent]] = {}
    only = {leaf.event_type for leaf in leaves}
    for event in events:
        if not event.event and len(only) > 1:
            raise ValueError(f"an event does not say of which type it is: event = {' or '.join(map(repr, sorted(only)))}")
        by_type.setdefault(event.event or next(iter(only)), []).append(event)
    if unknown := sorted(set(by_type) - only):
        raise ValueError(f"an event is of type {unknown[0]}; allowed: {', '.join(sorted(only))}")
    readers = {leaf.event_type: leaf for leaf in leaves}
    return {name: Batch(example_frame(readers[name], held), 0, len(held) - 1) for name, held in by_type.items()}


def example_problems(family: Sequence[AnyIndicator]) -> Iterable[str]:
    """What the examples of the last indicator claim and is not so. Of an expected row only the columns that it names are compared."""
    for number, example in enumerate(family[-1].spec.examples, 1):
        try:
            found = example_rows(family, example)
        except (ValueError, TypeError, OverflowError, pl.exceptions.PolarsError) as error:
            yield f"example {number}: {error}"
            continue
        expected = [{name: _text(value) for name, value in row.items()} for row in example.rows]
        named = [{name: row[name] for name in wanted if name in row} for row, wanted in zip(found, expected, strict=False)]
        if len(found) != len(expected) or named != expected:
            yield f"example {number}: expected {expected}, got {found}"


def example_frame(indicator: Indicator, events: Iterable[ExampleEvent]) -> pl.DataFrame:
    """The events as a decoded batch: columns of the event's schema and `_offset`; later events have higher versions unless they say one."""
    schema = indicator.event.polars_schema
    rows = [_row(schema, number, event) for number, event in enumerate(events)]
    return pl.DataFrame(rows, schema={**schema, OFFSET: pl.Int64()}, strict=True)


def _row(schema: Mapping[str, pl.DataType], number: int, event: ExampleEvent) -> dict[str, object]:
    unknown = sorted(set(event.data) - set(schema))
    if unknown:
        raise ValueError(f"the event has no field {', '.join(unknown)}; fields: {', '.join(schema)}")
    when = event.occurred_at if event.occurred_at.tzinfo else event.occurred_at.replace(tzinfo=LOCAL_ZONE)
    envelope = {
        "source": "example",
        "sequence": number,
        "version": number + 1 if event.version is None else event.version,
        "subject": event.subject,
        "occurred_at": when,
        "op": event.op,
        "batch": "example/1",
    }
    return {**dict.fromkeys(schema), **envelope, **event.data, OFFSET: number}


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=LOCAL_ZONE)).astimezone(LOCAL_ZONE).isoformat()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=LOCAL_ZONE).isoformat()
    return str(value)

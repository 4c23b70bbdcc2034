"""Examples in indicator files, executed: events in, rows out, through the same fold and merge as the worker's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime

import polars as pl

from bus.indicators.batch import OFFSET, Batch
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import export_rows
from bus.indicators.partial import encode
from bus.indicators.spec import Example, ExampleEvent
from bus.indicators.windows import LOCAL_ZONE


def example_rows(indicator: Indicator, example: Example) -> list[dict[str, str]]:
    """The rows that the example's events give, as the CSV export writes them. Raises `ValueError` for an event that does not fit."""
    unit, merge = FoldUnit.new(indicator, indicator.topic, 0, 1), MergeUnit.new(0)
    partials = [unit.full_partial()]
    if example.events:
        batch = Batch(example_frame(indicator, example.events), 0, len(example.events) - 1)
        partials += [partial for partial in [unit.apply(batch)] if partial is not None]
    records = [record for partial in partials for record in encode(partial)]
    header, rows = export_rows(merge.apply(list(enumerate(records))))
    return [dict(zip(header, row, strict=True)) for row in rows]


def example_problems(indicator: Indicator) -> Iterable[str]:
    """What the indicator's examples claim and is not so. Of an expected row only the columns that it names are compared."""
    for number, example in enumerate(indicator.spec.examples, 1):
        try:
            found = example_rows(indicator, example)
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

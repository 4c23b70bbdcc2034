"""The numbered rules that every indicator keeps (STYLE §8, I01–I06); `bus check` and the tests run the same functions.

Each takes a compiled indicator and yields what breaks it. What cannot be compiled has been refused by the loader, with the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import polars as pl

from bus.errors import Problem
from bus.indicators.batch import OFFSET, Batch
from bus.indicators.examples import example_frame, example_problems
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output, export_rows
from bus.indicators.partial import encode
from bus.indicators.spec import ExampleEvent

Rule = Callable[[Indicator], Iterable[Problem]]

_PARTITIONS = 2


def fields_fit(indicator: Indicator) -> Iterable[Problem]:
    """I01: the expressions name columns of the event and have the right types: they can be computed over an empty log."""
    empty = pl.DataFrame(schema={**indicator.event.polars_schema, OFFSET: pl.Int64()})
    try:
        _rows(indicator, [[Batch(empty, 0, 0)]])
    except pl.exceptions.PolarsError as error:
        yield _problem(indicator, "I01", f"cannot be computed over its event: {str(error).splitlines()[0]}")


def examples_hold(indicator: Indicator) -> Iterable[Problem]:
    """I02: there is an example, and each gives the rows that it claims."""
    if not indicator.spec.examples:
        yield _problem(indicator, "I02", "has no [[examples]]: events in, rows out; one at least shows readers what is counted")
    for what in example_problems(indicator):
        yield _problem(indicator, "I02", what)


def order_does_not_matter(indicator: Indicator) -> Iterable[Problem]:
    """I03: sources' events may interleave in any way that keeps each source's own order; batches may end anywhere."""
    for number, events in enumerate(_examples(indicator), 1):
        whole = _frame(indicator, events)
        straight = _rows(indicator, [[Batch(whole, 0, whole.height - 1)]])
        by_source = whole.sort("source", "sequence", maintain_order=True).with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(OFFSET))
        single = [Batch(by_source[row : row + 1], row, row) for row in range(by_source.height)]
        if _without_revision(_rows(indicator, [single])) != _without_revision(straight):
            yield _problem(indicator, "I03", f"example {number} gives other rows when its sources' events interleave otherwise")


def parts_add_up(indicator: Indicator) -> Iterable[Problem]:
    """I04: merge(fold(a), fold(b)) = fold(a + b), with a and b split by subject, as partitions are."""
    for number, events in enumerate(_examples(indicator), 1):
        whole = _frame(indicator, events)
        subjects = sorted(set(whole["subject"].to_list()))
        halves = [whole.filter(pl.col("subject").is_in(subjects[part::_PARTITIONS])) for part in range(_PARTITIONS)]
        split = _rows(indicator, [[Batch(half, 0, whole.height - 1)] for half in halves])
        if split != _rows(indicator, [[Batch(whole, 0, whole.height - 1)]]):
            yield _problem(indicator, "I04", f"example {number} gives other rows when it is split over partitions")


def late_events_count(indicator: Indicator) -> Iterable[Problem]:
    """I05: an event that comes after everything else, however late, is applied and counted, as a revision."""
    for number, events in enumerate(_examples(indicator), 1):
        whole = _frame(indicator, events)
        for row in range(whole.height):
            if (whole["subject"] == whole["subject"][row]).sum() > 1:
                continue
            order = [*(place for place in range(whole.height) if place != row), row]
            late = whole[order].with_columns(
                pl.int_range(pl.len(), dtype=pl.Int64).alias(OFFSET), pl.int_range(pl.len(), dtype=pl.Int64).alias("sequence")
            )
            if _rows(indicator, [[Batch(late, 0, late.height - 1)]]) != _rows(indicator, [[Batch(whole, 0, whole.height - 1)]]):
                yield _problem(indicator, "I05", f"example {number}: its event {row + 1} is not counted when it comes late")


def publish_is_explicit(indicator: Indicator) -> Iterable[Problem]:
    """I06: the file says how the public may see the number, and what may be seen has its metadata."""
    if indicator.spec.publish.class_ != "dikecualikan" and indicator.spec.satu_data is None:
        yield _problem(indicator, "I06", f"publish.class = {indicator.spec.publish.class_!r} needs a [satu_data] section (Perpres 39/2019)")


RULES: Mapping[str, Rule] = {
    "I01": fields_fit,
    "I02": examples_hold,
    "I03": order_does_not_matter,
    "I04": parts_add_up,
    "I05": late_events_count,
    "I06": publish_is_explicit,
}


def _problem(indicator: Indicator, rule: str, what: str) -> Problem:
    return Problem(f"{indicator.id}.toml", what, rule)


def _examples(indicator: Indicator) -> list[Sequence[ExampleEvent]]:
    return [example.events for example in indicator.spec.examples if example.events]


def _frame(indicator: Indicator, events: Sequence[ExampleEvent]) -> pl.DataFrame:
    frame = example_frame(indicator, events)
    versions = pl.int_range(pl.len(), dtype=pl.Int64) + 1
    return frame.with_columns(pl.concat_str(pl.lit("example/"), pl.col("subject")).alias("source"), versions.alias("version"))


def _rows(indicator: Indicator, partitions: Sequence[Sequence[Batch]]) -> list[list[str]]:
    merge, offset = MergeUnit.new(0), 0
    shown: dict[bytes, Output] = {}
    for partition, batches in enumerate(partitions):
        unit = FoldUnit.new(indicator, indicator.topic, partition, len(partitions))
        partials = [unit.full_partial(), *(unit.apply(batch) for batch in batches)]
        for record in (record for partial in partials if partial is not None for record in encode(partial)):
            shown.update({output.key(): output for output in merge.apply([(offset, record)])})
            offset += 1
    return export_rows(shown.values())[1]


def _without_revision(rows: list[list[str]]) -> list[list[str]]:
    return [[*row[:-2], row[-1]] for row in rows]

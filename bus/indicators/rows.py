"""From the fresh rows of a batch to what enters the cells: vectorised for immutable events, row by row for correctable ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from bus.indicators.batch import OFFSET, Fresh
from bus.indicators.indicator import Indicator
from bus.indicators.measure import exact_integers
from bus.indicators.partial import CellKey, RowFault

_WINDOW = "__window"

#: (subject, version, contribution or None, fault or None)
Row = tuple[str, int, tuple[int, tuple[str | None, ...], tuple[int, ...]] | None, RowFault | None]


def grouped(indicator: Indicator, fresh: Fresh) -> tuple[Iterable[tuple[CellKey, list[int]]], list[RowFault]]:
    """Per cell that immutable rows enter: (n, totals …) for additive measures, (n, extreme) for min and max."""
    rows = fresh.frame.lazy().with_columns(fresh.window(indicator.window).alias(_WINDOW))
    if indicator.where is not None:
        rows = rows.filter(indicator.where)
    values = [f"__value{index}" for index in range(len(indicator.measured))]
    rows = rows.select(
        _WINDOW,
        *(expression.alias(f"__dim{index}") for index, expression in enumerate(indicator.dimensions)),
        *(measured.expression.alias(name) for name, measured in zip(values, indicator.measured, strict=True)),
        *([OFFSET] if indicator.may_fault else []),
    )
    faults: list[RowFault] = []
    if indicator.may_fault:
        frame, found = _exact(indicator, rows.collect(), values)
        faults = [found[offset] for offset in sorted(found)]
        rows = frame.filter(~pl.col(OFFSET).is_in(list(found))).lazy() if found else frame.lazy()
    if values:
        rows = rows.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in values))
    wide = [pl.col(name) if indicator.kind in ("min", "max") else pl.col(name).cast(pl.Int128) for name in values]
    totals = [getattr(each, {"min": "min", "max": "max"}.get(indicator.kind, "sum"))() for each in wide]
    keys = [_WINDOW, *(f"__dim{index}" for index in range(len(indicator.dimensions)))]
    groups = rows.group_by(keys).agg(pl.len().alias("__n"), *totals).collect()
    columns = [column.to_list() for column in groups.get_columns()]
    width = len(keys)
    dims = zip(*columns[1:width], strict=True) if width > 1 else ((),) * groups.height
    return zip(zip(columns[0], dims, strict=True), map(list, zip(*columns[width:], strict=True)), strict=True), faults


def contributions(indicator: Indicator, fresh: Fresh) -> Iterator[Row]:
    """What each row of a correctable type contributes, in the order of the log."""
    frame = fresh.frame
    enters = pl.col("op") != "CANCEL"
    if indicator.where is not None:
        enters = enters & indicator.where.fill_null(False)
    values = [f"__value{index}" for index in range(len(indicator.measured))]
    chosen = frame.with_columns(fresh.window(indicator.window).alias(_WINDOW)).filter(enters).select(
        OFFSET,
        _WINDOW,
        *(expression.alias(f"__dim{index}") for index, expression in enumerate(indicator.dimensions)),
        *(measured.expression.alias(name) for name, measured in zip(values, indicator.measured, strict=True)),
    )
    faults: dict[int, RowFault] = {}
    if indicator.may_fault:
        chosen, faults = _exact(indicator, chosen, values)
    if values:
        chosen = chosen.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in values))
    columns = [column.to_list() for column in chosen.get_columns()]
    width = 2 + len(indicator.dimensions)
    dims = zip(*columns[2:width], strict=True) if width > 2 else ((),) * chosen.height
    numbers = zip(*columns[width:], strict=True) if values else ((),) * chosen.height
    entering = dict(zip(columns[0], zip(columns[1], dims, numbers, strict=True), strict=True))
    subjects, versions, offsets = fresh.once("rows", lambda: tuple(frame[name].to_list() for name in ("subject", "version", OFFSET)))
    for subject, version, offset in zip(subjects, versions, offsets, strict=True):
        yield subject, version, entering.get(offset), faults.get(offset)


def _exact(indicator: Indicator, frame: pl.DataFrame, values: list[str]) -> tuple[pl.DataFrame, dict[int, RowFault]]:
    offsets = frame[OFFSET]
    faults: dict[int, RowFault] = {}
    for name, measured in zip(values, indicator.measured, strict=True):
        if not measured.may_fault:
            continue
        exact, found = exact_integers(frame[name], measured)
        frame = frame.with_columns(exact.alias(name))
        for row, (rule, message) in found.items():
            offset = offsets[row]
            faults.setdefault(offset, RowFault(offset, measured.name, rule, f"{indicator.id}: {message}"))
    return frame, faults

"""From the fresh rows of a batch to what enters the cells: vectorised for immutable events, row by row for correctable ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from bus.indicators.batch import OFFSET, Fresh
from bus.indicators.indicator import Indicator
from bus.indicators.measure import exact_integers
from bus.indicators.partial import CellKey, RowFault

_WINDOW = "__window"

#: (subject, version, contribution or None, fault or None)
Row = tuple[str, int, tuple[int, tuple[str | None, ...], tuple[int, ...]] | None, RowFault | None]


def grouped(indicator: Indicator, fresh: Fresh) -> tuple[Sequence[CellKey], Sequence[Sequence[int]], list[RowFault]]:
    """The cells of immutable rows, and column by column what enters each: n, then totals (of min and max: the extreme), and the faults.

    A cell that nothing enters has n = 0. Units whose rows fall into the same cells share the list of cells.
    """
    keys = [_WINDOW, *(f"__dim{index}" for index in range(len(indicator.dimensions)))]
    values = [f"__value{index}" for index in range(len(indicator.measured))]
    rows = fresh.frame.lazy().with_columns(fresh.window(indicator.window).alias(_WINDOW))
    if indicator.where is not None:
        rows = rows.filter(indicator.where)
    rows = rows.select(
        _WINDOW,
        *(expression.alias(name) for name, expression in zip(keys[1:], indicator.dimensions, strict=True)),
        *(measured.expression.alias(name) for name, measured in zip(values, indicator.measured, strict=True)),
        *([OFFSET] if indicator.may_fault else []),
    )
    faults: dict[int, RowFault] = {}
    if indicator.may_fault:
        frame, faults = _exact(indicator, rows.collect(), values)
        rows = frame.lazy()
    groups = rows.group_by(keys, maintain_order=True).agg(*_totals(indicator.kind, values)).collect()
    cells = fresh.once(("cells", indicator.cells_key), lambda: _cells(groups.select(keys)))
    columns = [column.to_list() for column in groups.get_columns()[len(keys) :]]
    return cells, columns, [faults[offset] for offset in sorted(faults)]


def _totals(kind: str, values: list[str]) -> list[pl.Expr]:
    if not values:
        return [pl.len().alias("__n")]
    if kind in ("min", "max"):
        value = pl.col(values[0])
        return [value.count().alias("__n"), value.min() if kind == "min" else value.max()]
    whole = pl.all_horizontal(pl.col(name).is_not_null() for name in values) if len(values) > 1 else None
    wide = [pl.col(name) if whole is None else pl.col(name).filter(whole) for name in values]
    return [wide[0].count().alias("__n"), *(each.cast(pl.Int128).sum() for each in wide)]


def _cells(keys: pl.DataFrame) -> list[CellKey]:
    starts, *dims = (column.to_list() for column in keys.get_columns())
    return list(zip(starts, zip(*dims, strict=True) if dims else ((),) * len(starts), strict=True))


def contributions(indicator: Indicator, fresh: Fresh) -> Iterator[Row]:
    """What each row of a correctable type contributes, in the order of the log."""
    frame = fresh.frame
    enters = pl.col("op") != "CANCEL"
    if indicator.where is not None:
        enters = enters & indicator.where.fill_null(False)
    values = [f"__value{index}" for index in range(len(indicator.measured))]
    chosen = (
        frame.with_columns(fresh.window(indicator.window).alias(_WINDOW))
        .filter(enters)
        .select(
            OFFSET,
            _WINDOW,
            *(expression.alias(f"__dim{index}") for index, expression in enumerate(indicator.dimensions)),
            *(measured.expression.alias(name) for name, measured in zip(values, indicator.measured, strict=True)),
        )
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
    if faults:
        sound = ~pl.col(OFFSET).is_in(list(faults))
        frame = frame.with_columns(pl.when(sound).then(pl.col(name)).alias(name) for name in values)
    return frame, faults

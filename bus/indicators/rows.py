"""From the fresh rows of a batch to what enters the cells: vectorised for immutable events, row by row for correctable ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

import polars as pl

from bus.indicators.batch import OFFSET, Fresh, base_source
from bus.indicators.changes import WITHDRAWALS
from bus.indicators.entity import Row, Share
from bus.indicators.indicator import Indicator
from bus.indicators.measure import exact_integers
from bus.indicators.partial import CellKey, RowFault

_WINDOW, _LATE, _AT, _STATUS, _LIMIT = "__window", "__late", "__at", "__status", "__limit"


class Groups(NamedTuple):
    """Cells of immutable rows; column by column what enters each (n first); how many rows of each are late, None: none; the faults.

    A cell that nothing enters has n = 0. Units whose rows fall into the same cells share the list of cells, unless rows of theirs have faults.
    """

    cells: Sequence[CellKey]
    columns: Sequence[Sequence[object]]
    late: Sequence[int] | None
    faults: list[RowFault]


def grouped(indicator: Indicator, fresh: Fresh) -> Groups:
    """What immutable rows add to the cells."""
    keys = [_WINDOW, *_dims(indicator)]
    values = _values(indicator)
    late = fresh.late(indicator.window, indicator.late_us)
    frame = fresh.frame.with_columns(fresh.window(indicator.window).alias(_WINDOW), *([late.alias(_LATE)] if late is not None else []))
    rows, faults = _screened(indicator, frame)
    if indicator.where is not None:
        rows = rows.filter(indicator.where)
    rows = rows.select(
        _WINDOW,
        *_expressions(indicator),
        *([_LATE] if late is not None else []),
        *([pl.col(OFFSET), pl.col("occurred_at").to_physical().alias(_AT)] if indicator.may_fault else []),
    )
    if indicator.may_fault:
        rows, found = _checked(indicator, rows, values)
        faults = faults | found
    counted = pl.all_horizontal(pl.col(name).is_not_null() for name in values) if values else pl.lit(True)
    lateness = [] if late is None else [(pl.col(_LATE) & counted).sum().alias(_LATE)]
    # eager step by step: for a batch, planning a lazy query costs more than the query
    groups = rows.group_by(keys, maintain_order=True).agg(*indicator.accumulator().totals(values), *lateness)
    # a row with a fault has left the frame, and with it perhaps its cell: what is left is no other unit's list
    cells = _cells(groups.select(keys)) if faults else fresh.once(("cells", indicator.cells_key), lambda: _cells(groups.select(keys)))
    columns = [column.to_list() for column in groups.get_columns()[len(keys) :]]
    tardy = columns.pop() if lateness else None
    return Groups(cells, columns, tardy, [faults[offset] for offset in sorted(faults)])


def _cells(keys: pl.DataFrame) -> list[CellKey]:
    starts, *dims = (column.to_list() for column in keys.get_columns())
    return list(zip(starts, zip(*dims, strict=True) if dims else ((),) * len(starts), strict=True))


def contributions(indicator: Indicator, fresh: Fresh, share: Share) -> Iterator[Row]:
    """What each row of a correctable type contributes, in the order of the log; `share` gives the keys that are kept."""
    frame = fresh.frame
    chosen, faults = _chosen(indicator, fresh)
    values = _values(indicator)
    if values and indicator.kind != "register":
        chosen = chosen.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in values))
    columns = [column.to_list() for column in chosen.get_columns()]
    width = 2 + len(indicator.dimensions)
    dims = zip(*columns[2:width], strict=True) if width > 2 else ((),) * chosen.height
    numbers = zip(*columns[width : width + len(values)], strict=True) if values else ((),) * chosen.height
    keys = list(zip(columns[1], dims, strict=True))
    shared = {key: share(key) for key in set(keys)}  # subjects keep what they contribute: those of one cell one and the same key
    entering = dict(zip(columns[0], zip(map(shared.__getitem__, keys), numbers, strict=True), strict=True))
    late = fresh.late(indicator.window, indicator.late_us)
    tardy = late.to_list() if late is not None else repeat(False, frame.height)
    withdrawn = fresh.once("withdrawn", lambda: _withdrawn(fresh))
    steps = _steps(indicator, fresh) if indicator.clock is not None else {}
    subjects, versions, moments, offsets = fresh.once("rows", lambda: _facts(frame))
    facts = zip(
        offsets, subjects, versions, moments, map(entering.get, offsets), map(faults.get, offsets), tardy, map(withdrawn.__contains__, offsets),
        map(steps.get, offsets), strict=True,
    )  # fmt: skip
    return map(Row._make, facts)


def reporters(indicator: Indicator, fresh: Fresh) -> Sequence[tuple[int, str]]:
    """(window, reporter) of all rows: whoever sends anything in a window has been heard of in it. Withdrawals report nothing."""
    return fresh.once(("reporters", indicator.window, indicator.reporter_key), lambda: _reporters(indicator, fresh))


def _reporters(indicator: Indicator, fresh: Fresh) -> list[tuple[int, str]]:
    windows = fresh.window(indicator.window).alias(_WINDOW)
    names = {source: base_source(source) for source in fresh.sources if not source.startswith(WITHDRAWALS)}
    if not indicator.reporter_key:  # each source reports for itself: there are few of them, so no text of a row is looked at
        if len(fresh.sources) == 1:
            return [(start, name) for start in windows.unique().to_list() for name in names.values()]
        pairs = fresh.frame.select(windows, "source").unique()
        return [(start, names[source]) for start, source in pairs.iter_rows() if source in names]
    rows = fresh.frame.with_columns(windows)
    if len(names) < len(fresh.sources):
        rows = rows.filter(~pl.col("source").str.starts_with(WITHDRAWALS))
    heard = rows.select(_WINDOW, indicator.reporter.alias("__reporter")).unique()
    return [(start, reporter) for start, reporter in heard.iter_rows() if reporter is not None]


def _facts(frame: pl.DataFrame) -> tuple[list[str], list[int], list[int], list[int]]:
    return frame["subject"].to_list(), frame["version"].to_list(), frame["occurred_at"].to_physical().to_list(), frame[OFFSET].to_list()


def _withdrawn(fresh: Fresh) -> set[int]:
    if not any(source.startswith(WITHDRAWALS) for source in fresh.sources):
        return set()
    return set(fresh.frame.filter(pl.col("source").str.starts_with(WITHDRAWALS))[OFFSET].to_list())


def _chosen(indicator: Indicator, fresh: Fresh) -> tuple[pl.DataFrame, dict[int, RowFault]]:
    """Offset, window, dimensions, values of the rows that enter, and the faults of those that cannot."""
    enters = pl.col("op") != "CANCEL"
    frame = fresh.frame.with_columns(fresh.window(indicator.window).alias(_WINDOW)).filter(enters)
    frame, broken = _screened(indicator, frame)
    if indicator.where is not None:
        frame = frame.filter(indicator.where.fill_null(False))
    moment = [pl.col("occurred_at").to_physical().alias(_AT)] if indicator.may_fault else []
    chosen = frame.select(OFFSET, _WINDOW, *_expressions(indicator), *moment)
    if not indicator.may_fault:
        return chosen, broken
    chosen, faults = _checked(indicator, chosen, _values(indicator))
    return chosen.drop(_AT), broken | faults


def _screened(indicator: Indicator, frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[int, RowFault]]:
    """The rows without those for which an expression has no right value, and why; of rows that the condition leaves out only the condition
    is asked."""
    faults: dict[int, RowFault] = {}
    if not indicator.rules or frame.is_empty():
        return frame, faults
    concerned = pl.lit(True) if indicator.where is None else indicator.where.fill_null(False)
    for rule, of_condition in indicator.rules:
        for offset in frame.filter(rule.broken if of_condition else rule.broken & concerned)[OFFSET].to_list():
            faults.setdefault(offset, RowFault(offset, rule.table, rule.rule, f"{indicator.id}: {rule.message}"))
    return frame.filter(~pl.col(OFFSET).is_in(list(faults))) if faults else frame, faults


def _steps(indicator: Indicator, fresh: Fresh) -> dict[int, tuple[str, str | None, int | None]]:
    """Offset -> (operation, status, limit) of every row."""
    assert indicator.clock is not None
    steps = fresh.frame.select(
        OFFSET, pl.col("op").cast(pl.String), indicator.clock.status.alias(_STATUS), indicator.clock.limit.alias(_LIMIT)
    )
    return {offset: (op, status, limit) for offset, op, status, limit in steps.iter_rows()}


def _dims(indicator: Indicator) -> list[str]:
    return [f"__dim{index}" for index in range(len(indicator.dimensions))]


def _values(indicator: Indicator) -> list[str]:
    return [f"__value{index}" for index in range(len(indicator.measured))]


def _expressions(indicator: Indicator) -> list[pl.Expr]:
    dims = [expression.alias(name) for name, expression in zip(_dims(indicator), indicator.dimensions, strict=True)]
    return [*dims, *(each.expression.alias(name) for name, each in zip(_values(indicator), indicator.measured, strict=True))]


def _checked(indicator: Indicator, frame: pl.DataFrame, values: list[str]) -> tuple[pl.DataFrame, dict[int, RowFault]]:
    """The rows with exact values and known regions, without those that have faults."""
    offsets = frame[OFFSET]
    faults: dict[int, RowFault] = {}

    def note(field: str, found: dict[int, tuple[str, str]]) -> None:
        for row, (rule, message) in found.items():
            faults.setdefault(offsets[row], RowFault(offsets[row], field, rule, f"{indicator.id}: {message}"))

    for name, measured in zip(values, indicator.measured, strict=True):
        if measured.may_fault:
            exact, found = exact_integers(frame[name], measured)
            frame = frame.with_columns(exact.alias(name))
            note(measured.name, found)
    if indicator.regions is not None:
        name = _dims(indicator)[-1]
        resolved, found = indicator.regions.resolve_column(frame[name], frame[_AT])
        frame = frame.with_columns(resolved.alias(name))
        note("region", found)
    if faults:
        frame = frame.filter(~pl.col(OFFSET).is_in(list(faults)))
    return frame, faults

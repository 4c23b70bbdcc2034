"""Functions of expressions: CASE, texts, parts of times. What may be used is listed in `bus.indicators.expression`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime

import polars as pl
from sqlglot import exp

from bus.indicators.calendar import TABLE, WorkingCalendar
from bus.indicators.operators import COMPARISONS, Compile, compared, dated, of
from bus.indicators.typed import ExpressionError, Kind, RowRule, Typed, aligned, guarded

_PARTS: Mapping[str, Callable[[pl.Expr], pl.Expr]] = {
    "YEAR": lambda e: e.dt.year(),
    "QUARTER": lambda e: e.dt.quarter(),
    "MONTH": lambda e: e.dt.month(),
    "WEEK": lambda e: e.dt.week(),
    "DAY": lambda e: e.dt.day(),
    "ISODOW": lambda e: e.dt.weekday(),
    "HOUR": lambda e: e.dt.hour(),
    "MINUTE": lambda e: e.dt.minute(),
}


def _united(items: list[Typed], what: str) -> list[Typed]:
    items = aligned(dated(items), what)
    return [Typed(i.expr.cast(pl.Int128), "integer", i.scale, i.bits) if i.kind == "integer" else i for i in items]


def _result(expr: pl.Expr, items: list[Typed]) -> Typed:
    kind: Kind = next((item.kind for item in items if item.kind != "null"), "null")
    return Typed(expr, kind, max(item.scale for item in items), max(item.bits for item in items))


def case(node: exp.Expression, compiled: Compile) -> Typed:
    if node.this is not None:
        raise ExpressionError("CASE takes conditions: CASE WHEN … THEN … ELSE … END")
    branches = node.args["ifs"]
    last = node.args.get("default")
    conditions = [of(compiled, branch.this, "boolean") for branch in branches]
    outcomes = [compiled(branch.args["true"]) for branch in branches]
    outcomes.append(compiled(last) if last is not None else Typed(pl.lit(None), "null"))
    faults = _case_faults(conditions, outcomes)
    outcomes = _united(outcomes, "CASE")
    expr = outcomes[-1].expr
    for condition, outcome in reversed(list(zip(conditions, outcomes[:-1], strict=True))):
        expr = pl.when(condition.expr.cast(pl.Boolean)).then(outcome.expr).otherwise(expr)
    return replace(_result(expr, outcomes), faults=tuple(faults), settled=True)


def _case_faults(conditions: list[Typed], outcomes: list[Typed]) -> list[RowRule]:
    """A branch that is not taken faults no row: so CASE can say what to do about days that the calendar does not cover."""
    faults: list[RowRule] = []
    reached = pl.lit(True)
    for condition, outcome in zip(conditions, outcomes[:-1], strict=True):
        holds = condition.expr.cast(pl.Boolean).fill_null(False)
        faults += guarded(condition.faults, reached) + guarded(outcome.faults, reached & holds)
        reached = reached & ~holds
    return faults + guarded(outcomes[-1].faults, reached)


def variadic(node: exp.Expression, compiled: Compile) -> Typed:
    name = type(node).__name__.upper()
    items = _united([compiled(item) for item in (node.this, *node.expressions)], name)
    expressions = [item.expr for item in items]
    if isinstance(node, exp.Coalesce):
        return _result(pl.coalesce(expressions), items)
    if not {item.kind for item in items} <= {"integer", "double", "date", "time", "null"}:
        raise ExpressionError(f"{name} takes numbers or times")
    return _result(pl.max_horizontal(expressions) if isinstance(node, exp.Greatest) else pl.min_horizontal(expressions), items)


def nullif(node: exp.Expression, compiled: Compile) -> Typed:
    left, right = compiled(node.this), compiled(node.expression)
    same = compared(COMPARISONS[exp.EQ], left, right).fill_null(False)
    return Typed(pl.when(~same).then(left.expr), left.kind, left.scale, left.bits)


def text(change: Callable[[pl.Expr], pl.Expr]) -> Callable[[exp.Expression, Compile], Typed]:
    def handler(node: exp.Expression, compiled: Compile) -> Typed:
        return Typed(change(of(compiled, node.this, "text").expr.cast(pl.String)), "text")

    return handler


def _count_of(node: exp.Expression | None, least: int) -> int:
    if not (isinstance(node, exp.Literal) and not node.is_string and node.this.isdigit() and int(node.this) >= least):
        raise ExpressionError(f"a position in a text is a whole number written out, from {least}")
    return int(node.this)


def left(node: exp.Expression, compiled: Compile) -> Typed:
    return Typed(of(compiled, node.this, "text").expr.str.slice(0, _count_of(node.expression, 0)), "text")


def substring(node: exp.Expression, compiled: Compile) -> Typed:
    length = node.args.get("length")
    start = _count_of(node.args.get("start"), 1) - 1
    return Typed(of(compiled, node.this, "text").expr.str.slice(start, _count_of(length, 0) if length is not None else None), "text")


def length(node: exp.Expression, compiled: Compile) -> Typed:
    return Typed(of(compiled, node.this, "text").expr.str.len_chars().cast(pl.Int64), "integer", bits=32)


def concat(node: exp.Expression, compiled: Compile) -> Typed:
    return Typed(of(compiled, node.this, "text").expr + of(compiled, node.expression, "text").expr, "text")


def extract(node: exp.Expression, compiled: Compile) -> Typed:
    part = node.name.upper()
    if part not in _PARTS:
        raise ExpressionError(f"EXTRACT({part} …): allowed are {', '.join(_PARTS)}")
    value = of(compiled, node.expression, "date", "time") if part not in ("HOUR", "MINUTE") else of(compiled, node.expression, "time")
    return Typed(_PARTS[part](value.expr).cast(pl.Int64), "integer", bits=16)


def cast(node: exp.Expression, compiled: Compile) -> Typed:
    target = node.args["to"].sql(dialect="postgres").upper()
    if isinstance(node.this, exp.Literal) and node.this.is_string and target in ("DATE", "TIMESTAMP"):
        try:
            if target == "DATE":
                return Typed(pl.lit(date.fromisoformat(node.this.this)), "date")
            moment = datetime.fromisoformat(node.this.this)
        except ValueError as error:
            raise ExpressionError(f"{node.this.this!r} is not a {target.lower()}; write it as 2021-01-31 or 2021-01-31 08:00") from error
        if moment.tzinfo is not None:
            raise ExpressionError(f"{node.this.this!r}: times are Asia/Jakarta and written without zone")
        return Typed(pl.lit(moment, dtype=pl.Datetime("us")), "time")
    if target == "DATE":
        return Typed(of(compiled, node.this, "time", "date").expr.cast(pl.Date), "date")
    if target not in ("TEXT", "VARCHAR"):
        raise ExpressionError(f"CAST to {target}: allowed are TEXT and DATE")
    typed = of(compiled, node.this, "text", "integer", "boolean", "date")
    if typed.scale:
        raise ExpressionError("a scaled integer (money) has no text form here")
    return Typed(typed.expr.cast(pl.String), "text")


def working_days(node: exp.Expression, compiled: Compile, calendar: WorkingCalendar | None) -> Typed:
    """WORKING_DAYS(after, until): the working days after the first day, up to and including the second; 0 when it is not later.

    Null when either is null. A day that the calendar does not cover is a fault of its row.
    """
    shown = node.sql(dialect="postgres")
    if calendar is None:
        raise ExpressionError(f"{shown!r} needs the days off: there is no reference table {TABLE!r}")
    if len(node.expressions) != 2:
        raise ExpressionError(f"{shown!r}: WORKING_DAYS takes two dates or times, (after, until)")
    after, until = (of(compiled, each, "date", "time").expr.cast(pl.Date) for each in node.expressions)
    what = f"{shown} needs a day outside of {calendar.first} to {calendar.last}, which is all that the reference table {TABLE} covers"
    fault = RowRule("outside_calendar", what, calendar.outside(after) | calendar.outside(until), TABLE)
    return Typed(calendar.working_days_expr(after, until), "integer", bits=calendar.days.bit_length(), faults=(fault,))

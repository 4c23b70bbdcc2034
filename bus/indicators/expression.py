"""Row-wise SQL expressions over one event's columns, from a closed list, typed at load and exact at run time.

The parsed tree is compiled node by node: whatever is not on the list does not exist, so aggregates, window functions, sub-queries, the
current time and division cannot slip through a difference between two parsers. Null follows SQL (three-valued logic).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache

import polars as pl
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from bus.indicators import functions, operators
from bus.indicators.calendar import WorkingCalendar
from bus.indicators.operators import Compile
from bus.indicators.typed import ALLOWED, Column, ExpressionError, RowRule, Typed, column, number

Columns = Mapping[str, Column]

_REFUSED = {
    exp.AggFunc: "an aggregate (the measure's kind does that)",
    exp.Window: "a window function",
    exp.Subquery: "a sub-query",
    exp.Select: "a sub-query",
    exp.Div: 'a division (only measure.kind = "ratio" divides, so that numerator and denominator stay exact)',
    exp.CurrentDate: "the current time (a number must not depend on when it is computed)",
    exp.CurrentTimestamp: "the current time (a number must not depend on when it is computed)",
    exp.CurrentTime: "the current time (a number must not depend on when it is computed)",
}  # fmt: skip


@lru_cache(maxsize=4096)
def parse_all(text: str) -> tuple[exp.Expr | None, ...]:
    """Every tree that the text holds, not to be changed. Raises `ExpressionError` for what is no SQL."""
    try:
        return tuple(sqlglot.parse(text, dialect="postgres"))
    except SqlglotError as error:
        first = str(error).splitlines()[0]
        raise ExpressionError(f"cannot be read as SQL: {first}") from error


def parse(text: str) -> exp.Expression:
    """The tree of one expression. Raises `ExpressionError`."""
    trees = parse_all(text)
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Expression):
        raise ExpressionError("must be exactly one expression")
    return tree


def compile_expression(text: str, columns: Columns, calendar: WorkingCalendar | None = None) -> Typed:
    """The expression as a Polars expression with its type and the faults that rows can have. Raises `ExpressionError`.

    Without a calendar WORKING_DAYS is refused. Where a fault's `broken` is true the row must not be used, whatever the value is.
    """
    operands: list[list[RowRule]] = [[]]  # the faults of the operands found so far, of each node that is being compiled

    def compiled(node: exp.Expression) -> Typed:
        handler = _handler(node)
        if isinstance(node, exp.Column):
            if len(node.parts) != 1:
                raise ExpressionError(f"{node.sql()!r}: columns are named without a table")
            return column(node.name, columns)
        operands.append([])
        typed = functions.working_days(node, compiled, calendar) if isinstance(node, exp.Anonymous) else handler(node, compiled)
        below = operands.pop()
        if below and not typed.settled:
            typed = replace(typed, faults=tuple(dict.fromkeys((*typed.faults, *below))))
        operands[-1].extend(typed.faults)
        return typed

    return compiled(parse(text))


def _handler(node: exp.Expression) -> Callable[[exp.Expression, Compile], Typed]:
    handler = _NODES.get(type(node))
    if handler is None or (isinstance(node, exp.Anonymous) and node.name.upper() != "WORKING_DAYS"):
        what = next((name for kind, name in _REFUSED.items() if issubclass(type(node), kind)), "not allowed here")
        raise ExpressionError(f"{_shown(node)!r} is {what}; allowed: {ALLOWED}")
    extra = {name for name, value in node.args.items() if value not in (None, False, [])} - _ARGUMENTS.get(type(node), _USUAL)
    if extra and not isinstance(node, exp.Column):
        raise ExpressionError(f"{_shown(node)!r}: {', '.join(sorted(extra))} is not allowed here; allowed: {ALLOWED}")
    return handler


def _shown(node: exp.Expression) -> str:
    return node.sql(dialect="postgres")


#: What a node may hold, so that a modifier that its handler does not know can never be overlooked.
_USUAL = frozenset({"this", "expression"})
_ARGUMENTS: Mapping[type[exp.Expression], frozenset[str]] = {
    exp.Literal: frozenset({"this", "is_string"}),
    exp.Is: _USUAL | {"negate"},
    exp.Like: _USUAL | {"negate"},
    exp.In: frozenset({"this", "expressions"}),
    exp.Between: frozenset({"this", "low", "high"}),
    exp.Case: frozenset({"ifs", "default"}),
    exp.Coalesce: frozenset({"this", "expressions"}),
    exp.Greatest: frozenset({"this", "expressions", "ignore_nulls"}),
    exp.Least: frozenset({"this", "expressions", "ignore_nulls"}),
    exp.Substring: frozenset({"this", "start", "length"}),
    exp.DPipe: _USUAL | {"safe"},
    exp.Cast: frozenset({"this", "to"}),
    exp.Anonymous: frozenset({"this", "expressions"}),
}

_NODES: Mapping[type[exp.Expression], Callable[[exp.Expression, Compile], Typed]] = {
    exp.Column: lambda node, compiled: compiled(node),
    exp.Anonymous: lambda node, compiled: compiled(node),
    exp.Literal: lambda node, _: Typed(pl.lit(node.this), "text") if node.args["is_string"] else number(node.this),
    exp.Boolean: lambda node, _: Typed(pl.lit(bool(node.this)), "boolean"),
    exp.Null: lambda _, __: Typed(pl.lit(None), "null"),
    exp.Paren: lambda node, compiled: compiled(node.this),
    exp.Add: operators.arithmetic,
    exp.Sub: operators.arithmetic,
    exp.Mul: operators.arithmetic,
    exp.Neg: operators.negative,
    exp.Abs: operators.absolute,
    **dict.fromkeys(operators.COMPARISONS, operators.comparison),
    exp.And: operators.logic,
    exp.Or: operators.logic,
    exp.Not: operators.negation,
    exp.Is: operators.is_test,
    exp.In: operators.membership,
    exp.Between: operators.between,
    exp.Like: operators.like,
    exp.Case: functions.case,
    exp.Coalesce: functions.variadic,
    exp.Greatest: functions.variadic,
    exp.Least: functions.variadic,
    exp.Nullif: functions.nullif,
    exp.Upper: functions.text(lambda e: e.str.to_uppercase()),
    exp.Lower: functions.text(lambda e: e.str.to_lowercase()),
    exp.Trim: functions.text(lambda e: e.str.strip_chars(" ")),
    exp.Left: functions.left,
    exp.Substring: functions.substring,
    exp.Length: functions.length,
    exp.DPipe: functions.concat,
    exp.Extract: functions.extract,
    exp.Cast: functions.cast,
}

"""Row-wise SQL expressions over one event's columns, from a closed list, typed at load and exact at run time.

The parsed tree is compiled node by node: whatever is not on the list does not exist, so aggregates, window functions, sub-queries, the
current time and division cannot slip through a difference between two parsers. Null follows SQL (three-valued logic).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import reduce

import polars as pl
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from bus.indicators.typed import ALLOWED, Column, ExpressionError, Kind, Typed, aligned, as_double, checked, column, integer, number

Columns = Mapping[str, Column]

_REFUSED = {
    exp.AggFunc: "an aggregate (the measure's kind does that)",
    exp.Window: "a window function",
    exp.Subquery: "a sub-query",
    exp.Select: "a sub-query",
    exp.Div: "a division (only measure.kind = \"ratio\" divides, so that numerator and denominator stay exact)",
    exp.CurrentDate: "the current time (a number must not depend on when it is computed)",
    exp.CurrentTimestamp: "the current time (a number must not depend on when it is computed)",
    exp.CurrentTime: "the current time (a number must not depend on when it is computed)",
}  # fmt: skip

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


def parse(text: str) -> exp.Expression:
    """The tree of one expression. Raises `ExpressionError`."""
    try:
        trees = sqlglot.parse(text, dialect="postgres")
    except SqlglotError as error:
        first = str(error).splitlines()[0]
        raise ExpressionError(f"cannot be read as SQL: {first}") from error
    if len(trees) != 1 or trees[0] is None:
        raise ExpressionError("must be exactly one expression")
    return trees[0]


def compile_expression(text: str, columns: Columns) -> Typed:
    """The expression as a Polars expression with its type. Raises `ExpressionError`."""
    return compile_node(parse(text), columns)


def compile_node(node: exp.Expression, columns: Columns) -> Typed:
    """The node and all below it. Raises `ExpressionError` for what is not on the list."""
    handler = _NODES.get(type(node))
    if handler is not None:
        extra = {name for name, value in node.args.items() if value not in (None, False, [])} - _ARGUMENTS.get(type(node), _USUAL)
        if extra:
            raise ExpressionError(f"{node.sql(dialect='postgres')!r}: {', '.join(sorted(extra))} is not allowed here; allowed: {ALLOWED}")
        return handler(node, columns)
    for kind, name in _REFUSED.items():
        if isinstance(node, kind):
            raise ExpressionError(f"{node.sql(dialect='postgres')!r} is {name}; allowed: {ALLOWED}")
    raise ExpressionError(f"{node.sql(dialect='postgres')!r} is not allowed here; allowed: {ALLOWED}")


def _of(node: exp.Expression, columns: Columns, *kinds: Kind) -> Typed:
    typed = compile_node(node, columns)
    if typed.kind not in kinds and typed.kind != "null":
        raise ExpressionError(f"{node.sql(dialect='postgres')!r} is {typed.kind}; allowed here: {' or '.join(kinds)}")
    return typed


def _column(node: exp.Expression, columns: Columns) -> Typed:
    if len(node.parts) != 1:  # type: ignore[attr-defined]
        raise ExpressionError(f"{node.sql()!r}: columns are named without a table")
    return column(node.name, columns)


def _literal(node: exp.Expression, columns: Columns) -> Typed:
    return Typed(pl.lit(node.this), "text") if node.args["is_string"] else number(node.this)


def _boolean(node: exp.Expression, columns: Columns) -> Typed:
    return Typed(pl.lit(bool(node.this)), "boolean")


def _null(node: exp.Expression, columns: Columns) -> Typed:
    return Typed(pl.lit(None), "null")


def _paren(node: exp.Expression, columns: Columns) -> Typed:
    return compile_node(node.this, columns)


def _arithmetic(node: exp.Expression, columns: Columns) -> Typed:
    left, right = (_of(side, columns, "integer", "double") for side in (node.this, node.expression))
    if "null" in (left.kind, right.kind):
        return Typed(pl.lit(None), "null")
    product = isinstance(node, exp.Mul)
    if "double" in (left.kind, right.kind):
        left, right = as_double(left), as_double(right)
        expr = left.expr * right.expr if product else left.expr + right.expr if isinstance(node, exp.Add) else left.expr - right.expr
        return Typed(expr, "double")
    if product:
        wide = left.expr.cast(pl.Int128) * right.expr.cast(pl.Int128)
        return checked(Typed(wide, "integer", left.scale + right.scale, left.bits + right.bits))
    left, right = aligned([left, right], "arithmetic")
    one, other = left.expr.cast(pl.Int128), right.expr.cast(pl.Int128)
    expr = one + other if isinstance(node, exp.Add) else one - other
    return checked(Typed(expr, "integer", left.scale, max(left.bits, right.bits) + 1))


def _negative(node: exp.Expression, columns: Columns) -> Typed:
    typed = _of(node.this, columns, "integer", "double")
    if typed.constant is not None and typed.kind == "integer":
        return integer(-int(typed.constant.scaleb(typed.scale)), typed.scale, -typed.constant)
    expr = typed.expr.cast(pl.Int128) if typed.kind == "integer" else typed.expr
    return Typed(-expr, typed.kind, typed.scale, typed.bits)


def _absolute(node: exp.Expression, columns: Columns) -> Typed:
    typed = _of(node.this, columns, "integer", "double")
    expr = typed.expr.cast(pl.Int128) if typed.kind == "integer" else typed.expr
    return Typed(expr.abs(), typed.kind, typed.scale, typed.bits)


_COMPARISONS: Mapping[type[exp.Expression], Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    exp.EQ: lambda a, b: a == b,
    exp.NEQ: lambda a, b: a != b,
    exp.LT: lambda a, b: a < b,
    exp.LTE: lambda a, b: a <= b,
    exp.GT: lambda a, b: a > b,
    exp.GTE: lambda a, b: a >= b,
}


def _dated(items: list[Typed]) -> list[Typed]:
    if {item.kind for item in items} == {"date", "time"}:
        return [Typed(item.expr.cast(pl.Datetime("us")), "time") if item.kind == "date" else item for item in items]
    return items


def _compared(compare: Callable[[pl.Expr, pl.Expr], pl.Expr], left: Typed, right: Typed) -> pl.Expr:
    left, right = aligned(_dated([left, right]), "a comparison")
    if "null" in (left.kind, right.kind):
        return pl.lit(None, dtype=pl.Boolean)
    return compare(left.expr, right.expr)


def _comparison(node: exp.Expression, columns: Columns) -> Typed:
    left, right = compile_node(node.this, columns), compile_node(node.expression, columns)
    return Typed(_compared(_COMPARISONS[type(node)], left, right), "boolean")


def _logic(node: exp.Expression, columns: Columns) -> Typed:
    left, right = (_of(side, columns, "boolean").expr.cast(pl.Boolean) for side in (node.this, node.expression))
    return Typed(left & right if isinstance(node, exp.And) else left | right, "boolean")


def _not(node: exp.Expression, columns: Columns) -> Typed:
    return Typed(~_of(node.this, columns, "boolean").expr.cast(pl.Boolean), "boolean")


def _negated(node: exp.Expression, expr: pl.Expr) -> Typed:
    return Typed(~expr if node.args.get("negate") else expr, "boolean")


def _is(node: exp.Expression, columns: Columns) -> Typed:
    if isinstance(node.expression, exp.Null):
        return _negated(node, compile_node(node.this, columns).expr.is_null())
    if isinstance(node.expression, exp.Boolean):
        value = _of(node.this, columns, "boolean").expr.cast(pl.Boolean)
        return _negated(node, (value == bool(node.expression.this)).fill_null(False))
    raise ExpressionError(f"{node.sql(dialect='postgres')!r}: IS takes NULL, TRUE or FALSE")


def _in(node: exp.Expression, columns: Columns) -> Typed:
    if node.args.get("query") is not None or not node.expressions:
        raise ExpressionError(f"{node.sql(dialect='postgres')!r}: IN takes a list of values")
    left = compile_node(node.this, columns)
    if left.kind == "text" and all(isinstance(each, exp.Literal) and each.is_string for each in node.expressions):
        return Typed(left.expr.is_in([each.this for each in node.expressions]), "boolean")
    each = [_compared(_COMPARISONS[exp.EQ], left, compile_node(item, columns)) for item in node.expressions]
    return Typed(reduce(lambda a, b: a | b, each), "boolean")


def _between(node: exp.Expression, columns: Columns) -> Typed:
    value, low, high = (compile_node(node.args[part], columns) for part in ("this", "low", "high"))
    return Typed(_compared(_COMPARISONS[exp.GTE], value, low) & _compared(_COMPARISONS[exp.LTE], value, high), "boolean")


def _like(node: exp.Expression, columns: Columns) -> Typed:
    value, pattern = _of(node.this, columns, "text"), node.expression
    if not (isinstance(pattern, exp.Literal) and pattern.is_string):
        raise ExpressionError("LIKE takes a text written out, with % and _")
    regex = "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in pattern.this)
    return _negated(node, value.expr.cast(pl.String).str.contains(f"(?s)^{regex}$"))


def _united(items: list[Typed], what: str) -> list[Typed]:
    items = aligned(_dated(items), what)
    return [Typed(i.expr.cast(pl.Int128), "integer", i.scale, i.bits) if i.kind == "integer" else i for i in items]


def _result(expr: pl.Expr, items: list[Typed]) -> Typed:
    kind: Kind = next((item.kind for item in items if item.kind != "null"), "null")
    return Typed(expr, kind, max(item.scale for item in items), max(item.bits for item in items))


def _case(node: exp.Expression, columns: Columns) -> Typed:
    if node.this is not None:
        raise ExpressionError("CASE takes conditions: CASE WHEN … THEN … ELSE … END")
    branches = node.args["ifs"]
    last = node.args.get("default")
    conditions = [_of(branch.this, columns, "boolean").expr.cast(pl.Boolean) for branch in branches]
    outcomes = [compile_node(branch.args["true"], columns) for branch in branches]
    outcomes = _united([*outcomes, compile_node(last, columns) if last is not None else Typed(pl.lit(None), "null")], "CASE")
    expr = outcomes[-1].expr
    for condition, outcome in reversed(list(zip(conditions, outcomes[:-1], strict=True))):
        expr = pl.when(condition).then(outcome.expr).otherwise(expr)
    return _result(expr, outcomes)


def _variadic(node: exp.Expression, columns: Columns) -> Typed:
    name = type(node).__name__.upper()
    items = _united([compile_node(item, columns) for item in (node.this, *node.expressions)], name)
    expressions = [item.expr for item in items]
    if isinstance(node, exp.Coalesce):
        return _result(pl.coalesce(expressions), items)
    if not {item.kind for item in items} <= {"integer", "double", "date", "time", "null"}:
        raise ExpressionError(f"{name} takes numbers or times")
    return _result(pl.max_horizontal(expressions) if isinstance(node, exp.Greatest) else pl.min_horizontal(expressions), items)


def _nullif(node: exp.Expression, columns: Columns) -> Typed:
    left, right = compile_node(node.this, columns), compile_node(node.expression, columns)
    same = _compared(_COMPARISONS[exp.EQ], left, right).fill_null(False)
    return Typed(pl.when(~same).then(left.expr), left.kind, left.scale, left.bits)


def _text(change: Callable[[pl.Expr], pl.Expr]) -> Callable[[exp.Expression, Columns], Typed]:
    def handler(node: exp.Expression, columns: Columns) -> Typed:
        return Typed(change(_of(node.this, columns, "text").expr.cast(pl.String)), "text")

    return handler


def _count_of(node: exp.Expression | None, least: int) -> int:
    if not (isinstance(node, exp.Literal) and not node.is_string and node.this.isdigit() and int(node.this) >= least):
        raise ExpressionError(f"a position in a text is a whole number written out, from {least}")
    return int(node.this)


def _left(node: exp.Expression, columns: Columns) -> Typed:
    return Typed(_of(node.this, columns, "text").expr.str.slice(0, _count_of(node.expression, 0)), "text")


def _substring(node: exp.Expression, columns: Columns) -> Typed:
    length = node.args.get("length")
    start = _count_of(node.args.get("start"), 1) - 1
    return Typed(_of(node.this, columns, "text").expr.str.slice(start, _count_of(length, 0) if length is not None else None), "text")


def _length(node: exp.Expression, columns: Columns) -> Typed:
    return Typed(_of(node.this, columns, "text").expr.str.len_chars().cast(pl.Int64), "integer", bits=32)


def _concat(node: exp.Expression, columns: Columns) -> Typed:
    return Typed(_of(node.this, columns, "text").expr + _of(node.expression, columns, "text").expr, "text")


def _extract(node: exp.Expression, columns: Columns) -> Typed:
    part = node.name.upper()
    if part not in _PARTS:
        raise ExpressionError(f"EXTRACT({part} …): allowed are {', '.join(_PARTS)}")
    value = _of(node.expression, columns, "date", "time") if part not in ("HOUR", "MINUTE") else _of(node.expression, columns, "time")
    return Typed(_PARTS[part](value.expr).cast(pl.Int64), "integer", bits=16)


def _cast(node: exp.Expression, columns: Columns) -> Typed:
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
    if target in ("DATE",):
        return Typed(_of(node.this, columns, "time", "date").expr.cast(pl.Date), "date")
    if target not in ("TEXT", "VARCHAR"):
        raise ExpressionError(f"CAST to {target}: allowed are TEXT and DATE")
    typed = _of(node.this, columns, "text", "integer", "boolean", "date")
    if typed.scale:
        raise ExpressionError("a scaled integer (money) has no text form here")
    return Typed(typed.expr.cast(pl.String), "text")


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
}

_NODES: Mapping[type[exp.Expression], Callable[[exp.Expression, Columns], Typed]] = {
    exp.Column: _column,
    exp.Literal: _literal,
    exp.Boolean: _boolean,
    exp.Null: _null,
    exp.Paren: _paren,
    exp.Add: _arithmetic,
    exp.Sub: _arithmetic,
    exp.Mul: _arithmetic,
    exp.Neg: _negative,
    exp.Abs: _absolute,
    **dict.fromkeys(_COMPARISONS, _comparison),
    exp.And: _logic,
    exp.Or: _logic,
    exp.Not: _not,
    exp.Is: _is,
    exp.In: _in,
    exp.Between: _between,
    exp.Like: _like,
    exp.Case: _case,
    exp.Coalesce: _variadic,
    exp.Greatest: _variadic,
    exp.Least: _variadic,
    exp.Nullif: _nullif,
    exp.Upper: _text(lambda e: e.str.to_uppercase()),
    exp.Lower: _text(lambda e: e.str.to_lowercase()),
    exp.Trim: _text(lambda e: e.str.strip_chars(" ")),
    exp.Left: _left,
    exp.Substring: _substring,
    exp.Length: _length,
    exp.DPipe: _concat,
    exp.Extract: _extract,
    exp.Cast: _cast,
}

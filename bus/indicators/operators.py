"""Operators of expressions: arithmetic on exact integers, comparison, logic. What may be used is listed in `bus.indicators.expression`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import reduce

import polars as pl
from sqlglot import exp

from bus.indicators.typed import ExpressionError, Kind, Typed, aligned, as_double, checked, guarded, integer

#: Compiles a part of the tree that a handler is at.
Compile = Callable[[exp.Expression], Typed]


def of(compiled: Compile, node: exp.Expression, *kinds: Kind) -> Typed:
    """The compiled node, which must be of one of those kinds (or null). Raises `ExpressionError`."""
    typed = compiled(node)
    if typed.kind not in kinds and typed.kind != "null":
        raise ExpressionError(f"{node.sql(dialect='postgres')!r} is {typed.kind}; allowed here: {' or '.join(kinds)}")
    return typed


def arithmetic(node: exp.Expression, compiled: Compile) -> Typed:
    left, right = (of(compiled, side, "integer", "double") for side in (node.this, node.expression))
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


def negative(node: exp.Expression, compiled: Compile) -> Typed:
    typed = of(compiled, node.this, "integer", "double")
    if typed.constant is not None and typed.kind == "integer":
        return integer(-int(typed.constant.scaleb(typed.scale)), typed.scale, -typed.constant)
    expr = typed.expr.cast(pl.Int128) if typed.kind == "integer" else typed.expr
    zero = pl.lit(0, dtype=pl.Int128) if typed.kind == "integer" else pl.lit(0.0)
    return Typed(zero - expr, typed.kind, typed.scale, typed.bits)  # Polars cannot negate Int128


def absolute(node: exp.Expression, compiled: Compile) -> Typed:
    typed = of(compiled, node.this, "integer", "double")
    expr = typed.expr.cast(pl.Int128) if typed.kind == "integer" else typed.expr
    return Typed(expr.abs(), typed.kind, typed.scale, typed.bits)


COMPARISONS: Mapping[type[exp.Expression], Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    exp.EQ: lambda a, b: a == b,
    exp.NEQ: lambda a, b: a != b,
    exp.LT: lambda a, b: a < b,
    exp.LTE: lambda a, b: a <= b,
    exp.GT: lambda a, b: a > b,
    exp.GTE: lambda a, b: a >= b,
}


def dated(items: list[Typed]) -> list[Typed]:
    if {item.kind for item in items} == {"date", "time"}:
        return [Typed(item.expr.cast(pl.Datetime("us")), "time") if item.kind == "date" else item for item in items]
    return items


def compared(compare: Callable[[pl.Expr, pl.Expr], pl.Expr], left: Typed, right: Typed) -> pl.Expr:
    left, right = aligned(dated([left, right]), "a comparison")
    if "null" in (left.kind, right.kind):
        return pl.lit(None, dtype=pl.Boolean)
    return compare(left.expr, right.expr)


def comparison(node: exp.Expression, compiled: Compile) -> Typed:
    left, right = compiled(node.this), compiled(node.expression)
    return Typed(compared(COMPARISONS[type(node)], left, right), "boolean")


def logic(node: exp.Expression, compiled: Compile) -> Typed:
    left, right = (of(compiled, side, "boolean") for side in (node.this, node.expression))
    one, other = left.expr.cast(pl.Boolean), right.expr.cast(pl.Boolean)
    conjunction = isinstance(node, exp.And)

    def open_after(side: pl.Expr) -> pl.Expr:  # FALSE settles an AND and TRUE an OR, whatever the other side is
        return side.fill_null(True) if conjunction else ~side.fill_null(False)

    faults = [*guarded(left.faults, open_after(other)), *guarded(right.faults, open_after(one))]
    return Typed(one & other if conjunction else one | other, "boolean", faults=tuple(faults), settled=True)


def negation(node: exp.Expression, compiled: Compile) -> Typed:
    return Typed(~of(compiled, node.this, "boolean").expr.cast(pl.Boolean), "boolean")


def negated(node: exp.Expression, expr: pl.Expr) -> Typed:
    return Typed(~expr if node.args.get("negate") else expr, "boolean")


def is_test(node: exp.Expression, compiled: Compile) -> Typed:
    if isinstance(node.expression, exp.Null):
        return negated(node, compiled(node.this).expr.is_null())
    if isinstance(node.expression, exp.Boolean):
        value = of(compiled, node.this, "boolean").expr.cast(pl.Boolean)
        return negated(node, (value == bool(node.expression.this)).fill_null(False))
    raise ExpressionError(f"{node.sql(dialect='postgres')!r}: IS takes NULL, TRUE or FALSE")


def membership(node: exp.Expression, compiled: Compile) -> Typed:
    if node.args.get("query") is not None or not node.expressions:
        raise ExpressionError(f"{node.sql(dialect='postgres')!r}: IN takes a list of values")
    left = compiled(node.this)
    if left.kind == "text" and all(isinstance(each, exp.Literal) and each.is_string for each in node.expressions):
        return Typed(left.expr.is_in([each.this for each in node.expressions]), "boolean")
    each = [compared(COMPARISONS[exp.EQ], left, compiled(item)) for item in node.expressions]
    return Typed(reduce(lambda a, b: a | b, each), "boolean")


def between(node: exp.Expression, compiled: Compile) -> Typed:
    value, low, high = (compiled(node.args[part]) for part in ("this", "low", "high"))
    return Typed(compared(COMPARISONS[exp.GTE], value, low) & compared(COMPARISONS[exp.LTE], value, high), "boolean")


def like(node: exp.Expression, compiled: Compile) -> Typed:
    value, pattern = of(compiled, node.this, "text"), node.expression
    if not (isinstance(pattern, exp.Literal) and pattern.is_string):
        raise ExpressionError("LIKE takes a text written out, with % and _")
    regex = "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in pattern.this)
    return negated(node, value.expr.cast(pl.String).str.contains(f"(?s)^{regex}$"))

"""Row-wise SQL over one event, by walking the parsed tree: numbers are fractions, null is None with three-valued logic.

Only what the files of this folder's overlay use; anything else is an error here, whatever the engine makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from functools import cache
from typing import Any

import sqlglot
from sqlglot import exp

#: None, str, bool, Fraction (integers, scaled ones too), float (doubles), date, datetime (civil time, without zone).
Value = Any


@cache
def parsed(text: str) -> exp.Expression:
    tree = sqlglot.parse_one(text, dialect="postgres")
    assert isinstance(tree, exp.Expression)
    return tree


def evaluate(text: str, row: Mapping[str, Value], holidays: Collection[date] = ()) -> Value:
    """The expression's value in that row. Beside Saturdays and Sundays, `holidays` are no working days."""
    return _value(parsed(text), row, holidays)


def text_of(value: Value) -> str | None:
    """The value as a dimension."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case Fraction() if value.denominator == 1:
            return str(value.numerator)
        case date() if not isinstance(value, datetime):
            return value.isoformat()
    raise TypeError(f"{value!r} cannot be a dimension")


def _value(node: exp.Expression, row: Mapping[str, Value], holidays: Collection[date]) -> Value:
    if isinstance(node, exp.Column):
        return row[node.name]
    if isinstance(node, exp.Anonymous) and node.name.upper() == "WORKING_DAYS":
        after, until = (_cast(_value(each, row, holidays), "DATE") for each in node.expressions)
        return _lifted(lambda first, last: _working_days(first, last, holidays), after, until)
    if type(node) not in _NODES:
        raise NotImplementedError(f"{node.sql()!r}: the model knows no {type(node).__name__}")
    return _NODES[type(node)](node, lambda part: _value(part, row, holidays))


def _working_days(after: date, until: date, holidays: Collection[date]) -> Fraction:
    """Those after the first day, up to and including the second."""
    days = (after + timedelta(days=number) for number in range(1, (until - after).days + 1))
    return Fraction(sum(day.weekday() < 5 and day not in holidays for day in days))


#: Evaluates a part of the tree.
_Of = Callable[[Any], Value]


def _binary(compute: Callable[[Value, Value], Value]) -> Callable[[Any, _Of], Value]:
    return lambda node, of: _lifted(compute, of(node.this), of(node.expression))


def _comparison(compare: Callable[[Value, Value], bool]) -> Callable[[Any, _Of], Value]:
    return lambda node, of: _compare(compare, of(node.this), of(node.expression))


def _between(node: Any, of: _Of) -> Value:
    value, low, high = of(node.this), of(node.args["low"]), of(node.args["high"])
    return _and(_compare(lambda a, b: a >= b, value, low), _compare(lambda a, b: a <= b, value, high))


def _case(node: Any, of: _Of) -> Value:
    for branch in node.args["ifs"]:
        if of(branch.this) is True:
            return of(branch.args["true"])
    return None if node.args.get("default") is None else of(node.args["default"])


_NODES: Mapping[type[exp.Expression], Callable[[Any, _Of], Value]] = {
    exp.Literal: lambda node, of: node.this if node.is_string else Fraction(node.this),
    exp.Boolean: lambda node, of: bool(node.this),
    exp.Null: lambda node, of: None,
    exp.Paren: lambda node, of: of(node.this),
    exp.Neg: lambda node, of: _lifted(lambda value: -value, of(node.this)),
    exp.And: lambda node, of: _and(of(node.this), of(node.expression)),
    exp.Or: lambda node, of: _not(_and(_not(of(node.this)), _not(of(node.expression)))),
    exp.Not: lambda node, of: _not(of(node.this)),
    exp.Is: lambda node, of: (of(node.this) is of(node.expression)) != bool(node.args.get("negate")),  # IS NOT is one node
    exp.In: lambda node, of: _any(_compare(lambda a, b: a == b, of(node.this), of(each)) for each in node.expressions),
    exp.Between: _between,
    exp.Case: _case,
    exp.Coalesce: lambda node, of: next((found for each in (node.this, *node.expressions) if (found := of(each)) is not None), None),
    exp.Left: lambda node, of: _lifted(lambda text, length: text[: int(length)], of(node.this), of(node.expression)),
    exp.Cast: lambda node, of: _cast(of(node.this), node.args["to"].sql(dialect="postgres").upper()),
    exp.Extract: lambda node, of: _lifted(lambda when: Fraction(getattr(when, node.name.lower())), of(node.expression)),
    exp.Add: _binary(lambda a, b: a + b),
    exp.Sub: _binary(lambda a, b: a - b),
    exp.Mul: _binary(lambda a, b: a * b),
    exp.DPipe: _binary(lambda a, b: a + b),
    exp.EQ: _comparison(lambda a, b: a == b),
    exp.NEQ: _comparison(lambda a, b: a != b),
    exp.LT: _comparison(lambda a, b: a < b),
    exp.LTE: _comparison(lambda a, b: a <= b),
    exp.GT: _comparison(lambda a, b: a > b),
    exp.GTE: _comparison(lambda a, b: a >= b),
}


def _lifted(compute: Callable[..., Value], *values: Value) -> Value:
    return None if None in values else compute(*values)


def _compare(compare: Callable[[Value, Value], bool], left: Value, right: Value) -> bool | None:
    if isinstance(left, datetime) != isinstance(right, datetime) and isinstance(left, date) and isinstance(right, date):
        left, right = (each if isinstance(each, datetime) else datetime.combine(each, time()) for each in (left, right))
    found: bool | None = _lifted(compare, left, right)
    return found


def _and(left: bool | None, right: bool | None) -> bool | None:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _any(values: Any) -> bool | None:
    found: bool | None = False
    for value in values:
        found = _not(_and(_not(found), _not(value)))
    return found


def _cast(value: Value, target: str) -> Value:
    if target == "DATE" and value is not None:
        return date.fromisoformat(value) if isinstance(value, str) else date(value.year, value.month, value.day)
    if target == "TIMESTAMP" and isinstance(value, str):
        return datetime.fromisoformat(value)
    if target in ("TEXT", "VARCHAR"):
        return text_of(value)
    raise NotImplementedError(f"CAST({value!r} AS {target})")

"""Types of row-wise expressions: exact integers with scale and bound, and how operands are brought to one type.

Integers are computed in 128 bits with a bound kept for every step, so that nothing can wrap; scaled integers (money) are aligned to one
scale before they meet. Time columns are civil time in Asia/Jakarta without zone.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

import polars as pl

from bus.indicators.windows import LOCAL_ZONE

Kind = Literal["integer", "double", "text", "boolean", "date", "time", "null"]

#: An integer expression whose absolute value could reach 2^this is refused at load.
MAX_BITS = 126

#: What an expression may be made of, for messages and the documentation.
ALLOWED = (
    "columns, numbers, 'text', TRUE, FALSE, NULL, DATE '2021-01-31', TIMESTAMP '2021-01-31 08:00'; + - * and unary -; = <> < <= > >=; "
    "AND OR NOT; IS NULL; IN (…); BETWEEN; LIKE; CASE WHEN; COALESCE; NULLIF; ABS; LEAST; GREATEST; UPPER; LOWER; TRIM; LEFT; SUBSTRING; "
    "LENGTH; ||; EXTRACT(YEAR|QUARTER|MONTH|WEEK|DAY|ISODOW|HOUR|MINUTE FROM …); CAST(… AS TEXT); WORKING_DAYS(after, until)"
)


class ExpressionError(ValueError):
    """The expression is not one that may be used; the message says what was got and what is allowed."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that expressions may name. `scale`: an integer counts units of 10^-scale."""

    dtype: pl.DataType
    scale: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class RowRule:
    """What makes a row unusable to an expression: there `broken` is true (and never null), and the expression's value must not be used.

    `message` holds no value of the row. `table` is the reference table that does not know enough.
    """

    rule: str
    message: str
    broken: pl.Expr
    table: str


@dataclass(frozen=True, slots=True)
class Typed:
    """A compiled expression. `bits`: the absolute value of an integer is at most 2^bits. `constant`: its value, if it is a number.

    `faults`: the rows for which it has no right value. `settled`: they are all there, those of its operands need not be added.
    """

    expr: pl.Expr
    kind: Kind
    scale: int = 0
    bits: int = 0
    constant: Decimal | None = None
    bare: bool = False
    faults: tuple[RowRule, ...] = ()
    settled: bool = False


_KINDS: Mapping[str, Kind] = {
    "String": "text", "Categorical": "text", "Enum": "text", "Boolean": "boolean", "Date": "date", "Datetime": "time",
    "Float32": "double", "Float64": "double",
}  # fmt: skip


def columns_of(schema: Mapping[str, pl.DataType], scales: Mapping[str, int]) -> dict[str, Column]:
    """The columns of an event's frame as expressions see them."""
    return {name: Column(dtype, scales.get(name, 0)) for name, dtype in schema.items()}


def column(name: str, columns: Mapping[str, Column]) -> Typed:
    """A reference to a column, typed. Raises `ExpressionError` listing the columns."""
    found = columns.get(name)
    if found is None:
        near = difflib.get_close_matches(name, columns, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ExpressionError(f"there is no column {name!r}{hint}; columns: {', '.join(sorted(columns))}")
    dtype = found.dtype
    if dtype.is_integer():
        bits = {"Int8": 7, "Int16": 15, "Int32": 31, "Int64": 63}.get(str(dtype), 64)
        return Typed(pl.col(name), "integer", found.scale, bits, bare=True)
    kind = _KINDS.get(dtype.base_type().__name__)
    if kind is None:
        raise ExpressionError(f"column {name!r} is a {dtype}, which expressions cannot use")
    expr = pl.col(name)
    if kind == "time":
        expr = expr.dt.convert_time_zone(LOCAL_ZONE.key).dt.replace_time_zone(None)
    elif kind == "double":
        expr = expr.cast(pl.Float64)
    elif kind == "text" and dtype != pl.String:
        expr = expr.cast(pl.String)
    return Typed(expr, kind, bare=True)


def integer(value: int, scale: int = 0, constant: Decimal | None = None) -> Typed:
    """An integer constant in units of 10^-scale."""
    return Typed(pl.lit(value, dtype=pl.Int128), "integer", scale, max(1, abs(value).bit_length()), constant)


def number(text: str) -> Typed:
    """A number as written: exact, whatever its decimal places."""
    value = Decimal(text)
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or abs(exponent) > 18 or len(digits) > 30:
        raise ExpressionError(f"the number {text} is too long")
    scale = max(0, -exponent)
    return integer(int(value.scaleb(scale)), scale, value)


def checked(typed: Typed) -> Typed:
    """The same, unless an integer could leave 128 bits."""
    if typed.bits > MAX_BITS:
        raise ExpressionError(f"can become as large as 2^{typed.bits}, beyond the 2^{MAX_BITS} that are computed exactly")
    return typed


def rescaled(typed: Typed, scale: int) -> Typed:
    """The same number in units of 10^-scale, finer than its own."""
    if typed.scale == scale:
        return typed
    factor = 10 ** (scale - typed.scale)
    if typed.constant is not None:
        return integer(int(typed.constant.scaleb(scale)), scale, typed.constant)
    expr = typed.expr.cast(pl.Int128) * pl.lit(factor, dtype=pl.Int128)
    return checked(Typed(expr, "integer", scale, typed.bits + factor.bit_length()))


def as_double(typed: Typed) -> Typed:
    """The number as a double; a scaled column is refused, because that would make money inexact."""
    if typed.kind == "double":
        return typed
    if typed.constant is not None:
        return Typed(pl.lit(float(typed.constant)), "double", constant=typed.constant)
    if typed.scale:
        raise ExpressionError("a scaled integer (money) and a double cannot be mixed")
    return Typed(typed.expr.cast(pl.Float64), "double")


def aligned(items: list[Typed], what: str) -> list[Typed]:
    """The operands as one type, nulls adapted. Raises `ExpressionError` when they cannot meet."""
    kinds = {item.kind for item in items} - {"null"}
    if not kinds:
        return items
    if kinds == {"integer", "double"}:
        return [item if item.kind == "null" else as_double(item) for item in items]
    if len(kinds) > 1:
        raise ExpressionError(f"{what} needs one type, got {' and '.join(sorted(kinds))}")
    if kinds == {"integer"}:
        scale = max(item.scale for item in items)
        return [item if item.kind == "null" else rescaled(item, scale) for item in items]
    return items


def guarded(faults: Iterable[RowRule], matters: pl.Expr) -> list[RowRule]:
    """The same, but only in rows whose result can depend on the faulty operand: where `matters` is true (and never null)."""
    return [replace(fault, broken=fault.broken & matters) for fault in faults]

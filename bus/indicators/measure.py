"""A measured value of each row as an exact scaled integer, or the reason why a row has none.

Integers pass as they are. A double is rounded half-even, by its exact binary value, to the declared scale; NaN, infinity and values
beyond `LIMIT` are faults of the row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

import polars as pl

#: Larger scaled values are refused, so that a sum over 2^31 rows still fits into Int128.
LIMIT = 2**95

_EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)
_PLAIN = 2.0**40
_NEAR_TIE = 2.0**-11


@dataclass(frozen=True, slots=True)
class Measured:
    """An expression whose value enters the cells.

    `text` is its SQL, for messages. `fractional`: it yields a double that is to be rounded to `scale`; otherwise integers already scaled.
    `bits`: the absolute value of an integer is at most 2^bits.
    """

    name: str
    text: str
    expression: pl.Expr
    fractional: bool
    scale: int
    bits: int

    @property
    def may_fault(self) -> bool:
        """Whether a row's value can turn out unusable."""
        return self.fractional or self.bits >= 95


def exact_integers(values: pl.Series, measured: Measured) -> tuple[pl.Series, dict[int, tuple[str, str]]]:
    """The values as Int128 (null where there is none), and per row index the fault (rule, message) of those that cannot be used."""
    if not measured.fractional:
        wide = values.cast(pl.Int128)
        beyond = wide.abs() >= LIMIT
        if not beyond.any():
            return wide, {}
        return wide.set(beyond, None), {row: _too_large(measured) for row in beyond.arg_true().to_list()}
    scaled = values * float(10**measured.scale)
    rounded = scaled.round(0, mode="half_to_even")
    near_tie = ((scaled - scaled.floor()) - 0.5).abs() < _NEAR_TIE
    by_hand = (near_tie | ~(scaled.abs() < _PLAIN)).fill_null(False)
    if not by_hand.any():
        return rounded.cast(pl.Int128), {}
    whole = rounded.set(by_hand, None).cast(pl.Int128)
    faults: dict[int, tuple[str, str]] = {}
    rows: list[int] = by_hand.arg_true().to_list()
    exact: list[int | None] = [None] * len(rows)
    for place, row in enumerate(rows):
        value = values[row]
        if not math.isfinite(value):
            faults[row] = "not_finite", f"{measured.text} is not a finite number; only finite numbers can be summed"
            continue
        rounded_exactly = _rounded(value, measured.scale)
        if abs(rounded_exactly) >= LIMIT:
            faults[row] = _too_large(measured)
        else:
            exact[place] = rounded_exactly
    return whole.scatter(rows, pl.Series(exact, dtype=pl.Int128)), faults


def _rounded(value: float, scale: int) -> int:
    return int(Decimal(value).scaleb(scale, _EXACT).to_integral_value(ROUND_HALF_EVEN, _EXACT))


def _too_large(measured: Measured) -> tuple[str, str]:
    return "too_large", f"{measured.text} is beyond ±2^95 in units of 10^-{measured.scale}; no real quantity is"

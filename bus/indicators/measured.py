"""From the `measure` of an indicator to the expressions whose values enter its cells, checked against the columns of its event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from operator import add
from typing import Any

import polars as pl

from bus.indicators.accumulators import Form, closable
from bus.indicators.kinds.distinct import identities
from bus.indicators.measure import Measured
from bus.indicators.measures import Measure, seconds
from bus.indicators.typed import Column, ExpressionError, Typed, aligned, checked

#: The measures of a clock: over its times (`of = "clock"`), or of how many kept their limit.
CLOCKED = ("mean", "sum", "max", "min", "quantile", "within")
#: Kinds whose forms say nothing that their values do not say.
_PLAIN = ("count", "sum", "mean", "min", "max", "ratio")
_DEFAULT_PLACES, _DEFAULT_EXACT, _DEFAULT_ERROR, _DEFAULT_RESOLUTION = 2, 4096, "0.01", "1h"

#: A clock shows microseconds; its values are seconds.
CLOCK_SCALE = 6


@dataclass(frozen=True, slots=True)
class Scope:
    """What an indicator's file offers to its measure.

    `typed(key, text)` compiles an expression, or notes what is wrong with it and gives None; `problem(key, text, what)` notes a problem.
    `stock`: rows are of the state of subjects; `closings`: of that state at the ends of calendar windows. `clock`: the file has a [clock],
    whose times are the values (microseconds, or for `within` 1 and 0), so that nothing of the measure is compiled.
    """

    typed: Callable[[str, str], Typed | None]
    problem: Callable[[str, str, str], None]
    columns: Mapping[str, Column]
    stock: bool = False
    closings: bool = False
    clock: bool = False


@dataclass(frozen=True, slots=True)
class CompiledMeasure:
    """`values` enter the cells, in the order that the accumulator takes them; `form` is the measure as accumulators know it."""

    values: tuple[Measured, ...]
    form: Form

    @property
    def identity(self) -> object:
        """What of the form is fingerprinted beside the values, whose texts and scales are fingerprinted themselves."""
        return self.form["kind"] if self.form["kind"] in _PLAIN else self.form


def compile_measure(measure: Measure, scope: Scope) -> CompiledMeasure:
    """The measure over the columns of its event. Problems are noted in the scope; without any, the result is whole."""
    _allowed(measure, scope)
    found = () if scope.clock else _VALUES.get(measure.kind, _numbers)(measure, scope)
    values = tuple(each for each in found if each is not None)
    if measure.scale is not None and not any(each.fractional for each in values):
        scope.problem("measure.scale", str(measure.scale), "only a double takes a scale; integers are exact as they are")
    return CompiledMeasure(values, _form(measure, [CLOCK_SCALE] if scope.clock else [each.scale for each in values]))


def _allowed(measure: Measure, scope: Scope) -> None:
    """Note what does not go together with the rest of the file."""
    kind = measure.kind
    if scope.clock and (kind not in CLOCKED or (kind != "within" and measure.of != "clock")):
        scope.problem("measure", kind, f"of a [clock] one measures of = 'clock' with {', '.join(CLOCKED[:-1])}, or within (without of)")
    if kind == "within" and not scope.clock:
        scope.problem("measure.kind", kind, "counts what kept its limit; it needs a [clock]")
    if kind == "age" and not scope.stock:
        scope.problem("measure.kind", kind, "is the age of what is open; it needs a stock, as with window = 'now'")
    if scope.closings and kind != "register" and not closable({"kind": kind}):
        what = "a value that is gone" if kind == "distinct" else "an extreme"
        scope.problem(
            "measure.kind", kind, f"cannot be carried from closing to closing, because {what} cannot be taken back; use window = 'now'"
        )


def _form(measure: Measure, scales: Sequence[int]) -> Form:
    scale, other = [*scales, 0, 0][:2]
    form: dict[str, Any] = {"kind": measure.kind}
    match measure.kind:
        case "sum" | "mean" | "min" | "max":
            form |= {"scale": scale}
        case "ratio":
            form |= {"scale": scale, "denominator_scale": other}
        case "weighted_mean":
            form |= {"scale": scale + other, "denominator_scale": other}
        case "index":
            grades = sorted(measure.grades or (), key=lambda grade: Fraction(grade.from_), reverse=True)
            form |= {"scale": scale, "weight": measure.weight, "factor": measure.factor}
            form |= {"places": _DEFAULT_PLACES if measure.places is None else measure.places}
            form |= {"grades": [[grade.label, grade.from_] for grade in grades]}
        case "distinct":
            form |= {"exact": measure.exact or _DEFAULT_EXACT}
        case "quantile":
            form |= {"scale": scale, "p": measure.p, "error": measure.error or _DEFAULT_ERROR}
        case "age" if measure.p:
            form |= {"p": measure.p, "resolution": seconds(measure.resolution or _DEFAULT_RESOLUTION)}
        case "register":
            form |= {"fields": len(measure.fields or ())}
    return form


def _numbers(measure: Measure, scope: Scope) -> list[Measured | None]:
    texts = ((name, getattr(measure, name)) for name in ("of", "numerator", "denominator", "weight"))
    return [_number(measure, name, text, scope) for name, text in texts if text is not None]


def _number(measure: Measure, name: str, text: str, scope: Scope) -> Measured | None:
    key = f"measure.{name}"
    typed = scope.typed(key, text)
    if typed is None:
        return None
    if typed.kind == "boolean" and measure.kind == "ratio":
        return Measured(name, text, typed.expr.cast(pl.Int8), False, 0, 1)
    if typed.kind == "double":
        if measure.scale is None:
            scope.problem(key, text, "is a double; set measure.scale = 0 … 9, the decimal places that it is rounded to")
            return None
        return Measured(name, text, typed.expr, True, measure.scale, 128)
    if typed.kind != "integer":
        kinds = "a number or, in a ratio, boolean" if measure.kind == "ratio" else "a number"
        scope.problem(key, text, f"is {typed.kind}; must be {kinds} (numeric columns: {_numeric(scope)})")
        return None
    return Measured(name, text, typed.expr, False, typed.scale, typed.bits)


def _elements(measure: Measure, scope: Scope) -> list[Measured | None]:
    """The elements of an index as one value: their sum, null when one of them is."""
    found: list[Typed] = []
    for text in measure.of or ():
        typed = scope.typed("measure.of", text)
        if typed is not None and typed.kind not in ("integer", "boolean"):
            what = f"is {typed.kind}; an element of an index must be a whole or scaled number, or boolean"
            scope.problem("measure.of", text, f"{what} (numeric columns: {_numeric(scope)})")
        elif typed is not None:
            found.append(typed if typed.kind == "integer" else Typed(typed.expr.cast(pl.Int8), "integer", bits=1))
    if not found:
        return []
    text = " + ".join(f"({each})" for each in measure.of or ())
    try:
        elements = aligned(found, "an index")
        total = reduce(add, (each.expr.cast(pl.Int128) for each in elements))
        bits = max(each.bits for each in elements) + len(elements).bit_length()
        whole = checked(Typed(total, "integer", elements[0].scale, bits))
    except ExpressionError as error:
        scope.problem("measure.of", text, str(error))
        return []
    return [Measured("of", text, whole.expr, False, whole.scale, whole.bits)]


def _identity(measure: Measure, scope: Scope) -> list[Measured | None]:
    """The hash of a value's text: what a distinct value is known by."""
    text = str(measure.of)
    typed = scope.typed("measure.of", text)
    if typed is None:
        return []
    if typed.kind not in ("text", "integer", "boolean", "date"):
        scope.problem("measure.of", text, f"is {typed.kind}; what is counted distinct must be text, integer, boolean or date")
        return []
    hashed = typed.expr.cast(pl.String).map_batches(identities, return_dtype=pl.String, is_elementwise=True)
    return [Measured("of", text, hashed, False, typed.scale, 0)]


def _opening(measure: Measure, scope: Scope) -> list[Measured | None]:
    """When something was opened, UTC microseconds."""
    text = str(measure.of)
    typed = scope.typed("measure.of", text)
    if typed is None:
        return []
    if typed.kind != "time" or not typed.bare:
        times = ", ".join(sorted(name for name, column in scope.columns.items() if isinstance(column.dtype, pl.Datetime)))
        scope.problem("measure.of", text, f"must be a column with the time of opening (time columns: {times or 'none'})")
        return []
    (name,) = typed.expr.meta.root_names()
    return [Measured("of", text, pl.col(name).to_physical().cast(pl.Int64), False, 0, 63)]


def _fields(measure: Measure, scope: Scope) -> list[Measured | None]:
    """The fields of a register, as texts; any of them may be null."""
    found: list[Measured | None] = []
    for number, text in enumerate(measure.fields or ()):
        typed = scope.typed(f"measure.fields.{number}", text)
        if typed is None:
            continue
        if typed.kind not in ("text", "integer", "boolean", "date"):
            scope.problem(
                f"measure.fields.{number}", text, f"is {typed.kind}; a field of a register must be text, integer, boolean or date"
            )
            continue
        found.append(Measured(f"fields.{number}", text, typed.expr.cast(pl.String), False, typed.scale, 0))
    return found


_VALUES: Mapping[str, Callable[[Measure, Scope], Sequence[Measured | None]]] = {
    "index": _elements,
    "distinct": _identity,
    "age": _opening,
    "register": _fields,
}


def _numeric(scope: Scope) -> str:
    return ", ".join(sorted(name for name, column in scope.columns.items() if column.dtype.is_numeric())) or "none"

"""A compiled indicator: its file, checked against the event's schema, as vectorised expressions with a fingerprint.

The fingerprint covers all that decides a number or its status, and nothing else (no titles, units, examples): everything in
`definition` is under it. A changed fingerprint needs a higher `version`.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from bus.errors import Problem
from bus.events.envelope import ENVELOPE_FIELDS, EventType
from bus.indicators.accumulators import ACCUMULATOR_VERSION
from bus.indicators.expression import compile_expression
from bus.indicators.measure import Measured
from bus.indicators.partial import Definition, canonical
from bus.indicators.spec import Spec
from bus.indicators.typed import Column, ExpressionError, Typed, columns_of

#: Envelope fields that say something about the fact itself, and may therefore be used in expressions.
USABLE_ENVELOPE = ("subject", "occurred_at")


class EventSchema(Protocol):
    """What an indicator needs to know of its event."""

    @property
    def type(self) -> EventType: ...
    @property
    def correctable(self) -> bool: ...
    @property
    def polars_schema(self) -> Mapping[str, pl.DataType]: ...
    def scale_of(self, field: str) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Indicator:
    """Made by `compile_indicator` only."""

    spec: Spec
    event: EventSchema
    fingerprint: str
    definition: Definition
    where: pl.Expr | None
    dimensions: tuple[pl.Expr, ...]
    measured: tuple[Measured, ...]
    #: Equal for indicators that put rows into the same cells: work they can share.
    cells_key: str

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def version(self) -> int:
        return self.spec.version

    @property
    def kind(self) -> str:
        return self.spec.measure.kind

    @property
    def window(self) -> str:
        return self.spec.window

    @property
    def correctable(self) -> bool:
        return self.event.correctable

    @property
    def event_type(self) -> str:
        return self.event.type.name

    @property
    def topic(self) -> str:
        """The event topic it reads."""
        return self.event.type.topic

    @property
    def may_fault(self) -> bool:
        return any(measured.may_fault for measured in self.measured)

    def partials_partition(self, partitions: int) -> int:
        """The partition of bus.partials that all of its family shares."""
        return zlib.crc32((self.spec.family or self.spec.id).encode()) % partitions


def usable_columns(event: EventSchema) -> dict[str, Column]:
    """The columns that expressions over this event may name."""
    names = [name for name in event.polars_schema if name in USABLE_ENVELOPE or name not in (*ENVELOPE_FIELDS, "_offset")]
    return columns_of({name: event.polars_schema[name] for name in names}, {name: event.scale_of(name) or 0 for name in names})


def compile_indicator(spec: Spec, event: EventSchema, where: str) -> tuple[Indicator | None, list[Problem]]:
    """The indicator, or all that is wrong with its expressions. `where` names the file."""
    return _Compiler(spec, event, where).compile()


class _Compiler:
    def __init__(self, spec: Spec, event: EventSchema, file: str) -> None:
        self.spec, self.event, self.file = spec, event, file
        self.columns = usable_columns(event)
        self.problems: list[Problem] = []

    def compile(self) -> tuple[Indicator | None, list[Problem]]:
        condition = self._condition()
        dimensions = [self._dimension(name, text) for name, text in self.spec.dimensions.items()]
        if self.spec.region is not None:
            self._dimension("region", self.spec.region, key="region")
        measured = self._measured()
        if self.problems:
            return None, self.problems
        cells = {
            "by": [[name, _normal(text)] for name, text in self.spec.dimensions.items()],
            "event": self.event.type.name,
            "where": None if self.spec.where is None else _normal(self.spec.where),
            "window": self.spec.window,
        }
        numbers = {
            "accumulator": ACCUMULATOR_VERSION,
            "cells": cells,
            "correctable": self.event.correctable,
            "decimals": self.spec.decimals,
            "family": self.spec.family,
            "late_seconds": self.spec.late_seconds,
            "measure": [self.spec.measure.kind, *([m.name, _normal(m.text), m.scale, m.fractional] for m in measured)],
            "region": self.spec.region,
        }
        fingerprint = hashlib.sha256(canonical(numbers).encode()).hexdigest()
        scales = [m.scale for m in measured] + [0, 0]
        definition = Definition(
            id=self.spec.id,
            version=self.spec.version,
            fingerprint=fingerprint,
            kind=self.spec.measure.kind,
            window=self.spec.window,
            late_seconds=self.spec.late_seconds,
            scale=scales[0],
            denominator_scale=scales[1],
            decimals=self.spec.decimals,
            dims=list(self.spec.dimensions),
        )
        exprs = tuple(dimension.expr.cast(pl.String) for dimension in dimensions if dimension is not None)
        return Indicator(self.spec, self.event, fingerprint, definition, condition, exprs, tuple(measured), canonical(cells)), []

    def _typed(self, key: str, text: str) -> Typed | None:
        try:
            typed = compile_expression(text, self.columns)
            empty = {name: column.dtype for name, column in self.columns.items()}
            pl.DataFrame(schema=empty).select(typed.expr)
        except ExpressionError as error:
            self._problem(key, text, str(error))
        except pl.exceptions.PolarsError as error:
            self._problem(key, text, f"cannot be computed over this event: {str(error).splitlines()[0]}")
        else:
            return typed
        return None

    def _problem(self, key: str, text: str, what: str) -> None:
        self.problems.append(Problem(f"{self.file}: {key}", f"{text!r}: {what}", "I01"))

    def _condition(self) -> pl.Expr | None:
        if self.spec.where is None:
            return None
        typed = self._typed("where", self.spec.where)
        if typed is not None and typed.kind != "boolean":
            self._problem("where", self.spec.where, f"is {typed.kind}; a condition must be boolean, such as status = 'SELESAI'")
        return None if typed is None else typed.expr

    def _dimension(self, name: str, text: str, key: str = "") -> Typed | None:
        typed = self._typed(key or f"by.{name}", text)
        if typed is None:
            return None
        if typed.kind not in ("text", "integer", "boolean", "date") or typed.scale:
            got = "a scaled integer (money)" if typed.scale else typed.kind
            self._problem(key or f"by.{name}", text, f"is {got}; a dimension must be text, integer, boolean or date")
        return typed

    def _measured(self) -> list[Measured]:
        measure, found = self.spec.measure, []
        for name in ("of", "numerator", "denominator"):
            text = getattr(measure, name)
            typed = None if text is None else self._typed(f"measure.{name}", text)
            if typed is not None:
                found.append(self._measure(f"measure.{name}", name, text, typed))
        if measure.scale is not None and not any(each is not None and each.fractional for each in found):
            self._problem("measure.scale", str(measure.scale), "only a double takes a scale; integers are exact as they are")
        return [each for each in found if each is not None]

    def _measure(self, key: str, name: str, text: str, typed: Typed) -> Measured | None:
        if typed.kind == "boolean" and self.spec.measure.kind == "ratio":
            return Measured(name, text, typed.expr.cast(pl.Int8), False, 0, 1)
        if typed.kind == "double":
            if self.spec.measure.scale is None:
                self._problem(key, text, "is a double; set measure.scale = 0 … 9, the decimal places that it is rounded to")
                return None
            return Measured(name, text, typed.expr, True, self.spec.measure.scale, 128)
        if typed.kind != "integer":
            kinds = "a number or, in a ratio, boolean" if self.spec.measure.kind == "ratio" else "a number"
            self._problem(key, text, f"is {typed.kind}; must be {kinds} (numeric columns: {', '.join(self._numeric()) or 'none'})")
            return None
        return Measured(name, text, typed.expr, False, typed.scale, typed.bits)

    def _numeric(self) -> list[str]:
        return sorted(name for name, column in self.columns.items() if column.dtype.is_numeric())


def _normal(text: str) -> str:
    """The expression as it is fingerprinted: white space outside of texts does not matter. Deliberately no parser's rendering, which could
    change with the parser's release and so make every state be folded anew."""
    return "".join(part if part[0] == "'" else re.sub(r"\s+", " ", part) for part in re.findall(r"'[^']*'|[^']+|'", text.strip()))

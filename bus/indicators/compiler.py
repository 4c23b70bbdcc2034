"""From an indicator's file to the indicator: every expression compiled against its event, or everything that is wrong with it."""

from __future__ import annotations

import hashlib
import re

import polars as pl

from bus.errors import ConfigurationError, Problem
from bus.events.envelope import ENVELOPE_FIELDS
from bus.indicators import calendar, regions
from bus.indicators.accumulators import ACCUMULATOR_VERSION
from bus.indicators.calendar import WorkingCalendar
from bus.indicators.expression import compile_expression
from bus.indicators.indicator import ClockRun, EventSchema, Indicator
from bus.indicators.measured import CompiledMeasure, Scope, compile_measure
from bus.indicators.outputs import PARAMETERS, RESERVED
from bus.indicators.partial import Definition, canonical
from bus.indicators.reference import References, ReferenceTable
from bus.indicators.regions import Regions
from bus.indicators.rollup import CLOSINGS_VERSION
from bus.indicators.spec import Spec
from bus.indicators.typed import Column, ExpressionError, RowRule, Typed, columns_of
from bus.indicators.windows import NOW

#: Envelope fields that say something about the fact itself, and may therefore be used in expressions.
USABLE_ENVELOPE = ("subject", "occurred_at")


def usable_columns(event: EventSchema) -> dict[str, Column]:
    """The columns that expressions over this event may name."""
    names = [name for name in event.polars_schema if name in USABLE_ENVELOPE or name not in (*ENVELOPE_FIELDS, "_offset")]
    return columns_of({name: event.polars_schema[name] for name in names}, {name: event.scale_of(name) or 0 for name in names})


def compile_indicator(
    spec: Spec, event: EventSchema, where: str, references: References | None = None, *, reporters: int = 0
) -> tuple[Indicator | None, list[Problem]]:
    """The indicator, or all that is wrong with its expressions. `where` names the file; `reporters`: how many are expected, 0 for unknown."""
    return _Compiler(spec, event, where, references or {}, reporters).compile()


class _Compiler:
    def __init__(self, spec: Spec, event: EventSchema, file: str, references: References, reporters: int) -> None:
        self.spec, self.event, self.file, self.references, self.reporters = spec, event, file, references, reporters
        self.columns = usable_columns(event)
        self._empty = pl.DataFrame(schema={name: column.dtype for name, column in self.columns.items()})
        self.problems: list[Problem] = []
        self.rules: list[tuple[RowRule, bool]] = []
        self.tables: dict[str, ReferenceTable] = {}
        self._calendar: WorkingCalendar | None = None

    def compile(self) -> tuple[Indicator | None, list[Problem]]:
        taken = sorted({*RESERVED, *(["region"] if self.spec.region else [])} & set(self.spec.dimensions))
        if taken:
            self._problem("by", ", ".join(taken), "is the name of another column of the exports; choose another name")
        if asked := sorted(set(PARAMETERS) & set(self.spec.dimensions)):
            what = f"readers ask by that name for something else ({', '.join(PARAMETERS)}); choose another name"
            self._problem("by", ", ".join(asked), what)
        condition = self._condition()
        dimensions = [self._dimension(name, text) for name, text in self.spec.dimensions.items()]
        tree = self._regions()
        region = None if self.spec.region is None else self._dimension("region", self.spec.region, key="region")
        reporter = pl.col("source").str.replace("#.*$", "") if self.spec.reporter is None else self._reporter(self.spec.reporter)
        measure = self._measure()
        clock = self._clock()
        self._stock(measure)
        if self.problems:
            return None, self.problems
        exprs = [dimension.expr.cast(pl.String) for dimension in (*dimensions, region) if dimension is not None]
        cells = self._cells()
        definition = self._definition(measure, cells)
        return Indicator(
            self.spec, self.event, definition, condition, tuple(exprs), measure.values, reporter, canonical(cells), tuple(self.rules), tree,
            clock,
        ), []  # fmt: skip

    def _cells(self) -> dict[str, object]:
        return {
            "by": [[name, _normal(text)] for name, text in self.spec.dimensions.items()],
            "event": self.event.type.name,
            "region": self.spec.region and _normal(self.spec.region),
            "where": None if self.spec.where is None else _normal(self.spec.where),
            "window": self.spec.window,
        }

    def _definition(self, measure: CompiledMeasure, cells: dict[str, object]) -> Definition:
        spec = self.spec
        numbers: dict[str, object] = {
            "accumulator": ACCUMULATOR_VERSION,
            "cells": cells,
            "clock": None if spec.clock is None else spec.clock.model_dump(),
            "correctable": self.event.correctable,
            "decimals": spec.decimals,
            "family": spec.family,
            "late_seconds": spec.late_seconds,
            "measure": [measure.identity, *([m.name, _normal(m.text), m.scale, m.fractional] for m in measure.values)],
            "reporter": spec.reporter and _normal(spec.reporter),
            "stock": spec.is_stock,
            "tables": {name: table.fingerprint for name, table in sorted(self.tables.items())},
        }
        if spec.stock and spec.window != NOW:
            numbers["closings"] = CLOSINGS_VERSION
        if spec.minimum_n is not None:
            numbers["minimum_n"] = spec.minimum_n
        register = measure.form["kind"] == "register"
        definition = Definition(
            id=spec.id,
            version=spec.version + sum(table.version - 1 for table in self.tables.values()),
            fingerprint=hashlib.sha256(canonical(numbers).encode()).hexdigest(),
            measure=measure.form,
            window=spec.window,
            late_seconds=spec.late_seconds,
            decimals=spec.decimals,
            dims=["subject"] if register else [*spec.dimensions, *(["region"] if spec.region else [])],
            stock=spec.is_stock,
            region=spec.region is not None,
            expected=self.reporters,
        )
        if spec.minimum_n is not None:
            definition["minimum_n"] = spec.minimum_n
        return definition

    def _typed(self, key: str, text: str) -> Typed | None:
        try:
            typed = compile_expression(text, self.columns, self._working_days(text))
            self._empty.select(typed.expr)
        except ExpressionError as error:
            self._problem(key, text, str(error))
        except pl.exceptions.PolarsError as error:
            self._problem(key, text, f"cannot be computed over this event: {str(error).splitlines()[0]}")
        else:
            self.rules += [(rule, key == "where") for rule in typed.faults]
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

    def _reporter(self, text: str) -> pl.Expr:
        typed = self._dimension("reporter", text, key="reporter")
        return pl.lit(None, dtype=pl.String) if typed is None else typed.expr.cast(pl.String)

    def _measure(self) -> CompiledMeasure:
        spec = self.spec
        assert spec.measure is not None
        closings = spec.is_stock and spec.window != NOW
        scope = Scope(
            self._typed, self._problem, self.columns, clock=spec.clock is not None, stock=spec.is_stock, closings=closings
        )  # fmt: skip
        return compile_measure(spec.measure, scope)

    def _clock(self) -> ClockRun | None:
        spec = self.spec.clock
        if spec is None:
            return None
        if not self.event.correctable or self.spec.is_stock:
            self._problem("clock", spec.status, "needs the successive states of subjects (a correctable event) and a calendar window")
        status, limit = self._typed("clock.status", spec.status), None
        if spec.limit is not None:
            limit = self._typed("clock.limit", spec.limit)
            if limit is not None and (limit.kind != "integer" or limit.scale):
                self._problem("clock.limit", spec.limit, f"is {limit.kind}; must be a whole number of working days")
        elif self.spec.measure is not None and self.spec.measure.kind == "within":
            self._problem("clock.limit", "", 'kind = "within" needs the working days that are allowed')
        calendar_ = self._table_calendar()
        if calendar_ is None or status is None:
            return None
        allowed = pl.lit(None, dtype=pl.Int64) if limit is None else limit.expr.cast(pl.Int64)
        return ClockRun(spec, status.expr.cast(pl.String), allowed, calendar_)

    def _stock(self, measure: CompiledMeasure) -> None:
        kind, spec = str(measure.form.get("kind", "")), self.spec
        if spec.is_stock and not self.event.correctable:
            self._problem("window", spec.window, "a current state needs an event type that can be corrected (the states of subjects)")
        if kind == "register" and spec.window != NOW:
            self._problem("window", spec.window, "a register is a current state: window = 'now'")

    def _regions(self) -> Regions | None:
        if self.spec.region is None:
            return None
        table = self.references.get(regions.TABLE)
        if table is None:
            self._problem("region", self.spec.region, f"there is no reference table {regions.TABLE!r} under schemas/reference")
            return None
        self.tables[table.name] = table
        return regions.tree_of(table)

    def _working_days(self, text: str) -> WorkingCalendar | None:
        return self._table_calendar() if re.search(r"\bWORKING_DAYS\b", text, re.IGNORECASE) and calendar.TABLE in self.references else None

    def _table_calendar(self) -> WorkingCalendar | None:
        table = self.references.get(calendar.TABLE)
        if table is None:
            self._problem("clock", calendar.TABLE, "there is no such reference table under schemas/reference")
            return None
        self.tables[table.name] = table
        if self._calendar is None:
            try:
                self._calendar = WorkingCalendar.from_table(table)
            except ConfigurationError as error:
                self.problems += error.problems
        return self._calendar


def _normal(text: str) -> str:
    """The expression as it is fingerprinted: white space outside of texts does not matter. Deliberately no parser's rendering, which could
    change with the parser's release and so make every state be folded anew."""
    return "".join(part if part[0] == "'" else re.sub(r"\s+", " ", part) for part in re.findall(r"'[^']*'|[^']+|'", text.strip()))

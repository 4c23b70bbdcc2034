"""A compiled indicator: its file, checked against the event's schema, as vectorised expressions with a fingerprint.

The fingerprint covers all that decides a number or its status, and nothing else (no titles, units, examples): everything in
`definition` is under it, but for the number of reporters that are expected. A changed fingerprint needs a higher `version`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from bus.events.envelope import EventType
from bus.indicators.accumulators import Accumulator, Form, accumulator
from bus.indicators.calendar import WorkingCalendar
from bus.indicators.clock_spec import ClockSpec
from bus.indicators.entity import Entity, Latest, Registered, Timed, stock_entity
from bus.indicators.measure import Measured
from bus.indicators.partial import Definition, Feed
from bus.indicators.regions import Regions
from bus.indicators.spec import Spec
from bus.indicators.typed import RowRule


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
class ClockRun:
    """A compiled `[clock]`: the code of each row's state, the working days allowed (null: none), and the days that are worked."""

    spec: ClockSpec
    status: pl.Expr
    limit: pl.Expr
    calendar: WorkingCalendar


@dataclass(frozen=True, slots=True)
class Indicator:
    """A leaf indicator, made of events. Made by `compile_indicator` only.

    `dimensions` ends with the region where there is one. `rules` make rows unusable; those with True concern the condition itself.
    `feeds` are the composites that it is a part of.
    """

    spec: Spec
    event: EventSchema
    definition: Definition
    where: pl.Expr | None
    dimensions: tuple[pl.Expr, ...]
    measured: tuple[Measured, ...]
    reporter: pl.Expr
    #: Equal for indicators that put rows into the same cells: work they can share.
    cells_key: str
    rules: tuple[tuple[RowRule, bool], ...] = ()
    regions: Regions | None = None
    clock: ClockRun | None = None
    feeds: tuple[Feed, ...] = field(default=(), compare=False)

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def version(self) -> int:
        return self.definition["version"]

    @property
    def fingerprint(self) -> str:
        return self.definition["fingerprint"]

    @property
    def kind(self) -> str:
        return str(self.form["kind"])

    @property
    def form(self) -> Form:
        """The measure as accumulators know it."""
        return self.definition["measure"]

    @property
    def window(self) -> str:
        return self.spec.window

    @property
    def late_us(self) -> int:
        """How long after its window's end an event may come without being late, in microseconds."""
        return self.spec.late_seconds * 1_000_000

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
    def reporter_key(self) -> str:
        """Equal for indicators with the same reporters."""
        return self.spec.reporter or ""

    @property
    def may_fault(self) -> bool:
        return bool(self.rules) or self.regions is not None or any(measured.may_fault for measured in self.measured)

    @property
    def parts(self) -> Sequence[str]:
        """The indicators that it is made of: a leaf is made of events."""
        return ()

    @property
    def says_more(self) -> bool:
        """Whether merge needs to hear of more than its cells."""
        return bool(self.feeds or self.definition["expected"])

    def accumulator(self) -> Accumulator:
        """How its cells are kept in the fold."""
        return accumulator(self.form, correctable=self.correctable)

    def entity(self) -> Entity:
        """How its subjects are kept in the fold, where events can be corrected."""
        if self.clock is not None:
            return Timed(self.clock.spec.roles, self.clock.calendar, self.window, within=self.kind == "within")
        if self.kind == "register":
            return Registered()
        return stock_entity(self.window) if self.spec.is_stock else Latest()

    def partials_partition(self, partitions: int) -> int:
        """The partition of bus.partials that all of its family shares."""
        return family_partition(self.spec, partitions)


def family_partition(spec: Spec, partitions: int) -> int:
    """The partition of bus.partials where everything about a family of indicators meets."""
    return zlib.crc32((spec.family or spec.id).encode()) % partitions

"""One rule over its indicator's topic: a pure function of the log up to a position, and of the moment until which it is known."""

from __future__ import annotations

import heapq
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bus.alerts.rule import Rule
from bus.indicators.outputs import Output
from consumers.alerts.watch import Cell, Episode, Facts, Group, Transition, apply, next_deadline, pass_time

#: A record that could be read: its offset, when it was appended (microseconds), and its value; None of a tombstone.
Read = tuple[int, int, Output | None]


@dataclass(slots=True)
class Unit:
    """The state of one rule. `time_us` only grows: the newest of its records, or the moment until which the log is known whole."""

    rule: Rule
    position: int = 0
    version: int = 0
    time_us: int = 0
    groups: dict[str, Group] = field(default_factory=dict)
    #: Groups changed since this was last emptied: what has to be kept.
    touched: set[str] = field(default_factory=set)
    _deadlines: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in self.groups:
            self._expect(name)

    def apply(self, records: Sequence[Read], *, upto: int) -> list[Transition]:
        """Apply records that reach up to (not including) offset `upto`; those known already are passed over."""
        found: list[Transition] = []
        for offset, at_us, output in records:
            if offset < self.position:
                continue
            self.position = offset + 1
            self.time_us = max(self.time_us, at_us)
            if output is None or output.version < self.version:
                continue
            self.version = output.version
            cell = _cell(output)
            if self._watched(cell):
                found += self._put(cell, offset)
        self.position = max(self.position, upto)
        return found

    def advance(self, until_us: int) -> list[Transition]:
        """Let time pass: every record appended before `until_us` has been applied."""
        self.time_us = max(self.time_us, until_us)
        found: list[Transition] = []
        while self._deadlines and self._deadlines[0][0] < until_us:
            _, name = heapq.heappop(self._deadlines)
            group, more = pass_time(self.rule, name, self.groups[name], until_us)
            if group is not self.groups[name]:
                self.groups[name] = group
                self.touched.add(name)
                self._expect(name)
            found += more
        return found

    def _put(self, cell: Cell, offset: int) -> list[Transition]:
        name = json.dumps([cell.dims[each] for each in self.rule.per], separators=(",", ":"), ensure_ascii=False)
        before = self.groups.get(name, Group())
        group, found = apply(self.rule, name, before, cell, self.time_us, offset)
        if group is not before:
            self.groups[name] = group
            self.touched.add(name)
            self._expect(name)
        return found

    def _watched(self, cell: Cell) -> bool:
        """Whether the rule is about that cell. One of an older definition may have other dimensions."""
        rule = self.rule
        if tuple(cell.dims) != rule.subject.dims:
            return False
        if any(cell.dims[name] not in values for name, values in rule.where.items()):
            return False
        region = cell.dims.get("region")
        return not rule.level_parts or (region is not None and region.count(".") + 1 == rule.level_parts)

    def _expect(self, name: str) -> None:
        due = next_deadline(self.rule, self.groups[name])
        if due is not None:
            heapq.heappush(self._deadlines, (due, name))


def _cell(output: Output) -> Cell:
    shown = output.closing or (output.n > 0 and output.value is not None)
    return Cell(
        start_us=output.window_start_us, end_us=output.window_end_us, dims=output.dimensions, value=output.value, n=output.n,
        heard=output.heard, expected=output.expected, order=output.order, row=shown,
    )  # fmt: skip


def dump(group: Group) -> str:
    """A group as text, to be kept."""
    return json.dumps(
        {
            "cells": [asdict(cell) for cells in group.windows.values() for cell in cells.values()],
            "last": group.last_us,
            "judged": group.judged_us,
            "gone": group.gone_us,
            "episode": None if group.episode is None else asdict(group.episode),
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def load(text: str) -> Group:
    """What `dump` wrote."""
    data: Mapping[str, Any] = json.loads(text)
    windows: dict[int, dict[str, Cell]] = {}
    for each in data["cells"]:
        cell = Cell(**{**each, "order": tuple(each["order"])})
        windows.setdefault(cell.start_us, {})[cell.key] = cell
    episode = data["episode"]
    kept = None if episode is None else Episode(**{**episode, "facts": Facts(**episode["facts"])})
    return Group(windows, data["last"], data["judged"], data["gone"], kept)


def over(units: Collection[Unit], topic: str) -> Iterator[Unit]:
    """Those that read a topic."""
    return (unit for unit in units if unit.rule.topic == topic)

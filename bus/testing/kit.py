"""The conformance kit: every numbered rule on every agency, schema, table, indicator, alert rule, board and consumer, of the repository and of overlays.

`cases` lists them, one for each rule and subject (pytest makes a test of each); `check` runs them all (`bus check`). No broker, no
network, no clock but the machine's date for waivers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bus.errors import Problem
from bus.settings import Settings
from bus.testing import (
    rules_agencies,
    rules_alerts,
    rules_board,
    rules_connectors,
    rules_consumers,
    rules_docs,
    rules_indicators,
    rules_metrics,
    rules_references,
    rules_schemas,
)
from bus.testing.rule import Case, Rule
from bus.testing.workspace import Workspace

#: What each family of rules is about, in the order in which problems are best mended.
FAMILIES: dict[str, Callable[[Workspace], Iterator[Case]]] = {
    "schemas": rules_schemas.cases,
    "references": rules_references.cases,
    "connectors": rules_connectors.cases,
    "agencies": rules_agencies.cases,
    "indicators": rules_indicators.cases,
    "alerts": rules_alerts.cases,
    "board": rules_board.cases,
    "consumers": rules_consumers.cases,
    "metrics": rules_metrics.cases,
    "docs": rules_docs.cases,
}


@dataclass(frozen=True, slots=True)
class Report:
    """What a run of the kit found."""

    problems: tuple[Problem, ...]
    cases: int
    subjects: int

    @property
    def ok(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        verdict = "all kept" if self.ok else f"{len(self.problems)} problem{'s' if len(self.problems) != 1 else ''}"
        return f"{self.cases} checks on {self.subjects} subjects: {verdict}"


def rules() -> tuple[Rule[Any], ...]:
    """Every rule there is, by number."""
    everything: list[Rule[Any]] = [rules_schemas.TOGETHER, rules_references.TOGETHER, rules_indicators.TOGETHER, rules_alerts.TOGETHER]
    for own in (
        rules_agencies.RULES,
        rules_alerts.RULES,
        rules_board.RULES,
        rules_connectors.RULES,
        rules_consumers.RULES,
        rules_docs.RULES,
        rules_indicators.RULES,
        rules_metrics.RULES,
        rules_references.RULES,
        rules_schemas.RULES,
    ):
        everything.extend(own)
    return tuple(sorted(everything, key=lambda rule: rule.id))


def cases(settings: Settings, agency: str | None = None, families: tuple[str, ...] = tuple(FAMILIES)) -> Iterator[Case]:
    """Every rule of those families on every subject; with `agency`, only what belongs to that agency."""
    workspace = Workspace(settings, agency)
    for family in families:
        yield from FAMILIES[family](workspace)


def check(settings: Settings, agency: str | None = None) -> Report:
    """Run everything and collect every problem, so that one run shows all there is to mend."""
    subjects: set[str] = set()
    problems: dict[Problem, None] = {}
    count = 0
    for case in cases(settings, agency):
        count += 1
        subjects.add(case.subject)
        problems.update(dict.fromkeys(case.run()))
    return Report(tuple(problems), count, len(subjects))

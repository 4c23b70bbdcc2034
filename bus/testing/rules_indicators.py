"""I rules: the indicator files. What each asks is in `bus.indicators.rules`; here they become cases of the kit."""

from __future__ import annotations

from collections.abc import Iterator

from bus.indicators.rules import RULES as CHECKS
from bus.indicators.rules import IndicatorSubject, subjects
from bus.testing.rule import Case, Rule, Unloadable, cases_of
from bus.testing.workspace import Workspace

RULES: tuple[Rule[IndicatorSubject], ...] = tuple(Rule(number, title, check) for number, (title, check) in sorted(CHECKS.items()))


def cases(workspace: Workspace) -> Iterator[Case]:
    """Each indicator file of each schemas folder; none while the schemas do not load, which the K rules tell."""
    try:
        catalogue = workspace.catalogue
    except Unloadable:
        return
    found = subjects(workspace.settings.schemas_roots(), catalogue)
    yield from cases_of(RULES, {item.id: item for item in found if workspace.concerns(item.path, item.id.partition(".")[0])})

"""K rules: the schema files. What each asks is in `bus.events.rules`; here they become cases of the kit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bus.errors import Problem
from bus.events.rules import RULES as CHECKS
from bus.events.rules import SchemaSubject, subjects
from bus.testing.rule import Case, Rule, Unloadable, cases_of
from bus.testing.workspace import Workspace

RULES: tuple[Rule[SchemaSubject], ...] = tuple(Rule(number, title, check) for number, (title, check) in sorted(CHECKS.items()))


def load_together(workspace: Workspace) -> Iterable[Problem]:
    """What only all files together show: a type defined twice, an id used twice."""
    try:
        _ = workspace.catalogue
    except Unloadable as error:
        files = subjects(workspace.settings.schemas_roots())
        if not any(problem for file in files for rule in RULES for problem in rule.check(file)):
            yield from error.problems


TOGETHER: Rule[Workspace] = Rule("K08", "all schemas load together: no type and no id is used twice", load_together)


def cases(workspace: Workspace) -> Iterator[Case]:
    """Each schema file of each schemas folder."""
    found = subjects(workspace.settings.schemas_roots())
    yield from cases_of(RULES, {item.id: item for item in found if workspace.concerns(item.path, _agency(item))})
    yield from cases_of((TOGETHER,), {"schemas": workspace})


def _agency(subject: SchemaSubject) -> str:
    parts = subject.path.relative_to(subject.root).parts
    return parts[1] if parts[0] == "events" and len(parts) > 2 else ""

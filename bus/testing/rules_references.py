"""T rules: a reference table is well formed, says where it is from and who may use it, and refers only to what it has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bus.errors import ConfigurationError, Problem
from bus.indicators.reference_files import load_reference, load_references, reference_files
from bus.testing.rule import Case, Rule, cases_of
from bus.testing.workspace import Workspace


@dataclass(frozen=True)
class TableSubject:
    """The two files of one table; `path` is the TOML file, or the CSV file that lies there without one."""

    path: Path

    @cached_property
    def problems(self) -> Sequence[Problem]:
        """Everything that is wrong with it, each with the rule that it breaks."""
        return load_reference(self.path)[1]


def _of(rule: str) -> Callable[[TableSubject], Iterable[Problem]]:
    return lambda subject: [problem for problem in subject.problems if problem.rule == rule]


RULES: tuple[Rule[TableSubject], ...] = (
    Rule("T01", "a reference table is well formed: cells of their types, one row a key and moment, no gap and no overlap", _of("T01")),
    Rule("T02", "its title, source and licence are said, with the notice that the licence asks for", _of("T02")),
    Rule("T03", "parents exist as long as their children, successors from the day on which they take over", _of("T03")),
)


def load_together(workspace: Workspace) -> Iterable[Problem]:
    """What only all files together show: a table defined twice."""
    roots = workspace.settings.schemas_roots()
    try:
        load_references(roots)
    except ConfigurationError as error:
        own = {problem for path in reference_files(roots) for problem in TableSubject(path).problems}
        yield from (problem for problem in error.problems if problem not in own)


TOGETHER: Rule[Workspace] = Rule("T04", "all reference tables load together: no name is used twice", load_together)


def cases(workspace: Workspace) -> Iterator[Case]:
    """Each reference table of each schemas folder."""
    found = [path for path in reference_files(workspace.settings.schemas_roots()) if workspace.concerns(path)]
    yield from cases_of(RULES, {path.stem: TableSubject(path) for path in found})
    yield from cases_of((TOGETHER,), {"reference": workspace})

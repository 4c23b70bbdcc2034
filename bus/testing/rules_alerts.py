"""L rules: an alert rule compiles against its indicator, and tells only what somebody may be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bus.alerts.loader import alert_files, load_alert, load_alerts
from bus.errors import ConfigurationError, Problem
from bus.indicators.compose import AnyIndicator
from bus.testing.rule import Case, Rule, Unloadable, cases_of
from bus.testing.workspace import Workspace


@dataclass(frozen=True)
class AlertSubject:
    """An alert rule's file, and the indicators that it may speak of."""

    path: Path
    indicators: Mapping[str, AnyIndicator]


def compiles(subject: AlertSubject) -> Iterable[Problem]:
    return load_alert(subject.path, subject.indicators)[1]


RULES: tuple[Rule[AlertSubject], ...] = (
    Rule("L01", "an alert rule's indicator exists and can be watched that way, and its words ask for nothing that it has not", compiles),
)


def load_together(workspace: Workspace) -> Iterable[Problem]:
    """What only all files together show: a rule defined twice."""
    try:
        indicators = workspace.indicators
        load_alerts(workspace.settings.schemas_roots(), indicators)
    except Unloadable:
        return
    except ConfigurationError as error:
        own = {problem.where for path in alert_files(workspace.settings.schemas_roots()) for problem in load_alert(path, indicators)[1]}
        yield from (problem for problem in error.problems if problem.where not in own)


TOGETHER: Rule[Workspace] = Rule("L02", "all alert rules load together: no id is used twice", load_together)


def cases(workspace: Workspace) -> Iterator[Case]:
    """Each alert rule of each schemas folder; none while the indicators do not load, which the I rules tell."""
    try:
        indicators = workspace.indicators
    except Unloadable:
        return
    paths = [path for path in alert_files(workspace.settings.schemas_roots()) if workspace.concerns(path, path.stem.partition(".")[0])]
    yield from cases_of(RULES, {f"alerts/{path.stem}": AlertSubject(path, indicators) for path in paths})
    if workspace.agency is None:
        yield from cases_of((TOGETHER,), {"alerts": workspace})

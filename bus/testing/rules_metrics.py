"""M rules: the metrics are one catalogue, named and labelled as Prometheus and this house ask for."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from bus import metrics
from bus.errors import Problem
from bus.testing.rule import Case, Rule, cases_of
from bus.testing.workspace import Workspace

#: Base units and what is counted where no unit exists; `_total` is what the client appends to a counter.
SUFFIXES = (
    "_total", "_seconds", "_bytes", "_ratio", "_info", "_records", "_messages", "_cells", "_clients", "_episodes", "_datasets",
)  # fmt: skip
#: Labels come from closed sets: never an id, a file name or anything else that data can make up.
LABELS = frozenset(
    {
        "agency",
        "channel",
        "consumer",
        "doubt",
        "event_type",
        "indicator",
        "kind",
        "outcome",
        "partition",
        "result",
        "rule",
        "serta_merta",
        "source",
        "stage",
        "topic",
        "version",
    }
)
_CONSTRUCTORS = frozenset({"Counter", "Enum", "Gauge", "Histogram", "Info", "Summary"})


@dataclass(frozen=True, slots=True)
class Metrics:
    """A catalogue and the code that must not make metrics beside it."""

    registry: CollectorRegistry
    catalogue: Path
    code: tuple[Path, ...]


def only_from_the_catalogue(subject: Metrics) -> Iterable[Problem]:
    for path in subject.code:
        text = path.read_text(encoding="utf-8")
        if path == subject.catalogue or "prometheus_client" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module == "prometheus_client":
                for name in sorted(_CONSTRUCTORS & {alias.name for alias in node.names}):
                    yield Problem(
                        f"{path}:{node.lineno}", f"imports {name}; a metric is declared in {subject.catalogue.name} and nowhere else"
                    )


def named_by_unit(subject: Metrics) -> Iterable[Problem]:
    for name, metric in _declared(subject.registry):
        if not name.startswith("bus_"):
            yield Problem(name, "does not begin with bus_")
        if not name.endswith(SUFFIXES):
            yield Problem(name, f"does not end with its base unit; allowed are {', '.join(SUFFIXES)}")
        if not metric._documentation:  # noqa: SLF001 (the client offers no public way to a metric's text)
            yield Problem(name, "has no help text")


def closed_labels(subject: Metrics) -> Iterable[Problem]:
    for name, metric in _declared(subject.registry):
        for label in metric._labelnames:  # noqa: SLF001 (nor to its labels)
            if label not in LABELS:
                yield Problem(name, f"label {label!r}; allowed are {', '.join(sorted(LABELS))}")


def _declared(registry: CollectorRegistry) -> Iterator[tuple[str, MetricWrapperBase]]:
    for metric in dict.fromkeys(registry._names_to_collectors.values()):  # noqa: SLF001 (nor to what is registered)
        if isinstance(metric, MetricWrapperBase):
            yield metric._name + ("_total" if metric._type == "counter" else ""), metric  # noqa: SLF001


def describe(registry: CollectorRegistry) -> list[tuple[str, str, str, str]]:
    """Name, type, labels and help of every metric, for the reference page."""
    return sorted((name, m._type or "", ", ".join(m._labelnames), m._documentation) for name, m in _declared(registry))  # noqa: SLF001


RULES: tuple[Rule[Metrics], ...] = (
    Rule("M01", "metrics are made in the catalogue and nowhere else", only_from_the_catalogue),
    Rule("M02", "a metric's name begins with bus_ and ends with its base unit", named_by_unit),
    Rule("M03", "labels come from a closed list", closed_labels),
)


def cases(workspace: Workspace) -> Iterator[Case]:
    """The bus's own catalogue; an agency brings no metrics, but its code may not make any."""
    own = Path(metrics.__file__)
    folders = [own.parent, *workspace.settings.connector_roots(), *workspace.settings.consumer_roots()]
    code = tuple(sorted(path for folder in folders for path in folder.rglob("*.py")))
    rules = RULES if workspace.agency is None else RULES[:1]
    yield from cases_of(rules, {"metrics": Metrics(metrics.REGISTRY, own, code)})

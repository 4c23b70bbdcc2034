"""All agencies of a made-up regency at once: what is told when, and the truth about it. The same for the same seed. Pure but for the modules."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from random import Random
from types import ModuleType

from bus.errors import ConfigurationError, Problem
from bus.ingest.manifest import Agency
from bus.simulation.faults import Outage, Rates, Told, drawn, in_order, outages
from bus.simulation.regency import Regency, at
from bus.simulation.story import Fact, Story
from bus.simulation.systems.form import FileForm, as_json

#: The file of an agency's folder that makes its stories.
MODULE = "simulation"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated. `begin` is the first day of `days`; `scale` 1 is the whole regency."""

    begin: date
    days: int = 31
    seed: int = 1
    scale: float = 0.01
    rates: Rates = field(default_factory=Rates)


@dataclass(frozen=True)
class World:
    """The tellings of all agencies in the order in which they are told, and which lines were away."""

    plan: Plan
    told: Sequence[Told]
    away: Mapping[str, Outage]

    @property
    def facts(self) -> Iterator[Fact]:
        """What happened, in the order in which it was told."""
        return (fact for told in self.told for fact in told.telling.facts)

    @property
    def refused(self) -> Mapping[str, int]:
        """How many records of each agency are to be refused."""
        found: dict[str, int] = {}
        for told in self.told:
            if told.telling.refused:
                found[told.agency] = found.get(told.agency, 0) + 1
        return found

    def write_truth(self, path: Path) -> None:
        """The facts as lines of JSON: type, subject, op, occurred_at, data."""
        with path.open("w", encoding="utf-8") as file:
            for fact in self.facts:
                event = fact.event
                line = {"type": event.type, "subject": event.subject, "op": fact.op.value, "occurred_at": event.occurred_at.isoformat()}
                file.write(json.dumps({**line, "data": as_json(event.data)}, ensure_ascii=False) + "\n")


def simulated(agencies: Mapping[str, Agency]) -> dict[str, Agency]:
    """Those of them that say what their systems tell. One that has just joined need not, and is silent."""
    return {name: agency for name, agency in agencies.items() if (agency.folder / f"{MODULE}.py").is_file()}


def made(agencies: Mapping[str, Agency], references: Path, plan: Plan) -> World:
    """The world of that plan. Raises `ConfigurationError` for an agency that has no simulation."""
    if lacking := sorted(agencies.keys() - simulated(agencies).keys()):
        raise ConfigurationError([Problem(f"connectors/{name}", f"has no {MODULE}.py: nothing of it can be simulated") for name in lacking])
    begin = at(plan.begin)
    end = begin + timedelta(days=plan.days)
    away = outages(sorted(agencies), begin, end, plan.rates, Random(f"{plan.seed} offline"))  # noqa: S311
    tellings = {
        name: list(drawn(stories_of(agency, references, plan), plan.rates, Random(f"{plan.seed} {name} faults")))  # noqa: S311
        for name, agency in sorted(agencies.items())
    }
    return World(plan, in_order(tellings, away), away)


def stories_of(agency: Agency, references: Path, plan: Plan) -> Iterable[Story]:
    """The stories of one agency: its own chance, so that no agency changes another's."""
    regency = Regency.of(references, plan.begin, plan.days, Random(f"{plan.seed} {agency.id}"), plan.scale)  # noqa: S311
    found: Iterable[Story] = module_of(agency).stories(regency)
    return found


def file_form(agency: Agency, source: str) -> FileForm:
    """How the agency's files look. Raises `ConfigurationError` when its module does not say."""
    found = getattr(module_of(agency), "FILES", {}).get(source)
    if not isinstance(found, FileForm):
        raise ConfigurationError([Problem(f"{agency.folder / MODULE}.py", f"FILES says nothing of {source!r}")])
    return found


def module_of(agency: Agency) -> ModuleType:
    """The agency's simulation."""
    return importlib.import_module(f"connectors.{agency.id}.{MODULE}")

"""What each agency's made-up systems tell means, by its mapping, what its module says that it means: every number, with every fault."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache

import pytest

from bus.ingest.manifest import discover
from bus.ops.demo import CHECK_DAYS, SCALE
from bus.settings import ROOT, Settings
from bus.simulation.counting import counted, facts_of
from bus.simulation.faults import Rates
from bus.simulation.world import Plan, World, made
from tests.conftest import examples
from tests.model.events import Entry
from tests.model.model import Model
from tests.model.states import Cell
from tests.simulation.truth import Mapped, as_log, production_model

REFERENCES = ROOT / "schemas" / "reference"
#: Every kind of fault often, so that a short period has them all.
RATES = Rates(late=15, twice=15, mended=20, taken_back=10, broken=10, offline=100)
AGENCIES = {name: agency for name, agency in discover(Settings().connector_roots()).items() if (agency.folder / "simulation.py").is_file()}


@cache
def model() -> Model:
    return production_model()


@cache
def world(*agencies: str, seed: int) -> World:
    plan = Plan(date(2026, 1, 5), days=40, seed=seed, scale=0.002, rates=RATES)
    return made({agency: AGENCIES[agency] for agency in agencies}, REFERENCES, plan)


def made_of(*agencies: str) -> list[str]:
    """The indicators that are made of events of all those agencies and of no other."""
    raw = model().indicators

    def types(name: str) -> set[str]:
        if name not in raw:
            return {"?"}
        return {raw[name]["event"]} if "event" in raw[name] else {each for part in raw[name]["composite"]["of"] for each in types(part)}

    return [name for name in raw if {each.partition(".")[0] for each in types(name)} == {*agencies}]


@pytest.mark.parametrize("seed", range(1, 1 + examples(1)))
@pytest.mark.parametrize("agency", AGENCIES)
def test_records_mean_what_happened(agency: str, seed: int) -> None:
    found, mapped = world(agency, seed=seed), Mapped(AGENCIES)
    facts = list(mapped.facts(found))
    truth, log = as_log(found.facts), as_log(facts)
    assert {name: number for name, number in mapped.refused.items() if number} == found.refused
    assert counted(facts) == counted(facts_of(found, agency, ())), "its daily counts"
    for name in made_of(agency):
        assert values(name, log) == values(name, truth), name


def values(name: str, log: Sequence[Entry]) -> dict[Cell, object]:
    """What the model makes of that log, where there is anybody."""
    return {cell: (row.value, row.n, row.label) for cell, row in model().rows(name, log).items() if row.n}


@pytest.mark.parametrize("agency", AGENCIES)
def test_every_indicator_has_values_and_every_fault_happens(agency: str) -> None:
    found = world(agency, seed=1)
    log = as_log(found.facts)
    empty = [name for name in made_of(agency) if model().indicators[name].get("measure", {}).get("kind") != "register"
             and not any(row.n for row in model().rows(name, log).values())]  # fmt: skip
    assert empty == []
    tellings = [told.telling for told in found.told]
    assert {each.source for each in tellings} == set(AGENCIES[agency].manifest.sources), "every source tells something"
    assert found.away
    assert found.refused, "no record with a mistake"
    ops = {fact.op.value for fact in found.facts}
    assert "CORRECT" in ops or not any(story_is_correctable(agency))


def story_is_correctable(agency: str) -> list[bool]:
    """Whether any of its event types can be corrected."""
    return [model().schemas[name].correctable for name in AGENCIES[agency].manifest.events if model().schemas[name].correctable]


@pytest.mark.parametrize("agency", AGENCIES)
@pytest.mark.parametrize("begin", [date(2026, 12, 24), date(2027, 8, 15)], ids=["holidays", "between reports"])
def test_on_whatever_day_it_is_run_a_check_of_the_demo_has_values(begin: date, agency: str) -> None:
    """In the second case RTs report in its last two days only."""
    plan = Plan(begin, days=CHECK_DAYS, seed=1, scale=SCALE)
    log = as_log(made({agency: AGENCIES[agency]}, REFERENCES, plan).facts)
    published = [name for name in made_of(agency) if model().indicators[name].get("measure", {}).get("kind") != "register"]
    assert [name for name in published if not any(row.n for row in model().rows(name, log).values())] == []


def test_a_world_is_the_same_for_the_same_seed() -> None:
    plan = Plan(date(2026, 1, 5), days=10, seed=3, scale=0.001)
    first, again = (made(AGENCIES, REFERENCES, plan) for _ in range(2))
    assert first.told == again.told
    assert made(AGENCIES, REFERENCES, Plan(date(2026, 1, 5), days=10, seed=4, scale=0.001)).told != first.told


@pytest.mark.parametrize("seed", range(1, 1 + examples(1)))
def test_two_registers_are_compared_person_by_person(seed: int) -> None:
    found = world("dukcapil", "mcd", seed=seed)
    truth, log = as_log(found.facts), as_log(Mapped(AGENCIES).facts(found))
    compared = {name: values(name, truth) for name in made_of("dukcapil", "mcd")}
    assert {name: values(name, log) for name in compared} == compared
    for name in ("mcd.siak_gap", "mcd.siak_gap_dead", "mcd.siak_gap_moved"):
        assert {match for _, (match, *_) in compared.pop(name)} == {"matched", "conflicting", "only_left", "only_right"}, name
    assert [name for name, cells in compared.items() if cells] == ["mcd.siak_difference"]

"""Deliberately breaking any clause of R1–R5 is noticed: the campaign that the bus survives kills each mutant."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import pytest

import tests.pipeline.mutants_partials  # noqa: F401 - registers its mutants
from bus.errors import BusError
from bus.testing.faults import Cluster
from bus.testing.gate import Fault
from tests.pipeline.histories import expected, seeded
from tests.pipeline.laws import LAWS, Law
from tests.pipeline.lives import LIVES, Rows, exact, in_one_go
from tests.pipeline.mutants import MUTANTS, Mutant

#: Histories lived through without faults, and those with a fault at each effect.
SEEDS, DISTURBED = range(24), range(3)


def campaign(life: str, at: str) -> Iterator[str]:
    """What went wrong, as it is found: first without faults in many histories, then with a fault at each
    effect of some (whose topic begins with `at`)."""
    undisturbed: dict[int, tuple[Rows, Cluster]] = {}
    for seed in DISTURBED if at else SEEDS:
        try:
            undisturbed[seed] = asyncio.run(LIVES[life](seeded(seed), {}))
        except (BusError, AssertionError, ValueError) as error:
            yield f"seed {seed}: {type(error).__name__} without any fault"
            continue
        if exact(undisturbed[seed][0]) != expected(seeded(seed)):
            yield f"seed {seed}: wrong without any fault"
        if undisturbed[seed][0] != in_one_go(seeded(seed)):
            yield f"seed {seed}: other revisions or statuses than in one go"
    for seed in DISTURBED:
        wanted, cluster = undisturbed[seed]
        for number, fault in itertools.product([i for i, topic in enumerate(cluster.written) if topic.startswith(at)], Fault):
            try:
                found, _ = asyncio.run(LIVES[life](seeded(seed), {number: fault}))
            except (BusError, AssertionError, ValueError) as error:
                yield f"seed {seed}: {type(error).__name__} after {fault} at effect {number}"
                continue
            if found != wanted:
                yield f"seed {seed}: {fault} at effect {number} ({cluster.written[number]}) changes the numbers"


def noticed(mutant: Mutant) -> str | None:
    """The first thing that any of the mutant's lives and laws finds wrong."""
    for name in mutant.lives:
        for what in LAWS[name]() if name in LAWS else campaign(name, mutant.at):
            return f"{name}: {what}"
    return None


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_the_unbroken_bus_keeps_the_laws(law: Law) -> None:
    assert list(law()) == []


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_clause_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    mutant.break_it(monkeypatch)
    assert noticed(mutant), f"{mutant.rule} ({mutant.clause}) can be broken and nobody notices"

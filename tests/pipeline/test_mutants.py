"""Deliberately breaking any clause of R1–R6, or of how facts are revised, is noticed: the campaign that the bus survives kills each mutant."""

from __future__ import annotations

import pytest

import tests.pipeline.mutants_families
import tests.pipeline.mutants_partials  # noqa: F401 - both register their mutants
from tests.pipeline.campaigns import campaign
from tests.pipeline.laws import LAWS, Law
from tests.pipeline.mutants import MUTANTS, Mutant


def noticed(mutant: Mutant) -> str | None:
    """The first thing that any of the mutant's lives and laws finds wrong."""
    for name in mutant.lives:
        for what in campaign(name, mutant.at, mutant.faults):
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

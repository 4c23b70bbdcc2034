"""Deliberately breaking any clause of R6 is noticed: by scenarios that the bus itself survives."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import tests.pipeline.ingest_heartbeats
import tests.pipeline.ingest_races
import tests.pipeline.mutants_deliveries
import tests.pipeline.mutants_heartbeats  # noqa: F401  all of them register theirs when they are imported
from bus.errors import BusError
from tests.pipeline.ingest_scenarios import SCENARIOS
from tests.pipeline.mutants_ingest import MUTANTS


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_bus_survives(name: str, tmp_path: Path) -> None:
    asyncio.run(SCENARIOS[name](tmp_path))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_clause_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mutant = MUTANTS[name]
    mutant.break_it(monkeypatch)
    for scenario in mutant.scenarios:
        with pytest.raises((AssertionError, BusError)):
            asyncio.run(SCENARIOS[scenario](tmp_path / scenario))

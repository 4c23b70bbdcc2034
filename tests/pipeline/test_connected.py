"""Connector, operator, fold and merge as one: a fault at any effect of any of them changes no published number (ADR 0014, R6)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bus.testing.faults import Cluster, Fault, Process
from tests.conftest import SOAK, examples
from tests.pipeline.connected import SAMPLES, History, connected, oracle, seeded, small
from tests.pipeline.scenes import Rows, exact

#: The one whose value and count show the most.
MEAN = {"lab.sample_mean": SAMPLES["lab.sample_mean"]}


class Campaign:
    """One history under many plans; its undisturbed life tells what must come out."""

    def __init__(self, history: History, base: Path, *, indicators=MEAN) -> None:
        self._history, self._base, self._indicators = history, base, indicators
        self._wanted, self._undisturbed = self._live({})
        assert exact(self._wanted) == {name: each for name, each in oracle(history).items() if name in indicators}

    def effects(self, *, connectors_only: bool = False, every: int = 1) -> Iterator[int]:
        """The effects of the undisturbed life; in `make test` only one in `every`."""
        for number, writer in enumerate(self._undisturbed.writers):
            if not SOAK and number % every:
                continue
            if not (connectors_only and isinstance(writer, Process)):
                yield number

    def check(self, plan: Mapping[int, Fault], *, continue_after: int | None = None) -> None:
        found, cluster = self._live(plan, continue_after)
        what = ", ".join(
            f"{fault} at effect {number} ({cluster.written[number]})" for number, fault in plan.items() if number < cluster.effects
        )
        assert found == self._wanted, f"{what}; continued after {continue_after}"

    def _live(self, plan: Mapping[int, Fault], continue_after: int | None = None) -> tuple[Rows, Cluster]:
        life = connected(self._history, plan, self._base, continue_after=continue_after, indicators=self._indicators)
        return asyncio.run(life)


@pytest.mark.parametrize("seed", range(examples(5)))
def test_without_faults_the_numbers_are_those_of_brute_force(seed: int, tmp_path: Path) -> None:
    Campaign(seeded(seed), tmp_path, indicators=SAMPLES)


@pytest.mark.soak
@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_at_any_effect_changes_nothing(fault: Fault, tmp_path: Path) -> None:
    campaign = Campaign(small(), tmp_path)
    for number in campaign.effects(every=2):
        campaign.check({number: fault})


def test_a_connector_that_goes_on_while_its_successor_works_changes_nothing(tmp_path: Path) -> None:
    campaign = Campaign(small(), tmp_path)
    for number in campaign.effects(connectors_only=True):
        campaign.check({number: Fault.STOP}, continue_after=number % 5)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(8 if SOAK else 1))
@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_at_any_effect_of_larger_histories_changes_nothing(fault: Fault, seed: int, tmp_path: Path) -> None:
    campaign = Campaign(seeded(seed), tmp_path, indicators=SAMPLES)
    for number in campaign.effects(every=29 if SOAK else 61):
        campaign.check({number: fault})


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4 if SOAK else 1))
@pytest.mark.parametrize("continue_after", [0, 1, 2, 3, 5, 8, 13, 21] if SOAK else [2, 13])
def test_a_connector_that_goes_on_at_any_moment_changes_nothing(continue_after: int, seed: int, tmp_path: Path) -> None:
    campaign = Campaign(seeded(seed), tmp_path)
    for number in campaign.effects(connectors_only=True, every=5):
        campaign.check({number: Fault.STOP}, continue_after=continue_after)


@pytest.mark.soak
@pytest.mark.parametrize("apart", [1, 2, 3, 5, 9, 17] if SOAK else [1, 5])
def test_two_faults_in_one_life_change_nothing(apart: int, tmp_path: Path) -> None:
    campaign = Campaign(small(), tmp_path)
    for number in campaign.effects(every=23):
        for first in Fault:
            for second in Fault:
                campaign.check({number: first, number + apart: second}, continue_after=4)

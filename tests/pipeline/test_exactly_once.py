"""A fault between any two effects of generated histories changes no published number (ADR 0014)."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bus.testing.faults import Fault
from tests.conftest import SOAK, examples
from tests.pipeline.histories import Fact, expected, facts
from tests.pipeline.lives import LIVES, ordinary
from tests.pipeline.scenes import LAB, exact, in_one_go

LIFE = pytest.mark.parametrize("life", LIVES.values(), ids=LIVES.keys())
#: Lives in which a fault of every kind happens at every effect in `make test` too; in the others at each third, a third of its own for each kind.
EVERYWHERE = {"ordinary", "redefined"}
HISTORIES = settings(max_examples=examples(1), phases=[Phase.generate, Phase.explicit], suppress_health_check=list(HealthCheck))


@LIFE
@given(published=facts())
@settings(max_examples=examples(6), suppress_health_check=list(HealthCheck))
def test_without_faults_the_numbers_are_those_of_brute_force(life, published: list[Fact]) -> None:
    found, _ = asyncio.run(life(published, {}, LAB))
    assert exact(found) == expected(published)
    assert found == in_one_go(published)


@pytest.mark.parametrize("name", LIVES)
@pytest.mark.parametrize("fault", list(Fault))
@HISTORIES
@given(published=facts())
def test_a_fault_at_any_effect_changes_nothing(name: str, fault: Fault, published: list[Fact]) -> None:
    life, step = LIVES[name], 1 if SOAK or name in EVERYWHERE else 3
    wanted, undisturbed = asyncio.run(life(published, {}, LAB))
    for number in range(list(Fault).index(fault) % step, undisturbed.effects, step):
        found, _ = asyncio.run(life(published, {number: fault}, LAB))
        assert found == wanted, f"{fault} at effect {number} ({undisturbed.written[number]})"


@LIFE
@settings(max_examples=examples(3), suppress_health_check=list(HealthCheck))
@given(published=facts(), plan=st.dictionaries(st.integers(0, 150), st.sampled_from(list(Fault)), min_size=2, max_size=8))
def test_many_faults_in_one_life_change_nothing(life, published: list[Fact], plan: dict[int, Fault]) -> None:
    wanted, _ = asyncio.run(life(published, {}, LAB))
    found, _ = asyncio.run(life(published, plan, LAB))
    assert found == wanted


@settings(max_examples=examples(10), suppress_health_check=list(HealthCheck))
@given(published=facts(), batch=st.integers(1, 9))
def test_batch_boundaries_change_nothing(published: list[Fact], batch: int) -> None:
    wanted, _ = asyncio.run(ordinary(published, {}))
    found, _ = asyncio.run(ordinary(published, {}, batch=batch))
    assert found == wanted

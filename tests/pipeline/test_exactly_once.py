"""A fault between any two effects of generated histories changes no published number (DESIGN §4)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bus.events.codec import Codec
from bus.indicators.outputs import Output
from bus.ops.values import read_values
from bus.testing.faults import Cluster, Fault
from tests.pipeline.histories import TYPES, Expected, Fact, expected, facts, installation, publish

CATALOGUE, INDICATORS = installation()
CODEC = Codec(CATALOGUE)

Rows = dict[str, list[tuple[object, ...]]]
Plan = Mapping[int, Fault]


async def live(published: Sequence[Fact], plan: Plan, *, batch: int = 3, late: bool = True) -> tuple[Rows, Cluster]:
    """Half of the history arrives, is worked on in small batches, then the other half; then all comes to rest.

    Stopped processes go on in the middle of the second half, or (`late`) after everything has come to rest.
    """
    cluster = Cluster(CATALOGUE, INDICATORS, event_types=TYPES, plan=plan)
    half = len(published) // 2
    for stretch in (published[:half], published[half:]):
        publish(cluster.log, CODEC, stretch, 2)
        for partition in cluster.events:
            await cluster.deliver(partition, batch)
        await cluster.tick()
        for partition in cluster.partials:
            await cluster.deliver(partition, batch)
        await cluster.tick()
        if not late:
            await cluster.proceed_all()
        cluster.compact()
    await cluster.drain()
    await cluster.proceed_all()
    cluster.compact()
    await cluster.drain()
    return await rows(cluster), cluster


async def rows(cluster: Cluster) -> Rows:
    """What any reader of the output topics is left with."""
    return {name: [_numbers(output) for output in await read_values(cluster.log, CODEC, name) if output.n] for name in sorted(INDICATORS)}


def _numbers(output: Output) -> tuple[object, ...]:
    return (
        output.window_start_us, tuple(output.dimensions.values()), output.value, output.numerator, output.denominator,
        output.n, output.revision, output.status,
    )  # fmt: skip


def exact(found: Rows) -> Expected:
    """The rows in the oracle's form."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return {
        name: {
            ((epoch + timedelta(microseconds=row[0], hours=7)).replace(tzinfo=None), row[1][0]): (row[5], Fraction(row[3]) / Fraction(row[4]))  # type: ignore[index,arg-type,misc]
            for row in each
        }
        for name, each in found.items()
    }


HISTORY = settings(max_examples=5, deadline=None, phases=[Phase.generate, Phase.explicit], suppress_health_check=list(HealthCheck))


@given(published=facts())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_without_faults_the_numbers_are_those_of_brute_force(published: list[Fact]) -> None:
    found, _ = asyncio.run(live(published, {}))
    assert exact(found) == expected(published)


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("late", [True, False], ids=["late", "soon"])
@HISTORY
@given(published=facts())
def test_a_fault_at_any_effect_changes_nothing(fault: Fault, late: bool, published: list[Fact]) -> None:
    wanted, undisturbed = asyncio.run(live(published, {}))
    for number in range(undisturbed.effects):
        found, _ = asyncio.run(live(published, {number: fault}, late=late))
        assert found == wanted, f"{fault} at effect {number} ({undisturbed.written[number]})"


@HISTORY
@given(published=facts(), plan=st.dictionaries(st.integers(0, 150), st.sampled_from(list(Fault)), min_size=2, max_size=8), late=st.booleans(), batch=st.integers(1, 9))
def test_many_faults_in_one_life_change_nothing(published: list[Fact], plan: dict[int, Fault], late: bool, batch: int) -> None:
    wanted, _ = asyncio.run(live(published, {}))
    found, _ = asyncio.run(live(published, plan, late=late, batch=batch))
    assert found == wanted

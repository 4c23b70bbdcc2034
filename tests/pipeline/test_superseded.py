"""A fault at any effect while the snapshots of superseded definitions are taken away changes no number (ADR 0014 R2, R3)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence

import pytest

from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import SNAPSHOTS
from bus.testing.faults import Cluster, Fault
from tests.conftest import SOAK
from tests.pipeline.histories import Fact, expected, history
from tests.pipeline.lives import rest, work
from tests.pipeline.scenes import INDICATORS, Rows, cluster_of, exact, older

PUBLISHED = history(random.Random(5).choice, size=range(2, 24 + 1))


async def settled(published: Sequence[Fact], plan: Mapping[int, Fault]) -> tuple[Rows, Cluster]:
    """An indicator is defined anew; so much comes after it that its units are saved again and again."""
    cluster = cluster_of(plan, {**INDICATORS, "lab.sample_max": older(INDICATORS["lab.sample_max"])})
    quarter = len(published) // 4
    await work(cluster, published[:quarter])
    await cluster.drain()
    await cluster.take(INDICATORS)
    for number in (1, 2, 3):
        await work(cluster, published[number * quarter : (number + 1) * quarter if number < 3 else None], batch=100)
        await cluster.side_work()
        await cluster.tick()
    return await rest(cluster)


async def _names(cluster: Cluster) -> set[str]:
    return set(await KafkaSnapshotStore(cluster.log, cluster.log).newest())


async def test_nothing_of_an_older_definition_stays() -> None:
    found, cluster = await settled(PUBLISHED, {})
    assert exact(found) == expected(PUBLISHED)
    names = await _names(cluster)
    former = older(INDICATORS["lab.sample_max"]).version
    assert any("/lab.sample_max/" in name for name in names)
    assert not [name for name in names if name.startswith((f"fold/lab.sample_max/{former}/", "replay/"))]


@pytest.mark.soak
@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_at_any_effect_of_it_changes_nothing(fault: Fault) -> None:
    wanted, undisturbed = asyncio.run(settled(PUBLISHED, {}))
    snapshots = [number for number, topic in enumerate(undisturbed.written) if topic == SNAPSHOTS]
    for number in snapshots if SOAK else snapshots[::13]:
        found, _ = asyncio.run(settled(PUBLISHED, {number: fault}))
        assert found == wanted, f"{fault} at effect {number}"

"""The whole pipeline agrees with the model after lives with kills, stops, lost sends, rebalances and compaction at random effects."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import pytest

from bus.ops.values import read_values
from bus.testing.faults import Cluster, Fault
from tests.conftest import examples
from tests.model.engine import differences, newest
from tests.model.histories import Published, entries, history, publish
from tests.model.worlds import CATALOGUE, CODEC, MODEL, TYPES, every
from tests.pipeline.crumbled import crumbled

Plan = Mapping[int, Fault]
SEEDS = range(examples(4))


async def life(published: Sequence[Published], plan: Plan, choose: random.Random) -> Cluster:
    """Three stretches, each worked on in part: batches of any size, snapshots, a rebalance, stopped processes that go on; then the rest."""
    cluster = Cluster(CATALOGUE, {each.id: each for each in every()}, event_types=TYPES, plan=plan)
    third = max(1, len(published) // 3)
    for stretch in (published[:third], published[third : 2 * third], published[2 * third :]):
        publish(cluster.log, stretch)
        for partition in choose.sample(cluster.events, len(cluster.events)):
            await cluster.deliver(partition, choose.randint(1, 6))
        if choose.random() < 0.5:
            await cluster.tick()
        for partition in cluster.partials:
            await cluster.deliver(partition, choose.randint(1, 40))
        match choose.randrange(4):
            case 0:
                await cluster.rebalance()
            case 1:
                await cluster.start(wrong_positions=choose.choice([-2, 1]))
            case 2:
                await cluster.proceed_all()
        await cluster.tick()
        cluster.compact()
    await cluster.rebalance()  # whoever was set too far, and is given no more records to notice it by, is set right
    await cluster.drain()
    await cluster.proceed_all()
    await cluster.side_work()
    cluster.compact()
    await cluster.drain()
    return cluster


async def _told(cluster: Cluster, published: Sequence[Published]) -> dict[str, list[str]]:
    log = entries(published)
    found = {each.id: newest(each, await read_values(cluster.log, CODEC, each.id)) for each in every()}
    wrong = {
        name: differences(rows, MODEL.rows(name, log), composite="composite" in MODEL.indicators[name], stale_ages=True)
        for name, rows in found.items()
    }
    return {name: lines for name, lines in wrong.items() if lines}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_life_with_faults_ends_with_the_numbers_of_the_model(seed: int) -> None:
    async def live() -> dict[str, list[str]]:
        choose = random.Random(seed)
        published = history(choose.choice, size=range(30, 60))
        plan = {choose.randrange(900): choose.choice(list(Fault)) for _ in range(choose.randrange(8))} if seed else {}
        small = seed % 2 == 1
        with crumbled(600) if small else nullcontext():
            return await _told(await life(published, plan, choose), published)

    assert asyncio.run(live()) == {}

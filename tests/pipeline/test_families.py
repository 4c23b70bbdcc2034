"""A fault at any effect changes nothing of stocks, closings, roll-ups, composites and registers, nor of why they changed (ADR 0014, 0019)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence

import pytest

from bus.testing.faults import Cluster, Fault
from tests.conftest import SOAK, examples
from tests.model.histories import Published
from tests.pipeline.families import WORLDS, World
from tests.pipeline.lives import LIVES
from tests.pipeline.scenes import Plan, Rows, in_one_go
from tests.pipeline.truth import differences

#: Lives in which a definition changes are those of worlds with a change, and no others.
EVERY = [(name, life) for name in WORLDS for life in LIVES if name.startswith("new") == (life in {"redefined", "redeployed"})]
#: Those in which faults happen in `make test`: in each world the ones that its state is most sensitive to.
CHOSEN = [
    ("stocks", "soon"), ("stocks", "crumbs"), ("closings", "forgetful"), ("composites", "ordinary"), ("composites", "forgetful"), ("registers", "astray"),
    ("registers", "forgetful"), ("new parts", "redefined"), ("new composites", "redeployed"), ("new register", "redefined"),
]  # fmt: skip
#: Effects of a life at which a kind of fault happens in `make test`.
MOST = 8


def live(life: str, world: World, published: Sequence[Published], plan: Plan) -> tuple[Rows, Cluster]:
    return asyncio.run(LIVES[life](published, plan, world.scene))


def effects(cluster: Cluster, fault: Fault) -> Sequence[int]:
    """The effects of a life. In `make test` at most so many: firsts of stretches of writes of one kind (for a process that is stopped the last
    ones too), and a few within them, others for each fault."""
    if SOAK:
        return range(cluster.effects)
    phase = list(Fault).index(fault)
    chosen = list(_telling(cluster, fault, 7 * phase))
    step = -(-len(chosen) // MOST)
    return chosen[phase % step :: step]


def _telling(cluster: Cluster, fault: Fault, phase: int) -> Iterator[int]:
    number = 0
    for _, stretch in itertools.groupby(topic if topic.startswith("bus.") else topic.partition(".")[0] for topic in cluster.written):
        size = len(list(stretch))
        chosen = {0, size - 1} if fault is Fault.STOP else {0}
        yield from (number + each for each in range(size) if each in chosen or (number + each) % 23 == phase)
        number += size


@pytest.mark.parametrize(("name", "life"), EVERY)
def test_without_faults_the_rows_are_those_of_the_model(name: str, life: str) -> None:
    world = WORLDS[name]
    for published in (world.told, *map(world.seeded, range(examples(8 if name == "registers" else 2)))):
        found, _ = live(life, world, published, {})
        assert differences(found, world, published) == []
        assert found == in_one_go(published, world.scene)


@pytest.mark.soak
@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize(("name", "life"), EVERY if SOAK else CHOSEN)
def test_a_fault_at_any_effect_changes_nothing(name: str, life: str, fault: Fault) -> None:
    world = WORLDS[name]
    wanted, undisturbed = live(life, world, world.told, {})
    for number in effects(undisturbed, fault):
        found, _ = live(life, world, world.told, {number: fault})
        assert found == wanted, f"{fault} at effect {number} ({undisturbed.written[number]})"

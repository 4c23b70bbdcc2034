"""What is done to a bus to see whether a broken clause shows: lives in many histories, and a fault at each effect of some."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bus.errors import BusError
from bus.testing.faults import Cluster
from bus.testing.gate import Fault
from tests.pipeline.families import WORLDS
from tests.pipeline.histories import expected, seeded
from tests.pipeline.laws import LAWS
from tests.pipeline.lives import LIVES
from tests.pipeline.merge_laws import merges
from tests.pipeline.scenes import LAB, Rows, Scene, exact, in_one_go
from tests.pipeline.truth import differences

#: Histories lived through without faults, and those with a fault at each effect.
SEEDS, DISTURBED = range(24), range(3)

#: Generated histories of the other worlds, beside the one that is told by hand.
FEW = range(6)

#: What a broken clause breaks.
BROKEN = (BusError, AssertionError, ValueError)

#: A history and what is wrong with the rows that came of it.
Case = tuple[str, Sequence[Any], Callable[[Rows], bool]]


def campaign(name: str, at: str, faults: Sequence[Fault] = tuple(Fault)) -> Iterator[str]:
    """What went wrong, as it is found, in a life of the laboratory ("ordinary") or of another world ("stocks/soon"), against a law, or
    against what merges promise, in all worlds ("merges") or in one ("merges/registers").

    First without faults in many histories, then with a fault of each of those kinds at each effect of some (whose topic begins with `at`).
    """
    if name in LAWS:
        yield from LAWS[name]()
    elif name.partition("/")[0] == "merges":
        try:
            yield from merges(*name.split("/")[1:])
        except BROKEN as error:
            yield f"{type(error).__name__}: {error}"
    elif "/" in name:
        world, life = name.split("/")
        yield from _lives(life, WORLDS[world].scene, _told(world), at, faults, disturbed=1)
    else:
        yield from _lives(name, LAB, _seeded(DISTURBED if at else SEEDS), at, faults, disturbed=len(DISTURBED))


def _seeded(seeds: Sequence[int]) -> Iterator[Case]:
    for seed in seeds:
        yield f"seed {seed}", seeded(seed), lambda found, seed=seed: exact(found) != expected(seeded(seed))  # type: ignore[misc]


def _told(name: str) -> Iterator[Case]:
    world = WORLDS[name]
    for which, published in (("by hand", world.told), *((f"seed {seed}", world.seeded(seed)) for seed in FEW)):
        yield which, published, lambda found, published=published: bool(differences(found, world, published))  # type: ignore[misc]


def _lives(life: str, scene: Scene, cases: Iterator[Case], at: str, faults: Sequence[Fault], *, disturbed: int) -> Iterator[str]:
    undisturbed: list[tuple[str, Sequence[Any], Rows, Cluster]] = []
    for which, published, wrong in cases:
        try:
            found, cluster = asyncio.run(LIVES[life](published, {}, scene))
        except BROKEN as error:
            yield f"{which}: {type(error).__name__} without any fault"
            continue
        if wrong(found):
            yield f"{which}: wrong without any fault"
        if found != in_one_go(published, scene):
            yield f"{which}: other revisions, reasons or statuses than in one go"
        undisturbed.append((which, published, found, cluster))
        if at and len(undisturbed) == disturbed:
            break
    # all histories side by side: a clause that shows early in any of them is noticed early
    plans = [
        (number, place, fault)
        for place, (_, _, _, cluster) in enumerate(undisturbed[:disturbed])
        for number, topic in enumerate(cluster.written)
        if topic.startswith(at)
        for fault in faults
    ]
    for number, place, fault in sorted(plans, key=lambda plan: plan[:2]):
        which, published, wanted, cluster = undisturbed[place]
        try:
            found, _ = asyncio.run(LIVES[life](published, {number: fault}, scene))
        except BROKEN as error:
            yield f"{which}: {type(error).__name__} after {fault} at effect {number}"
            continue
        if found != wanted:
            yield f"{which}: {fault} at effect {number} ({cluster.written[number]}) changes the numbers"

"""Lives of a pipeline: what happens to it between an empty log and its rest, apart from the faults that a plan adds."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from bus.kafka.ports import LogReader, Publisher, Snapshot, TopicPartition
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import CONTROL, PARTIALS
from bus.testing.faults import Cluster
from tests.pipeline.crumbled import crumbled
from tests.pipeline.scenes import LAB, Plan, Rows, Scene, rows

Life = Callable[[Sequence[Any], Plan, Scene], Coroutine[Any, Any, tuple[Rows, Cluster]]]


async def work(cluster: Cluster, published: Sequence[Any], *, batch: int = 3, scene: Scene = LAB) -> None:
    """Some events arrive; most are worked on in small batches, with snapshots between the stages, and some are left over."""
    scene.put(cluster.log, published)
    for partition in cluster.events:
        await cluster.deliver(partition, batch)
    await cluster.tick()
    for partition in cluster.partials:
        for _ in range(3):
            await cluster.deliver(partition, 3 * batch)
    await cluster.tick()


async def rest(cluster: Cluster, scene: Scene = LAB) -> tuple[Rows, Cluster]:
    """Everything comes to its end; then stopped processes go on, the broker compacts, and everything comes to its end again."""
    await cluster.drain()
    await cluster.proceed_all()
    await cluster.side_work()
    cluster.compact()
    await cluster.drain()
    return await rows(cluster), cluster


async def ordinary(published: Sequence[Any], plan: Plan, scene: Scene = LAB, *, batch: int = 3, late: bool = True) -> tuple[Rows, Cluster]:
    """Two halves of the history. Stopped processes go on at the end (`late`) or after each half."""
    cluster = scene.cluster(plan)
    half = len(published) // 2
    for stretch in (published[:half], published[half:]):
        await work(cluster, stretch, batch=batch, scene=scene)
        if not late:
            await cluster.proceed_all()
        cluster.compact()
    return await rest(cluster, scene)


async def soon(published: Sequence[Any], plan: Plan, scene: Scene = LAB) -> tuple[Rows, Cluster]:
    """As `ordinary`; stopped processes go on after each half."""
    return await ordinary(published, plan, scene, late=False)


async def astray(published: Sequence[Any], plan: Plan, scene: Scene = LAB) -> tuple[Rows, Cluster]:
    """The group's commits went back, then forward; batches come after revocation, and of partitions that were given away."""
    cluster = scene.cluster(plan)
    third = max(1, len(published) // 3)
    await work(cluster, published[:third], scene=scene)
    await cluster.start(wrong_positions=-2)
    await work(cluster, published[third : 2 * third], scene=scene)
    former = await cluster.running()
    await cluster.rebalance()
    await cluster.start(wrong_positions=+1)
    await work(cluster, published[2 * third :], scene=scene)
    for partition in (*cluster.events, *cluster.partials):
        if former.alive and former is not cluster.active:
            await cluster.deliver(partition, 2, former)
    return await rest(cluster, scene)


async def redefined(published: Sequence[Any], plan: Plan, scene: Scene = LAB) -> tuple[Rows, Cluster]:
    """In mid-life an indicator appears, and another is defined anew (version 2): both cover the whole past."""
    cluster = scene.cluster(plan, scene.before)
    half = len(published) // 2
    await work(cluster, published[:half], scene=scene)
    await cluster.drain()
    if scene.between is not None:
        await cluster.take(scene.between)
    await cluster.take(scene.indicators)
    await work(cluster, published[half:], batch=2, scene=scene)
    await cluster.side_work()
    return await rest(cluster, scene)


async def forget_requests(cluster: Cluster) -> None:
    """A day has passed: nobody is asked any more to repeat what was asked for then."""
    place = TopicPartition(CONTROL, 0)
    cluster.log.trim(place, await cluster.log.end(place))


async def redeployed(published: Sequence[Any], plan: Plan, scene: Scene = LAB) -> tuple[Rows, Cluster]:
    """As `redefined`, but the worker is stopped in the middle of its work, and its successor has the new files from its start on."""
    cluster = scene.cluster(plan, scene.before)
    half = len(published) // 2
    await work(cluster, published[:half], scene=scene)
    cluster.indicators = dict(scene.indicators)
    cluster.declare()
    await forget_requests(cluster)
    await cluster.start()
    await work(cluster, published[half:], batch=2, scene=scene)
    await cluster.side_work()
    return await rest(cluster, scene)


async def forgetful(published: Sequence[Any], plan: Plan, scene: Scene = LAB) -> tuple[Rows, Cluster]:
    """Merge loses its snapshots, and retention takes the partials that made them."""
    cluster = scene.cluster(plan)
    half = len(published) // 2
    await work(cluster, published[:half], scene=scene)
    await cluster.drain()
    cluster.make_store = Amnesia
    for partition in cluster.partials:
        cluster.log.trim(TopicPartition(PARTIALS, partition.partition), await cluster.log.end(partition))
    await forget_requests(cluster)
    await cluster.start()
    await work(cluster, published[half:], scene=scene)
    return await rest(cluster, scene)


async def crumbs(published: Sequence[Any], plan: Plan, scene: Scene = LAB) -> tuple[Rows, Cluster]:
    """As `ordinary`, with states in many blocks that are hardly ever in memory, and partials in many parts."""
    with crumbled():
        return await ordinary(published, plan, scene)


LIVES: Mapping[str, Life] = {
    "ordinary": ordinary,
    "soon": soon,
    "astray": astray,
    "redefined": redefined,
    "redeployed": redeployed,
    "forgetful": forgetful,
    "crumbs": crumbs,
}


class Amnesia(KafkaSnapshotStore):
    """A snapshot store that has forgotten the units of merge that it did not write itself."""

    def __init__(self, publisher: Publisher, reader: LogReader) -> None:
        super().__init__(publisher, reader)
        self._since: set[str] = set()

    async def save(self, unit: str, offset: int, blocks: Mapping[str, bytes | None], *, base: int | None = None) -> None:
        self._since.add(unit)
        await super().save(unit, offset, blocks, base=base)

    async def load(self, unit: str, wanted: Callable[[str], bool] | None = None) -> Snapshot | None:
        return None if unit.startswith("merge/") and unit not in self._since else await super().load(unit, wanted)

"""Lives of a pipeline: what happens to it between an empty log and its rest, apart from the faults that a plan adds."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import partial
from typing import Any
from unittest import mock

import bus.indicators.fold
import bus.streams.folding
from bus.events.codec import Codec
from bus.indicators.fold import Batch, FoldUnit
from bus.indicators.indicator import Indicator, compile_indicator
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output
from bus.indicators.partial import encode
from bus.kafka.ports import Snapshot, SnapshotStore, TopicPartition
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import CONTROL, PARTIALS
from bus.ops.values import read_values
from bus.testing.faults import Cluster, Fault
from bus.testing.memory import MemoryLog
from tests.pipeline.histories import TYPES, Expected, Fact, installation, publish

CATALOGUE, INDICATORS = installation()
CODEC = Codec(CATALOGUE)

Rows = dict[str, list[tuple[Any, ...]]]
Plan = Mapping[int, Fault]
Life = Callable[[Sequence[Fact], Plan], Coroutine[Any, Any, tuple[Rows, Cluster]]]


def cluster_of(plan: Plan, indicators: Mapping[str, Indicator] = INDICATORS) -> Cluster:
    """A cluster of the harness's own types."""
    return Cluster(CATALOGUE, indicators, event_types=TYPES, plan=plan)


async def work(cluster: Cluster, published: Sequence[Fact], *, batch: int = 3) -> None:
    """Some events arrive; most are worked on in small batches, with snapshots between the stages, and some are left over."""
    publish(cluster.log, CODEC, published, 2)
    for partition in cluster.events:
        await cluster.deliver(partition, batch)
    await cluster.tick()
    for partition in cluster.partials:
        for _ in range(3):
            await cluster.deliver(partition, 3 * batch)
    await cluster.tick()


async def rest(cluster: Cluster) -> tuple[Rows, Cluster]:
    """Everything comes to its end; then stopped processes go on, the broker compacts, and everything comes to its end again."""
    await cluster.drain()
    await cluster.proceed_all()
    await cluster.side_work()
    cluster.compact()
    await cluster.drain()
    return await rows(cluster), cluster


async def ordinary(published: Sequence[Fact], plan: Plan, *, batch: int = 3, late: bool = True) -> tuple[Rows, Cluster]:
    """Two halves of the history. Stopped processes go on at the end (`late`) or after each half."""
    cluster = cluster_of(plan)
    half = len(published) // 2
    for stretch in (published[:half], published[half:]):
        await work(cluster, stretch, batch=batch)
        if not late:
            await cluster.proceed_all()
        cluster.compact()
    return await rest(cluster)


async def soon(published: Sequence[Fact], plan: Plan) -> tuple[Rows, Cluster]:
    """As `ordinary`; stopped processes go on after each half."""
    return await ordinary(published, plan, late=False)


async def astray(published: Sequence[Fact], plan: Plan) -> tuple[Rows, Cluster]:
    """The group's commits went back, then forward; batches come after revocation, and of partitions that were given away."""
    cluster = cluster_of(plan)
    third = max(1, len(published) // 3)
    await work(cluster, published[:third])
    await cluster.start(wrong_positions=-2)
    await work(cluster, published[third : 2 * third])
    former = await cluster.running()
    await cluster.rebalance()
    await cluster.start(wrong_positions=+1)
    await work(cluster, published[2 * third :])
    for partition in (*cluster.events, *cluster.partials):
        if former.alive and former is not cluster.active:
            await cluster.deliver(partition, 2, former)
    return await rest(cluster)


async def redefined(published: Sequence[Fact], plan: Plan) -> tuple[Rows, Cluster]:
    """In mid-life an indicator appears, and another is defined anew (version 2): both cover the whole past."""
    before = {name: each for name, each in INDICATORS.items() if name not in ("lab.sample_mean", "lab.reading_min")}
    before["lab.sample_max"] = older(INDICATORS["lab.sample_max"])
    cluster = cluster_of(plan, before)
    half = len(published) // 2
    await work(cluster, published[:half])
    await cluster.drain()
    await cluster.take(INDICATORS)
    await work(cluster, published[half:], batch=2)
    await cluster.side_work()
    return await rest(cluster)


async def forgetful(published: Sequence[Fact], plan: Plan) -> tuple[Rows, Cluster]:
    """Merge loses its snapshots, and retention takes the partials that made them."""
    cluster = cluster_of(plan)
    half = len(published) // 2
    await work(cluster, published[:half])
    await cluster.drain()
    cluster.make_store = lambda publisher, log: Amnesia(KafkaSnapshotStore(publisher, log), "merge/")
    for partition in cluster.partials:
        cluster.log.trim(TopicPartition(PARTIALS, partition.partition), await cluster.log.end(partition))
    cluster.log.trim(TopicPartition(CONTROL, 0), await cluster.log.end(TopicPartition(CONTROL, 0)))
    await cluster.start()
    await work(cluster, published[half:])
    return await rest(cluster)


async def crumbs(published: Sequence[Fact], plan: Plan) -> tuple[Rows, Cluster]:
    """As `ordinary`, with snapshots in many chunks and partials in many parts."""
    with (
        mock.patch.object(bus.indicators.fold, "CHUNK_BYTES", 250),
        mock.patch.object(bus.streams.folding, "encode", partial(encode, max_bytes=420)),
    ):
        return await ordinary(published, plan)


LIVES: Mapping[str, Life] = {
    "ordinary": ordinary,
    "soon": soon,
    "astray": astray,
    "redefined": redefined,
    "forgetful": forgetful,
    "crumbs": crumbs,
}


class Amnesia:
    """A snapshot store that has forgotten some units."""

    def __init__(self, store: SnapshotStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._since: dict[str, int] = {}

    async def save(self, unit: str, offset: int, chunks: Sequence[bytes]) -> None:
        self._since[unit] = offset
        await self._store.save(unit, offset, chunks)

    async def load(self, unit: str) -> Snapshot | None:
        return None if unit.startswith(self._prefix) and unit not in self._since else await self._store.load(unit)

    async def newest(self, prefix: str = "") -> Mapping[str, int]:
        return await self._store.newest(prefix)

    async def forget(self, unit: str) -> None:
        await self._store.forget(unit)


def older(indicator: Indicator) -> Indicator:
    """The indicator as its version 1 was: it left out what is not above zero."""
    spec = indicator.spec.model_copy(update={"version": indicator.version - 1, "where": "amount > 0"})
    former, problems = compile_indicator(spec, indicator.event, indicator.id)
    assert former is not None, problems
    return former


async def rows(cluster: Cluster) -> Rows:
    """What any reader of the output topics is left with."""
    return {
        name: [_numbers(output) for output in await read_values(cluster.log, CODEC, name) if output.n]
        for name in sorted(cluster.indicators)
    }


def in_one_go(published: Sequence[Fact]) -> Rows:
    """Every row, status and revision included, from one batch for each partition and one whole partial of each fold."""
    log = MemoryLog({f"events.{name}": 2 for name in TYPES})
    publish(log, CODEC, published, 2)
    found: Rows = {}
    for name, indicator in sorted(INDICATORS.items()):
        merge = MergeUnit.new(0)
        for partition in range(2):
            records = log.records(indicator.topic, partition)
            unit = FoldUnit.new(indicator, indicator.topic, partition, 2)
            if records:
                frame = CODEC.decode_batch(indicator.event_type, [r.value or b"" for r in records], [r.offset for r in records])
                unit.apply(Batch(frame, 0, len(records) - 1))
            merge.apply([(partition, value) for value in encode(unit.full_partial())])
        found[name] = [_numbers(output) for output in merge.full_outputs() if output.n]
    return found


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
            ((epoch + timedelta(microseconds=row[0], hours=7)).replace(tzinfo=None), row[1][0]): (
                row[5],
                Fraction(row[3]) / Fraction(row[4]),
            )
            for row in each
        }
        for name, each in found.items()
    }

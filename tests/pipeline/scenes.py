"""What a life is about: event types, indicators, how facts get into the log; and what readers are left with in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.indicators.compiler import compile_indicator
from bus.indicators.compose import AnyIndicator
from bus.indicators.indicator import Indicator
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output
from bus.kafka.ports import TopicPartition
from bus.kafka.topics import LISTS_PREFIX
from bus.ops.values import read_values
from bus.streams.folding import FoldWork
from bus.streams.lists import listed
from bus.testing.faults import Cluster, Fault
from bus.testing.memory import MemoryLog
from tests.pipeline.histories import TYPES, Expected, Fact, installation, publish

#: Number of partitions of each event topic.
PARTITIONS = 2

CATALOGUE, INDICATORS = installation()
CODEC = Codec(CATALOGUE)

#: What readers see, by indicator; by topic for lists.
Rows = dict[str, list[tuple[Any, ...]]]
Plan = Mapping[int, Fault]


@dataclass(frozen=True)
class Scene:
    """Indicators over event types; in a life with a redefinition they are those of `before` at first, and for a moment those of `between`.

    `put` writes facts into the log.
    """

    catalogue: Catalogue
    types: tuple[str, ...]
    indicators: Mapping[str, AnyIndicator]
    before: Mapping[str, AnyIndicator]
    put: Callable[[MemoryLog, Sequence[Any]], None]
    between: Mapping[str, AnyIndicator] | None = None

    def cluster(self, plan: Plan, indicators: Mapping[str, AnyIndicator] | None = None) -> Cluster:
        """Nothing has happened yet."""
        chosen = self.indicators if indicators is None else indicators
        return Cluster(self.catalogue, chosen, event_types=self.types, partitions=PARTITIONS, plan=plan)


def older(indicator: Indicator) -> Indicator:
    """The indicator as its version 1 was: it left out what is not above zero."""
    spec = indicator.spec.model_copy(update={"version": indicator.version - 1, "where": "amount > 0"})
    former, problems = compile_indicator(spec, indicator.event, indicator.id)
    assert former is not None, problems
    return former


def _put(log: MemoryLog, published: Sequence[Fact]) -> None:
    publish(log, CODEC, published, PARTITIONS)


#: The laboratory: facts that can be corrected and facts that cannot, counted by day and month.
LAB = Scene(
    CATALOGUE,
    TYPES,
    INDICATORS,
    {
        **{name: each for name, each in INDICATORS.items() if name not in ("lab.sample_mean", "lab.reading_min")},
        "lab.sample_max": older(INDICATORS["lab.sample_max"]),
    },
    _put,
)


def cluster_of(plan: Plan, indicators: Mapping[str, AnyIndicator] = INDICATORS) -> Cluster:
    """A cluster of the laboratory."""
    return LAB.cluster(plan, indicators)


async def rows(cluster: Cluster) -> Rows:
    """What any reader of the output topics is left with, and of the lists."""
    codec = Codec(cluster.catalogue)
    found = {
        name: [_numbers(output) for output in await read_values(cluster.log, codec, name) if output.is_row]
        for name, each in sorted(cluster.indicators.items())
        if each.kind != "register"
    }
    for name, each in sorted(cluster.indicators.items()):
        if each.kind == "reconcile":
            newest = {record.key: record.value for record in cluster.log.records(LISTS_PREFIX + name)}
            found[LISTS_PREFIX + name] = sorted((key, value) for key, value in newest.items() if value is not None)
    return found


def in_one_go(published: Sequence[Any], scene: Scene = LAB) -> Rows:
    """Every row, status and revision included, from one batch for each partition and one whole partial of each fold."""
    log = MemoryLog({f"events.{name}": PARTITIONS for name in scene.types})
    scene.put(log, published)
    work = FoldWork(scene.catalogue, scene.indicators, event_partitions=PARTITIONS, partials_partitions=1)
    merge = MergeUnit.new(0)
    for place in (TopicPartition(topic, number) for topic in log.topics for number in range(PARTITIONS)):
        records = log.records(place.topic, place.partition)
        for name in work.unit_ids(place):
            unit = work.fresh(place, name, -1)
            if records:
                unit.apply(work.prepare(place, records).batch)
            merge.take(unit.full_partial())
    return told(merge, scene.indicators)


def told(merge: MergeUnit, indicators: Mapping[str, AnyIndicator]) -> Rows:
    """What a merge says of everything, in the form of `rows`."""
    found = {name: [_numbers(output) for output in merge.outputs(name) if output.is_row] for name in sorted(indicators)}
    shown = {name: each for name, each in found.items() if indicators[name].kind != "register"}
    lists: Rows = {LISTS_PREFIX + name: [] for name, each in sorted(indicators.items()) if each.kind == "reconcile"}
    for message in listed(merge.listed(all_of_it=True)):
        lists[message.topic].append((message.key, message.value))
    return {**shown, **{name: sorted(lines) for name, lines in lists.items()}}


def revision_of(output: Output) -> int | None:
    """A row's revision; None for those of a reconciliation, which count what all of its registers had changed when the row was last said,
    whether it concerned this row or not."""
    return None if "match" in output.dimensions else output.revision


def _numbers(output: Output) -> tuple[object, ...]:
    """All that a row says but for which batch it was last said in."""
    return (
        output.window_start_us, tuple(output.dimensions.values()), output.value, output.numerator, output.denominator,
        output.n, revision_of(output), output.status, output.late, output.corrected, output.withdrawn, output.heard, output.expected,
        output.label, output.error, output.version,
    )  # fmt: skip


#: Where in a row its status is.
STATUS = 7


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

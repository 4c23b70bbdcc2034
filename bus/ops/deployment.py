"""`bus indicators deploy`: definitions checked as a whole, then installed, then followed until readers have every number of them.

A running bus notices the files by itself and computes what they define from the beginning of the log, beside what it publishes now; the
new numbers take the place of the old ones when all of them are there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from bus.clock import Clock
from bus.errors import BusError, ConfigurationError, Problem
from bus.indicators.compose import CompositeIndicator
from bus.indicators.examples import example_problems
from bus.kafka.ports import LogReader, Record, TopicPartition
from bus.kafka.topics import AUDIT, PARTIALS, Topic, declared_topics
from bus.ops.definitions import Entry, Standing
from bus.ops.idle import IdleWatch, Progress, StallError, merge_duties, until_idle
from bus.ops.installation import Installation
from bus.ops.staging import Placement, Tried
from bus.ops.values import cell_name, read_values
from bus.ops.wiring import Log
from bus.settings import Settings

#: How long nothing may move before the wait is given up, in seconds.
STALL_SECONDS = 60.0
#: How often the rows are looked at once everything is taken in, one second apart.
_LOOKS = 10
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Target:
    """A version that readers are to have."""

    indicator: str
    version: int


def refuse(tried: Tried, entries: Sequence[Entry], placements: Sequence[Placement]) -> None:
    """Raises `ConfigurationError` with everything that keeps the files from being deployed.

    A bus takes a set of files over as a whole, so a fault in any file counts; the examples are run of those that are given.
    """
    problems = [problem for entry in entries for problem in entry.problems]
    problems += tried.problems.get("", ())
    for name, file in {placement.target.stem: placement.target for placement in placements}.items():
        indicator = tried.indicators.get(name)
        if indicator is not None:
            leaves = indicator.leaves if isinstance(indicator, CompositeIndicator) else ()
            family = [*(tried.indicators[leaf] for leaf in leaves), indicator]
            problems += [Problem(f"{file}: examples", what, "I02") for what in example_problems(family)]
    if problems:
        raise ConfigurationError(list(dict.fromkeys(problems)))


def topics_of(settings: Settings, tried: Tried, names: Collection[str]) -> list[Topic]:
    """The topics that these indicators need, and the audit's."""
    shown = [name for name in names if tried.indicators[name].kind != "register"]
    lists = [name for name in names if tried.indicators[name].kind == "reconcile"]
    others = {topic.name for topic in declared_topics(settings, (), (), ())}
    return [topic for topic in declared_topics(settings, (), shown, (), lists) if topic.name not in others or topic.name == AUDIT]


def targets(entries: Sequence[Entry], tried: Tried, names: Collection[str] = (), *, computing: bool = False) -> list[Target]:
    """What readers will have once it is deployed: what is named; without names what is new or changed.

    With `computing` also what a worker has taken up already, and of which they have no row yet.
    """
    wanted = []
    for entry in entries:
        indicator = tried.indicators.get(entry.indicator)
        if indicator is None:
            continue
        moved = entry.standing in (Standing.NEW, Standing.CHANGED)
        hidden = computing and indicator.kind != "register" and entry.shown < indicator.version
        if entry.indicator in names if names else moved or hidden:
            wanted.append(Target(entry.indicator, indicator.version))
    return wanted


async def until_published(
    installation: Installation,
    log: Log,
    wanted: Sequence[Target],
    *,
    report: Callable[[Progress], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Clock | None = None,
    stall_seconds: float = STALL_SECONDS,
) -> int:
    """Return once every row that readers have of these indicators is of the wanted version; how many rows there are.

    What came after the call is not waited for. Raises `BusError` when nothing moves for `stall_seconds`, or a row stays behind.
    """
    merges = merge_duties(installation.settings.kafka.partials_partitions)
    stages = (
        IdleWatch(_AsOfNow(log.reader, but=PARTIALS), log.snapshots, installation.fold_duties(), ()),
        IdleWatch(_AsOfNow(log.reader), log.snapshots, (), merges),
    )
    try:
        for watch in stages:
            await until_idle(watch, report=report, check=_nothing, sleep=sleep, clock=clock, stall_seconds=stall_seconds)
    except StallError as error:
        raise BusError(
            f"{error}. Is a bus running that reads these files (`bus run`, the same --overlay)? Its log says what it refuses"
        ) from error
    published = {name.indicator: name.version for name in wanted if installation.indicators[name.indicator].kind != "register"}
    rows, behind = await _rows(installation, log.reader, published)
    for _ in range(_LOOKS):
        if not behind:
            return rows
        await sleep(1.0)
        rows, behind = await _rows(installation, log.reader, published)
    raise BusError(
        f"{len(behind)} rows are not of the new version, such as {', '.join(behind[:_NAMED])}; `bus status` tells how far each stage is"
    )


async def _rows(installation: Installation, reader: LogReader, published: dict[str, int]) -> tuple[int, list[str]]:
    """How many rows there are of the wanted versions, and those that are of an earlier one."""
    rows, behind = 0, []
    for name, version in published.items():
        for value in await read_values(reader, installation.codec, name):
            if value.version < version:
                behind.append(f"{name} {cell_name(value)}")
            else:
                rows += value.is_row
    return rows, behind


class _AsOfNow:
    """A log that ends where it ended when it was first asked, so that a wait for its end ends while events go on coming."""

    def __init__(self, reader: LogReader, *, but: str = "") -> None:
        """`but`: the topic that is followed all the same."""
        self._reader = reader
        self._but = but
        self._ends: dict[TopicPartition, int] = {}

    async def partitions(self, topic: str) -> int:
        return await self._reader.partitions(topic)

    async def beginning(self, partition: TopicPartition) -> int:
        return await self._reader.beginning(partition)

    async def end(self, partition: TopicPartition) -> int:
        if partition.topic == self._but:
            return await self._reader.end(partition)
        if partition not in self._ends:
            self._ends[partition] = await self._reader.end(partition)
        return self._ends[partition]

    async def ends(self, partitions: Sequence[TopicPartition]) -> list[int]:
        return [await self.end(partition) for partition in partitions]

    def read(self, partition: TopicPartition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        return self._reader.read(partition, start, stop)


def _nothing() -> None:
    """No process of ours has to be looked at."""

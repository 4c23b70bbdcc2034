"""Has the bus taken in everything? Judged from the outside: the ends of the logs against the newest durable snapshots.

By R4 a fold's snapshot at an offset says that the partials of everything up to it are acknowledged, and a merge's snapshot the same of
its outputs. So when the folds' snapshots have reached the ends of the event topics, and after that the merges' snapshots the end of
`bus.partials`, every event is in the outputs, whichever processes did it and however often they were started again. Where releases
are waited for too, they are made again here from histories and cuts, once the merges are idle: all is out when no cut is due and the
topics of the public lack no row. No process is asked, none can answer wrongly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

import structlog

from bus.clock import Clock, SystemClock
from bus.errors import BusError, TransientError
from bus.indicators.partial import Partial, decode
from bus.kafka.ports import LogReader, SnapshotStore, TopicPartition
from bus.kafka.topics import PARTIALS
from bus.streams.releasing import ReleaseView

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Duty:
    """A unit of state and the partition that it has to have read to the end."""

    unit: str
    partition: TopicPartition


@dataclass(frozen=True, slots=True)
class StageProgress:
    """How far a stage's units are: records in their durable states, records in their logs, and units that lag (or have no state yet)."""

    stage: str
    done: int
    total: int
    behind: tuple[Duty, ...]

    @property
    def idle(self) -> bool:
        return not self.behind


@dataclass(frozen=True, slots=True)
class Progress:
    """All stages at one look. `unreleased`: releases that are due and rows that are not out yet, looked at once the others are idle."""

    fold: StageProgress
    merge: StageProgress
    unreleased: int = 0

    @classmethod
    def none(cls) -> Progress:
        """Of stages that have nothing to do."""
        return cls(StageProgress("fold", 0, 0, ()), StageProgress("merge", 0, 0, ()))

    @property
    def idle(self) -> bool:
        return self.fold.idle and self.merge.idle and not self.unreleased


def merge_duties(partials_partitions: int) -> tuple[Duty, ...]:
    """The merges of an installation: one a partition of bus.partials."""
    return tuple(Duty(f"merge/{number}", TopicPartition(PARTIALS, number)) for number in range(partials_partitions))


class IdleWatch:
    """Looks at the stages. `folds` are the units that the loaded indicators ask for, on every partition of their topics; `releases` makes
    what looks at the releases, when they are to be waited for.

    Where its partition is empty a fold writes no state; then its (empty) partial must be in `bus.partials`, for without it the merge does
    not know that nothing is missing from there, and holds the indicator back.
    """

    def __init__(
        self,
        reader: LogReader,
        snapshots: SnapshotStore,
        folds: Iterable[Duty],
        merges: Iterable[Duty],
        releases: Callable[[], ReleaseView] | None = None,
    ) -> None:
        self._reader = reader
        self._snapshots = snapshots
        self._folds = tuple(folds)
        self._merges = tuple(merges)
        self._announced = _Announced(reader)
        self._make_view = releases
        self._view: ReleaseView | None = None

    async def look(self) -> Progress:
        """Where the stages are. Each is looked at after the one before it, so that all idle means idle."""
        fold = await self._stage("fold", self._folds)
        merge = await self._stage("merge", self._merges)
        idle = fold.idle and merge.idle
        return Progress(fold, merge, await self._unreleased() if idle and self._make_view is not None else 0)

    async def _unreleased(self) -> int:
        assert self._make_view is not None
        view, self._view = self._view or self._make_view(), None
        waiting = await view.waiting()
        # a view that has failed is of no use any more
        self._view = view
        return waiting

    async def _stage(self, name: str, duties: Sequence[Duty]) -> StageProgress:
        partitions = list({duty.partition for duty in duties})
        ends = dict(zip(partitions, await self._reader.ends(partitions), strict=True))
        newest: Mapping[str, int] = await self._snapshots.newest(f"{name}/")
        behind = tuple(duty for duty in duties if newest.get(duty.unit, -1) + 1 < ends[duty.partition])
        silent = [duty for duty in duties if name == "fold" and ends[duty.partition] == 0 and duty.unit not in newest]
        if silent:
            announced = await self._announced.units()
            behind += tuple(duty for duty in silent if duty.unit not in announced)
        done = sum(min(newest.get(duty.unit, -1) + 1, ends[duty.partition]) for duty in duties)
        return StageProgress(name, done, sum(ends[duty.partition] for duty in duties), behind)


class _Announced:
    """The folds that have said something in `bus.partials`; each record is read once."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._positions: dict[TopicPartition, int] = {}
        self._units: set[str] = set()

    async def units(self) -> Set[str]:
        for number in range(await self._reader.partitions(PARTIALS)):
            partition = TopicPartition(PARTIALS, number)
            start = max(self._positions.get(partition, 0), await self._reader.beginning(partition))
            end = await self._reader.end(partition)
            if start < end:
                async for batch in self._reader.read(partition, start, end):
                    self._units.update(fold_unit(decode(record.value)) for record in batch if record.value is not None)
            self._positions[partition] = max(start, end)
        return self._units


def fold_unit(partial: Partial) -> str:
    """The name of the unit that a partial is of."""
    definition = partial.definition
    return f"fold/{definition['id']}/{definition['version']}/{definition['fingerprint'][:16]}/{partial.topic}/{partial.partition}"


class StallError(BusError):
    """Nothing moved for too long although there is work waiting."""


async def until_idle(
    watch: IdleWatch,
    *,
    report: Callable[[Progress], None],
    check: Callable[[], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Clock | None = None,
    poll_seconds: float = 0.25,
    stall_seconds: float = 300.0,
) -> None:
    """Return once all stages are idle. `check` is called at each look and may raise; a broker that is away only delays.

    Raises `StallError`, naming units, when no snapshot and no log end moves for `stall_seconds`.
    """
    clock = clock or SystemClock()
    last: Progress | None = None
    moved = clock.monotonic()
    while True:
        check()
        try:
            now = await watch.look()
        except TransientError as error:
            _log.warning("the broker does not answer, waiting", reason=str(error))
            await sleep(poll_seconds)
            continue
        report(now)
        if now.idle:
            return
        if last != now:
            last, moved = now, clock.monotonic()
        elif clock.monotonic() - moved > stall_seconds:
            waiting = [duty.unit for duty in (*now.fold.behind, *now.merge.behind)]
            first = f"{len(waiting)} states, the first: {', '.join(waiting[:3])}"
            what = first if waiting else f"{now.unreleased} releases and released rows"
            raise StallError(f"nothing moved for {stall_seconds:.0f} s; waiting for {what}")
        await sleep(poll_seconds)

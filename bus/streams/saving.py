"""A lane's snapshots (ADR 0014 R2, R4), and taking away those that nobody will continue."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

import structlog

from bus import metrics
from bus.errors import BusError
from bus.kafka.packing import size
from bus.streams.lane import Lane
from bus.streams.loading import PARALLEL
from bus.streams.work import B, U

if TYPE_CHECKING:
    from bus.streams.stage import Stage

_log = structlog.get_logger(__name__)

#: States of fewer rows are made bytes of at once: a thread would cost more than it spares the others.
_AT_ONCE = 500
#: Snapshots of its own after which a unit's predecessors are not needed any more: as many as the store keeps.
SETTLED = 2


async def save_lane(stage: Stage[U, B], lane: Lane[U], *, owned: bool, live: bool) -> int:
    """Write the lane's changed units, several at a time; how many. `live`: whether the live units may be written (R4).

    With `owned` each is written only while the lane is still this stage's. A failed write ends the stage.
    """
    wanted = [(name, unit) for name, unit in lane.units.items() if live]
    wanted += [(replay.saved_as, replay.unit) for replay in lane.replays]
    changed = [(name, unit) for name, unit in wanted if unit.offset >= 0 and lane.saved.get(name, -1) < unit.offset]
    gate = asyncio.Semaphore(PARALLEL)

    async def save(name: str, unit: U) -> int:
        async with gate:
            if owned and not stage.owns(lane):
                return 0
            base, offset = lane.saved.get(name, -1), unit.offset
            pending = unit.frozen(whole=base < 0)
            blocks = pending.encode() if pending.rows < _AT_ONCE else await asyncio.to_thread(pending.encode)
            await stage.store.save(name, offset, blocks, base=base)
            lane.saved[name] = offset
            unit.saved()
            unit.evict()
            if name in lane.units:
                lane.generations[name] = lane.generations.get(name, 0) + 1
            return size(blocks.values())

    try:
        results = await asyncio.gather(*(save(name, unit) for name, unit in changed), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        if owned:
            await _forget_superseded(stage, lane, {name for name, _ in changed if lane.generations.get(name) == SETTLED})
    except BusError as error:
        raise stage.broken_by(error) from error
    if results:
        metrics.snapshots_written.labels(stage.work.name).inc(len(results))
        metrics.snapshot_bytes.labels(stage.work.name).set(sum(result for result in results if isinstance(result, int)))
    return len(results)


async def _forget_superseded(stage: Stage[U, B], lane: Lane[U], settled: Collection[str]) -> None:
    """Remove the snapshots that units which have just become settled took over from.

    Nothing continues them: loading prefers a unit's own snapshots, of which there are two now, and merge has the higher version. What a
    stopped process writes under such a name later is a true state of the log all the same.
    """
    if not settled:
        return
    for old in await stage.store.newest():
        if not stage.owns(lane):
            return
        if any(stage.work.supersedes(new, old) for new in settled):
            await stage.store.forget(old)
            lane.saved.pop(old, None)
            _log.info("snapshots_forgotten", unit=old)

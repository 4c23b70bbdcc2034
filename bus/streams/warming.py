"""What left memory comes back before it is needed: states themselves never wait (ADR 0014 R3, ADR 0015)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from bus.errors import BusError
from bus.streams.lane import Lane
from bus.streams.loading import PARALLEL
from bus.streams.work import B, Prepared, U

if TYPE_CHECKING:
    from bus.streams.stage import Stage


async def bring_for(stage: Stage[U, B], lane: Lane[U], units: Mapping[str, U], prepared: Prepared[B]) -> None:
    """Have in memory what these units need for a batch. `units`: by the names of their snapshots.

    Afterwards it has to be asked again whether the lane is still the stage's. What came back is of the snapshot that the unit goes on from,
    and nothing was applied to it since. A read that fails ends the stage.
    """
    wanted = [(name, unit, needed) for name, unit in units.items() if (needed := stage.work.needs(unit, prepared))]
    gate = asyncio.Semaphore(PARALLEL)

    async def one(name: str, unit: U, needed: Collection[str]) -> None:
        async with gate:
            await _bring(stage, lane, name, unit, needed)

    await asyncio.gather(*(one(*each) for each in wanted))


async def bring_all(stage: Stage[U, B], lane: Lane[U], name: str, unit: U) -> bool:
    """Have the whole unit in memory; whether the lane is still the stage's."""
    await _bring(stage, lane, name, unit, unit.cold())
    return stage.owns(lane)


async def _bring(stage: Stage[U, B], lane: Lane[U], name: str, unit: U, needed: Collection[str]) -> None:
    if not needed:
        return
    try:
        blocks = await stage.store.read(name, needed, base=lane.saved[name])
    except BusError as error:
        raise stage.broken_by(error) from error
    if stage.owns(lane):
        unit.warm(blocks)

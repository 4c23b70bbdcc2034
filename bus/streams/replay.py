"""Units that stand behind their lane: they read the log by themselves and join at exactly the lane's position (ADR 0014 R1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from bus.kafka.ports import Record
from bus.streams.lane import Lane, Replay
from bus.streams.warming import bring_all, bring_for
from bus.streams.work import B, U

if TYPE_CHECKING:
    from bus.streams.stage import Stage

_log = structlog.get_logger(__name__)


async def catch_up(stage: Stage[U, B]) -> bool:
    """One step of the units that stand together behind one lane; False when none can go on."""
    for lane in list(stage.lanes.values()):
        behind = [replay for replay in lane.replays if replay.unit.offset < lane.position]
        if behind:
            start = min(replay.unit.offset for replay in behind)
            await _step(stage, lane, [replay for replay in behind if replay.unit.offset == start])
            return True
    return False


async def _step(stage: Stage[U, B], lane: Lane[U], group: list[Replay[U]]) -> None:
    """Far behind, the log is read while the live batches go on; the last stretch is read with the lane held still."""
    start = group[0].unit.offset + 1
    if lane.position - start > stage.replay_records:
        records = await _read(stage, lane, start)
        async with stage.turn:
            await _continue(stage, lane, group, records)
        return
    async with stage.turn:
        await _continue(stage, lane, group, await _read(stage, lane, start))
        for replay in group:
            if _still(stage, lane, replay) and replay.unit.offset + 1 == lane.position:
                await _join(stage, lane, replay)


async def _read(stage: Stage[U, B], lane: Lane[U], start: int) -> list[Record]:
    stop = min(lane.position, start + stage.replay_records)
    records: list[Record] = []
    if start < stop:
        async for batch in stage.reader.read(lane.partition, start, stop):
            records.extend(batch)
    return records


async def _continue(stage: Stage[U, B], lane: Lane[U], group: list[Replay[U]], records: list[Record]) -> None:
    if not records or not stage.owns(lane):
        return
    prepared = stage.prepare(lane, records)
    await stage.effect(prepared.rejected)
    await bring_for(stage, lane, {replay.saved_as: replay.unit for replay in group}, prepared)
    for replay in group:
        if not _still(stage, lane, replay):
            continue
        effects = stage.work.apply(replay.unit, prepared)
        await stage.effect(effects.first)
        if replay.announced:
            await stage.effect(effects.changed)


async def _join(stage: Stage[U, B], lane: Lane[U], replay: Replay[U]) -> None:
    """From here on the unit is published: if it never was, it says all of its state first."""
    unit = replay.unit
    if not (replay.announced or await bring_all(stage, lane, replay.saved_as, unit)):
        return
    await stage.effect(stage.work.greet(unit) if replay.announced else stage.work.announce(unit))
    if not _still(stage, lane, replay):
        return
    lane.replays.remove(replay)
    lane.units[unit.unit_id] = unit
    wanted = set(stage.work.unit_ids(lane.partition))
    for old in [name for name in lane.units if name not in wanted and stage.work.replaces(unit.unit_id, name)]:
        del lane.units[old]
    _log.info("unit_joined", unit=unit.unit_id, offset=unit.offset)


def _still(stage: Stage[U, B], lane: Lane[U], replay: Replay[U]) -> bool:
    return stage.owns(lane) and replay in lane.replays

"""Hot reload: the units of the lanes follow the set of indicators that is wanted now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bus.kafka.ports import TopicPartition
from bus.streams.lane import Lane, Replay
from bus.streams.work import B, U

if TYPE_CHECKING:
    from bus.streams.stage import Stage


async def refresh(stage: Stage[U, B]) -> Mapping[TopicPartition, int]:
    """Let new units follow from behind, or begin where a partition was idle; the partitions to be read now, and where from."""
    woken: dict[TopicPartition, int] = {}
    known = (await stage.store.newest()).keys()
    for lane in list(stage.lanes.values()):
        held = lane.units.keys() | {replay.unit.unit_id for replay in lane.replays}
        fresh = await stage.load_lane(lane.partition, lane.generation, known, skip=held)
        async with stage.turn:
            if not stage.owns(lane):
                continue
            _retire(stage, lane)
            if lane.idle:
                await _wake(stage, lane, fresh, woken)
            else:
                lane.replays += [Replay(unit, announced=name in fresh.saved) for name, unit in fresh.units.items()]
                lane.replays += fresh.replays
                lane.saved.update(fresh.saved)
                await stage.effect([message for unit in list(lane.units.values()) for message in stage.work.greet(unit)])
    return woken


async def _wake(stage: Stage[U, B], lane: Lane[U], fresh: Lane[U], woken: dict[TopicPartition, int]) -> None:
    lane.units, lane.replays, lane.position = fresh.units, fresh.replays, fresh.position
    lane.acknowledged, lane.saved = fresh.acknowledged, fresh.saved
    await stage.introduce(lane)
    if not lane.idle:
        woken[lane.partition] = lane.position


def _retire(stage: Stage[U, B], lane: Lane[U]) -> None:
    """Forget units that are no longer wanted, except those whose successor has not joined yet: they go on meanwhile."""
    wanted = set(stage.work.unit_ids(lane.partition))
    lane.replays = [replay for replay in lane.replays if replay.unit.unit_id in wanted]
    for name in [name for name in lane.units if name not in wanted]:
        if not any(stage.work.replaces(new, name) and new not in lane.units for new in wanted):
            del lane.units[name]

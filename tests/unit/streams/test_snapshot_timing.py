"""When snapshots are written: at most a tenth of the time under load, and soon once traffic has stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.streams.world import World, history


async def test_a_slow_store_is_spared_under_load_and_used_at_once_when_traffic_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    worker = world.worker()
    await worker.assign()
    save = worker.fold.store.save

    async def slow(unit: str, offset: int, blocks: Mapping[str, bytes | None], *, base: int | None = None) -> None:
        world.clock.seconds += 2
        await save(unit, offset, blocks, base=base)

    monkeypatch.setattr(worker.fold.store, "save", slow)

    async def load() -> None:
        await world.publish(history(1, 20, first=int(world.clock.seconds * 10)))
        for partition in list(worker.fold.lanes):
            await worker.poll(worker.fold, partition)

    await load()
    world.clock.seconds += 5
    assert await worker.fold.tick() == 4, "two indicators on two partitions: 8 seconds"
    for _ in range(10):
        world.clock.seconds += 4
        await load()
        assert await worker.fold.tick() == 0, "more than a tenth of the time"
    world.clock.seconds += 5
    assert await worker.fold.tick() == 4, "traffic has stopped"
    world.clock.seconds += 5
    assert await worker.fold.tick() == 0, "nothing has changed"

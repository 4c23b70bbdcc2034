"""The history of an indicator holds everything that its output topic ever showed, before it was shown."""

from __future__ import annotations

import pytest

from bus.kafka.ports import Message
from tests.unit.streams.world import history


async def test_an_output_is_in_the_history_before_it_is_shown(world):
    written: list[tuple[str, bytes | None, bytes | None]] = []

    def look(message: Message) -> None:
        if message.topic.startswith("indicators."):
            assert (message.topic.replace("indicators.", "history."), message.key, message.value) in written
        written.append((message.topic, message.key, message.value))

    world.log.on_effect = look
    await world.publish(history(5, 60))
    worker = world.worker()
    await worker.assign()
    await worker.run(limit=7)
    shown = world.log.records("indicators.test.total")
    kept = world.log.records("history.test.total")
    assert len(shown) > 10
    assert [(record.key, record.value, record.headers) for record in kept] == [(each.key, each.value, each.headers) for each in shown]


@pytest.mark.parametrize("lost", [0, 3, 11])
async def test_what_was_shown_before_a_crash_is_in_the_history_after_it(world, lost):
    await world.publish(history(6, 60))
    worker = world.worker()
    await worker.assign()
    left = lost

    class Crash(BaseException):
        pass

    def die(message: Message) -> None:
        nonlocal left
        if message.topic.startswith("indicators."):
            if not left:
                raise Crash
            left -= 1

    world.log.on_effect = die
    with pytest.raises(Crash):
        await worker.run(limit=7, snapshots=False)
    world.log.on_effect = None
    successor = world.worker()
    await successor.assign(generation=2)
    await successor.run(limit=20)
    for name in ("test.total", "test.count"):
        assert {(each.key, each.value) for each in world.log.records(f"indicators.{name}")} <= {
            (each.key, each.value) for each in world.log.records(f"history.{name}")
        }


async def test_what_the_owner_says_again_is_no_history(world):
    await world.publish(history(16, 100))
    worker = world.worker()
    await worker.assign()
    await worker.run(limit=5)
    await worker.outputs.step()
    first, before = world.log.records("indicators.test.total")[0], len(world.log.records("history.test.total"))
    world.log.append(Message("indicators.test.total", 0, first.key, first.value, first.headers))
    assert await worker.outputs.step() == 1
    assert len(world.log.records("history.test.total")) == before

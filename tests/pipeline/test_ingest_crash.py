"""A connector that dies after any effect, is stopped and wakes up late, or meets a failing log: the facts stay the same (ADR 0014 R6)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from bus.errors import TransientError
from bus.kafka.ports import Message
from tests.pipeline.ingest_world import Crash, World, deliver_tables, facts, lab_world, quarantined, row


async def test_a_crash_after_any_effect_changes_nothing(tmp_path: Path) -> None:
    whole = lab_world(tmp_path / "whole")
    deliver_tables(whole)
    effects = 0

    def count(message: Message) -> None:
        nonlocal effects
        effects += 1

    whole.log.on_effect = count
    await whole.run()
    expected, refused = facts(whole.envelopes()), await quarantined(whole)
    assert len({(source, sequence) for source, sequence, *_ in expected}) == len(expected)
    assert {rule for _, _, rule in refused} >= {"field_count", "unknown_column"}
    assert {fact[2] for fact in expected} == {"CREATE", "CORRECT", "CANCEL"}
    assert effects > 40

    world = lab_world(tmp_path / "crashed")
    deliver_tables(world)
    for effect in range(effects):
        world.log = world.fresh_log()
        assert await world.run_until_crash(effect)
        for topic in ("bus.checkpoints", "bus.snapshots", "quarantine.lab"):
            world.log.compact(topic)
        await world.run()
        assert facts(world.folded()) == expected, effect
        assert world.current() == whole.current()
        assert await quarantined(world) == refused


#: The value is the subject: what is known under one key moves to another.
_MOVING = """
from datetime import UTC, datetime
from bus.events.envelope import Event

def to_events(record):
    yield Event("lab.sample.recorded.v1", record["value"], datetime(2024, 1, 1, tzinfo=UTC), {"value": record["value"]})
"""


def _deliver_moving(world: World) -> None:
    for number, table in enumerate(("1A 2B 3C 4D", "1B 2A 3C 4D", "1B 2A 9C", "9A 2C 4B", "2B 1C 5A")):
        world.put(f"{number}.csv", *(",".join(word) for word in table.split()), header="no,value")


async def test_a_crash_after_any_effect_loses_no_subject_that_moves(tmp_path: Path) -> None:
    whole = lab_world(tmp_path / "whole", mapping=_MOVING)
    _deliver_moving(whole)
    await whole.run()
    expected = facts(whole.envelopes())
    assert {subject for _, subject in whole.current()} == {"A", "B", "C"}
    world = lab_world(tmp_path / "crashed", mapping=_MOVING)
    _deliver_moving(world)
    effect = 0
    while await world.run_until_crash(effect):
        for topic in ("bus.checkpoints", "bus.snapshots"):
            world.log.compact(topic)
        await world.run()
        assert facts(world.folded()) == expected, effect
        world.log, effect = world.fresh_log(), effect + 1
    assert effect > 30


async def test_crash_upon_crash(tmp_path: Path) -> None:
    whole, world = lab_world(tmp_path / "whole"), lab_world(tmp_path / "crashed")
    deliver_tables(whole)
    deliver_tables(world)
    await whole.run()
    lives = 0
    while await world.run_until_crash(9):
        lives += 1
        assert lives < 100
    assert lives > 5
    assert facts(world.folded()) == facts(whole.envelopes())


@pytest.mark.parametrize("late", ["events", "bus.checkpoints", "bus.snapshots", "bus.claims"])
async def test_a_stopped_process_writes_late(tmp_path: Path, late: str) -> None:
    """It was stopped at an effect; another took over and finished; then its pending write reaches the log, and a third starts."""
    whole = lab_world(tmp_path / "whole")
    deliver_tables(whole)
    await whole.run()
    world = lab_world(tmp_path / "late")
    deliver_tables(world)
    for nth in range(8):
        world.log = world.fresh_log()
        pending: list[Message] = []
        seen = 0

        def hook(message: Message, nth: int = nth, pending: list[Message] = pending) -> None:
            nonlocal seen
            if message.topic.startswith(late):
                if seen == nth:
                    pending.append(message)
                    raise Crash
                seen += 1

        world.log.on_effect = hook
        with contextlib.suppress(Crash):
            await world.run()
        world.log.on_effect = None
        if not pending:
            assert nth >= 5  # else there was nothing to test
            break
        await world.run()
        for message in pending:
            world.log.append(message)
        for topic in ("bus.checkpoints", "bus.snapshots"):
            world.log.compact(topic)
        await world.run()
        world.put("7.csv", "0,a", "7,last", header="no,value")
        await world.run()
        (world.folder / "7.csv").unlink()
        before = [fact for fact in facts(world.folded()) if fact[1] >> 40 < 7]
        assert before == facts(whole.envelopes())


async def test_a_send_that_fails_is_repeated(tmp_path: Path) -> None:
    whole, world = lab_world(tmp_path / "whole"), lab_world(tmp_path / "failing")
    deliver_tables(whole)
    deliver_tables(world)
    await whole.run()
    failures = 0

    def hook(message: Message) -> None:
        nonlocal failures
        if world.log.writes % 5 == 3 and failures < 15:
            failures += 1
            raise TransientError("the broker is away")

    world.log.on_effect = hook
    await world.run()
    assert failures == 15
    assert facts(world.folded()) == facts(whole.envelopes())


async def test_a_log_that_stays_away_ends_the_connector(tmp_path: Path) -> None:
    world = lab_world(tmp_path)
    deliver_tables(world)
    world.environ["BUS_KAFKA__RETRY_SECONDS"] = "30"

    def hook(message: Message) -> None:
        raise TransientError("the broker is away")

    world.log.on_effect = hook
    with pytest.raises(TransientError, match="away"):
        await world.run()
    assert 30 < world.clock.elapsed < 60


async def _interrupted(world: World, meanwhile: Callable[[], None]) -> None:
    """Dies in the middle of the first delivery; something happens to its file; the next process goes on."""
    events = 0

    def hook(message: Message) -> None:
        nonlocal events
        events += message.topic.startswith("events.")
        if events == 5:
            raise Crash

    world.log.on_effect = hook
    with pytest.raises(Crash):
        await world.run()
    world.log.on_effect = None
    meanwhile()
    await world.run()


async def test_a_file_that_vanishes_mid_delivery_closes_the_delivery(tmp_path: Path) -> None:
    world = World(tmp_path)
    path = world.put("januari.csv", *(row(day) for day in range(1, 10)))
    content = path.read_bytes()
    await _interrupted(world, path.unlink)
    (entry,) = await world.quarantine()
    assert (entry.place.key, entry.reason["rule"]) == ("dlh/ispu|1|0", "file_vanished")
    assert "Berkas januari.csv" in entry.reason["message"]
    assert "File januari.csv" in entry.reason["message_en"]
    world.put_bytes("lagi.csv", content)
    await world.run()
    assert len(world.current()) == 9


async def test_a_file_replaced_mid_delivery_becomes_the_next_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("januari.csv", *(row(day) for day in range(1, 10)))
    await _interrupted(world, lambda: void(world.put("januari.csv", *(row(day, pm10="41") for day in range(1, 10)))))
    assert [entry.reason["rule"] for entry in await world.quarantine()] == ["file_vanished"]
    assert {data["pm10"] for data in world.current().values()} == {41}
    assert len(world.current()) == 9


async def test_a_file_written_to_while_it_is_read_is_not_half_believed(tmp_path: Path) -> None:
    world = World(tmp_path)
    path = world.put("januari.csv", *(row(day) for day in range(1, 10)))
    done = False

    def hook(message: Message) -> None:
        nonlocal done
        if message.topic.startswith("events.") and not done:
            done = True
            world.put("januari.csv", *(row(day, pm10="99") for day in range(1, 12)))

    world.log.on_effect = hook
    await world.run()
    assert path.exists()
    assert [entry.reason["rule"] for entry in await world.quarantine()] == ["file_changed"]
    assert {data["pm10"] for data in world.current().values()} == {99}
    assert len(world.current()) == 11


def void(_: object) -> None:
    """Take a value and give nothing."""

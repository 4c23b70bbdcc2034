"""A source whose readings go through a journal: every record exactly once, whatever it is killed at; what it means is what a file would mean."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bus.errors import TransientError
from bus.events.envelope import Envelope
from bus.events.heartbeat import heartbeat_of
from bus.ingest.deliver import Progress
from bus.ingest.intake import Intake
from bus.ingest.journal import Journal
from bus.ingest.lease import Holder, Lease
from bus.ingest.source import Reason
from bus.ingest.stream import Reading, Receipt, Received
from bus.kafka.ports import Message
from tests.pipeline.ingest_world import Crash, World, quarantined
from tests.pipeline.stream_world import journal_of, said, stream_world

READINGS = [
    Reading([said(str(n)) for n in range(5)], "pertama"),
    Reading([said("0"), said("1", "b"), said("2", deleted=True), Received({"no": "3", "unknown": 1})]),
    Reading([Received(problem=Reason("invalid_value"), raw="<html>"), said("4")]),
    Reading([said("3"), said("7", "c", id_="x"), said("7", "d", id_="x"), said("8", "c", id_="y"), said("8", "e", id_="y")]),
    Reading([said("1", "b"), said("7", "z"), said("9", "n")], whole=True, upto=datetime(2024, 2, 1, tzinfo=UTC)),
]


def told(envelopes: Sequence[Envelope]) -> list[tuple[str, str, object]]:
    return [(e.op.value, e.event.subject, e.event.data["value"]) for e in envelopes]


EXPECTED = [
    *(("CREATE", str(n), "a") for n in range(5)),
    ("CORRECT", "1", "b"), ("CANCEL", "2", "a"),
    # After a record without a key anything may have changed: what follows is said again.
    ("CORRECT", "4", "a"), ("CORRECT", "3", "a"), ("CREATE", "7", "c"), ("CREATE", "8", "c"),
    ("CORRECT", "1", "b"), ("CORRECT", "7", "z"), ("CREATE", "9", "n"),
    ("CANCEL", "0", "a"), ("CANCEL", "3", "a"), ("CANCEL", "4", "a"), ("CANCEL", "8", "c"),
]  # fmt: skip


async def test_records_are_compared_with_what_their_keys_stood_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = stream_world(tmp_path, monkeypatch, READINGS)
    await world.run()
    assert told(world.folded()) == EXPECTED
    assert [(place.split("|")[2], state, rule) for place, state, rule in await quarantined(world)] == [
        ("9", "open", "mapping_failed"), ("10", "open", "invalid_value"),
    ]  # fmt: skip
    beats = [
        heartbeat_of(record.headers)
        for topic in world.topics
        for n in range(4)
        for record in world.log.records(topic, n)
        if record.value is None
    ]
    assert len(beats) == 4
    await world.run()
    assert told(world.folded()) == EXPECTED, "nothing more is there"


async def test_a_kill_at_any_effect_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = stream_world(tmp_path / "whole", monkeypatch, READINGS)
    count = 0

    def counted(message: Message) -> None:
        nonlocal count
        count += 1

    whole.log.on_effect = counted
    await whole.run()
    places = [state for _, *state in await quarantined(whole)]
    for effect in range(count):
        world = stream_world(tmp_path / str(effect), monkeypatch, READINGS)
        assert await _run_until_crash(world, effect)
        await world.run()
        assert told(world.folded()) == EXPECTED, effect
        assert [state for _, *state in await quarantined(world)] == places, effect


async def _run_until_crash(world: World, effect: int) -> bool:
    try:
        return await world.run_until_crash(effect)
    except BaseExceptionGroup as errors:
        return errors.subgroup(Crash) is not None


async def test_a_kill_in_a_transaction_leaves_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    puts = 0
    put = Journal.put
    for fatal in range(20):
        puts = 0

        def dying(self: Journal, *given, fatal: int = fatal) -> None:
            nonlocal puts
            puts += 1
            if puts == fatal + 1:
                raise Crash
            put(self, *given)

        world = stream_world(tmp_path / str(fatal), monkeypatch, READINGS)
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "put", dying)
            with pytest.raises(BaseException):  # noqa: B017, PT011  a kill is no exception of ours
                await world.run()
        await world.run()
        assert told(world.folded()) == EXPECTED, fatal


async def test_kafka_is_away_and_the_journal_holds_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = stream_world(tmp_path, monkeypatch, READINGS)

    def away(message: Message) -> None:
        raise TransientError("no broker")

    world.log.on_effect = away
    seen: list[Progress] = []

    async def sleep(seconds: float) -> None:
        # patience runs out only when everything was read
        if seen and seen[-1].records == sum(len(reading.records) for reading in READINGS):
            await world.clock.sleep(seconds)
        else:
            await asyncio.sleep(0)

    with pytest.raises(TransientError, match="no broker"):
        await world.runner(seen=seen, sleep=sleep).run(until_end=True)
    held = journal_of(world)
    assert (held.number, held.sent, held.backlog().messages) == (21, 0, 20)
    held.close()
    world.log.on_effect = None
    await world.run()
    assert told(world.folded()) == EXPECTED


async def test_a_restored_journal_is_another_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its numbers were used for other records; facts of the time in between are there already, or come again with a higher version."""
    world = stream_world(tmp_path, monkeypatch, READINGS[:1])
    await world.run()
    path = world.settings.data_dir / "journal" / "lab" / "samples.db"
    backup = path.read_bytes()
    world = _go_on(world, monkeypatch, [*READINGS[:1], Reading([said("20"), said("21")])])
    await world.run()
    path.write_bytes(backup)
    world = _go_on(world, monkeypatch, [*READINGS[:1], Reading([said("22"), said("20")])])
    await world.run()
    sources = {envelope.source for envelope in world.folded()}
    assert len(sources) == 2
    newest = {e.event.subject: (e.version, e.source) for e in sorted(world.folded(), key=lambda e: e.version)}
    assert set(newest) == {"0", "1", "2", "3", "4", "20", "21", "22"}
    assert newest["20"][1] == newest["22"][1] != newest["21"][1]


def _go_on(world: World, patch: pytest.MonkeyPatch, readings: Sequence[Reading]) -> World:
    log, clock = world.log, world.clock
    world = stream_world(world.folder.parent, patch, readings)
    world.log, world.clock = log, clock
    return world


async def test_ids_are_forgotten_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.ingest.intake._FORGET_EVERY", 1)
    readings = [Reading([said("1", id_="x"), said("1", id_="x")])]
    world = stream_world(tmp_path, monkeypatch, readings)
    await world.run()
    for days, known in ((80, True), (11, True), (1, False)):
        world.clock.advance(days * 86_400)
        readings = [*readings, Reading([said("1", f"{days}", id_="x")])]
        world = _go_on(world, monkeypatch, readings)
        await world.run()
        # What is older is forgotten after the reading that still knew it.
        assert (len(told(world.folded())) == 1) == known


async def test_a_refused_record_comes_in_from_quarantine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = stream_world(tmp_path, monkeypatch, [Reading([said("1"), Received({"no": "2", "nilai": "b"})])])
    await world.run()
    assert told(world.folded()) == [("CREATE", "1", "a")]
    mended = stream_world(tmp_path / "mended", monkeypatch, [], mapping=_MENDED)
    mended.log, mended.clock, mended.environ = world.log, world.clock, world.environ
    (replayed,) = await mended.replay()
    assert (replayed.problem, replayed.events) == ("", 1)
    assert told(sorted(mended.envelopes(), key=lambda e: e.event.subject)) == [("CREATE", "1", "a"), ("CREATE", "2", "b")]


_MENDED = """
from datetime import UTC, datetime
from bus.events.envelope import Event

def to_events(record):
    value = record.get("value", record.get("nilai"))
    yield Event("lab.sample.recorded.v1", record["no"], datetime(2024, 1, 1, tzinfo=UTC), {"value": value})
"""


async def test_while_another_machine_publishes_the_source_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two journals would share out what the agency says only once; after the other's lease has run out this one goes on."""
    world = stream_world(tmp_path, monkeypatch, READINGS)
    other = Lease("lab/samples", world.log, world.log, clock=world.clock, lease_seconds=10, holder=Holder("elsewhere", 1, "t"))
    assert await other.try_acquire()
    begun = world.clock.elapsed
    moments: list[float] = []
    take = Intake.take

    def noted(self: Intake, readings: Iterable[Reading]) -> list[Receipt]:
        moments.append(world.clock.elapsed - begun)
        return take(self, readings)

    monkeypatch.setattr(Intake, "take", noted)
    await world.run()
    assert moments
    assert min(moments) >= 10
    assert told(world.folded()) == EXPECTED

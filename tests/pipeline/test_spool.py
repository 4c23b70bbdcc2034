"""Store and forward: Kafka away for a day, a full disk buffer, and the way by hand. Whatever the way, each fact arrives once and in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bus import metrics
from bus.errors import BusError, ConfigurationError, TransientError
from bus.events.heartbeat import heartbeat_of
from bus.ingest.context import SourceContext
from bus.ingest.lease import Holder, Lease
from bus.ingest.spool import check
from bus.ingest.stream import Reading, Received, Sink
from bus.kafka.ports import Message, TopicPartition
from bus.ops.audit import Audit
from bus.ops.spool import Import, Imported, confirm, export, receipt_path, spools
from bus.testing.memory import MemoryLog
from tests.pipeline.ingest_world import Crash, World
from tests.pipeline.stream_world import Told, journal_of, said, stream_world
from tests.pipeline.test_stream import EXPECTED, READINGS, told
from tests.unit.cli.published import answer, connected

SOURCE = "lab/samples"
_PATIENCE_SECONDS = 30.0


def away(message: Message) -> None:
    raise TransientError("no broker")


def offline(base: Path, patch: pytest.MonkeyPatch, readings: list[Reading] = READINGS) -> World:
    """A world whose Kafka is away, and whose source has been read nevertheless."""
    world = stream_world(base, patch, readings)
    world.log.create("bus.audit")
    world.environ["BUS_KAFKA__RETRY_SECONDS"] = "3000"
    return world


async def read_offline(world: World, readings: int = len(READINGS)) -> None:
    """Until all of them are in the journal: in a test's time the patience of a run may end before its disk has answered."""
    world.log.on_effect = away
    held = 0
    while held < readings:
        with pytest.raises(TransientError, match="no broker"):
            await world.run()
        with contextlib.closing(journal_of(world)) as journal:
            held = int(str(journal.cursor.get("next", 0)))
    world.log.on_effect = None


async def carry(world: World, file: Path) -> Imported:
    work = Import(
        file, {"lab": world.agency}, world.codec, publisher=world.log, reader=world.log, clock=world.clock, lease_seconds=10.0,
        sleep=world.clock.sleep,
    )  # fmt: skip
    imported = await work.run(Audit(world.log, world.log, world.clock, who="petugas"))
    work.receipt.write(receipt_path(file))
    return imported


def gauges() -> tuple[float, float]:
    labels = {"agency": "lab", "source": "samples"}
    names = "bus_connector_backlog_messages", "bus_connector_backlog_oldest_timestamp_seconds"
    messages, oldest = (metrics.REGISTRY.get_sample_value(name, labels) for name in names)
    assert messages is not None
    assert oldest is not None
    return messages, oldest


# a long time without Kafka


class Ticking(Told):
    """A source that says something every five minutes of the clock, so often, and does not end."""

    def __init__(self, world_clock: Any, minutes: int) -> None:
        self.clock, self.minutes = world_clock, minutes
        self.finished = asyncio.Event()

    def __call__(self, context: SourceContext, values: Mapping[str, str]) -> Ticking:
        return self

    async def run(self, sink: Sink, *, until_end: bool) -> None:
        for minute in range(int(str(sink.cursor.get("next", 0))), self.minutes):
            await sink.take(Reading([said(str(minute), str(minute))], cursor={"next": minute + 1}))
            self.clock.advance(300)
        self.finished.set()
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def running(world: World, **more: Any) -> Any:
    async def short(seconds: float) -> None:
        await asyncio.sleep(0.001)

    task = asyncio.create_task(world.runner(sleep=short, **more).run(until_end=False))
    try:
        yield
        assert not task.done(), task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(what: Any) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not what():
            await asyncio.sleep(0.005)


async def test_a_day_without_kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = stream_world(tmp_path, monkeypatch, [])
    source = Ticking(world.clock, 24 * 12)
    monkeypatch.setattr("bus.ingest.stream_runner.reader_of", source)
    began = world.clock.now().timestamp()
    world.log.on_effect = away
    async with running(world):
        await asyncio.wait_for(source.finished.wait(), _PATIENCE_SECONDS)
        assert gauges()[0] == 24 * 12
        assert gauges()[1] == pytest.approx(began)
        assert world.clock.now().timestamp() - began >= 24 * 3600
        assert not world.envelopes()
        world.log.on_effect = None
        await until(lambda: len(world.folded()) == 24 * 12)
        await until(lambda: gauges() == (0, 0))
    assert [e.event.subject for e in world.folded()] == [str(minute) for minute in range(24 * 12)], "in order"


async def test_a_full_spool_makes_the_source_wait_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = stream_world(tmp_path, monkeypatch, [])
    world.environ["BUS_INGEST__SPOOL_BYTES"] = str(1 << 20)
    text = "x" * 20_000
    total = 120

    class Heavy(Ticking):
        async def run(self, sink: Sink, *, until_end: bool) -> None:
            for number in range(total):
                self.minutes = number
                await sink.take(Reading([said(str(number), text)]))
            self.finished.set()
            await asyncio.Event().wait()

    source = Heavy(world.clock, 0)
    monkeypatch.setattr("bus.ingest.stream_runner.reader_of", source)
    world.log.on_effect = away
    async with running(world):
        await until(lambda: source.minutes >= 52)
        for _ in range(50):
            await asyncio.sleep(0.001)
        held = source.minutes
        assert held < 55, "the disk buffer is bounded"
        world.log.on_effect = None
        await until(lambda: len(world.folded()) == total)
        assert source.finished.is_set()
    assert [e.event.subject for e in world.folded()] == [str(number) for number in range(total)]


# by hand


async def test_what_was_carried_by_hand_and_then_drained_is_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = offline(tmp_path, monkeypatch)
    await read_offline(world)
    file = tmp_path / "stick.spool"
    carried = export(world.settings, SOURCE, file, world.clock)
    assert carried.messages == 20
    assert await carry(world, file) == Imported(20, 0)
    assert told(world.folded()) == EXPECTED
    assert {place.split("|")[0] for place in (entry.place.key for entry in await world.quarantine())} == {carried.manifest.journal}
    assert beats(world.log, world) == 4
    written = len(world.envelopes())
    await world.run()
    assert told(world.folded()) == EXPECTED
    assert len(world.envelopes()) <= written + 1, "the connector knows what was carried; the last record may be said again"
    assert await carry(world, file) == Imported(1, 19)
    assert told(world.folded()) == EXPECTED
    deeds = await Audit(world.log, world.log, world.clock).deeds("import", carried.manifest.journal)
    assert [(deed.state, deed.who, deed.reason) for deed in deeds] == [
        (state, "petugas", f"sha256 {carried.sha256}") for state in ("begun", "done", "begun", "done")
    ]
    assert sum(counts["messages"] for counts in deeds[-1].counts.values()) == 20


def beats(log: MemoryLog, world: World) -> int:
    return sum(
        record.value is None and heartbeat_of(record.headers) is not None
        for topic in world.topics
        for n in range(4)
        for record in log.records(topic, n)
    )


async def test_every_order_of_ways_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two exports and the line, in any order, also where the checkpoints (which only save work) are gone."""
    more = [*READINGS, Reading([said("30"), said("31"), Received({"no": "32", "unknown": 2})])]
    expected = [*EXPECTED, ("CREATE", "30", "a"), ("CREATE", "31", "a")]
    ways = ("old", "new", "line")
    orders = [("old", "line", "new"), ("line", "old", "new"), ("new", "old", "line"), ("old", "new", "old"), ("line", "new", "old")]
    for forget in (False, True):
        for number, order in enumerate(orders):
            base = tmp_path / f"{forget}{number}"
            world = offline(base, monkeypatch)
            await read_offline(world)
            export(world.settings, SOURCE, base / "old", world.clock)
            monkeypatch.setattr("bus.ingest.stream_runner.reader_of", Told(more))
            await read_offline(world, len(more))
            export(world.settings, SOURCE, base / "new", world.clock)
            for way in order:
                assert way in ways
                if forget:
                    partition = TopicPartition("bus.checkpoints", 0)
                    world.log.trim(partition, await world.log.end(partition))
                await (world.run() if way == "line" else carry(world, base / way))
            assert told(world.folded()) == expected, order
            assert len(await world.quarantine()) == 3


async def test_a_killed_import_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.ops.spool._AT_ONCE", 3)
    whole = offline(tmp_path / "whole", monkeypatch)
    await read_offline(whole)
    file = tmp_path / "stick"
    export(whole.settings, SOURCE, file, whole.clock)
    effects = 0

    def counted(message: Message) -> None:
        nonlocal effects
        effects += 1

    whole.log.on_effect = counted
    await carry(whole, file)
    for fatal in range(effects):
        whole.log = whole.fresh_log()
        whole.log.create("bus.audit")
        left = fatal

        def dying(message: Message) -> None:
            nonlocal left
            if left == 0:
                raise Crash
            left -= 1

        whole.log.on_effect = dying
        with pytest.raises(Crash):
            await carry(whole, file)
        whole.log.on_effect = None
        await carry(whole, file)
        assert told(whole.folded()) == EXPECTED, fatal


async def test_a_receipt_makes_room_without_any_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = offline(tmp_path, monkeypatch)
    await read_offline(world)
    file = tmp_path / "stick"
    export(world.settings, SOURCE, file, world.clock)
    await carry(world, file)
    (before,) = spools(world.settings, world.clock)
    assert before.backlog is not None
    assert (before.source, before.backlog.messages) == (SOURCE, 20)
    assert before.backlog.oldest is not None
    assert confirm(world.settings, SOURCE, receipt_path(file), world.clock) == 20
    assert confirm(world.settings, SOURCE, receipt_path(file), world.clock) == 0
    with pytest.raises(ConfigurationError, match="nothing waits"):
        export(world.settings, SOURCE, tmp_path / "again", world.clock)
    await world.run()
    assert told(world.folded()) == EXPECTED
    other = offline(tmp_path / "other", monkeypatch)
    await read_offline(other)
    with pytest.raises(ConfigurationError, match="another journal"):
        confirm(other.settings, SOURCE, receipt_path(file), other.clock)
    with pytest.raises(ConfigurationError, match="no receipt"):
        confirm(other.settings, SOURCE, file, other.clock)


async def test_a_damaged_file_is_refused_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = offline(tmp_path, monkeypatch)
    await read_offline(world)
    file = tmp_path / "stick"
    export(world.settings, SOURCE, file, world.clock)
    content = file.read_bytes()
    lines = content.splitlines(keepends=True)
    damaged = {
        "empty": b"",
        "no end": b"".join(lines[:-1]),
        "cut in a line": content[: len(content) // 2],
        "cut by a byte": content[:-1],
        "a message less": b"".join([*lines[:4], *lines[5:]]),
        "two exchanged": b"".join([*lines[:4], lines[5], lines[4], *lines[6:]]),
        "something after": content + lines[3],
        "another source": content.replace(b'"source":"lab/samples"', b'"source":"lab/sample2"'),
        "other": b"no,value\n1,a\n",
    }
    for place in range(0, len(content), max(1, len(content) // 60)):
        damaged[f"bit {place}"] = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    written = world.log.writes
    for what, bytes_ in damaged.items():
        file.write_bytes(bytes_)
        with pytest.raises(ConfigurationError, match="nothing of it was sent"):
            await carry(world, file)
        assert world.log.writes == written, what
    with pytest.raises(ConfigurationError, match="cannot be read"):
        await carry(world, tmp_path / "nowhere")


async def test_a_file_whose_hash_is_right_may_only_say_what_its_source_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    world = offline(tmp_path, monkeypatch)
    await read_offline(world)
    file = tmp_path / "stick"
    export(world.settings, SOURCE, file, world.clock)
    head, *messages, _ = file.read_bytes().splitlines(keepends=True)

    def forged(change: Any, *, of: int = 0) -> None:
        lines = [json.loads(line) for line in (head, *messages)]
        change(lines[of])
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        end = {"messages": len(messages), "sha256": hashlib.sha256(body).hexdigest()}
        file.write_bytes(body + json.dumps(end).encode() + b"\n")

    forged(lambda line: None)
    check(file)
    forgeries = [
        (0, {"source": "lab/other"}), (0, {"source": "dlh/ispu"}), (0, {"journal": "lab/other~1"}), (0, {"journal": "lab/samples~000000"}),
        (0, {"epoch": 1}), (0, {"last": 3}), (0, {"times": 1}), (0, {"made": None, "times": {"a": "b"}}),
        (1, {"t": "bus.audit"}), (1, {"t": "events.dlh.air_quality.recorded.v1"}), (1, {"v": None}), (1, {"v": "AAAA"}), (1, {"n": 2}), (1, {"n": 999}),
        (1, {"k": "other"}), (1, {"h": 1}), (2, {"v": json.loads(messages[0])["v"]}),
    ]  # fmt: skip
    written = world.log.writes
    for of, change in forgeries:
        forged(lambda line, change=change: line.update(change), of=of)
        with pytest.raises(ConfigurationError):
            await carry(world, file)
        assert world.log.writes == written, change


async def test_a_running_connector_keeps_its_journal_and_its_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = offline(tmp_path, monkeypatch)
    await read_offline(world)
    file = tmp_path / "stick"
    export(world.settings, SOURCE, file, world.clock)
    open_now = journal_of(world)
    (spool,) = spools(world.settings, world.clock)
    assert spool.backlog is None
    with pytest.raises(ConfigurationError, match="stop it"):
        export(world.settings, SOURCE, tmp_path / "again", world.clock)
    open_now.close()
    with pytest.raises(ConfigurationError, match="those that there are: lab/samples"):
        export(world.settings, "lab/other", tmp_path / "again", world.clock)
    living = Lease(SOURCE, world.log, world.log, clock=world.clock, lease_seconds=10.0, holder=Holder("elsewhere", 1, "x"))
    assert await living.try_acquire()
    beating = world.clock.sleep

    async def and_the_other_lives(seconds: float) -> None:
        await living.hold(now=True)
        await beating(seconds)

    monkeypatch.setattr(world.clock, "sleep", and_the_other_lives)
    with pytest.raises(TransientError, match="on line"):
        await carry(world, file)
    assert not world.envelopes()


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    world = offline(tmp_path, monkeypatch)
    world.environ |= {"BUS_OVERLAY": str(world.roots[0].parent), "BUS_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    for name, value in world.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("bus.cli.spool.connect", connected(world.log))
    assert answer(capsys, "spool", "list") == (0, "no source has a journal on this machine\n", "")
    asyncio.run(read_offline(world))
    code, said, _ = answer(capsys, "spool", "list", "--json")
    (held,) = json.loads(said)
    assert (code, held["source"], held["messages"], held["in_use"]) == (0, SOURCE, 20, False)
    file = tmp_path / "stick.spool"
    code, said, _ = answer(capsys, "spool", "export", SOURCE, str(file))
    assert code == 0
    assert "20 messages of lab/samples" in said
    assert check(file).sha256 in said
    code, said, _ = answer(capsys, "spool", "import", str(file), "--json")
    assert (code, json.loads(said)["sent"]) == (0, 20)
    assert told(world.folded()) == EXPECTED
    code, said, _ = answer(capsys, "spool", "confirm", SOURCE, str(receipt_path(file)))
    assert (code, said) == (0, "20 messages of lab/samples are with Kafka and were taken out of its journal\n")
    file.write_bytes(file.read_bytes()[:-20])
    code, _, err = answer(capsys, "spool", "import", str(file))
    assert code == 2
    assert "refused as a whole" in err
    code, said, _ = answer(capsys, "spool", "list")
    assert "lab/samples  0        0" in said


async def test_connectors_begin_without_kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The role itself, with real clients and no broker at their address: what comes in is in the journal; it ends at once when told to."""
    from bus.ops import roles

    world = stream_world(tmp_path, monkeypatch, [])
    source = Ticking(world.clock, 20)
    monkeypatch.setattr("bus.ingest.stream_runner.reader_of", source)
    overlay = str(world.roots[0].parent)
    world.environ |= {"BUS_OVERLAY": overlay, "BUS_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9", "BUS_KAFKA__RETRY_SECONDS": "0.5"}
    task = asyncio.create_task(roles.run_connectors(world.settings, [], until_end=False, pace=0))
    await asyncio.wait_for(source.finished.wait(), _PATIENCE_SECONDS)
    await asyncio.sleep(1.0)  # longer than Kafka's patience
    assert not task.done()
    task.cancel()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        with contextlib.suppress(asyncio.CancelledError):
            await task
    held = journal_of(world)
    assert (held.number, held.sent, held.backlog().messages) == (20, 0, 20)
    held.close()
    with pytest.raises(BusError):
        await roles.run_connectors(world.settings, [], until_end=True, pace=0)

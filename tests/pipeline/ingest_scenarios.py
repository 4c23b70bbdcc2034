"""What happens to a connector, and what must come of it: each scenario passes on the bus and fails when the clause it is about is broken."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

from bus.events.envelope import Envelope
from bus.kafka.ports import Message
from bus.testing.faults import Fault
from bus.testing.gate import Gate, GatedPublisher
from tests.pipeline.ingest_world import THREE_EVENTS, World, deliver_tables, lab_agency, lab_world, quarantined

Scenario = Callable[[Path], Coroutine[None, None, None]]
SCENARIOS: dict[str, Scenario] = {}

HEADER = "no,value"
#: Refuses a value that ends in "?"; the mended one takes it without.
STRICT = """
from datetime import UTC, datetime
from bus.errors import RecordError
from bus.events.envelope import Event

def to_events(record):
    if record["value"].endswith("?"):
        raise RecordError("?", field="value", rule="invalid_value", allowed="no question marks")
    yield Event("lab.sample.recorded.v1", record["no"], datetime(2024, 1, 1, tzinfo=UTC), {"value": record["value"]})
"""
MENDED = STRICT.replace('if record["value"].endswith("?")', "if False").replace('record["value"]}', 'record["value"].rstrip("?")}')
#: Only the third event of a record says its value.
LAST_OF_THREE = THREE_EVENTS.replace('"abc"[: len(record["value"])]', '"abc"').replace(
    '{"value": record["value"]}', '{"value": record["value"] if part == "c" else part}'
)


def scenario(tell: Scenario) -> Scenario:
    """Register it under its name."""
    SCENARIOS[tell.__name__] = tell
    return tell


def said(envelopes: Sequence[Envelope]) -> list[tuple[str, str, str, object]]:
    """Events in the order of their sequences, without these."""
    return [(e.source, e.op, e.event.subject, e.event.data["value"]) for e in envelopes]


def values(world: World) -> dict[str, object]:
    """Subject -> value, as it stands now."""
    return {subject: data["value"] for (_, subject), data in world.current().items()}


# faults at every effect


async def _undisturbed(base: Path) -> tuple[list[tuple[str, str, str, object]], list[tuple[str, str, str]], int]:
    world = lab_world(base)
    deliver_tables(world)
    gate = Gate(world.log)
    await world.runner(publisher=GatedPublisher(gate)).run(until_end=True)
    found = said(world.folded())
    assert {op for _, op, _, _ in found} == {"CREATE", "CORRECT", "CANCEL"}
    return found, await quarantined(world), gate.effects


@scenario
async def crashes(base: Path) -> None:
    """It dies before any one effect, and starts anew."""
    expected, refused, effects = await _undisturbed(base / "whole")
    world = lab_world(base / "crashed")
    deliver_tables(world)
    for effect in range(effects):
        world.log = world.fresh_log()
        assert await world.run_until_crash(effect)
        for topic in ("bus.checkpoints", "bus.snapshots", "quarantine.lab"):
            world.log.compact(topic)
        await world.run()
        assert said(world.folded()) == expected, f"after a crash at effect {effect}"
        assert await quarantined(world) == refused, f"after a crash at effect {effect}"


@scenario
async def failing_sends(base: Path) -> None:
    """Any one send fails for good: in one partition nothing is written from there on, in the others all."""
    expected, refused, effects = await _undisturbed(base / "whole")
    world = lab_world(base / "failing")
    deliver_tables(world)
    for effect in range(effects):
        world.log = world.fresh_log()
        gate = Gate(world.log, {effect: Fault.FAIL})
        await world.runner(publisher=GatedPublisher(gate, beginnings=True)).run(until_end=True)
        assert said(world.folded()) == expected, f"after a failed send at effect {effect}"
        assert await quarantined(world) == refused, f"after a failed send at effect {effect}"


@scenario
async def order_of_effects(base: Path) -> None:
    """Claim, then (events, quarantine, checkpoint) for each batch, then heartbeats, the rows and the checkpoint that says done; nothing else.

    A file that is refused ends in a record in quarantine, without heartbeats.
    """
    world = lab_world(base)
    deliver_tables(world)
    kinds = {"bus.claims": "C", "bus.snapshots": "S", "bus.checkpoints": "P", "quarantine.lab": "Q", **dict.fromkeys(world.topics, "E")}
    effects: list[str] = []

    def note(message: Message) -> None:
        if not (message.key or b"").startswith(b"lease|"):
            effects.append("H" if message.topic in world.topics and message.value is None else kinds[message.topic])

    world.log.on_effect = note
    await world.run()
    assert re.fullmatch(r"(C(((E+Q*|Q+)P)*(HHHH|Q+)S+)?P)+", "".join(effects)), "".join(effects)


# positions


@scenario
async def three_events(base: Path) -> None:
    """A record becomes three events of one topic, some of them in one partition."""
    world = lab_world(base, mapping=THREE_EVENTS)
    world.put("1.csv", *(f"{n},xyz" for n in range(9)), header=HEADER)
    await world.run()
    assert values(world) == {f"{n}{part}": "xyz" for n in range(9) for part in "abc"}
    assert len({(envelope.source, envelope.sequence) for envelope in world.envelopes()}) == 27


@scenario
async def an_older_file_appears(base: Path) -> None:
    """It dies at any effect of its first delivery; then a file comes that is older than the one it was reading."""
    for effect in range(20):
        world = lab_world(base / str(effect))
        older = world.put("older.csv", *(f"{n},o" for n in range(20, 26)), header=HEADER)
        hidden = older.rename(older.with_suffix(".away"))
        world.put("newer.csv", *(f"{n},n" for n in range(6)), *(f"{n},o" for n in range(20, 26)), header=HEADER)
        await world.run_until_crash(effect)
        hidden.rename(older)
        await world.run()
        repeats = [record for record in world.envelopes() if record not in world.folded()]
        assert not repeats, "events of two files under one number"
        whole = {f"{n}": "o" for n in range(20, 26)}
        assert values(world) in (whole, whole | {f"{n}": "n" for n in range(6)}), f"after a crash at effect {effect}"


# re-deliveries


async def _deliveries(world: World, *tables: Sequence[str]) -> list[list[tuple[str, str, object]]]:
    """The events that each table brings, delivered one after another by processes of their own, under names of their own."""
    found = []
    for number, table in enumerate(tables):
        before = len(world.folded())
        world.put(f"{chr(122 - number)}.csv", *table, header=HEADER)
        await world.run()
        found.append([each[1:] for each in said(world.folded())[before:]])
    return found


@scenario
async def changed_missing_unchanged(base: Path) -> None:
    """A whole table comes again, with one line changed, with one line missing, and with a line that cannot be read."""
    world = lab_world(base)
    tables = ["1,a", "2,b", "3,c"], ["1,a", "2,x", "3,c"], ["2,x", "3,c"], ["2,x", "no,such,line"]
    _, changed, missing, unsure = await _deliveries(world, *tables)
    assert changed == [("CORRECT", "2", "x")]
    assert missing == [("CANCEL", "1", "a")]
    assert not unsure
    assert values(world) == {"2": "x", "3": "c"}


@scenario
async def files_that_add(base: Path) -> None:
    """What a file of an appending source lacks is not gone."""
    found = await _deliveries(lab_world(base, kind="append"), ["1,a", "2,b"], ["3,c"])
    assert found[1] == [("CREATE", "3", "c")]


@scenario
async def back_to_the_first(base: Path) -> None:
    """A, then B, then A again, under three names and under one."""
    assert (await _deliveries(lab_world(base / "names"), ["1,a"], ["1,b"], ["1,a"]))[2] == [("CORRECT", "1", "a")]
    world = lab_world(base / "name")
    for value in "aba":
        world.put("same.csv", f"1,{value}", header=HEADER)
        await world.run()
        assert values(world) == {"1": value}


@scenario
async def the_same_under_two_names(base: Path) -> None:
    """A source without keys: only the hash can tell."""
    connectors, schemas = lab_agency(base, kind="append", mapping=STRICT)
    manifest = connectors / "lab" / "agency.toml"
    manifest.write_text(manifest.read_text().replace('key = ["no"]', ""))
    world = World(base, roots=[connectors], schemas=[schemas], agency="lab")
    assert await _deliveries(world, ["1,a"], ["1,a"], ["1,a"]) == [[("CREATE", "1", "a")], [], []]


@scenario
async def a_file_that_grows(base: Path) -> None:
    """It is seen while it is written; between two looks the rest comes."""
    world = lab_world(base)
    path = world.put("1.csv", "1,a", header=HEADER)
    moment = int(world.clock.now().timestamp() * 1e9) + 60_000_000_000
    os.utime(path, ns=(moment, moment))
    looks = 0

    async def sleep(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            path.write_text(path.read_text() + "2,b\n")
        await world.clock.sleep(seconds)

    await world.runner(sleep=sleep).run(until_end=True)
    assert len(world.log.records("bus.claims")) == 1, "half of a file was claimed"
    assert values(world) == {"1": "a", "2": "b"}


# quarantine


@scenario
async def replays(base: Path) -> None:
    """Six lines are refused; one of them is delivered in a better form before the mapping is mended and all are replayed, twice."""
    world = lab_world(base, mapping=STRICT)
    world.put("1.csv", "0,zero", *(f"{n},v{n}?" for n in range(1, 7)), "7,seven", header=HEADER)
    world.put("2.csv", "0,zero", "1,better", *(f"{n},v{n}?" for n in range(2, 7)), "7,seven", header=HEADER)
    await world.run()
    assert values(world) == {"0": "zero", "1": "better", "7": "seven"}
    world.roots = [lab_agency(base / "mended", mapping=MENDED)[0]]
    opened = world.log.records("quarantine.lab")
    await world.replay()
    for record in opened:  # as if it had died before anything was marked as resolved
        world.log.append(Message(record.topic, 0, record.key, record.value))
    await world.replay()
    assert not await world.quarantine()
    assert values(world) == {"0": "zero", "1": "better", **{str(n): f"v{n}" for n in range(2, 7)}, "7": "seven"}
    sources = {envelope.source for envelope in world.envelopes()}
    assert sources == {"lab/samples", *(f"lab/samples#1.{n + 2}" for n in range(1, 7)), *(f"lab/samples#2.{n + 2}" for n in range(2, 7))}
    assert len(world.folded()) == len({(envelope.source, envelope.sequence) for envelope in world.envelopes()})


@scenario
async def a_record_with_one_bad_event(base: Path) -> None:
    """The third of its events is refused: so are the others, and what was known of it stands."""
    world = lab_world(base, mapping=LAST_OF_THREE)
    world.put("1.csv", "1,x", header=HEADER)
    world.put("2.csv", "1,3374010101900001", "2,3374010101900001", "3,y", header=HEADER)
    await world.run()
    assert values(world) == {"1a": "a", "1b": "b", "1c": "x", "3a": "a", "3b": "b", "3c": "y"}
    assert [place for place, _, _ in await quarantined(world)] == ["lab/samples|2|2", "lab/samples|2|3"]

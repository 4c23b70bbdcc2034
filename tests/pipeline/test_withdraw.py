"""A withdrawn batch counts as never sent, wherever the command dies, and delivering it again brings it back (over the log in memory)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bus.errors import ConfigurationError
from bus.events.catalogue import Catalogue
from bus.events.envelope import Op
from bus.kafka.ports import Message, Record
from bus.kafka.topics import AUDIT
from bus.ops.audit import Audit, State
from bus.ops.withdrawal import Plan, plan_withdrawal, withdraw
from bus.settings import ROOT
from tests.pipeline.ingest_world import Crash, World, lab_world, row

FIRST, SECOND, THIRD = "dlh/ispu/1", "dlh/ispu/2", "dlh/ispu/3"
_REASON = "Juli dikirim dua kali"


def _plan_of(world: World, batch: str):
    types = [each for each in world.codec.catalogue.types.values() if each.type.topic in world.topics]
    return plan_withdrawal(types, world.log, world.codec, batch)


async def _withdraw(world: World, batch: str) -> tuple[Plan, int]:
    world.log.create(AUDIT)
    plan = await _plan_of(world, batch)
    return plan, await withdraw(plan, world.log, Audit(world.log, world.log, world.clock, who="sari"), reason=_REASON)


def _deliver(world: World, *, second: bool = True) -> None:
    """Three deliveries: the second adds days, corrects one and says one again; the third corrects one of the second's."""
    world.put("1.csv", *(row(day) for day in range(1, 8)))
    if second:
        world.put("2.csv", row(3, pm10="99"), row(4), row(8), row(9), row(10, "DKI2 (Kelapa Gading)"))
    world.put("3.csv", row(9, pm10="12"), row(11))


def _records(world: World) -> list[Record]:
    return [
        record for topic in world.topics for partition in range(world.log.topics[topic]) for record in world.log.records(topic, partition)
    ]


async def test_the_facts_are_those_of_a_world_without_the_batch(tmp_path: Path) -> None:
    world, never = World(tmp_path / "with"), World(tmp_path / "without")
    _deliver(world)
    _deliver(never, second=False)
    await world.run()
    await never.run()
    assert world.current() != never.current()
    plan, sent = await _withdraw(world, SECOND)
    assert world.current() == never.current()
    topic = world.topics[0]
    assert plan.counts == {topic: {"CANCEL": 3, "CORRECT": 1}}
    assert (plan.topics[0].events, sent) == (4, 4)


async def test_each_compensating_event_names_what_it_undoes(tmp_path: Path) -> None:
    world = World(tmp_path)
    _deliver(world)
    await world.run()
    events = {envelope.id: envelope for envelope in world.envelopes() if envelope.batch == SECOND}
    await _withdraw(world, SECOND)
    headers = [(record, dict(record.headers)) for record in _records(world)]
    undone = {found["ce_undoes"].decode(): (record, found["ce_id"].decode()) for record, found in headers if "ce_undoes" in found}
    assert undone.keys() == events.keys()
    said = {envelope.id: envelope for envelope in world.envelopes() if envelope.source == "bus/withdraw/dlh/ispu/2"}
    for undoes, (record, own) in undone.items():
        compensation = said[own]
        assert compensation.version == events[undoes].version + 1
        assert (compensation.event.subject, compensation.batch) == (events[undoes].event.subject, "withdraw:dlh/ispu/2")
        assert record.headers[-1][0] == "ce_dataschema"
        if compensation.op is Op.CANCEL:
            assert compensation.event == events[undoes].event


async def test_a_run_that_dies_between_any_two_sends_is_completed_by_the_next(tmp_path: Path) -> None:
    whole = World(tmp_path / "whole")
    _deliver(whole)
    await whole.run()
    before = whole.log.writes
    await _withdraw(whole, SECOND)
    writes = whole.log.writes - before
    assert writes == 6  # the audit before and after, and four events
    for effect in range(writes):
        world = World(tmp_path / str(effect))
        _deliver(world)
        await world.run()
        world.log.create(AUDIT)
        plan, left = await _plan_of(world, SECOND), [effect]

        def die(message: Message, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Crash

        world.log.on_effect = die
        with pytest.raises(Crash):
            await withdraw(plan, world.log, Audit(world.log, world.log, world.clock, who="sari"), reason=_REASON)
        world.log.on_effect = None
        await _withdraw(world, SECOND)
        assert _own(world) == _own(whole)
        assert [deed["state"] for deed in _deeds(world)].count("done") == 1
        _, sent = await _withdraw(world, SECOND)
        assert sent == 0
        assert len(_own(world)) == 4
        assert [deed["state"] for deed in _deeds(world)].count("done") == 1


async def test_two_runs_at_once_say_it_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    _deliver(world)
    await world.run()
    world.log.create(AUDIT)
    audit = Audit(world.log, world.log, world.clock, who="sari")
    plans = [await _plan_of(world, SECOND) for _ in range(2)]
    for plan in plans:
        await withdraw(plan, world.log, audit, reason=_REASON)
    facts = [envelope for envelope in world.folded() if envelope.source == "bus/withdraw/dlh/ispu/2"]
    assert len(facts) == 4


def _own(world: World) -> list[tuple[int, int, Record]]:
    """The withdrawal's events in the log, but for when they were written."""
    return [
        (record.partition, record.offset, replace(record, timestamp_ms=0))
        for record in _records(world)
        if any(name == "ce_undoes" for name, _ in record.headers)
    ]


def _deeds(world: World) -> list[Mapping[str, object]]:
    return [json.loads(record.value or b"") for record in world.log.records(AUDIT)]


async def test_the_audit_says_who_did_what_and_why(tmp_path: Path) -> None:
    world = World(tmp_path)
    _deliver(world)
    await world.run()
    await _withdraw(world, SECOND)
    begun, done = _deeds(world)
    assert (begun["state"], done["state"]) == ("begun", "done")
    for deed in (begun, done):
        assert (deed["who"], deed["action"], deed["batch"], deed["reason"]) == ("sari", "withdraw", SECOND, _REASON)
        assert deed["counts"] == {world.topics[0]: {"CANCEL": 3, "CORRECT": 1}}
    deeds = await Audit(world.log, world.log, world.clock, who="x").deeds("withdraw", SECOND)
    assert [deed.state for deed in deeds] == [State.BEGUN, State.DONE]


async def test_withdrawing_the_newest_batch_first_and_the_one_before_it_then(tmp_path: Path) -> None:
    world, never = World(tmp_path / "with"), World(tmp_path / "without")
    _deliver(world)
    never.put("1.csv", *(row(day) for day in range(1, 8)))
    await world.run()
    await never.run()
    await _withdraw(world, THIRD)
    await _withdraw(world, SECOND)
    assert world.current() == never.current()


async def test_what_was_replayed_from_quarantine_belongs_to_its_batch(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("1.csv", row(1), row(2, category="RUSAK"))
    await world.run()
    (entry,) = await world.quarantine()
    source = f"dlh/ispu#1.{entry.line}"
    first = world.envelopes()[0]
    event = replace(first.event, subject="DKI1/2022-01-02")
    replayed = replace(first, event=event, source=source, sequence=1, version=first.version + 256)
    value, headers = world.codec.encode(replayed)
    world.log.append(Message(world.topics[0], 0, event.subject.encode(), value, headers))
    assert len(world.current()) == 2
    await _withdraw(world, FIRST)
    assert world.current() == {}


async def test_a_corrected_file_brings_its_changed_lines_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("1.csv", row(1, pm10="10"), row(2, pm10="20"))
    await world.run()
    await _withdraw(world, FIRST)
    world.put("again.csv", row(1, pm10="10"), row(2, pm10="20"))
    await world.run()
    assert world.current() == {}
    world.put("corrected.csv", row(1, pm10="11"), row(2, pm10="20"))
    await world.run()
    assert {subject: data["pm10"] for (_, subject), data in world.current().items()} == {"DKI1/2022-01-01": 11}


async def test_after_an_empty_file_every_line_counts_as_news(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put("1.csv", row(1, pm10="10"), row(2, pm10="20"))
    await world.run()
    await _withdraw(world, FIRST)
    world.put_bytes("ulang.csv", b"")
    await world.run()
    world.put("again.csv", row(1, pm10="10"), row(2, pm10="20"))
    await world.run()
    assert {subject: data["pm10"] for (_, subject), data in world.current().items()} == {"DKI1/2022-01-01": 10, "DKI1/2022-01-02": 20}
    assert [entry.reason["rule"] for entry in await world.quarantine()] == ["empty_file"]


async def test_a_whole_table_comes_back_after_the_last_right_one(tmp_path: Path) -> None:
    world = lab_world(tmp_path)

    def values() -> dict[str, object]:
        return {subject: data["value"] for (_, subject), data in world.current().items()}

    world.put("1.csv", "0,a", "1,b", "5,x", header="no,value")
    world.put("2.csv", "1,c", "2,d", "5,x", header="no,value")
    await world.run()
    await _withdraw(world, "lab/samples/2")
    assert values() == {"0": "a", "1": "b", "5": "x"}
    world.put("3.csv", "0,a", "1,b", "5,x", header="no,value")
    await world.run()
    assert values() == {"0": "a", "1": "b", "5": "x"}
    world.put("4.csv", "1,c", "2,d", "5,x", header="no,value")
    await world.run()
    assert values() == {"1": "c", "2": "d", "5": "x"}


async def test_final_facts_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    world = lab_world(tmp_path)
    path = tmp_path / "overlay" / "schemas" / "events" / "lab" / "sample.recorded.v1.avsc"
    path.write_text(json.dumps({**json.loads(path.read_text()), "correctable": False}))
    world.codec = type(world.codec)(Catalogue.load([ROOT / "schemas", tmp_path / "overlay" / "schemas"]))
    world.put("1.csv", "0,a", header="no,value")
    await world.run()
    writes = world.log.writes
    with pytest.raises(ConfigurationError, match=r"lab\.sample\.recorded\.v1, whose facts are final"):
        await _withdraw(world, "lab/samples/1")
    assert world.log.writes == writes


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ("dlh/ispu/9", r"there is no event of this batch; its source has 3, they are: dlh/ispu/1, dlh/ispu/2, dlh/ispu/3"),
        ("dlh/air/1", "nor of any other of source dlh/air"),
        ("dlh", "expected AGENCY/SOURCE/DELIVERY"),
        ("rsud/beds/1", "agencies are: dlh"),
        ("withdraw:dlh/ispu/2", "is no batch"),
    ],
)
async def test_a_batch_that_is_not_there_is_said_with_those_that_are(tmp_path: Path, batch: str, message: str) -> None:
    world = World(tmp_path)
    _deliver(world)
    await world.run()
    with pytest.raises(ConfigurationError, match=message):
        await _withdraw(world, batch)
    assert not world.log.records(AUDIT)


async def test_records_that_nobody_can_read_do_not_stop_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    _deliver(world)
    await world.run()
    for partition in range(4):
        world.log.append(Message(world.topics[0], partition, b"k", b"nonsense"))
        world.log.append(Message(world.topics[0], partition, None, None))
    assert (await _withdraw(world, SECOND))[1] == 4

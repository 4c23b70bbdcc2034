"""What was published of a cell: read on demand, within a time, and never the same records twice; and recomputing it now."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.kafka.ports import LogReader, Message, Record, TopicPartition
from bus.ops.apikeys import Role
from bus.settings import GatewaySettings, KafkaSettings, Settings
from bus.testing.memory import MemoryLog
from consumers.dashboard.cells import Cell
from consumers.dashboard.recompute import Recomputer
from consumers.dashboard.refusal import Refusal
from consumers.dashboard.revisions import Revisions
from tests.unit.gateway.feed import CODEC, DECODE, gateway_over, serving, until_ready, value

HISTORY = "history.dlh.x"


def past(message: Message) -> Message:
    return Message(HISTORY, 0, message.key, message.value, message.headers)


def cell_of(message: Message) -> Cell:
    return DECODE(Record(message.topic, 0, 0, message.key, message.value, message.headers))


class Slow:
    """A reader over a log that counts what is read, and waits before each batch when it is told to."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.read_records = 0
        self.seconds = 0.0

    @asynccontextmanager
    async def open_reader(self) -> AsyncIterator[LogReader]:
        yield self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.log, name)

    async def read(self, partition: TopicPartition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        async for records in self.log.read(partition, start, stop):
            await asyncio.sleep(self.seconds)
            self.read_records += len(records)
            yield records


def filled(records: int = 1_000) -> MemoryLog:
    """A history in which every hundredth record is of one cell."""
    log = MemoryLog({HISTORY: 1}, batch_records=100)
    for number in range(records):
        station = "DKI1" if number % 100 == 0 else f"S{number % 7}"
        log.append(past(value("dlh.x", str(number), revision=number + 1, n=number // 100, dimensions={"station": station})))
    return log


async def test_a_past_is_read_once_and_then_only_further() -> None:
    slow = Slow(filled())
    revisions = Revisions(slow.open_reader, CODEC, 5)
    cell = cell_of(value("dlh.x", "1"))
    found, total = await revisions.of(Role.RESTRICTED, cell)
    assert ([each["value"] for each in found], total) == ([None, *map(str, range(100, 1000, 100))], 10)
    slow.log.append(past(value("dlh.x", "7", revision=5_000)))
    slow.read_records = 0
    found, total = await revisions.of(Role.RESTRICTED, cell)
    assert (found[-1]["value"], total, slow.read_records) == ("7", 11, 1)
    assert found[-1]["reasons"] == [{"why": "new", "count": 5_000 - 901}]


async def test_who_may_not_see_small_cells_has_no_past_of_them() -> None:
    revisions = Revisions(Slow(filled()).open_reader, CODEC, 5)
    found, total = await revisions.of(Role.INTERNAL, cell_of(value("dlh.x", "1")))
    assert ([each["n"] for each in found], total) == ([5, 6, 7, 8, 9], 5)


async def test_a_time_that_is_not_enough_is_not_lost() -> None:
    slow = Slow(filled())
    slow.seconds = 0.03
    revisions = Revisions(slow.open_reader, CODEC, 0.1)
    cell, total, refusals = cell_of(value("dlh.x", "1")), 0, list[Refusal]()
    while not total and len(refusals) < 20:
        try:
            _, total = await revisions.of(Role.RESTRICTED, cell)
        except Refusal as refusal:
            refusals.append(refusal)
    assert {(each.status, each.response().headers["retry-after"]) for each in refusals} == {(503, "1")}
    assert total == 10
    assert slow.read_records == 1_000


async def test_a_topic_that_is_not_there_is_no_past() -> None:
    revisions = Revisions(Slow(MemoryLog()).open_reader, CODEC, 5)
    assert await revisions.of(Role.PUBLIC, cell_of(value("dlh.x", "1"))) == ([], 0)


async def test_the_address_names_one_cell() -> None:
    log = filled()
    log.create("indicators.dlh.x")
    await log.send([value("dlh.x", "1"), value("dlh.x", "2", dimensions={"station": "S1"})])
    async with serving(gateway_over(log)) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        path = "/v1/indicators/dlh.x/revisions"
        body = (await http.get(f"{path}?window=2021-01&station=DKI1")).json()
        assert (body["total"], body["cell"]["value"]) == (10, "1")
        many, none = await http.get(f"{path}?window=2021-01"), await http.get(f"{path}?window=2021-01&station=DKI7")
        assert (many.status_code, many.json()["detail"]) == (400, "2 cells are meant")
        assert (none.status_code, none.json()["detail"]) == (404, "there is no such cell")


def recomputer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, **gateway: Any) -> Recomputer:
    """One whose `python -m bus verify` is that script."""
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return Recomputer(Settings(gateway=GatewaySettings(**gateway), kafka=KafkaSettings(bootstrap_servers="kafka:9092")))


REPORT = """
assert sys.argv[1:] == ["-m", "bus", "verify", "--json", "--", "dlh.x", "2021-01-01/DKI1"], sys.argv
assert os.environ["BUS_KAFKA__BOOTSTRAP_SERVERS"] == "kafka:9092" and not any("GATEWAY" in name for name in os.environ)
wrong = [{"cell": "c", "field": "n", "published": "31", "recomputed": "2"}]
print(json.dumps([{"indicator": "dlh.x", "cells": 1, "events": 9, "mismatches": wrong, "made_of": [], "ok": False}]))
sys.exit(1)
"""


async def test_a_difference_is_told_and_its_values_to_who_may_see_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BUS_GATEWAY__KEYS_FILE", "/nowhere")
    one = recomputer(monkeypatch, tmp_path, REPORT)
    cell = cell_of(value("dlh.x", "1"))
    all_, some = await one.run(cell, Role.RESTRICTED), await one.run(cell, Role.INTERNAL)
    assert (all_["agrees"], all_["records_read"]) == (False, 9)
    assert all_["differences"] == [{"field": "n", "published": "31", "recomputed": "2"}]
    assert some["differences"] == [{"field": "n"}]


async def test_one_at_a_time_few_wait_and_what_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = recomputer(
        monkeypatch, tmp_path, f"open({str(tmp_path)!r} + f'/{{os.getpid()}}', 'w'); time.sleep(60)", verify_queue=1, verify_seconds=1
    )
    cell = cell_of(value("dlh.x", "1"))
    asked = [asyncio.create_task(one.run(cell, Role.RESTRICTED)) for _ in range(3)]
    ended = await asyncio.gather(*asked, return_exceptions=True)
    assert [error.body["title"] for error in ended if isinstance(error, Refusal)] == ["Not recomputed", "Not recomputed", "Busy"]
    begun = [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]
    assert len(begun) == 2
    assert not any(Path(f"/proc/{number}").exists() for number in begun)


async def test_what_cannot_be_recomputed_is_no_disagreement(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = recomputer(monkeypatch, tmp_path, "sys.exit(2)")
    with pytest.raises(Refusal) as refused:
        await one.run(cell_of(value("dlh.x", "1")), Role.RESTRICTED)
    assert refused.value.status == 503

"""The engine as processes: every kind of indicator, disturbed histories, a definition changed on the way, and the proof."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from bus.events.envelope import Op
from bus.kafka.ports import TopicPartition
from bus.ops.values import cell_name
from bus.settings import KafkaSettings
from tests.conftest import CAMPAIGN_BROKERS
from tests.live.cli_process import bus
from tests.live.engine_site import EngineSite
from tests.model.histories import WITHDRAWAL, Beat, Fact, Published, history
from tests.model.times import JAKARTA
from tests.model.worlds import PARTITIONS

pytestmark = pytest.mark.soak

CASE = "uji.case.recorded.v1"
CELL = "2028-01-10T09:00/cepogo/true"


@pytest.fixture
async def site(tmp_path: Path, clean_broker: KafkaSettings) -> AsyncIterator[EngineSite]:
    async with EngineSite(tmp_path, clean_broker) as site:
        yield site


@pytest.mark.parametrize("clean_broker", CAMPAIGN_BROKERS, indirect=True)
async def test_every_kind_of_indicator_through_kills_and_a_new_definition(site: EngineSite) -> None:
    facts = history(random.Random(20).choice, size=[700], subjects=30)
    third = len(facts) // 3
    first = site.worker("a")
    await site.publish(facts[:third])
    await first.wait_for("partitions_assigned")
    load = asyncio.create_task(site.publish(facts[third : 2 * third], seconds=3))
    await asyncio.sleep(1.5)
    first.kill()
    second = site.worker("b")
    await load
    await second.wait_for("partitions_assigned")
    await _published(site, "uji.part_in")
    site.change("uji.part_in", 'event = "uji.case', 'version = 2\nwhere = "amount > 0"\nevent = "uji.case')
    load = asyncio.create_task(site.publish(facts[2 * third :], seconds=4))
    await second.wait_for("indicators_reloaded")
    await asyncio.sleep(0.5)
    second.kill()
    third_worker = site.worker("c")
    await load
    await site.right()
    await _same_as_recomputed(site)
    await _list_fits_its_counts(site)
    await _reasons(site)
    await site.right()
    assert third_worker.stop() == 0
    _proven(site)


async def _published(site: EngineSite, name: str) -> None:
    """Readers have rows of it: of the definition that is about to be replaced."""
    async with asyncio.timeout(60):
        while not await site.standing(name):
            await asyncio.sleep(0.1)


async def _same_as_recomputed(site: EngineSite) -> None:
    """Numbers, grades, estimates and reasons. Status, reporters, ages and what registers have changed so far are of the moment of publishing."""
    for name, outputs in (await site.recomputed()).items():
        kind = site.installation.indicators[name].kind
        names = ["n", "label", "error", "denominator"]
        names += [] if kind == "age" else ["value", "numerator"]
        names += [] if kind == "reconcile" else ["revision", "late", "corrected", "withdrawn"]
        wanted = {output.key(): [getattr(output, each) for each in names] for output in outputs if output.n}
        found = {value.key(): [getattr(value, each) for each in names] for value in await site.standing(name) if value.n}
        assert found == wanted, name


async def _list_fits_its_counts(site: EngineSite) -> None:
    """The list of a reconciliation, which nobody but its owners may read, has as many lines of each status as the rows say."""
    place = TopicPartition("lists.uji.reconciled", 0)
    lines: dict[bytes | None, bytes | None] = {}
    async for records in site.reader.read(place, await site.reader.beginning(place), await site.reader.end(place)):
        lines |= {record.key: record.value for record in records}
    listed = Counter(json.loads(line)["status"] for line in lines.values() if line is not None)
    rows = [row for row in await site.standing("uji.reconciled") if row.dimensions["region"] == "33.09" and row.n]
    assert listed
    assert listed == {row.dimensions["match"]: row.n for row in rows}


async def _reasons(site: EngineSite) -> None:
    """One cell is new, corrected, closed, changed by a late fact, and loses what a batch had brought; its history says so."""

    def case(subject: str, number: int, op: Op, minute: int, money: int, source: str = "uji/c", version: int = 256) -> Fact:
        data = dict.fromkeys(["person", "post", "amount", "level", "opened_at", "kode_wilayah"])
        at = datetime(2028, 1, 10, 9, minute, tzinfo=JAKARTA)
        return Fact(CASE, source, number, subject, version, op, at, {**data, "place": "cepogo", "urgent": True, "money": Decimal(money)})

    over = datetime(2028, 1, 10, 12, tzinfo=JAKARTA)
    steps: list[tuple[Sequence[Published], str, str]] = [
        ([case("h1", 1, Op.CREATE, 15, 10)], "10.00", "provisional"),
        ([case("h1", 2, Op.CORRECT, 20, 12, version=512)], "12.00", "provisional"),
        ([Beat(CASE, "uji/c", partition, over) for partition in range(PARTITIONS)], "12.00", "final"),
        ([case("h2", 3, Op.CREATE, 30, 5)], "17.00", "final"),
        ([case("h2", 10_000, Op.CANCEL, 30, 5, WITHDRAWAL, version=257)], "12.00", "final"),
    ]
    for facts, value, status in steps:
        await site.publish(facts)
        async with asyncio.timeout(30):
            while (value, status) not in [(row.value, row.status) for row in await site.standing("uji.case_sum") if cell_name(row) == CELL]:
                await asyncio.sleep(0.1)
    told = bus(["history", "uji.case_sum", CELL, "--json"], site.environ)
    assert told.code == 0, told.err
    changes = json.loads(told.out)
    assert [(change["value"], change["status"]) for change in changes] == [(value, status) for _, value, status in steps]
    assert [sorted(_why(change)) for change in changes] == [["new"], ["corrected"], ["status"], ["late"], ["withdrawn"]]
    shown = bus(["history", "uji.part_in", "--limit", "0"], site.environ)
    assert shown.code == 0, shown.err
    assert "definition" in shown.out


def _why(change: dict[str, object]) -> list[str]:
    return [reason["why"] for reason in change["why"]]  # type: ignore[attr-defined]


def _proven(site: EngineSite) -> None:
    ended = bus(["verify", "--all", "--json"], site.environ)
    assert ended.code == 0, ended.out[-3000:] + ended.err[-3000:]
    reports = {report["indicator"]: report for report in json.loads(ended.out)}
    for name in site.installation.published:
        if name.startswith("uji."):
            assert reports[name]["cells"] > 0, name
            assert reports[name]["mismatches"] == [], name
    assert reports["uji.total"]["made_of"] == ["uji.part_in", "uji.part_out"]
    assert not {"uji.register_mcd", "uji.register_siak"} & reports.keys()

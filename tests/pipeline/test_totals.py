"""Control totals from an agency's file to the report that it signs: over a log that a connector wrote, with corrections and cancellations."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bus import metrics
from bus.errors import ConfigurationError
from bus.indicators.windows import LOCAL_ZONE, to_micros
from bus.kafka.ports import Message
from bus.ops.installation import Installation
from bus.ops.totals import Accounts, counted, measure
from bus.streams.outputs import encode_output
from tests.pipeline.ingest_world import World, lab_agency
from tests.unit.cli.published import answer, codec, connected, output

MAPPING = """
from datetime import UTC, datetime
from bus.events.envelope import Event

def to_events(record):
    day = datetime.fromisoformat(record["value"]).replace(tzinfo=UTC)
    yield Event("lab.sample.recorded.v1", record["no"], day, {"value": record["value"]})
"""
TYPE = "lab.sample.recorded.v1"


@pytest.fixture
def world(tmp_path: Path) -> World:
    connectors, schemas = lab_agency(tmp_path, mapping=MAPPING)
    manifest = connectors / "lab" / "agency.toml"
    text = manifest.read_text().replace('settings = ["folder"]', 'settings = ["folder", "totals_folder"]')
    manifest.write_text(text + f'[totals.types]\nSampel = "{TYPE}"\n')
    world = World(tmp_path, roots=[connectors], schemas=[schemas], agency="lab")
    world.log.create("quarantine.lab", compacted=True)
    folder = tmp_path / "jumlah"
    folder.mkdir()
    world.environ |= {
        "BUS_OVERLAY": str(tmp_path / "overlay"), "BUS_LAB__TOTALS_FOLDER": str(folder), "BUS_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }  # fmt: skip
    return world


def count(world: World, *lines: str, name: str = "januari.csv") -> None:
    folder = Path(world.environ["BUS_LAB__TOTALS_FOLDER"])
    (folder / name).write_text("tanggal,jenis,jumlah\n" + "\n".join(lines) + "\n")


async def deliver(world: World) -> None:
    """Three facts of the first, of which one moves to the second and one goes; two of the second."""
    world.put("1.csv", "a,2024-01-01", "b,2024-01-01", "c,2024-01-01", "d,2024-01-02", header="no,value")
    world.put("2.csv", "a,2024-01-01", "b,2024-01-02", "d,2024-01-02", header="no,value")
    await world.run()


def accounts(world: World) -> Accounts:
    installation = Installation.load(world.settings)
    (one,) = counted(installation, "lab")
    return Accounts(installation, one, world.log)


async def test_what_stands_is_compared_day_by_day_and_goes_on_with_the_log(world: World) -> None:
    await deliver(world)
    count(world, "2024-01-01,Sampel,1", "2024-01-02,Sampel,2")
    books = accounts(world)
    found = await books.reconcile()
    measure(found)
    assert found.agrees
    assert [(line.day.day, line.agency, line.bus) for line in found.lines] == [(1, 1, 1), (2, 2, 2)]
    assert sum(found.positions.values()) == sum(len(world.log.records(f"events.{TYPE}", n)) for n in range(4))
    world.put("3.csv", "a,2024-01-01", "b,2024-01-02", "d,2024-01-02", "e,2024-01-02", "f,2024-01-03", "g", header="no,value")
    await world.run()
    later = await books.reconcile()
    measure(later)
    assert [line.difference for line in later.lines] == [0, -1]
    assert metrics.REGISTRY.get_sample_value("bus_control_totals_difference_records", {"agency": "lab", "event_type": TYPE}) == 1
    assert later.quarantined == 1
    afresh = await accounts(world).reconcile()
    assert afresh == later
    assert afresh.sha256 == later.sha256 != found.sha256


def test_the_command_prints_and_writes_what_is_signed(world: World, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> None:
    asyncio.run(deliver(world))
    count(world, "2024-01-01,Sampel,1", "2024-01-02,Sampel,3", "x,Sampel,1")
    for name, value in world.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("bus.cli.totals.connect", connected(world.log))

    def check(*more: str) -> tuple[int, str, str]:
        return answer(capsys, "totals", "check", "lab", "--report", str(tmp_path / "berita"), *more)

    code, said, err = check()
    assert (code, err) == (1, "")
    assert re.search(r"lab\.sample\.recorded\.v1 +2024-01-02 +3 +2 +\+1", said)
    assert "2024-01-01" not in said
    assert "baris 4: kolom tanggal" in said
    (page,) = (tmp_path / "berita").glob("rekonsiliasi-lab-*.html")
    text = page.read_text()
    assert "Berita Acara Rekonsiliasi" in text
    assert "Tanda tangan" in text
    (digest,) = re.findall(r"[0-9a-f]{64}", text)
    assert digest in said
    count(world, "2024-01-01,Sampel,1", "2024-01-02,Sampel,2")
    code, said, _ = check("--lang", "en", "--all")
    assert code == 0
    assert "All counts agree." in said
    code, said, _ = check("--json", "--from", "2024-01-02")
    assert code == 0
    assert [line["day"] for line in json.loads(said)[0]["lines"]] == ["2024-01-02"]


async def test_the_indicator_is_compared_too(world: World) -> None:
    await deliver(world)
    count(world, "2024-01-01,Sampel,1", "2024-01-02,Sampel,2")
    indicators = world.roots[0].parent / "schemas" / "indicators"
    indicators.mkdir()
    (indicators / "lab.samples_daily.toml").write_text(_DAILY)
    manifest = world.roots[0] / "lab" / "agency.toml"
    manifest.write_text(manifest.read_text() + f'[totals.indicators]\n"{TYPE}" = "lab.samples_daily"\n')
    world.log.create("indicators.lab.samples_daily")
    for day, value, n in ((1, "a", 1), (2, "b", 1), (2, "c", 1)):
        _show(world, day, value, n)
    found = await accounts(world).reconcile()
    assert found.agrees
    assert [(line.agency, line.bus, line.indicator) for line in found.lines] == [(1, 1, 1), (2, 2, 2)]
    _show(world, 2, "c", 0, revision=2)
    (_, wrong) = (await accounts(world).reconcile()).lines
    assert (wrong.difference, wrong.indicator, wrong.agrees) == (0, 1, False)


def _show(world: World, day: int, value: str, n: int, *, revision: int = 1) -> None:
    start = to_micros(datetime(2024, 1, day, tzinfo=LOCAL_ZONE))
    shown = output(
        indicator="lab.samples_daily", dimensions={"what": value}, window_start_us=start, window_end_us=start + 86_400_000_000, n=n,
        value=str(n), numerator=str(n), denominator="1", revision=revision,
    )  # fmt: skip
    key, content, headers = encode_output(codec(), shown)
    world.log.append(Message("indicators.lab.samples_daily", 0, key, content, headers))


_DAILY = """
id = "lab.samples_daily"
title = { id = "Sampel per hari", en = "Samples a day" }
event = "lab.sample.recorded.v1"
measure = { kind = "count" }
by = { what = "value" }
window = "1d"
unit = "sampel"
[publish]
class = "dikecualikan"
"""


def test_misuse_is_told(world: World) -> None:
    installation = Installation.load(world.settings)
    with pytest.raises(ConfigurationError, match="BUS_DLH__TOTALS_FOLDER"):
        counted(installation, "dlh")
    with pytest.raises(ConfigurationError, match="known are"):
        counted(installation, "nobody")
    del world.environ["BUS_LAB__TOTALS_FOLDER"]
    with pytest.raises(ConfigurationError, match="BUS_LAB__TOTALS_FOLDER"):
        counted(Installation.load(world.settings), "lab")
    assert not counted(Installation.load(world.settings))
    path = world.roots[0] / "lab" / "agency.toml"
    path.write_text(path.read_text().partition("[totals")[0])
    with pytest.raises(ConfigurationError, match=r"no \[totals\]"):
        counted(Installation.load(world.settings), "lab")


def test_a_manifest_whose_totals_cannot_be_is_refused(world: World) -> None:
    path = world.roots[0] / "lab" / "agency.toml"
    sound = path.read_text()
    for wrong in (sound.replace(', "totals_folder"', ""), sound.replace(f'Sampel = "{TYPE}"', 'Sampel = "lab.other.recorded.v1"')):
        path.write_text(wrong)
        with pytest.raises(ConfigurationError, match="totals"):
            _ = world.agency
    path.write_text(sound + f'[totals.indicators]\n"{TYPE}" = "dlh.pm25_mean"\n')
    with pytest.raises(ConfigurationError, match="no indicator with measure"):
        counted(Installation.load(world.settings), "lab")

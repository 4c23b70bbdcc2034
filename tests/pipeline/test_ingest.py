"""Deliveries end to end over the log in memory: what a folder of files becomes, and what delivering again changes."""

from __future__ import annotations

import asyncio
import csv
import os
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from bus import metrics
from bus.errors import ConfigurationError, Problem
from bus.ingest.deliver import Progress
from bus.ingest.files_runner import FilesRunner
from bus.settings import ROOT
from tests.pipeline.ingest_world import HEADER, ONE_EVENT, THREE_EVENTS, World, lab_agency, row

DATA = Path(os.environ.get("BUS_TEST_DATA", ROOT.parent / "shared" / "data"))
POLLUTANTS = ("pm10", "pm25", "so2", "co", "o3", "no2")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def ispu() -> Path:
    if not (DATA / "ispu").is_dir():
        reason = f"needs the real exports: set BUS_TEST_DATA to a folder with ispu/ (looked in {DATA})"
        if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
            pytest.fail(reason)
        pytest.skip(reason)
    return DATA / "ispu"


def reference(name: str) -> list[dict[str, str]]:
    with (DATA / "reference" / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


async def test_the_real_exports_equal_the_reference(world: World, ispu: Path) -> None:
    await world.run(folder=ispu)
    envelopes = world.envelopes()
    assert len(envelopes) == 1365
    assert not await world.quarantine(state=None)
    assert len({(envelope.source, envelope.sequence) for envelope in envelopes}) == 1365

    values: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    rows: Counter[tuple[str, str, str]] = Counter()
    categories: Counter[tuple[str, str, str]] = Counter()
    critical: Counter[tuple[str, str, str]] = Counter()
    unhealthy: Counter[str] = Counter()
    for (_, subject), data in world.current().items():
        station, month = subject.split("/")[0], subject.split("/")[1][:7]
        assert data["station"] == station
        for pollutant in POLLUTANTS:
            rows[station, month, pollutant] += 1
            value = data[pollutant]
            if isinstance(value, int):
                values[station, month, pollutant].append(value)
        if data["category"] is not None:
            categories[station, month, str(data["category"])] += 1
            critical[station, month, str(data["critical"])] += 1
            largest = data["max_index"]
            assert isinstance(largest, int)
            unhealthy[month] += largest > 100

    for want in reference("ispu_monthly"):
        key = (want["station"], want["month"], want["pollutant"])
        got = values.pop(key, [])
        assert rows[key] == int(want["rows"])
        assert (len(got), sum(got)) == (int(want["n_valid"]), int(want["sum"])), key
        assert (str(min(got)), str(max(got))) == (want["min"], want["max"]) if got else (want["min"], want["max"]) == ("", ""), key
    assert not values
    assert categories == {(r["station"], r["month"], r["category"]): int(r["days"]) for r in reference("ispu_category_days")}
    assert critical == {(r["station"], r["month"], r["critical_pollutant"]): int(r["days"]) for r in reference("ispu_critical_days")}
    assert +unhealthy == {r["month"]: int(r["station_days"]) for r in reference("ispu_unhealthy_city_days")}


async def test_a_restart_reads_nothing_again(world: World) -> None:
    world.put("januari.csv", row(1), row(2))
    await world.run()
    before = world.envelopes()
    await world.run()
    assert world.envelopes() == before
    assert len(world.log.records("bus.claims")) == 1


async def test_a_month_delivered_again_changes_one_fact(world: World) -> None:
    world.put("januari.csv", *(row(day) for day in range(1, 11)))
    await world.run()
    world.put("januari.csv", *(row(day, pm10="41" if day == 4 else "40") for day in range(1, 11)))
    await world.run()
    changes = world.envelopes()[10:]
    assert [(envelope.op, envelope.event.subject, envelope.event.data["pm10"]) for envelope in changes] == [
        ("CORRECT", "DKI1/2022-01-04", 41)
    ]
    assert changes[0].batch == "dlh/ispu/2"


async def test_a_name_that_goes_back_to_its_first_content_is_a_new_delivery(world: World) -> None:
    for pm10 in ("40", "41", "40"):
        world.put("januari.csv", row(1, pm10=pm10))
        await world.run()
    assert [envelope.event.data["pm10"] for envelope in world.envelopes()] == [40, 41, 40]


async def test_the_same_file_under_two_names_counts_once(world: World) -> None:
    world.put("a.csv", row(1), row(2))
    world.put("b.csv", row(1), row(2))
    await world.run()
    world.put("c.csv", row(3))
    await world.run()
    world.put("d.csv", row(1), row(2))
    await world.run()
    assert len(world.envelopes()) == 3
    assert len(world.log.records("bus.claims")) == 4


async def test_a_name_that_sorts_first_is_read_too(world: World) -> None:
    world.put("februari.csv", row(1, month=2))
    await world.run()
    world.put("april.csv", row(1, month=4))
    await world.run()
    assert len(world.envelopes()) == 2


async def test_two_spellings_of_a_station_are_one_fact(world: World) -> None:
    world.put("a.csv", row(1, "DKI5 (Kebon Jeruk)"))
    world.put("b.csv", row(1, "DKI5 (Kebon Jeruk) Jakarta Barat"))
    await world.run()
    assert len(world.envelopes()) == 1


def _cp1252(text: str) -> bytes:
    return text.replace("Bunderan HI", "Bundéran “HI”").encode("cp1252")


@pytest.mark.parametrize(
    "dress",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace(",", ";").encode(),
        lambda text: text.replace(",", "\t").encode("utf-8-sig"),
        _cp1252,
        lambda text: text.replace("Bunderan", "Bund\x81\xe9ran").encode("latin-1"),
        lambda text: text.replace("categori", "KATEGORI ").replace("tanggal", " Tanggal").encode(),
        lambda text: text.rstrip("\n").encode(),
        lambda text: text.replace("DKI1 (Bunderan HI)", '"DKI1 (Bunderan, ""HI"")\nJakarta"').encode(),
        lambda text: ("\n" + text + "\n,,,,,,,,,,\n").encode(),
    ],
    ids=["bom", "crlf", "semicolon", "tab", "cp1252", "latin1", "header", "no-final-newline", "quoted", "blank-lines"],
)
async def test_every_dress_of_a_file_gives_the_same_facts(world: World, dress: Callable[[str], bytes]) -> None:
    world.put_bytes("januari.csv", dress("\n".join([HEADER, row(1), row(2), ""])))
    await world.run()
    assert not await world.quarantine()
    assert [(e.event.subject, e.event.data["pm10"]) for e in world.envelopes()] == [("DKI1/2022-01-01", 40), ("DKI1/2022-01-02", 40)]


async def test_older_years_without_pm25_and_in_another_order(world: World) -> None:
    world.put(
        "2019.csv", "BAIK,38,DKI1 (Bunderan HI),2019-01-01,38,10,7,20,15", header="kategori,max,lokasi_spku,tanggal,pm10,so2,co,o3,no2"
    )
    await world.run()
    (envelope,) = world.envelopes()
    assert (envelope.event.data["pm25"], envelope.event.data["max_index"], envelope.event.data["critical"]) == (None, 38, "PM10")


async def test_what_is_computed_is_not_trusted(world: World) -> None:
    world.put(
        "januari.csv",
        "2022-01-01,DKI1 (Bunderan HI),---,101,,0,101,5,12,CO,BAIK",
        "2022-01-02,DKI1 (Bunderan HI),---,---,---,,,0,0,,TIDAK ADA DATA",
    )
    await world.run()
    first, second = (envelope.event.data for envelope in world.envelopes())
    assert (first["max_index"], first["category"], first["critical"], first["co"]) == (101, "TIDAK SEHAT", "PM25", None)
    assert {second[name] for name in (*POLLUTANTS, "max_index", "category", "critical")} == {None}


async def test_only_whole_files_of_the_declared_form_are_touched(world: World) -> None:
    for name in (".januari.csv", "januari.csv.part", "~$januari.csv", "januari.tmp", "januari.csv.crswap", "catatan.txt"):
        world.put(name, row(1))
    (world.folder / "arsip").mkdir()
    (world.folder / "arsip" / "lama.csv").write_text(HEADER + "\n" + row(1))
    await world.run()
    assert not world.envelopes()
    assert not world.log.records("bus.claims")


async def test_a_file_that_still_grows_waits(world: World) -> None:
    path = world.put("januari.csv", row(1))
    soon = int(world.clock.now().timestamp() * 1e9) + 60_000_000_000
    os.utime(path, ns=(soon, soon))
    looked = 0

    async def sleep(seconds: float) -> None:
        nonlocal looked
        looked += 1
        if looked == 1:
            path.write_text(path.read_text() + row(2) + "\n")
        await world.clock.sleep(seconds)

    runner = world.runner()
    source = next(iter(runner._sources.values()))
    assert isinstance(source, FilesRunner)
    source._sleep = sleep
    await runner.run(until_end=True)
    assert len(world.envelopes()) == 2
    assert len(world.log.records("bus.claims")) == 1


async def test_three_events_of_one_record(tmp_path: Path) -> None:
    connectors, schemas = lab_agency(tmp_path, mapping=THREE_EVENTS)
    world = World(tmp_path, roots=[connectors], schemas=[schemas], agency="lab")
    world.put("a.csv", "1,xyz", "2,xyz", header="no,value")
    await world.run()
    assert [(envelope.event.subject, envelope.sequence & 255) for envelope in world.envelopes()] == [
        ("1a", 0), ("1b", 1), ("1c", 2), ("2a", 0), ("2b", 1), ("2c", 2),
    ]  # fmt: skip
    world.put("a.csv", "1,xy", "2,xyz", header="no,value")
    await world.run()
    assert sorted((envelope.op, envelope.event.subject) for envelope in world.envelopes()[6:]) == [
        ("CANCEL", "1c"),
        ("CORRECT", "1a"),
        ("CORRECT", "1b"),
    ]


async def test_what_is_missing_from_a_table_is_cancelled_unless_something_was_refused(tmp_path: Path) -> None:
    connectors, schemas = lab_agency(tmp_path, mapping=ONE_EVENT)
    world = World(tmp_path, roots=[connectors], schemas=[schemas], agency="lab")
    world.put("1.csv", "1,a", "2,b", "3,c", header="no,value")
    await world.run()
    world.put("2.csv", "1,a", "2,b,too many", header="no,value")
    await world.run()
    assert len(world.envelopes()) == 3
    assert len(await world.quarantine()) == 1
    world.put("3.csv", "1,a", header="no,value")
    await world.run()
    assert [(envelope.op, envelope.event.subject) for envelope in world.envelopes()[3:]] == [
        ("CORRECT", "1"),
        ("CANCEL", "2"),
        ("CANCEL", "3"),
    ]
    world.put("4.csv", header="no,value")
    await world.run()
    assert list(world.current()) == [("lab.sample.recorded.v1", "1")]
    assert [entry.reason["rule"] for entry in await world.quarantine()][-1] == "empty_file"


async def test_the_folder_may_go_away_and_come_back_while_watched(world: World) -> None:
    world.put("januari.csv", row(1))
    task = asyncio.create_task(world.runner().run(until_end=False))
    away = world.folder.with_name("away")
    await _until(lambda: len(world.envelopes()) == 1)
    world.folder.rename(away)
    for _ in range(50):
        await asyncio.sleep(0)
    assert not task.done()
    away.rename(world.folder)
    world.put("februari.csv", row(1, month=2))
    await _until(lambda: len(world.envelopes()) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_source_whose_system_is_not_as_it_is_configured_looks_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put("januari.csv", row(1))
    run, wrong = FilesRunner.run, [ConfigurationError([Problem("tabel", "has no column tanggal")]) for _ in range(2)]
    gauge = metrics.source_misconfigured.labels("dlh", "ispu")

    async def refusing(self: FilesRunner, *, until_end: bool) -> None:
        if wrong:
            raise wrong.pop()
        await run(self, until_end=until_end)

    monkeypatch.setattr(FilesRunner, "run", refusing)
    with pytest.raises(ConfigurationError, match="has no column tanggal"):
        await world.runner().run(until_end=True)
    wrong.append(ConfigurationError([Problem("tabel", "has no column tanggal")]))
    task = asyncio.create_task(world.runner().run(until_end=False))
    await _until(lambda: len(world.envelopes()) == 1)
    assert not task.done()
    assert world.clock.elapsed >= 60
    assert gauge._value.get() == 0
    task.cancel()


async def test_pace_and_progress(world: World) -> None:
    world.put("januari.csv", *(row(day) for day in range(1, 21)))
    seen: list[Progress] = []
    runner = world.runner(pace=10, seen=seen)
    await runner.run(until_end=True)
    assert 1.99 <= world.clock.elapsed < 4.0
    assert runner.status()[0].records == 20
    assert seen[-1].bytes_done == seen[-1].bytes_total == (world.folder / "januari.csv").stat().st_size
    assert [progress.records for progress in seen] == sorted(progress.records for progress in seen)


async def test_missing_folders_are_said_clearly(world: World, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"agency dlh: .*nowhere, which is no folder"):
        await world.run(folder=tmp_path / "nowhere")


async def _until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not met():
            await asyncio.sleep(0.01)

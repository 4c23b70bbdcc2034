"""Real exports of agencies, read by the real connector into a log in memory: the answers are those that others computed."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter, defaultdict
from pathlib import Path

from bus.events.envelope import Op
from bus.ingest.files import Seen, examine
from bus.ingest.formats.opening import open_records
from bus.ingest.kinds import FilesSpec
from bus.ingest.source import BadRecord, FileRefused, RawRecord
from tests.pipeline.ingest_world import place_of
from tests.sources.files_world import changes, overlay_world, reference, take


async def test_a_table_in_another_order_changes_nothing(tmp_path: Path, bus_test_data: Path) -> None:
    world = overlay_world(tmp_path, "zona")
    names = take(world, sorted((bus_test_data / "zona_kecamatan").glob("*.csv")))
    await world.run()
    found = changes(world)
    assert found == {1: Counter({Op.CREATE: 5201})}
    answers = {row["file"]: row for row in reference(bus_test_data, "zona_delivery_diff.csv")}
    for delivery, name in enumerate(names[1:], 2):
        now, answer = found.get(delivery, Counter()), answers[name]
        wanted = [int(answer[column]) for column in ("new_codes", "dropped_codes", "changed_total_or_level")]
        assert [now[Op.CREATE], now[Op.CANCEL], now[Op.CORRECT]] == wanted
    assert not await world.quarantine(state=None)
    boyolali = [row for row in reference(bus_test_data, "zona_boyolali_kecamatan.csv") if row["file"] == names[-1]]
    assert len(boyolali) == 19
    facts = world.current()
    for row in boyolali:
        data = facts["zona.risk.recorded.v1", row["kode_kecamatan"]]
        assert (data["population"], data["cases"], data["level"]) == (row["penduduk"], row["kasus_total"], row["level"])


async def test_a_growing_file_says_each_price_once(tmp_path: Path, bus_test_data: Path) -> None:
    world = overlay_world(tmp_path, "harga")
    names = take(world, sorted((bus_test_data / "harga_pangan" / "bandung_versi").glob("*.csv")))
    await world.run()
    found = changes(world)
    answers = {row["delivery"]: row for row in reference(bus_test_data, "harga_bandung_incremental.csv")}
    # the reference takes days by their spelling; the first delivery spells four days as 9/13/2025, and later ones spell them again
    first = csv.DictReader(io.StringIO((world.folder / names[0]).read_text()))
    spelled_anew = {names[1]: sum("/" in row["Timestamp"] for row in first)}
    assert spelled_anew[names[1]] == 100
    for delivery, name in enumerate(names, 1):
        answer, anew = answers[name], spelled_anew.get(name, 0)
        assert found[delivery] == Counter({Op.CREATE: int(answer["new_keys"]) - anew})
        unchanged = int(answer["rows_in_file"]) - found[delivery].total()
        assert unchanged == int(answer["already_seen_identical"]) + anew
    assert len(world.current()) == 1225
    assert not await world.quarantine(state=None)


async def test_workbooks_whose_columns_change_and_repeat(tmp_path: Path, bus_test_data: Path) -> None:
    world = overlay_world(tmp_path, "covid")
    take(world, sorted((bus_test_data / "covid_kelurahan").glob("*.xlsx")))
    await world.run()
    assert not await world.quarantine(state=None)
    sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    totals, rows = {}, Counter[str]()
    for (_, subject), data in world.current().items():
        day = subject.partition("/")[0]
        rows[day] += 1
        if data["total"] is not None:
            totals[day] = str(data["total"])
            continue
        group = sums[day, str(data["city"]), str(data["district"])]
        for at, number in enumerate((1, *(int(str(data[name])) for name in ("positive", "recovered", "dead")))):
            group[at] += number
    wanted = {
        (row["date"], row["kota"], row["kecamatan"]): [int(row[name]) for name in ("kelurahan_rows", "positif", "sembuh", "meninggal")]
        for row in reference(bus_test_data, "covid_kecamatan.csv")
    }
    assert sums == wanted
    for row in reference(bus_test_data, "covid_total_check.csv"):
        assert totals[row["date"]] == row["positif_TOTAL_row"]
    assert rows == {row["date"]: int(row["rows_without_header"]) for row in reference(bus_test_data, "covid_layout.csv")}


async def test_snapshots_become_what_begins_and_what_is_over(tmp_path: Path, bus_test_data: Path) -> None:
    world = overlay_world(tmp_path, "banjir")
    names = take(world, sorted((bus_test_data / "banjir_bpbd").glob("*.geojson")))
    await world.run()
    found, state = changes(world), {row["snapshot"]: row for row in reference(bus_test_data, "banjir_snapshot_state.csv")}
    wanted = {row["snapshot"]: row for row in reference(bus_test_data, "banjir_snapshot_diff.csv")}
    # a snapshot that repeats the one before it byte for byte has a number, too, and no events
    assert len(names) == 48
    before = 0
    for delivery, name in enumerate(names, 1):
        snapshot = name.removeprefix("jkt_floods_").removesuffix(".geojson")
        now, flooded = found.get(delivery, Counter()), int(state[snapshot]["rw_flooded"])
        if delivery == 1:
            assert now == Counter({Op.CREATE: flooded})
        else:
            row = wanted[snapshot]
            assert (now[Op.CREATE], now[Op.CANCEL]) == (int(row["rw_entered"]), int(row["rw_cleared"]))
            stayed = before - now[Op.CANCEL]
            assert now[Op.CORRECT] == stayed - int(row["rw_identical"])
            assert now[Op.CORRECT] >= int(row["rw_state_changed"])
        before = flooded
    assert len(world.current()) == before == 76
    assert not await world.quarantine(state=None)


#: Where no header is to be recognised: four begin at once with accounts, of one the column of amounts has no name.
_HEADLESS = {
    "3401_1474293408.csv": ("no_header", ""), "3401_1475658738.csv": ("no_header", ""), "3401_1475844860.csv": ("no_header", ""),
    "3471_1475215999.csv": ("no_header", ""), "3471_1475216282.csv": ("missing_column", "nilai"),
}  # fmt: skip


def test_budgets_are_read_as_others_read_them(tmp_path: Path, bus_test_data: Path) -> None:
    """Per file: where the header is, what the title rows say, how many rows there are, how many have a code and how many no amount."""
    spec = overlay_world(tmp_path, "apbd").agency.manifest.sources["files"]
    assert isinstance(spec, FilesSpec)
    headless: dict[str, tuple[str, str]] = {}
    differing: dict[str, dict[str, str]] = {}
    broken = 0
    for answer in reference(bus_test_data, "apbd_files.csv"):
        path = bus_test_data / "apbd" / "csv" / answer["file"]
        info = path.stat()
        facts = examine(Seen(path, info.st_size, info.st_mtime_ns))
        with path.open("rb") as stream:
            try:
                file = open_records(stream, spec, name=path.name, encoding=facts.encoding)
            except FileRefused as refused:
                headless[path.name] = (refused.rule, refused.field)
                continue
            records = list(file)
        assert ("cp1252" if facts.encoding == "cp1252" else "utf-8", file.delimiter) == (answer["encoding"], answer["delimiter"])
        assert [name.strip() for name in file.header] == [name.strip() for name in answer["header"].rstrip("|").split("|")], path.name
        titles = {name: file.extra[name] for name in ("daerah", "tahun", "kode_organisasi", "organisasi", "judul", "kolom")}
        other = {name: answer[name] for name in titles if titles[name] != answer[name]}
        if other:
            differing[path.name] = other
        # a comma in a text without quotes shifts what stands behind it: such a row is refused, where the reference reads on
        bad = [record for record in records if isinstance(record, BadRecord)]
        assert {record.reason.rule for record in bad} <= {"field_count"}
        broken += len(bad)
        codes = [str(record.values["kode"]) if isinstance(record, RawRecord) else record.raw.split(file.delimiter)[0] for record in records]
        assert len(records) == int(answer["rows"]), path.name
        assert sum(bool("".join(code.split()).strip(".")) for code in codes) == int(answer["rows_with_code"]), path.name
        blank = sum(not str(record.values["nilai"]).strip() for record in records if isinstance(record, RawRecord))
        assert blank == int(answer["amount_blank"]), path.name
    assert headless == _HEADLESS
    # two rows are titled "Kode Organisasi" there; the first has the code, the reference takes the last
    assert differing == {"3404_1477249510.csv": {"kode_organisasi": "Dinas Kependudukan dan Pencatatan Sipil"}}
    assert 0 < broken < 50  # of 37,358 rows


async def test_budgets_go_through_the_connector(tmp_path: Path, bus_test_data: Path) -> None:
    world = overlay_world(tmp_path, "apbd")
    answers = [
        row for row in reference(bus_test_data, "apbd_files.csv") if row["file"].startswith(("3402", "_", "34_")) or not row["header_row"]
    ]
    take(world, [bus_test_data / "apbd" / "csv" / row["file"] for row in answers])
    await world.run()
    entries = await world.quarantine(state=None)
    assert [(place_of(entry).delivery, place_of(entry).line, entry.reason["rule"], entry.reason["field"]) for entry in entries] == [
        (number, 0, *_HEADLESS[row["file"]]) for number, row in enumerate(answers, 1) if not row["header_row"]
    ]
    found, before = changes(world), ""
    for number, row in enumerate(answers, 1):
        repeated = row["sha1_12"] == before
        assert found.get(number, Counter()).total() == (0 if repeated else int(row["rows_with_code"] or 0)), row["file"]
        before = row["sha1_12"] if row["header_row"] else ""


async def test_inhabitants_from_a_file_with_a_byte_order_mark(tmp_path: Path, bus_test_data: Path) -> None:
    world = overlay_world(tmp_path, "penduduk")
    take(world, [bus_test_data / "penduduk" / "jakarta_population_density.csv"])
    await world.run()
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for data in world.current().values():
        group = sums[str(data["city"]), str(data["district"])]
        group[0] += 1
        group[1] += int(str(data["population"]))
    rows = reference(bus_test_data, "penduduk_kecamatan.csv")
    assert sums == {(row["city"], row["district"]): [int(row["subdistricts"]), int(row["population"])] for row in rows}
    assert not await world.quarantine(state=None)
    assert os.listdir(world.folder) == ["jakarta_population_density.csv"]  # an input given by hand is only read  # noqa: PTH208

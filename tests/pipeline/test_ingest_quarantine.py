"""What is refused ends in quarantine with a message that can be acted on; the rest goes on; after the mending it comes in."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import pytest

from bus.errors import ConfigurationError, RecordError
from bus.ingest.quarantine import Place
from bus.ingest.seal import private_key_path
from bus.kafka.ports import Message
from bus.ops.quarantine import show
from tests.pipeline.ingest_world import HEADER, ONE_EVENT, Crash, World, lab_agency, place_of, row

GOOD = (row(1), row(2))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_nothing_refused_stops_the_others_and_each_says_what_is_wrong(world: World) -> None:
    bad = {
        "malformed": "2022-01-03,DKI1 (Bunderan HI),40,60",
        "range": row(4, pm10="501"),
        "text": row(5, pm10="empat puluh"),
        "category": row(6, category="CUKUP"),
        "station": row(7, "DKI9 (Entah)"),
        "date": row(31, month=2),
        "quote": '2022-01-09,"DKI1 (Bunderan HI),40,60,20,10,30,15,60,PM25,SEDANG',
    }
    world.put("januari.csv", GOOD[0], *bad.values(), GOOD[1])
    await world.run()
    assert [envelope.event.subject for envelope in world.envelopes()] == ["DKI1/2022-01-01", "DKI1/2022-01-02"]
    found = dict(zip(bad, await world.quarantine(), strict=True))
    said = {
        name: (place_of(e).line, e.reason["rule"], e.reason["field"], e.reason.get("received", e.reason.get("shape")), e.reason["allowed"])
        for name, e in found.items()
    }
    index = "1..500, '---', kosong/blank, 0 (tanpa data/no data)"
    assert said == {
        "malformed": (3, "field_count", "", "4 kolom/fields", "11 kolom/fields"),
        "range": (4, "out_of_range", "pm10", "501", index),
        "text": (5, "invalid_value", "pm10", "empat puluh", index),
        "category": (6, "unknown_value", "categori", "CUKUP", "BAIK, SEDANG, TIDAK SEHAT, SANGAT TIDAK SEHAT, BERBAHAYA, TIDAK ADA DATA"),
        "station": (7, "unknown_value", "stasiun", "DKI9 (Entah)", "DKI1, DKI2, DKI3, DKI4, DKI5"),
        "date": (8, "invalid_value", "tanggal", "2022-02-31", "tanggal/date YYYY-MM-DD"),
        "quote": (9, "open_quote", "", "", "11 kolom/fields"),
    }
    assert found["range"].reason["message"] == (
        f"Berkas januari.csv, baris 4, kolom pm10: nilai di luar batas; diterima '501'; yang dibolehkan: {index}."
    )
    assert (
        found["range"].reason["message_en"]
        == f"File januari.csv, line 4, field pm10: the value is out of range; received '501'; allowed: {index}."
    )


@pytest.mark.parametrize(
    ("name", "content", "rule", "field", "said"),
    [
        ("suhu.csv", f"{HEADER},suhu\n{row(1)},30\n".encode(), "unknown_column", "suhu", "kolom suhu: kolom tidak dikenal di baris judul; yang dibolehkan: t"),
        ("kurang.csv", HEADER.replace("pm10,", "").encode() + b"\n", "missing_column", "pm10", "baris 1, kolom pm10: kolom wajib tidak ada"),
        ("ganda.csv", HEADER.replace("pm25", "pm10").encode() + b"\n", "duplicate_column", "pm10", "kolom pm10: nama kolom muncul lebih dari sekali"),
        ("tanpa.csv", (row(1) + "\n").encode(), "no_header", "", "baris pertama bukan baris judul"),
        ("kosong.csv", b"", "empty_file", "", "berkas kosong"),
        ("biner.csv", b"\x89PNG\0\0", "binary_file", "", "berkas biner"),
        ("lebar.csv", f"{HEADER}\n{row(1)}\n".encode("utf-16"), "binary_file", "", "berkas biner"),
    ],
)  # fmt: skip
async def test_a_file_that_cannot_be_mapped_is_one_record(
    world: World, name: str, content: bytes, rule: str, field: str, said: str
) -> None:
    world.put_bytes(name, content)
    world.put("baik.csv", *GOOD)
    await world.run()
    assert len(world.envelopes()) == 2
    (entry,) = await world.quarantine()
    assert (place_of(entry).line, entry.reason["rule"], entry.reason["field"], entry.file) == (0, rule, field, name)
    assert f"Berkas {name}" in entry.reason["message"]
    assert said in entry.reason["message"]
    if content:
        key = private_key_path(world.settings.data_dir / "keys", "dlh")
        assert (await show(world.log, "dlh", place_of(entry), private_key=key)).content == content


async def test_a_truncated_file_keeps_its_whole_lines(world: World) -> None:
    world.put_bytes("potong.csv", f"{HEADER}\n{GOOD[0]}\n{row(2)[:30]}".encode())
    world.put_bytes("kutip.csv", f'{HEADER}\n{GOOD[1]}\n2022-01-03,"DKI1 (Bund'.encode())
    await world.run()
    assert len(world.envelopes()) == 2
    assert [(entry.reason["rule"], place_of(entry).line) for entry in await world.quarantine()] == [("truncated", 3), ("truncated", 3)]


async def test_what_cannot_be_read_at_all(world: World) -> None:
    (world.folder / "folder.csv").mkdir()
    (world.folder / "rusak.csv").symlink_to("/proc/self/mem")  # opens, and fails to read, whoever asks
    world.put("baik.csv", *GOOD)
    await world.run()
    await world.run()
    assert len(world.envelopes()) == 2
    assert {entry.file: entry.reason["rule"] for entry in await world.quarantine()} == {
        "folder.csv": "not_a_file",
        "rusak.csv": "unreadable",
    }
    (world.folder / "rusak.csv").unlink()
    world.put("rusak.csv", row(3))
    await world.run()
    assert len(world.envelopes()) == 3


async def test_the_same_key_with_other_content_in_one_file(world: World) -> None:
    world.put("januari.csv", row(1), row(1, "DKI1 (Bundaran HI)"), row(1, pm10="44"))
    await world.run()
    assert [envelope.event.data["pm10"] for envelope in world.envelopes()] == [40]
    (entry,) = await world.quarantine()
    assert (place_of(entry).line, entry.reason["rule"], entry.reason["received"]) == (4, "duplicate_key", "baris/line 2")


async def test_an_identity_number_never_leaves_the_seal(tmp_path: Path) -> None:
    connectors, schemas = lab_agency(tmp_path, mapping=ONE_EVENT, kind="append")
    world = World(tmp_path, roots=[connectors], schemas=[schemas], agency="lab")
    nik = "3309014101900001"
    world.put(f"warga-{nik}.csv", f"1,{nik}", f"2,{nik},x", f"{nik},ok", header="no,value")
    world.put("judul.csv", "1,2", header=f"no,{nik}")
    await world.run()
    assert len(await world.quarantine()) == 4
    assert nik not in world.everything_clear()
    for topic in world.topics:
        for partition in range(4):
            assert all(nik.encode() not in (record.value or b"") for record in world.log.records(topic, partition))


async def test_a_fault_of_the_mapping_is_the_records_and_says_no_value(tmp_path: Path) -> None:
    connectors, schemas = lab_agency(
        tmp_path, mapping=ONE_EVENT.replace("    yield", "    if record['value'] == 'secret': raise OSError(record['value'])\n    yield")
    )
    world = World(tmp_path, roots=[connectors], schemas=[schemas], agency="lab")
    world.put("1.csv", "1,a", "2,secret", "3,c", header="no,value")
    await world.run()
    assert len(world.envelopes()) == 2
    (entry,) = await world.quarantine()
    assert (entry.reason["rule"], entry.reason["shape"]) == ("mapping_failed", "OSError")
    assert "secret" not in world.everything_clear()


def _lab(tmp_path: Path, mapping: str = ONE_EVENT, columns: tuple[str, ...] = ("no", "value")) -> World:
    connectors, schemas = lab_agency(tmp_path, mapping=mapping, kind="append", columns=columns)
    return World(tmp_path, roots=[connectors], schemas=[schemas], agency="lab")


BROKEN = ONE_EVENT.replace("    yield", "    if record['value'] == 'new': raise ValueError\n    yield")


async def test_replay_after_the_mapping_is_mended(tmp_path: Path) -> None:
    world = _lab(tmp_path, BROKEN)
    world.put("1.csv", "1,a", "2,new", header="no,value")
    await world.run()
    (still,) = await world.replay()
    assert not still.resolved
    assert "baris 3: pemetaan gagal" in still.problem
    world = _mended(world, tmp_path)
    (done,) = await world.replay()
    assert (done.resolved, done.events) == (True, 1)
    replayed = world.envelopes()[-1]
    assert (replayed.source, replayed.sequence, replayed.version) == ("lab/samples#1.3", 1, (1 << 40) + (3 << 8))
    assert [entry.state for entry in await world.quarantine(state=None)] == ["resolved"]
    before = world.envelopes()
    assert await world.replay() == []
    assert world.envelopes() == before


async def test_replay_of_a_whole_file_after_its_column_is_known(tmp_path: Path) -> None:
    world = _lab(tmp_path)
    world.put("1.csv", "1,a,x", "2,b,y,z", "3,c,x", header="no,value,extra")
    await world.run()
    assert not world.envelopes()
    world = _mended(world, tmp_path, columns=("no", "value", "extra"))
    (done,) = await world.replay()
    assert (done.resolved, done.events, done.refused) == (True, 2, 1)
    assert {envelope.source for envelope in world.envelopes()} == {"lab/samples#1.0"}
    assert [(place_of(entry).key, entry.state) for entry in await world.quarantine(state=None)] == [
        ("lab/samples|1|0", "resolved"),
        ("lab/samples|1|3", "open"),
    ]
    before = world.envelopes()
    await world.replay()
    assert world.envelopes() == before


async def test_a_replay_never_covers_what_a_later_delivery_said(tmp_path: Path) -> None:
    world = _lab(tmp_path, BROKEN)
    world.put("1.csv", "1,a", header="no,value")
    await world.run()
    world.put("2.csv", "1,new", header="no,value")
    await world.run()
    world.put("3.csv", "1,a", header="no,value")
    await world.run()
    world = _mended(world, tmp_path)
    await world.replay()
    assert world.current()["lab.sample.recorded.v1", "1"] == {"value": "a"}


async def test_a_crash_between_publishing_and_marking_is_harmless(tmp_path: Path) -> None:
    world = _lab(tmp_path, BROKEN)
    world.put("1.csv", "1,new", "2,new", header="no,value")
    await world.run()
    world = _mended(world, tmp_path)
    for effect in range(4):
        left = effect

        def hook(message: Message) -> None:
            nonlocal left
            if left == 0:
                raise Crash
            left -= 1

        world.log.on_effect = hook
        with pytest.raises(Crash):
            await world.replay()
        world.log.on_effect = None
        if effect == 2:
            break
    await world.replay()
    assert not await world.quarantine()
    assert [(envelope.source, envelope.event.subject) for envelope in world.folded()] == [
        ("lab/samples#1.2", "1"),
        ("lab/samples#1.3", "2"),
    ]


async def test_a_large_file_travels_in_sealed_parts(tmp_path: Path) -> None:
    world = _lab(tmp_path)
    lines = [f"{number},{'x' * 1000},extra" for number in range(1500)]
    world.put("besar.csv", *lines, header="no,value,unknown")
    await world.run()
    (entry,) = await world.quarantine()
    assert entry.parts == 3
    assert all(len(record.value or b"") < 1_000_000 for record in world.log.records("quarantine.lab"))
    world.log.compact("quarantine.lab")
    world = _mended(world, tmp_path, columns=("no", "value", "unknown"))
    (done,) = await world.replay(place_of(entry))
    assert (done.events, done.refused) == (1500, 0)
    world.log.compact("quarantine.lab")
    assert all(b'sealed":""' in (record.value or b'sealed":""') for record in world.log.records("quarantine.lab"))


async def test_only_the_key_opens(world: World, tmp_path: Path) -> None:
    world.put("januari.csv", row(1, pm10="501"))
    await world.run()
    (entry,) = await world.quarantine()
    keys = world.settings.data_dir / "keys"
    assert (await show(world.log, "dlh", place_of(entry), private_key=private_key_path(keys, "dlh"))).content.decode() == row(
        1, pm10="501"
    ) + "\n"
    assert private_key_path(keys, "dlh").stat().st_mode & 0o77 == 0
    other = tmp_path / "other.private"
    other.write_bytes(base64.b64encode(bytes(range(32))))
    with pytest.raises(RecordError, match="does not open with this key"):
        await show(world.log, "dlh", place_of(entry), private_key=other)
    with pytest.raises(ConfigurationError, match="cannot be read as a key"):
        await show(world.log, "dlh", place_of(entry), private_key=tmp_path / "none")
    with pytest.raises(ConfigurationError, match=r"is not in the quarantine; open are: dlh/ispu\|1\|2"):
        await show(world.log, "dlh", Place("dlh/ispu", 9, 9), private_key=private_key_path(keys, "dlh"))


def _mended(world: World, tmp_path: Path, columns: tuple[str, ...] = ("no", "value")) -> World:
    """The same installation after its mapping was mended and its processes were started again."""
    again = _lab(tmp_path, ONE_EVENT.replace("def to_events", "# mended\ndef to_events"), columns)
    again.log, again.clock = world.log, world.clock
    sys.modules.pop("connectors.lab.mapping", None)
    return again

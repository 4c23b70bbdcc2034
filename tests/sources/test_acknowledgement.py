"""Acknowledgements: one for every finished delivery, whatever it is stopped after, and nothing personal in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bus.ingest.files import FolderAway, scan
from bus.ingest.folder import LocalFolder
from tests.pipeline.ingest_world import Crash, deliver_tables, facts
from tests.sources.files_made import packed
from tests.sources.files_world import AgencyWorld, lab_agency_world

NIK = "3374010101900001"


def timeless(receipts: dict[str, str]) -> dict[str, str]:
    return {
        name: "\n".join(line for line in text.splitlines() if not line.startswith("Selesai")) for name, text in receipts.items()
    }  # fmt: skip


async def test_it_says_what_became_of_each_file(tmp_path: Path) -> None:
    world = lab_agency_world(tmp_path)
    deliver_tables(world)
    await world.run()
    found = world.receipts()
    assert list(found) == [f"{n:07d}_{n}.csv.bukti.txt" for n in range(1, 7)]
    counts = {
        int(name[:7]): [int(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[-1:].isdigit() and line.startswith(("  ", "Dibatalkan", "Baris"))]
        for name, text in found.items()
        if "records accepted" in text
    }  # fmt: skip
    # accepted, new, corrected, unchanged, cancelled, refused
    assert counts == {1: [8, 8, 0, 0, 0, 0], 2: [8, 1, 1, 6, 1, 0], 4: [2, 0, 1, 1, 0, 2], 6: [2, 0, 2, 0, 6, 0]}
    assert "Hasil: sama dengan kiriman 2; tidak ada yang perlu diubah\nOutcome: equal to delivery 2" in found["0000003_3.csv.bukti.txt"]
    assert "Hasil: diterima sebagian" in found["0000004_4.csv.bukti.txt"]
    assert "2. Berkas 4.csv, baris 4: jumlah kolom tidak sesuai" in found["0000004_4.csv.bukti.txt"]
    assert "   File 4.csv, line 4: the number of fields differs" in found["0000004_4.csv.bukti.txt"]
    whole = found["0000005_5.csv.bukti.txt"]
    assert "Hasil: DITOLAK" in whole
    assert "kolom unknown: kolom tidak dikenal di baris judul" in whole
    claims = " ".join(record.value.decode() for record in world.log.records("bus.claims") if record.value)
    hashes = [line.removeprefix("SHA-256: ") for text in found.values() for line in text.splitlines() if line.startswith("SHA-256")]
    assert len(hashes) == 6
    assert all(content in claims for content in hashes)
    assert "pukul 07.00" in found["0000001_1.csv.bukti.txt"]  # the clock stands at midnight UTC
    assert "WIB" in found["0000001_1.csv.bukti.txt"]


async def test_nothing_personal_is_in_it(tmp_path: Path) -> None:
    world = lab_agency_world(tmp_path)
    world.put(f"{NIK}.csv", f"1,{NIK}", f"1,{NIK}0", f"2,{NIK},{NIK}", header="no,value")
    world.put("b.csv", f"1,{NIK}", header=f"no,value,{NIK}")
    world.put_bytes("c.zip", packed({f"{NIK}.csv": f"no,value\n{NIK},1,2\n", "d.csv": "no,value\n"}))
    await world.run()
    found = world.receipts()
    assert len(found) == 3
    assert "Baris ditolak / records refused: 3" in found["0000001_(16 angka).csv.bukti.txt"]
    assert NIK not in repr(found)


async def test_they_are_no_inputs_and_are_not_written_twice(tmp_path: Path) -> None:
    world = lab_agency_world(tmp_path)
    world.put("a.csv", "1,a", header="no,value")
    await world.run()
    before = world.receipts()
    (world.folder / f"lama{'.bukti.txt'}").write_text("x")
    await world.run()
    assert world.receipts() == before
    assert [seen.name for seen in scan(world.folder, ["*"])] == ["a.csv"]
    assert not await world.quarantine(state=None)


@pytest.mark.parametrize("how", ["input", "manifest"])
async def test_nobody_who_does_not_want_them_gets_them(tmp_path: Path, how: str) -> None:
    world = lab_agency_world(tmp_path, spec="acknowledge = false" if how == "manifest" else "")
    world.put("a.csv", "1,a", header="no,value")
    if how == "input":
        world.__class__ = AgencyWorld.__mro__[1]  # a folder given for this run
    await world.run()
    assert world.envelopes()
    assert not (world.folder / "bukti").exists()


async def test_a_folder_that_takes_none_is_read_all_the_same(tmp_path: Path) -> None:
    world = lab_agency_world(tmp_path)
    (world.folder / "bukti").write_text("no folder, and in the way of one")
    world.put("a.csv", "1,a", header="no,value")
    world.put("b.csv", "1,b", header="no,value")
    with capture_logs() as logs:
        await world.run()
    assert len(world.envelopes()) == 2
    assert sum("acknowledgements cannot be written" in str(entry["event"]) for entry in logs) == 1


async def test_killed_at_any_effect_each_finished_delivery_has_its_own(tmp_path: Path) -> None:
    whole = lab_agency_world(tmp_path / "whole")
    deliver_tables(whole)
    await whole.run()
    wanted, effect, crashed = timeless(whole.receipts()), 0, True
    assert len(wanted) == 6
    while crashed:
        world = lab_agency_world(tmp_path / str(effect))
        deliver_tables(world)
        crashed = await world.run_until_crash(effect)
        stopped = world.receipts()
        world.clock.advance(60)
        await world.run()
        assert timeless(world.receipts()) == wanted, effect
        assert {name: text for name, text in world.receipts().items() if name in stopped} == stopped
        assert facts(world.folded()) == facts(whole.folded())
        effect += 1
    assert effect > 30


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 7))
async def test_killed_while_one_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, after: bool) -> None:
    world = lab_agency_world(tmp_path)
    deliver_tables(world)
    put = LocalFolder._put
    calls = 0

    def dying(self: LocalFolder, name: str, content: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls == number and not after:
            (world.folder / "bukti").mkdir(exist_ok=True)
            (world.folder / "bukti" / f".{name}.part").write_bytes(content[:20])
            raise Crash
        put(self, name, content)
        if calls == number:
            raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(LocalFolder, "_put", dying)
        with pytest.raises(Crash):
            await world.run()
    assert len(world.receipts()) == number
    world.clock.advance(60)
    await world.run()
    names = [f"{n:07d}_{n}.csv.bukti.txt" for n in range(1, 7)]
    assert list(world.receipts()) == names
    assert all(
        (text.startswith("BUKTI") and text.endswith(".\n")) or "\nBaris ditolak" in text or "sama dengan" in text
        for text in world.receipts().values()
    )


@pytest.mark.parametrize("failures", [1, 3, 8])
async def test_they_wait_for_a_folder_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
    world = lab_agency_world(tmp_path)
    deliver_tables(world)
    put, left = LocalFolder.put_receipt, failures

    async def away(self: LocalFolder, name: str, content: bytes) -> None:
        nonlocal left
        if left:
            left -= 1
            raise FolderAway("the line is down")
        await put(self, name, content)

    monkeypatch.setattr(LocalFolder, "put_receipt", away)
    await world.run()
    assert left == 0
    assert [int(name[:7]) for name in world.receipts()] == list(range(1, 7))


async def test_a_file_that_vanishes_is_acknowledged_too(tmp_path: Path) -> None:
    world = lab_agency_world(tmp_path)
    path = world.put("a.csv", "1,a", header="no,value")
    effect = 0
    while not any(record.value for record in world.log.records("bus.claims")):
        world.log = world.fresh_log()
        await world.run_until_crash(effect)
        effect += 1
    path.unlink()
    world.clock.advance(60)
    await world.run()
    assert "berkas hilang sebelum selesai dibaca" in world.receipts()["0000001_a.csv.bukti.txt"]


def test_names_of_old_kinds_stay_inputs(tmp_path: Path) -> None:
    for name in ("bukti", "x.bukti.txt", "X.BUKTI.TXT", "bukti.csv", ".x"):
        (tmp_path / name).write_text("")
    assert [seen.name for seen in scan(tmp_path, ["*"])] == ["bukti.csv"]

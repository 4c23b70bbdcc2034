"""The generated exports are the same every time and carry every kind of mess that the real ones have."""

from __future__ import annotations

import csv
import io

from tests.live.made_exports import exports


def _rows(content: bytes) -> list[dict[str, str]]:
    text = content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text), delimiter=";" if ";" in text.splitlines()[0] else ","))


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert [export.content for export in exports(seed=3)] == [export.content for export in exports(seed=3)]
    assert [export.content for export in exports(seed=3)] != [export.content for export in exports(seed=4)]


def test_every_kind_of_mess_is_there() -> None:
    made = list(exports())
    rows = [row for export in made for row in _rows(export.content)]
    contents = [export.content for export in made]
    assert any(content.startswith(b"\xef\xbb\xbf") for content in contents)
    assert any(b"\r\n" in content for content in contents)
    assert any(b";" in content for content in contents)
    spellings = {row["stasiun"] for row in rows if row["stasiun"].startswith("DKI5")}
    assert spellings == {"DKI5 (Kebon Jeruk) Jakarta Barat", "DKI5 (Kebon Jeruk)"}
    assert any(row["pm25"] == "---" for row in rows)
    assert any(row["pm25"] == "" for row in rows)
    empty = [row for row in rows if row["categori"] == "TIDAK ADA DATA"]
    assert empty
    assert {(row["max"], row["critical"]) for row in empty} == {("0", "")}
    assert any(row["critical"] == "CO" and row["co"] != row["max"] for row in rows)
    assert sum(export.malformed for export in made) == 1
    assert [row for row in rows if row["tanggal"] == "2024-02-31"]


def test_files_are_complete_months_of_all_stations() -> None:
    january = next(exports(year=2023, months=3))
    assert january.name == "indeks-standar-pencemar-udara-di-spku-bulan-januari-tahun-2023.csv"
    assert len({(row["tanggal"], row["stasiun"][:4]) for row in _rows(january.content)}) == 5 * 31

"""A reference table is its content: typed, dated, with one fingerprint for one meaning; a wrong one says everything that is wrong."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import ConfigurationError
from bus.indicators.reference import Value
from bus.indicators.reference_files import load_references
from bus.settings import ROOT
from tests.unit.indicators.tables import FORM, REGIONS, problems_of, table

PEOPLE = """
title = { id = "Penduduk", en = "Population" }
version = 3
source = "made up"
licence = "CC0-1.0"
key = ["kode", "jenis"]
period = ["dari", "sampai"]
[columns]
kode = { about = { id = "Kode", en = "Code" } }
jenis = { about = { id = "Jenis", en = "Kind" }, allowed = ["L", "P"] }
dari = { about = { id = "Dari", en = "From" }, type = "date", blank = true }
sampai = { about = { id = "Sampai", en = "Until" }, type = "date", blank = true }
jiwa = { about = { id = "Jiwa", en = "People" }, type = "integer", blank = true }
luas = { about = { id = "Luas", en = "Area" }, type = "decimal" }
kota = { about = { id = "Kota", en = "Town" }, type = "boolean" }
catatan = { about = { id = "Catatan", en = "Note" }, blank = true, label = true }
"""
ROWS = """kode,jenis,dari,sampai,jiwa,luas,kota,catatan
01,L,,2021-01-01,100,10.50,true,
01,L,2021-01-01,2022-01-01,,10.5,true,"tanpa, data"
01,L,2022-01-01,,123456789012345678,0.10,false,
02,P,2021-01-01,,-7,20,true,
"""


def at(*moment: int) -> int:
    """UTC microseconds of a moment in UTC."""
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[misc, arg-type]


def test_cells_are_exact_values() -> None:
    found = table(ROWS, PEOPLE, "penduduk")
    first: dict[str, Value] = {
        "kode": "01", "jenis": "L", "dari": None, "sampai": date(2021, 1, 1), "jiwa": 100, "luas": Decimal("10.50"), "kota": True, "catatan": None,
    }  # fmt: skip
    assert (found.name, found.version, [row.line for row in found.rows]) == ("penduduk", 3, [2, 3, 4, 5])
    assert dict(found.rows[0].values) == first
    assert found.rows[1].values["catatan"] == "tanpa, data"
    assert found.rows[2].values["jiwa"] == 123456789012345678
    assert list(found.columns)[:2] == ["kode", "jenis"]


def test_a_row_is_in_force_from_its_first_local_midnight_until_before_its_last() -> None:
    found = table(ROWS, PEOPLE, "penduduk")
    midnight = at(2020, 12, 31, 17)  # 2021-01-01T00:00 in Asia/Jakarta

    def people(moment: int) -> object:
        row = found.row(("01", "L"), moment)
        return "none" if row is None else row["jiwa"]

    assert [people(m) for m in (at(1, 1, 1), midnight - 1, midnight, at(2021, 12, 31, 16), at(2021, 12, 31, 17), at(9999, 12, 31))] == [
        100, 100, None, None, 123456789012345678, 123456789012345678,
    ]  # fmt: skip
    assert found.row(("02", "P"), midnight - 1) is None
    assert found.row(("02", "P"), midnight) is not None
    assert found.row(("02", "L"), midnight) is None


def test_without_a_period_a_row_is_always_in_force_and_one_key_needs_no_tuple() -> None:
    form = re.sub(r"(?m)^(period|dari|sampai).*\n", "", PEOPLE).replace('key = ["kode", "jenis"]', 'key = ["kode"]')
    found = table("kode,jenis,jiwa,luas,kota,catatan\n01,L,5,1,true,\n", form, "penduduk")
    for moment in (at(1, 1, 1), at(9999, 1, 1)):
        row = found.row("01", moment)
        assert row is not None
        assert row["jiwa"] == 5


@pytest.mark.parametrize(
    "same",
    [
        ("licence = ", "notice = 'x'\nlicence = "),
        ('en = "Area"', 'en = "Surface"'),
        ('source = "made up"', 'source = "elsewhere"'),
        ("version = 3", "version = 4"),
    ],
)
def test_words_are_not_under_the_fingerprint(same: tuple[str, str]) -> None:
    assert same[0] in PEOPLE
    assert table(ROWS, PEOPLE.replace(*same)).fingerprint == table(ROWS, PEOPLE).fingerprint


def test_the_fingerprint_is_of_the_content_not_of_its_writing() -> None:
    first, *lines = ROWS.splitlines()
    fingerprint = table(ROWS, PEOPLE).fingerprint
    assert table("\r\n".join([first, *reversed(lines)]) + "\r\n", PEOPLE).fingerprint == fingerprint
    assert table(ROWS.replace("10.50", "10.5").replace("tanpa, data", "lain"), PEOPLE).fingerprint == fingerprint
    columns = [line.replace('"tanpa, data"', "x").split(",") for line in ROWS.splitlines()]
    assert table("\n".join(",".join(reversed(cells)) for cells in columns), PEOPLE).fingerprint == fingerprint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (",100,", ",101,"),
        (",100,", ",,"),
        ("0.10,false", "0.11,false"),
        ("0.10,false", "0.10,true"),
        (",P,2021-01-01", ",P,2021-01-02"),
        (",P,2021-01-01", ",P,"),
        ("02,P", "03,P"),
        ("02,P,2021-01-01,,-7,20,true,\n", ""),
    ],
)
def test_a_changed_cell_is_another_fingerprint(old: str, new: str) -> None:
    assert old in ROWS
    assert table(ROWS.replace(old, new), PEOPLE).fingerprint != table(ROWS, PEOPLE).fingerprint


def test_key_period_tree_and_types_are_under_the_fingerprint() -> None:
    rows = "kode,induk,dari,sampai\n1,1,,\n2,1,,\n"
    form = """
title = { id = "A", en = "A" }
version = 1
source = "a"
licence = "a"
key = ["kode"]
period = ["dari", "sampai"]
tree = { parent = "induk" }
[columns]
kode = { about = { id = "K", en = "K" } }
induk = { about = { id = "I", en = "I" } }
dari = { about = { id = "D", en = "D" }, type = "date", blank = true }
sampai = { about = { id = "S", en = "S" }, type = "date", blank = true }
"""
    changes = [
        ('key = ["kode"]', 'key = ["kode", "induk"]', 'tree = { parent = "induk" }', ""),
        ('"dari", "sampai"]', '"sampai", "dari"]', "", ""),
        ('tree = { parent = "induk" }', "", "", ""),
        ('kode = { about = { id = "K", en = "K" }', 'kode = { type = "integer", about = { id = "K", en = "K" }', 'tree = { parent = "induk" }', ""),
        ('induk = { about = { id = "I", en = "I" }', 'induk = { label = true, about = { id = "I", en = "I" }', 'tree = { parent = "induk" }', ""),
    ]  # fmt: skip
    prints = {table(rows, form).fingerprint}
    for old, new, old2, new2 in changes:
        assert old in form
        changed = form.replace(old, new)
        prints.add(table(rows, changed.replace(old2, new2) if old2 else changed).fingerprint)
    assert len(prints) == 1 + len(changes)


CELLS = st.sampled_from(["a", "b", "a b", "", "[]", '"', "1", "a,b"])


@given(st.lists(st.tuples(CELLS, CELLS), max_size=4), st.lists(st.tuples(CELLS, CELLS), max_size=4))
def test_equal_fingerprints_are_equal_contents(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> None:
    form = """
title = { id = "A", en = "A" }
version = 1
source = "a"
licence = "a"
key = ["no"]
[columns]
no = { about = { id = "N", en = "N" }, type = "integer" }
x = { about = { id = "X", en = "X" }, blank = true }
y = { about = { id = "Y", en = "Y" }, blank = true }
"""

    def made(cells: list[tuple[str, str]]) -> str:
        quoted = ['"' + text.replace('"', '""') + '"' for pair in cells for text in pair]
        lines = [f"{number},{quoted[2 * number]},{quoted[2 * number + 1]}\n" for number in range(len(cells))]
        return table("no,x,y\n" + "".join(lines), form).fingerprint

    assert (made(one) == made(other)) == (one == other)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("99.01.05,", "99.01.05,extra,", "wilayah.csv:8: received 8 cells; allowed: 7 cells"),
        ("99.01.02,99.01,", "\n99.01.02,99.01,", "wilayah.csv:4: received an empty line"),
        ("kecamatan,Lama", "kecamtan,Lama", "wilayah.csv:3: tingkat: received 'kecamtan'; allowed: kabupaten, kota, kecamatan"),
        (",Lama,", ", Lama,", "wilayah.csv:3: nama: received ' Lama'; allowed: text on one line, without blanks at its ends"),
        (",Lama,", ",,", "wilayah.csv:3: nama: received a blank cell; allowed: text, not blank"),
        (",2022-02-02,", ",2022-02-30,", "wilayah.csv:26: berlaku_sampai: received '2022-02-30'; allowed: a day as YYYY-MM-DD"),
        (",2022-02-02,", ",2-2-2022,", "wilayah.csv:26: berlaku_sampai: received '2-2-2022'"),
        ("2018-07-01,2020-01-01", "2018-07-01,2018-07-01", "wilayah.csv:16: berlaku_sampai: received 2018-07-01; allowed: a day after berlaku_dari"),
        ("Nama Baru,2023-03-03", "Nama Baru,2023-03-04", "wilayah.csv:10: berlaku_dari: received a period of 99.01.06 that leaves a gap after"),
        ("Nama Baru,2023-03-03", "Nama Baru,2023-03-02", "wilayah.csv:10: berlaku_dari: received a period of 99.01.06 that overlaps that of line 9"),
        ("Lama,,2023-03-03", "Lama,,", "allowed: one row, as line 9 never ends"),
        ("kode,induk", "kode,Induk", "wilayah.csv:1: unknown columns 'Induk'"),
        ("kode,induk,", "kode,", "wilayah.csv:1: each column once: received 'kode', 'tingkat'"),
        ("kode,induk,tingkat", "kode,induk,induk", "wilayah.csv:1: each column once"),
        ("kode,induk", "\ufeffkode,induk", "wilayah.csv:1: unknown columns '\\ufeffkode'"),
        ("kecamatan,Lama", 'kecamatan,"Lama', "wilayah.csv:3: is not CSV"),
        ("Kecil,,2021-01-01,99.01.04.2005", "Kecil,,,99.01.04.2005", "[T03]"),
        ("99.01.05,99.01,", "99.01.05,99.02,", "wilayah.csv:8: induk: received 99.02; allowed: a kode of this table, or 99 [T03]"),
        ("Satu,,2018-07-01", "Satu,,2019-07-01", "wilayah.csv:11: induk: received 99.01.01, in force from the beginning until 2018-07-01; allowed: one"),
        (",99.01.03.2001\n", ",99.01.03.2009\n", "pengganti: received 99.01.03.2009; allowed: a kode that is in force from 2018-07-01 on [T03]"),
        (",99.01.02 99.01.03", ",99.01.02 99.01.02", "allowed: each successor once [T03]"),
        ("99.01.04.2005\n", "99.01.04.2006\n", ""),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_with_what_is_allowed(old: str, new: str, said: str) -> None:
    assert REGIONS.count(old) >= 1
    found = problems_of(REGIONS.replace(old, new, 1))
    assert any(said in problem for problem in found) if said else found == [], found


def test_all_lines_are_told_at_once() -> None:
    rows = REGIONS.replace("kecamatan,Lama", "x,Lama").replace("2022-02-02", "besok").replace(",Timur,", ",,")
    assert [problem.split(": received")[0] for problem in problems_of(rows)] == [
        "wilayah.csv:3: tingkat", "wilayah.csv:5: nama", "wilayah.csv:26: berlaku_sampai",
    ]  # fmt: skip


def test_a_line_is_where_it_begins_even_after_a_cell_of_two_lines() -> None:
    rows = REGIONS.replace("kecamatan,Lama", 'kecamatan,"La\nma"').replace("2022-02-02", "besok")
    assert [problem.split(": ")[0] for problem in problems_of(rows)] == ["wilayah.csv:3", "wilayah.csv:27"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('licence = "CC0-1.0"\n', "", "wilayah.toml: licence: is required [T02]"),
        (
            'licence = "CC0-1.0"',
            'licence = "MIT"',
            "wilayah.toml: notice: MIT asks for its text and the copyright to be passed on; put them here [T02]",
        ),
        ('source = "made up"', 'source = ""', "wilayah.toml: source: String should have at least 1 character [T02]"),
        ('en = "Test regions"', 'uk = "Test regions"', "wilayah.toml: title.en: is required [T02]"),
        ("version = 1", "version = 0", "wilayah.toml: version: Input should be greater than or equal to 1 [T01]"),
        ("version = 1", "vesion = 1", "vesion: unknown key; did you mean 'version'?"),
        ("label = true", "lable = true", "columns.nama.lable: unknown key; did you mean 'label'?"),
        ('key = ["kode"]', 'key = ["code"]', "key names 'code'; the columns are kode, induk"),
        ('"berlaku_dari", "berlaku_sampai"]', '"berlaku_dari", "nama"]', "nama is a label"),
        ('"berlaku_dari", "berlaku_sampai"]', '"berlaku_dari", "induk"]', "columns of the period are dates that may be blank: induk"),
        ('period = ["berlaku_dari", "berlaku_sampai"]', "", "a successor takes over when a period ends"),
        ('key = ["kode"]', 'key = ["kode", "induk"]', "a tree needs one key column"),
        ('key = ["kode"]', 'key = ["pengganti"]', "a key is never blank: pengganti"),
        ("label = true", 'label = true, pattern = "("', "is no regular expression"),
        ('type = "date", blank', 'type = "date", pattern = "x", blank', "pattern and allowed are of texts"),
        ('type = "date"', 'type = "day"', "columns.berlaku_dari.type"),
        ("[columns]", "[columns", "is not TOML"),
    ],
)
def test_a_wrong_description_is_named(old: str, new: str, said: str) -> None:
    assert old in FORM
    found = problems_of(form=FORM.replace(old, new, 1))
    assert any(said in problem for problem in found), found


def _write(root: Path, name: str, rows: str | None = ROWS, form: str | None = PEOPLE) -> Path:
    folder = root / "reference"
    folder.mkdir(exist_ok=True, parents=True)
    for suffix, text in (("csv", rows), ("toml", form)):
        if text is not None:
            (folder / f"{name}.{suffix}").write_text(text, encoding="utf-8")
    return root


def test_an_overlay_adds_tables(tmp_path: Path) -> None:
    found = load_references([ROOT / "schemas", _write(tmp_path, "penduduk")])
    assert {"penduduk", "wilayah"} <= set(found)
    assert list(found) == sorted(found)


def test_the_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    _write(one, "ganda")
    _write(two, "ganda")
    _write(two, "telanjang", form=None)
    _write(two, "kosong", rows=None)
    _write(two, "salah", rows=ROWS.replace("100", "seratus").replace("true", "ya"))
    _write(two, "wilayah", REGIONS.replace("99.01.04.2005,99.01.04,desa", "99.01.04.2005,99.01.04,kelurahan"), FORM)
    (two / "reference" / "latin.csv").write_bytes("kode\né\n".encode("latin-1"))
    with pytest.raises(ConfigurationError) as caught:
        load_references([one, two])
    said = "\n".join(str(problem) for problem in caught.value.problems)
    for part in (
        "ganda.toml: table 'ganda' is also defined in", "telanjang.toml: is missing", "kosong.csv: is missing", "latin.csv: cannot be read as UTF-8",
        "salah.csv:2: jiwa: received 'seratus'; allowed: a whole number", "salah.csv:5: kota: received 'ya'; allowed: true or false",
        "wilayah.csv:25: tingkat: received 'kelurahan'; allowed: desa",
    ):  # fmt: skip
        assert part in said, said

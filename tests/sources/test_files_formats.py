"""Every form of file gives the same records, refusals that name file, sheet, row and field, and contents that can be replayed."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.styles import numbers

from bus.ingest.files import encoding_of
from bus.ingest.formats import archive
from bus.ingest.formats.opening import open_records, read_sealed
from bus.ingest.kinds import FilesSpec
from bus.ingest.quarantine import RawText
from bus.ingest.source import FileRefused, RawRecord
from tests.pipeline.ingest_world import ONE_EVENT, World, facts, place_of
from tests.sources.files_made import gzipped, packed, rewritten, workbook
from tests.sources.files_world import lab_agency_world

SPEC = FilesSpec(kind="append", header={"no": ("nomor",), "value": ("nilai",)}, optional=("value",))
ROWS = [("no", "value"), (1, "a"), (2, "b")]
CSV = "no,value\n1,a\n2,b\n"
OBJECTS: list[object] = [{"no": 1, "value": "a"}, {"no": 2, "value": "b"}]


def read(content: bytes | str, name: str, spec: FilesSpec = SPEC) -> list[tuple[str, int, object]]:
    """Part, line within it, and values or the rule broken; every record also as it is read again from the quarantine."""
    data = content.encode() if isinstance(content, str) else content
    file = open_records(io.BytesIO(data), spec, name=name, encoding=encoding_of(data))
    found: list[tuple[str, int, object]] = []
    last = 0
    for item in file:
        assert last < item.line == file.last_line or file.delimiter not in {"xlsx", "json"}
        last = item.line
        if isinstance(item, RawRecord):
            sealed = RawText.decode(RawText(tuple(file.header), file.delimiter, item.raw, file.extra).encode())
            assert read_sealed(sealed, spec, line=item.line) == item
            found.append((file.part, item.line - file.base, tuple(item.values.values())))
        else:
            found.append((file.part, item.line - file.base, item.reason.rule))
    file.close()
    return found


def refused(content: bytes | str, name: str, spec: FilesSpec = SPEC) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        read(content, name, spec)
    return caught.value


def with_(**changes: object) -> FilesSpec:
    return FilesSpec.model_validate({**SPEC.model_dump(), **changes})


@pytest.mark.parametrize(
    ("name", "content", "first"),
    [
        ("a.csv", CSV, 2),
        ("a.txt", CSV.replace(",", "\t"), 2),
        ("a.xlsx", workbook({"Lembar1": ROWS}), 2),
        ("a.json", json.dumps(OBJECTS), 1),
        ("a.jsonl", "\n".join(map(json.dumps, OBJECTS)), 1),
        ("a.geojson", json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": None, "properties": o} for o in OBJECTS]}), 1),
        ("a.csv.gz", gzipped(CSV), 2),
        ("a.zip", packed({"dalam/a.csv": CSV}), 2),
        ("a.zip", packed({"a.xlsx": workbook({"x": ROWS})}), 2),
        ("a.xlsx.gz", gzipped(workbook({"x": ROWS})), 2),
        ("a.jsonl.gz", gzipped("\ufeff" + "\n".join(map(json.dumps, OBJECTS)) + "\n"), 1),
        ("a.csv.gz", gzipped(packed({"a.csv": CSV})), 2),
    ],
)  # fmt: skip
def test_the_same_records_in_any_form(name: str, content: bytes | str, first: int) -> None:
    assert read(content, name) == [("", first, ("a", "1")), ("", first + 1, ("b", "2"))] or read(content, name) == [
        ("", first, ("1", "a")), ("", first + 1, ("2", "b")),
    ]  # fmt: skip


def test_cells_become_stable_texts() -> None:
    def dress(book: object) -> None:
        sheet = book["x"]  # type: ignore[index]
        sheet["B7"].number_format = numbers.FORMAT_DATE_DATETIME
        sheet["B8"].number_format = "0000000000"

    cells: list[object] = [
        12, 12.0, 0.1 + 0.2, 1e-7, date(2024, 2, 29), datetime(2024, 2, 29), 3374010101900001, "007", " 1,5 ", True, time(7, 30),
        datetime(2024, 2, 29, 7, 5), 1e15, -0.5, "31/12/2024",
    ]  # fmt: skip
    found = read(workbook({"x": [("no", "value"), *((n, cell) for n, cell in enumerate(cells, 1))]}, dress=dress), "a.xlsx")
    assert [values[0] if isinstance(values, tuple) else values for _, _, values in found] == [
        "12", "12", "0.3", "0.0000001", "2024-02-29", "2024-02-29T00:00:00", "3374010101900001", "007", " 1,5 ", "TRUE", "07:30:00",
        "2024-02-29T07:05:00", "1000000000000000", "-0.5", "31/12/2024",
    ]  # fmt: skip


def test_title_rows_merged_above_the_header_and_blank_rows() -> None:
    spec = with_(titles={"tahun": ["Tahun Anggaran"], "unit": ["Unit Kerja"]})
    rows = [
        ("LAPORAN BULANAN", None, None),
        ("Tahun Anggaran", ":", 2024),
        ("Unit Kerja: Dinas Contoh", None),
        (),
        ("No", "Nilai"),
        (1, "a"),
        (),
        (2, "b", None, None),
    ]

    def dress(book: object) -> None:
        book["x"].merge_cells("A1:C1")  # type: ignore[index]

    wanted = [("", 6, ("a", "2024", "Dinas Contoh", "1")), ("", 8, ("b", "2024", "Dinas Contoh", "2"))]
    assert read(workbook({"x": rows}, dress=dress), "a.xlsx", spec) == wanted
    text = 'LAPORAN BULANAN\nTahun Anggaran;2024\n\nUnit Kerja: Dinas Contoh\n"No";Nilai\n1;a\n\n2;b\n'
    assert read(text, "a.csv", with_(titles=spec.titles, preamble=5)) == [
        ("", 6, ("a", "2024", "Dinas Contoh", "1")), ("", 8, ("b", "2024", "Dinas Contoh", "2")),
    ]  # fmt: skip
    assert refused(text, "a.csv", with_(titles=spec.titles)).rule == "no_header"


def test_a_header_over_two_lines_and_lines_given_back() -> None:
    text = 'judul "panjang"\n\n"no",nilai\n1,"a\nb"\n2,c\n'
    assert read(text, "a.csv", with_(preamble=9)) == [("", 4, ("a\nb", "1")), ("", 6, ("c", "2"))]
    two = 'no,"Nilai\nAkhir"\n1,a\n'
    assert read(two, "a.csv", with_(header={"no": [], "value": ["nilai akhir"]})) == [("", 3, ("a", "1"))]


def test_sheets_by_name_or_by_header() -> None:
    book = workbook({"Petunjuk": [("isi dengan benar",)], "Jan": ROWS, "Feb": [("judul",), ("value", "no"), ("c", 3)], "Kosong": []})
    everything = [("Jan", 2, ("a", "1")), ("Jan", 3, ("b", "2")), ("Feb", 3, ("c", "3"))]
    assert read(book, "a.xlsx") == everything
    assert read(book, "a.xlsx", with_(sheets=["jan"])) == everything[:2]
    wrong = refused(book, "a.xlsx", with_(sheets=["*"]))
    assert (wrong.rule, wrong.part) == ("no_header", "Petunjuk")
    assert refused(book, "a.xlsx", with_(sheets=["Maret"])).rule == "no_sheet"
    drifted = refused(workbook({"Jan": ROWS, "Feb": [("no", "value", "baru"), (3, "c", "?")]}), "a.xlsx")
    assert (drifted.rule, drifted.reason.field, drifted.part, drifted.line) == ("unknown_column", "baru", "Feb", 1)

    def hide(book: object) -> None:
        book["Feb"].sheet_state = "hidden"  # type: ignore[index]

    assert read(workbook({"Jan": ROWS, "Feb": ROWS}, dress=hide), "a.xlsx") == [("", 2, ("a", "1")), ("", 3, ("b", "2"))]


def test_rows_wider_than_the_header() -> None:
    found = read(workbook({"x": [*ROWS, (3, "c", "lebih"), (4,)]}), "a.xlsx")
    assert found[2:] == [("", 4, "field_count"), ("", 5, ("", "4"))]


def test_one_name_for_several_columns() -> None:
    spec = with_(header={"first": ["x#1"], "second": ["x#2"], "last": ["X#-1"]}, optional=["second"], ignored=["x", "n"])
    assert read("n,x,x,x,x\n0,1,2,3,4\n", "a.csv", spec) == [("", 2, ("2", "1", "4"))]
    assert refused("n,x\n0,1\n", "a.csv", spec).rule == "missing_column"
    assert refused("no,value,value\n1,2,3\n", "a.csv").rule == "duplicate_column"


def test_ragged_rows_only_where_they_are_declared() -> None:
    text = "no,value,,\n1,a,,,,\n2\n3,b,c\n4,d"
    assert read(text, "a.csv", with_(ragged=True)) == [("", 2, ("a", "1")), ("", 3, ("", "2")), ("", 4, "field_count"), ("", 5, ("d", "4"))]
    assert refused(text, "a.csv").rule == "unknown_column"
    assert read("no,value\n1,a\n2", "a.csv", with_(ragged=True))[1:] == [("", 3, "truncated")]


def test_json_values_as_they_are_written() -> None:
    text = (
        '{"data": {"isi": [{"no": 12.50, "value": {"dalam": [1.10, null], "lain": "x"}}, {"no": 1e400, "value": {"dalam": true}}, '
        '{"no": 12345678901234567890123}]}}'
    )
    spec = with_(records="data.isi", header={"no": [], "isi": ["value.dalam"]}, optional=["isi"], ignored=["value.lain"])
    assert [values for _, _, values in read(text, "a.json", spec)] == [
        ('["1.10", null]', "12.50"),
        ("true", "1e400"),
        ("", "12345678901234567890123"),
    ]


def test_json_records_that_are_none() -> None:
    text = '[{"no": 1, "warna": 2}, {"value": 3}, 7, {"no": 1, "no": 2}, {"no": 1, "nomor": 2}, {"no": null}]'
    rules = [(line, values) for _, line, values in read(text, "a.json")]
    assert rules == [
        (1, "unknown_field"),
        (2, "missing_field"),
        (3, "not_an_object"),
        (4, "duplicate_field"),
        (5, "duplicate_field"),
        (6, ("", "")),
    ]
    lines = '{"no": 1}\n\nnein\n{"no": NaN}\n{"no": 2'
    assert [(line, values) for _, line, values in read(lines, "a.jsonl")] == [
        (1, ("", "1")),
        (3, "bad_json"),
        (4, "bad_json"),
        (5, "truncated"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("a.json", '[{"no": 1},', "bad_json"),
        ("a.json", '{"no": 1}', "no_records"),
        ("a.json", "[" * 100_000, "bad_json"),
        ("a.jsonl.gz", gzipped("{}")[:-3], "damaged_archive"),
        ("a.csv.gz", gzipped(CSV * 100)[:40], "damaged_archive"),
        ("a.csv.gz", gzipped(CSV)[:-8] + b"\0" * 8, "damaged_archive"),
        ("a.zip", packed({"a.csv": CSV})[:-10], "damaged_archive"),
        ("a.zip", packed({"a.csv": CSV}).replace(b"no,", b"on,", 1), None),
        ("a.zip", packed({"baca.pdf": "%PDF"}), "no_header"),
        ("a.zip", packed({"a.csv": CSV}).replace(b"a.csv", b"\0.csv"), "damaged_archive"),
        ("a.zip", packed({}), "empty_archive"),
        ("a.zip", packed({"b.zip": packed({"a.csv": CSV})}), "nested_archive"),
        ("a.zip", packed({"a.csv": b"\0\1"}), "binary_file"),
        ("a.zip", packed({"a.csv": CSV, "b.csv": ""}), "empty_file"),
        ("a.zip", packed({"a.csv": CSV, "b.csv": "no,x\n1,2\n"}), "unknown_column"),
        ("a.zip", packed({f"{n}.csv": CSV for n in range(archive.MOST_MEMBERS + 1)}), "too_many_members"),
        ("a.xlsx", workbook({"x": ROWS})[:-400], "damaged_archive"),
        ("a.xlsx", CSV, "not_a_workbook"),
        ("a.xlsx", rewritten(workbook({"x": ROWS}), lambda n, c: c[:-30] if "sheet1" in n else c), "damaged_workbook"),
        ("a.xlsx", rewritten(workbook({"x": ROWS}), lambda n, c: c.replace(b"<worksheet", b"<!DOCTYPE w [<!ENTITY e 'x'>]><worksheet", 1)), "damaged_workbook"),
        ("a.xlsx", rewritten(workbook({"x": [*ROWS, (3, 4.5)]}), lambda n, c: c.replace(b"<v>4.5</v>", b"<v>empat</v>")), "damaged_workbook"),
    ],
)  # fmt: skip
def test_what_is_damaged_or_unfit_is_refused_as_one(name: str, content: bytes | str, rule: str | None) -> None:
    if rule is None:  # deflated text is not found in the archive: nothing was changed
        assert len(read(content, name)) == 2
    else:
        assert refused(content, name).rule == rule


def test_what_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzipped(b"no,value\n" + b"1,aaaaaaaa\n" * 4_000_000)
    assert refused(bomb, "a.csv.gz").rule == "archive_too_large"
    assert refused(packed({"a.csv": b"0" * (1 << 25)}), "a.zip").rule == "archive_too_large"
    monkeypatch.setattr(archive, "LARGEST_UNPACKED", 3_000)
    assert refused(workbook({"x": ROWS}), "a.xlsx").rule == "archive_too_large"


def test_numbers_run_on_from_member_to_member() -> None:
    content = packed({"b.csv": "value,no\nc,3\n", "a.csv": CSV, "__MACOSX/a.csv": "x", "c.xlsx": workbook({"s": ROWS, "t": ROWS})})
    file = open_records(io.BytesIO(content), SPEC, name="a.zip", encoding="utf-8")
    found = [(item.line, file.part, item.line - file.base, file.delimiter) for item in file]
    file.close()
    assert found == [
        (2, "a.csv", 2, ","), (3, "a.csv", 3, ","), (5, "b.csv", 2, ","),
        (7, "c.xlsx › s", 2, "xlsx"), (8, "c.xlsx › s", 3, "xlsx"), (10, "c.xlsx › t", 2, "xlsx"), (11, "c.xlsx › t", 3, "xlsx"),
    ]  # fmt: skip
    assert len(read(content, "a.zip", with_(members=["*.csv"]))) == 3


def test_the_name_says_something() -> None:
    spec = with_(from_name=r"_(?P<bulan>\d{4}-\d\d)\.")
    assert read(CSV, "data_2024-05.csv", spec)[0] == ("", 2, ("a", "2024-05", "1"))
    assert refused(CSV, "data.csv", spec).rule == "file_name"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"from_name": "("}, "from_name"), ({"from_name": "x"}, "from_name"), ({"from_name": "(?P<no>x)"}, "header"),
        ({"titles": {"value": ["x"]}}, "header"), ({"titles": {"t": ["x"]}, "preamble": 0}, "titles"),
        ({"format": "csv", "sheets": ["x"]}, "sheets"), ({"format": "xlsx", "records": "x"}, "records"), ({"format": "json", "delimiter": ";"}, "delimiter"),
        ({"records": "a..b"}, "records"), ({"ignored": ["Nilai"]}, "ignored"), ({"may_be_empty": True}, "may_be_empty"), ({"key": ["x"]}, "key"),
    ],
)  # fmt: skip
def test_a_manifest_that_cannot_be_meant(changes: Mapping[str, object], field: str) -> None:
    assert field in {name for name, _ in with_(**changes).faults()}
    assert not with_(from_name="(?P<bulan>x)", titles={"t": ["x"]}, key=["no", "bulan", "t"]).faults()


_TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).map(lambda text: text.strip().removeprefix("="))


@given(rows=st.lists(st.tuples(st.integers(0, 10**9), _TEXTS), min_size=1, max_size=8))
def test_the_same_rows_in_two_forms_are_equal(rows: list[tuple[int, str]]) -> None:
    lines = "\n".join(json.dumps({"no": no, "value": value}) for no, value in rows)
    from_json = [item for *_, item in read(json.dumps([{"no": no, "value": value} for no, value in rows]), "a.json")]
    assert [item for *_, item in read(lines, "a.jsonl")] == from_json
    assert [item[::-1] if isinstance(item, tuple) else item for *_, item in read(workbook({"x": [("no", "value"), *rows]}), "a.xlsx")] == [
        item[::-1] if isinstance(item, tuple) else item for item in from_json
    ]


def outcome(data: bytes, name: str) -> list[int] | str:
    """The numbers of the records, or the rule by which the file is refused; anything else is a fault."""
    try:
        with contextlib.closing(open_records(io.BytesIO(data), SPEC, name=name, encoding=encoding_of(data))) as file:
            return [item.line for item in file]
    except FileRefused as error:
        return error.rule


@given(
    content=st.binary(max_size=400),
    head=st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08\x00", b"[", b"{"]),
    name=st.sampled_from(["a.csv", "a.json", "a.jsonl", "a.xlsx"]),
)
def test_no_bytes_bring_it_down(content: bytes, head: bytes, name: str) -> None:
    """Whatever comes is records or refusals."""
    assert outcome(head + content, name) is not None


@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_damaged_workbook_is_refused_or_whole(place: int, byte: int) -> None:
    data = bytearray(_BOOK)
    data[place % len(data)] = byte
    assert outcome(bytes(data), "a.xlsx") in ([2, 3], *_DAMAGED)


_DAMAGED = (
    "damaged_archive", "damaged_workbook", "not_a_workbook", "locked", "no_sheet", "no_header", "bad_quoting", "empty_archive",
)  # fmt: skip
_BOOK = workbook({"x": ROWS})


STRICT = ONE_EVENT.replace("    yield", '    if record["value"] == "salah":\n        raise ValueError\n    yield')


async def test_a_refused_row_of_any_form_is_replayed(tmp_path: Path) -> None:
    world = lab_agency_world(tmp_path, kind="append", mapping=STRICT)
    world.put_bytes("1.xlsx", workbook({"Jan": ROWS, "Feb": [("value", "no"), ("salah", 3)]}))
    world.put_bytes("2.json", json.dumps([{"no": 4, "value": "salah"}, {"no": 5, "value": "e"}]).encode())
    world.put_bytes("3.zip", packed({"b.csv": "no,value\n6,salah\n", "a.jsonl": '{"no": 7, "value": "salah"}\n'}))
    await world.run()
    entries = await world.quarantine()
    assert [(entry.file, entry.line, place_of(entry).line) for entry in entries] == [
        ("1.xlsx › Feb", 2, 5), ("2.json", 1, 1), ("3.zip › a.jsonl", 1, 1), ("3.zip › b.csv", 2, 3),
    ]  # fmt: skip
    assert entries[0].reason["message"].startswith("Berkas 1.xlsx › Feb, baris 2: pemetaan gagal")
    mapping = world.roots[0] / "lab" / "mapping.py"
    mapping.write_text(ONE_EVENT)
    sys.modules.pop("connectors.lab.mapping")
    assert [result.events for result in await world.replay()] == [1, 1, 1, 1]
    assert sorted((subject, data["value"]) for (_, subject), data in world.current().items()) == [
        ("1", "a"), ("2", "b"), ("3", "salah"), ("4", "salah"), ("5", "e"), ("6", "salah"), ("7", "salah"),
    ]  # fmt: skip


async def test_a_refused_workbook_is_replayed_with_a_mended_manifest(tmp_path: Path) -> None:
    world = lab_agency_world(tmp_path, kind="append")
    world.put_bytes("1.xlsx", workbook({"x": [("no", "value", "warna"), (1, "a", "merah")]}))
    world.put_bytes("2.zip", packed({"a.csv": CSV.replace("1,", "3,").replace("2,", "4,"), "b.csv": "no,value,warna\n5,e,x\n"}))
    await world.run()
    entries = await world.quarantine()
    assert [(entry.file, entry.reason["rule"]) for entry in entries] == [
        ("1.xlsx › x", "unknown_column"),
        ("2.zip › b.csv", "unknown_column"),
    ]
    assert not world.envelopes()
    manifest = world.roots[0] / "lab" / "agency.toml"
    manifest.write_text(manifest.read_text().replace('patterns = ["*"]\n', 'patterns = ["*"]\nignored = ["warna"]\n'))
    assert [(result.events, result.problem) for result in await world.replay()] == [(1, ""), (3, "")]
    assert [fact[3:] for fact in facts(world.envelopes())] == [("1", "a"), ("3", "a"), ("4", "b"), ("5", "e")]


async def test_killed_at_any_effect_a_workbook_says_the_same(tmp_path: Path) -> None:
    def filled(base: Path) -> World:
        world = lab_agency_world(base, kind="append", mapping=STRICT)
        rows = [("no", "value"), *((n, "salah" if n % 4 == 0 else "a") for n in range(12))]
        world.put_bytes("1.zip", packed({"a.xlsx": workbook({"p": rows, "q": [("value", "no"), ("q", 100)]}), "b.csv": "no,value\n7,b\n"}))
        return world

    whole = filled(tmp_path / "whole")
    await whole.run()
    effect, crashed = 0, True
    while crashed:
        world = filled(tmp_path / str(effect))
        crashed = await world.run_until_crash(effect)
        world.clock.advance(60)
        await world.run()
        assert facts(world.folded()) == facts(whole.folded())
        assert [entry.place for entry in await world.quarantine()] == [entry.place for entry in await whole.quarantine()]
        effect += 1
    assert effect > 10


async def test_a_cell_that_cannot_be_read_refuses_the_workbook_before_anything_is_published(tmp_path: Path) -> None:
    world = lab_agency_world(tmp_path, kind="append")
    rows = [("no", "value"), *((n, "a") for n in range(50)), (50, 4.5)]
    world.put_bytes("1.xlsx", rewritten(workbook({"x": rows}), lambda name, text: text.replace(b"<v>4.5</v>", b"<v>empat</v>")))
    await world.run()
    assert not world.envelopes()
    assert [(place_of(entry).line, entry.reason["rule"], entry.file) for entry in await world.quarantine()] == [
        (0, "damaged_workbook", "1.xlsx › x")
    ]

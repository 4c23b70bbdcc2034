"""Files of a vintage: the same bytes each time, read back by what others read them with, harmless in a spreadsheet."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from frictionless import validate
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.indicators.windows import NOW_END, NOW_START, to_micros
from bus.settings import ROOT, PpidSettings
from bus.testing.memory import MemoryLog
from consumers.ppid.database import Database
from consumers.ppid.files import csv_file, harmless, json_file, parquet_file, sdmx_file, xlsx_file
from consumers.ppid.metadata import Directory, Metadata, read_directory
from consumers.ppid.package import FORMATS, vintage_moment, vintage_name
from consumers.ppid.shelf import ARCHIVE, PACKAGE, PROVENANCE, Shelf, Volume
from consumers.ppid.store import Store
from consumers.ppid.table import Column, Kind, Sheet, period
from tests.conftest import examples
from tests.unit.ppid.feed import CATALOGUE, PM10, follower_of, local, public, released

DIRECTORY: Directory = read_directory([ROOT / "schemas"], [ROOT / "connectors"], CATALOGUE)
METADATA: Metadata = DIRECTORY.datasets[PM10]
_COLUMNS: dict[str, Kind] = {
    "period": "string", "place": "string", "value": "number", "n": "integer", "status": "string", "suppressed": "boolean",
}  # fmt: skip
EVIL = '=HYPERLINK("http://x","klik")'


@pytest.fixture
def sqlite(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path / 'ppid.db'}", fallback=tmp_path)


@pytest.fixture
async def shelf(log: MemoryLog, sqlite: Database) -> Shelf:
    await log.send(
        [
            public("60.50", at=released(1)),
            public("12345678901234567890.125", at=released(1), dimensions={"station": EVIL}),
            public("-3", at=released(1), window=(local(2026, 2), local(2026, 3)), more={"label": "@SUM(A1)", "status": "provisional"}),
            public(None, at=released(1), dimensions={"station": None}),
            public("61", at=released(8), revision=2),
        ]
    )
    await follower_of(log, sqlite).round(log)
    return Shelf(Store(sqlite), PpidSettings())


def volume(shelf: Shelf, moment_us: int | None = None) -> Volume:
    found = shelf.volume(METADATA, DIRECTORY.regions, moment_us)
    assert found is not None
    return found


async def test_files_are_made_again_with_the_same_bytes(shelf: Shelf, sqlite: Database) -> None:
    first = {ending: shelf.file(volume(shelf), ending) for ending in FORMATS}
    packed = shelf.beside(volume(shelf), ARCHIVE, "http://x")
    await asyncio.sleep(2.1)  # zip archives hold times to two seconds
    other = Shelf(Store(sqlite), PpidSettings())
    assert {ending: other.file(volume(other), ending) for ending in FORMATS} == first
    assert other.beside(volume(other), ARCHIVE, "http://x") == packed
    made = other.made(volume(other))
    assert {ending: each.size for ending, each in made.items()} == {ending: len(content) for ending, content in first.items()}


async def test_a_finished_vintage_keeps_its_files_whatever_comes_after(shelf: Shelf, log: MemoryLog, sqlite: Database) -> None:
    then = to_micros(released(1))
    before = {ending: shelf.file(volume(shelf, then), ending) for ending in FORMATS}
    await log.send([public("99", at=released(15), revision=3)])
    await follower_of(log, sqlite).round(log)
    other = Shelf(Store(sqlite), PpidSettings())
    assert {ending: other.file(volume(other, then), ending) for ending in FORMATS} == before
    assert volume(other, then).table.complete
    assert not volume(other).table.complete


async def test_nothing_in_a_csv_is_a_formula(shelf: Shelf) -> None:
    content = shelf.file(volume(shelf), "csv")
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert {row["station"] for row in rows} == {"BYL1", f"'{EVIL}", ""}
    assert [row["label"] for row in rows if row["label"]] == ["'@SUM(A1)"]
    for row in rows:
        for name, text in row.items():
            assert not text.startswith(("=", "+", "@", "\t", "\r")), name
            assert not text.startswith("-") or re.fullmatch(r"-\d+(\.\d+)?", text), name
    assert [row["value"] for row in rows] == ["", "12345678901234567890.125", "61", "-3"]


@settings(max_examples=examples(60))
@given(st.text())
def test_harmless_texts_stay_readable_and_never_begin_a_formula(text: str) -> None:
    safe = harmless(text)
    assert safe in (text, f"'{text}")
    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


_TEXTS = st.one_of(st.none(), st.text(max_size=20), st.sampled_from([EVIL, "33.10", "\x00\x0b", "\ufffe", "=1", " ", "a\r\nb", '"']))
_NUMBERS = st.one_of(
    st.none(), st.decimals(allow_nan=False, allow_infinity=False, places=3).map(lambda number: f"{number:f}"), st.just("9" * 50)
)


@settings(max_examples=examples(40))
@given(st.lists(st.tuples(_TEXTS, _NUMBERS, st.integers(0, 2**62)), max_size=5))
def test_every_format_holds_whatever_a_row_may_hold(rows: list[tuple[str | None, str | None, int]]) -> None:
    columns = [Column(name, kind, "", "", dimension=name == "place") for name, kind in _COLUMNS.items()]
    found = Sheet(columns, [["2026", place, value, n, "final", False] for place, value, n in rows])
    read = list(csv.reader(io.StringIO(csv_file(found).decode("utf-8-sig"), newline="")))
    assert [line[1] for line in read[1:]] == [harmless(place or "") for place, _, _ in rows]
    assert [line[2] for line in read[1:]] == [value or "" for _, value, _ in rows]
    frame = pl.read_parquet(io.BytesIO(parquet_file(found)))
    assert frame["place"].to_list() == [place for place, _, _ in rows]
    assert [None if cell is None else Decimal(cell) for cell in frame["value"]] == [None if v is None else Decimal(v) for _, v, _ in rows]
    assert [record["place"] for record in json.loads(json_file(found, METADATA, "x"))["rows"]] == [place for place, _, _ in rows]
    assert len(list(csv.reader(io.StringIO(sdmx_file(found, METADATA).decode(), newline="")))) == len(rows) + 1
    page = openpyxl.load_workbook(io.BytesIO(xlsx_file(found))).active
    assert all(cell.data_type != "f" for row in page.iter_rows() for cell in row)


async def test_parquet_and_excel_hold_the_same_numbers(shelf: Shelf) -> None:
    frame = pl.read_parquet(io.BytesIO(shelf.file(volume(shelf), "parquet")))
    assert frame["value"].to_list() == [None, Decimal("12345678901234567890.125"), Decimal(61), Decimal(-3)]
    assert frame.schema["window_start"] == pl.Datetime("us", "UTC")
    assert frame["station"].to_list() == [None, EVIL, "BYL1", "BYL1"]
    book = openpyxl.load_workbook(io.BytesIO(shelf.file(volume(shelf), "xlsx")))
    head, *rows = book.active.iter_rows(values_only=True)
    by_name: list[dict[Any, Any]] = [dict(zip(head, row, strict=True)) for row in rows]
    assert [row["value"] for row in by_name] == [None, "12345678901234567890.125", 61, -3]
    cells = [cell for row in book.active.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert EVIL in [cell.value for cell in cells]


async def test_sdmx_says_why_there_is_no_number(shelf: Shelf) -> None:
    rows = list(csv.DictReader(io.StringIO(shelf.file(volume(shelf), "sdmx.csv").decode())))
    assert {row["STRUCTURE_ID"] for row in rows} == {"BOYOLALI:DLH_PM10_MAX(1.0)"}
    found = [(row["TIME_PERIOD"], row["STATION"], row["OBS_VALUE"], row["OBS_STATUS"], row["CONF_STATUS"]) for row in rows]
    assert found[2] == ("2026-01", "BYL1", "61", "A", "F")
    assert found[0] == ("2026-01", "_Z", "", "Q", "C")
    assert found[3] == ("2026-02", "BYL1", "-3", "P", "F")


async def test_frictionless_validates_the_package(shelf: Shelf, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    book = volume(shelf)
    for ending in FORMATS:
        (folder / f"{PM10}.{ending}").write_bytes(shelf.file(book, ending))
    (folder / PACKAGE).write_bytes(shelf.beside(book, PACKAGE, "http://127.0.0.1/dataset/x"))
    report = validate(str(folder / PACKAGE))
    assert report.valid, report.flatten(["type", "message"])
    (folder / f"{PM10}.csv").write_bytes(shelf.file(book, "csv").replace(b"61", b"62", 1))
    assert not validate(str(folder / PACKAGE)).valid


async def test_provenance_names_definition_release_and_evidence(shelf: Shelf) -> None:
    told = json.loads(shelf.beside(volume(shelf), PROVENANCE, "http://x"))
    assert told["vintage"] == "20260307T170000Z"
    assert told["definition"]["version"] == 1
    assert re.fullmatch(r"[0-9a-f]{64}", told["definition"]["sha256"])
    assert told["evidence"][1] == {"topic": "events.dlh.air_quality.recorded.v1", "partition": 1, "offset": 41}
    assert (told["rows"], told["withheld_rows"]) == (4, 1)
    assert next(cell["evidence"] for cell in told["cells"]) == []


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (local(2026, 1), local(2026, 2), "2026-01"),
        (local(2026, 12), local(2027, 1), "2026-12"),
        (local(2026, 4), local(2026, 7), "2026-Q2"),
        (local(2026, 7), local(2027, 1), "2026-S2"),
        (local(2026, 1), local(2027, 1), "2026"),
        (local(2026, 3, 2), local(2026, 3, 9), "2026-W10"),
        (local(2026, 3, 2), local(2026, 3, 3), "2026-03-02"),
        (local(2026, 3, 2, 8), local(2026, 3, 2, 9), "2026-03-02T08:00:00/PT1H"),
    ],
)
def test_windows_are_sdmx_periods(start: Any, end: Any, text: str) -> None:
    assert period(to_micros(start), to_micros(end), 0) == text


def test_the_current_state_is_of_the_moment_of_its_release() -> None:
    assert period(NOW_START, NOW_END, to_micros(released(1))) == "2026-03-01T00:00:00"


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_vintage_is_found_by_its_name(moment: int) -> None:
    assert vintage_moment(vintage_name(moment)) == moment


def test_a_date_means_its_end_in_the_regency() -> None:
    assert vintage_moment("2026-03-01") == to_micros(local(2026, 3, 2)) - 1
    assert vintage_moment("2026-03-01T00:00:00+07:00") == to_micros(local(2026, 3, 1))
    for wrong in ("", "kemarin", "2026-13-01", "2026-03-01T00:00", "20260299T000000Z", "../../etc/passwd", "٢٠٢٦-٠٣-٠١"):
        assert vintage_moment(wrong) is None

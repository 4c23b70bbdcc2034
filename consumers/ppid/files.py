"""The files of a vintage: CSV, SDMX-CSV, JSON, Parquet and XLSX. Pure: the same sheet gives the same bytes.

No file holds a clock, a path or a name of a machine. Parquet and XLSX depend on the libraries that write them; `MAKER` names those.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import openpyxl
import polars as pl
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.writer.excel import ExcelWriter

from consumers.ppid.metadata import Metadata
from consumers.ppid.table import Cell, Column, Sheet

MAKER = f"1/polars-{pl.__version__}/openpyxl-{openpyxl.__version__}"

#: With these a spreadsheet would take a text for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: Digits that a spreadsheet's number holds exactly.
_EXCEL_DIGITS = 15
_EXCEL_TEXT = 32_767
#: Characters that XML 1.0 cannot hold; openpyxl refuses some and writes others, which nobody can read again.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_FIXED = datetime(2000, 1, 1, tzinfo=UTC)
#: Parquet decimals hold 38 digits.
_DECIMAL_DIGITS = 38


def harmless(text: str) -> str:
    """The text so that no spreadsheet takes it for a formula: with an apostrophe before it, where it looks like one."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_file(sheet: Sheet) -> bytes:
    """RFC 4180 in UTF-8, with the byte order mark by which spreadsheets know it. Texts that look like formulas are made harmless."""
    return b"\xef\xbb\xbf" + lines([column.name for column in sheet.columns], (_safe(sheet.columns, row) for row in sheet.rows))


def json_file(sheet: Sheet, metadata: Metadata, vintage: str) -> bytes:
    """Rows as objects. Numbers are exact decimals as texts, as everywhere in the bus."""
    head = {"dataset": metadata.id, "vintage": vintage, "columns": [column.name for column in sheet.columns]}
    return json.dumps(head | {"rows": sheet.records()}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def parquet_file(sheet: Sheet) -> bytes:
    """Typed columns; numbers as decimals of the scale that they need (as texts when 38 digits do not hold them)."""
    columns = {column.name: _series(column, [row[index] for row in sheet.rows]) for index, column in enumerate(sheet.columns)}
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer, compression="zstd", statistics=True)
    return buffer.getvalue()


def xlsx_file(sheet: Sheet) -> bytes:
    """One sheet with a fixed head. Codes stay texts ("33.10"), numbers of more than 15 digits too: a spreadsheet would round them."""
    book = openpyxl.Workbook(write_only=True)
    page = book.create_sheet("data")
    page.freeze_panes = "A2"
    bold = Font(bold=True)
    head = []
    for column in sheet.columns:
        cell = WriteOnlyCell(page, column.name)
        cell.font = bold
        head.append(cell)
    page.append(head)
    for row in sheet.rows:
        page.append([_excel(page, column, value) for column, value in zip(sheet.columns, row, strict=True)])
    book.properties.creator = "Simpul"
    book.properties.created = book.properties.modified = _FIXED.replace(tzinfo=None)
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        # `Workbook.save` would write the present time into the properties
        ExcelWriter(book, archive).write_data()
    with zipfile.ZipFile(raw) as archive:
        return zipped({name: archive.read(name) for name in archive.namelist()})


#: What a cell that stays empty, provisional or withheld is called in SDMX (code lists CL_OBS_STATUS and CL_CONF_STATUS).
_NORMAL, _PROVISIONAL, _MISSING, _WITHHELD = "A", "P", "M", "Q"
_FREE, _CONFIDENTIAL = "F", "C"


def sdmx_file(sheet: Sheet, metadata: Metadata, agency: str = "BOYOLALI") -> bytes:
    """SDMX-CSV 2.0. OBS_STATUS: A normal, P provisional, M missing, Q withheld; CONF_STATUS: F free, C confidential."""
    dimensions = [column for column in sheet.columns if column.dimension]
    head = ["STRUCTURE", "STRUCTURE_ID", "ACTION", *(each.name.upper() for each in dimensions), "TIME_PERIOD", "OBS_VALUE"]
    head += ["OBS_STATUS", "CONF_STATUS", "UNIT_MEASURE", "DECIMALS", "OBS_COUNT"]
    flow = f"{agency}:{metadata.id.upper().replace('.', '_')}({metadata.version}.0)"

    def line(record: Mapping[str, Cell]) -> list[str]:
        withheld = bool(record["suppressed"])
        missing = _MISSING if record["value"] is None else _PROVISIONAL if record["status"] == "provisional" else _NORMAL
        return [
            "dataflow", flow, "I", *(harmless(str(_text(record[each.name]) or "_Z")) for each in dimensions), _text(record["period"]),
            _text(record["value"]), _WITHHELD if withheld else missing, _CONFIDENTIAL if withheld else _FREE,
            harmless(metadata.unit), str(metadata.decimals), _text(record["n"]),
        ]  # fmt: skip

    return lines(head, map(line, sheet.records()))


def zipped(members: Mapping[str, bytes]) -> bytes:
    """An archive of these files that holds no time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            archive.writestr(entry, content)
    return buffer.getvalue()


def lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """A head and rows as CSV (RFC 4180) in UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()


def _safe(columns: Sequence[Column], row: Sequence[Cell]) -> list[str]:
    return [harmless(_text(value)) if column.kind == "string" else _text(value) for column, value in zip(columns, row, strict=True)]


def _text(value: Cell) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _excel(page: object, column: Column, value: Cell) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if column.kind == "number" and len(value.replace("-", "").replace(".", "").lstrip("0")) <= _EXCEL_DIGITS:
        return Decimal(value)
    cell = WriteOnlyCell(page, _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value)[:_EXCEL_TEXT])
    cell.data_type = "s"  # also where it begins with "=": a text is a text
    return cell


def _series(column: Column, values: Sequence[Cell]) -> pl.Series:
    if column.kind == "number":
        return _decimals(values)
    if column.kind == "datetime":
        moments = [None if cell is None else datetime.fromisoformat(str(cell)).astimezone(UTC) for cell in values]
        return pl.Series(moments, dtype=pl.Datetime("us", "UTC"))
    plain = {"integer": pl.Int64(), "boolean": pl.Boolean()}
    return pl.Series(values, dtype=plain.get(column.kind, pl.String()))


def _decimals(cells: Sequence[Cell]) -> pl.Series:
    numbers = [None if cell is None else Decimal(str(cell)) for cell in cells]
    parts = [number.as_tuple() for number in numbers if number is not None]
    scale = max((-part.exponent for part in parts if isinstance(part.exponent, int) and part.exponent < 0), default=0)
    whole = max((number.adjusted() + 1 for number in numbers if number is not None), default=0)
    if scale + max(whole, 0) > _DECIMAL_DIGITS:
        return pl.Series(cells, dtype=pl.String)
    return pl.Series(numbers, dtype=pl.Decimal(_DECIMAL_DIGITS, scale))

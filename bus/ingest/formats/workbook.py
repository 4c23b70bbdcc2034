"""Excel workbooks (.xlsx): title rows above the header, several sheets, one header several times, cells as stable texts.

Read as a stream; before that the whole workbook is checked (checksums, well-formed XML, no entities, cells that can be read), so that a
damaged one is refused before anything of it is published. A formula counts with the value that Excel saved; one that was never computed is blank. Of merged
cells the first has the value. A record's number is its row, counted on from sheet to sheet.
"""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, BinaryIO
from xml.parsers import expat

import openpyxl
import openpyxl.xml

from bus.errors import ConfigurationError
from bus.ingest.formats.archive import Budget, members, opened_zip, read_all, size_of
from bus.ingest.formats.columns import allowed, arranged, fitted, resolve, score, title_values
from bus.ingest.kinds import FilesSpec
from bus.ingest.messages import clip
from bus.ingest.source import BadRecord, FileRefused, RawRecord, Reason

#: How the raw text of a row is marked in the quarantine; the text itself is CSV with commas.
XLSX = "xlsx"
#: Digits that a number in a cell has: Excel keeps no more, what is beyond is an accident of binary fractions.
_DIGITS = 15


@dataclass(frozen=True, slots=True)
class _Table:
    """A sheet with its header found."""

    sheet: Any
    name: str
    row: int
    header: tuple[str, ...]
    columns: Sequence[str | None]
    titles: Mapping[str, str]


class WorkbookFile:
    """The records of a workbook's sheets, in the order of the sheets.

    Raises `FileRefused` when it is damaged, no sheet has the header, or a sheet's header cannot be mapped.
    """

    delimiter = XLSX

    def __init__(self, stream: BinaryIO, spec: FilesSpec, *, named: Mapping[str, str] | None = None) -> None:
        if not openpyxl.xml.DEFUSEDXML:
            raise ConfigurationError("workbooks are read only with defusedxml, and OPENPYXL_DEFUSEDXML must not be off")
        self._size = size_of(stream)
        _check(stream, self._size)
        self._named = dict(named or {})
        self._spec = loose(spec)
        self._book = _load(stream)
        try:
            self._tables = self._found(spec)
            for table in self._tables:
                _check_cells(table)
        except BaseException:
            self._book.close()
            raise
        self._several = len(self._tables) > 1
        self.base = self.last_line = 0
        self._done = 0
        self._begin(self._tables[0])
        self.header_line = self._tables[0].row

    def close(self) -> None:
        """Let go of the workbook; the stream stays open."""
        self._book.close()

    def bytes_done(self) -> int:
        return self._size * self._done // len(self._tables)

    def __iter__(self) -> Iterator[RawRecord | BadRecord]:
        for number, table in enumerate(self._tables):
            self.base = self.last_line
            self._begin(table)
            yield from self._records(table)
            self._done = number + 1

    def _begin(self, table: _Table) -> None:
        self.header = table.header
        self.extra = {**self._named, **table.titles}
        self.part = clip(table.name) if self._several or self._spec.sheets else ""

    def _records(self, table: _Table) -> Iterator[RawRecord | BadRecord]:
        width, base = len(table.header), self.base
        blank = dict.fromkeys(self._spec.optional, "") | self.extra
        row = table.row
        for cells in _rows(table.sheet, table.name, table.row + 1):
            row += 1
            self.last_line = base + row
            if not any(cells):
                continue
            texts = fitted(cells, width)
            raw = _raw(texts)
            if len(texts) != width:
                yield BadRecord(base + row, raw, Reason("field_count", shape=f"{len(texts)} kolom/fields", allowed=f"{width} kolom/fields"))
            else:
                yield RawRecord(base + row, raw, blank | arranged(table.columns, texts))

    def _found(self, spec: FilesSpec) -> list[_Table]:
        tables: list[_Table] = []
        best: tuple[int, FileRefused] = (-1, FileRefused(Reason("no_sheet", allowed=", ".join(spec.sheets) or allowed(spec))))
        for sheet in self._book.worksheets:
            name = str(sheet.title)
            if not (any(fnmatchcase(name.lower(), pattern.lower()) for pattern in spec.sheets) if spec.sheets else _visible(sheet)):
                continue
            sheet.reset_dimensions()
            try:
                table, hits = self._table(sheet, name)
            except _NoHeader as missing:
                if spec.sheets:
                    raise missing.refused from None
                best = max(best, (missing.hits, missing.refused), key=lambda found: found[0])
                continue
            tables += [table] if hits else []
        if not tables:
            raise best[1]
        return tables

    def _table(self, sheet: Any, name: str) -> tuple[_Table, int]:
        """The sheet's header: of its first rows the one that knows the most of our columns."""
        rows = list(islice(_rows(sheet, name, 1), self._spec.title_rows("xlsx") + 1))
        hits = [score(cells, self._spec) for cells in rows]
        at = max(range(len(rows)), key=lambda number: hits[number], default=-1)
        header = _without_blank_end(rows[at]) if rows else []
        try:
            columns = resolve(header, self._spec, line=at + 1)
        except FileRefused as refused:
            refused.part = clip(name)
            if refused.rule == "no_header":
                raise _NoHeader(hits[at] if rows else 0, refused) from None
            raise
        return _Table(sheet, name, at + 1, tuple(header), columns, title_values(rows[:at], self._spec)), hits[at]


class _NoHeader(Exception):
    def __init__(self, hits: int, refused: FileRefused) -> None:
        super().__init__()
        self.hits, self.refused = hits, refused


def loose(spec: FilesSpec) -> FilesSpec:
    """How rows of sheets are read: they end where their last cell is, whatever the header's width."""
    return spec if spec.ragged else spec.model_copy(update={"ragged": True})


def text_of(cell: Any) -> str:
    """A cell as text, the same for the same cell: whole numbers without ".0", no exponents, dates in ISO form; texts as they are."""
    value = cell.value
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float():
            return _number(value)
        case datetime():
            return value.isoformat() if _has_time(str(cell.number_format)) or value.time() != time() else value.date().isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return str(value)
        case _:
            return str(value)


def _number(value: float) -> str:
    if value.is_integer() and abs(value) < 10**_DIGITS:
        return str(int(value))
    return format(Decimal(f"{value:.{_DIGITS}g}"), "f")


def _has_time(number_format: str) -> bool:
    return "h" in number_format.lower() or "ss" in number_format.lower()


def _rows(sheet: Any, name: str, first: int) -> Iterator[list[str]]:
    """The rows from `first` on, as texts. Raises `FileRefused` for what the library cannot read."""
    try:
        for cells in sheet.iter_rows(min_row=first):
            yield [text_of(cell) for cell in cells]
    except GeneratorExit:
        raise
    except Exception as error:  # noqa: BLE001  the library raises whatever a broken sheet leads it to; its text may quote cells
        raise FileRefused(Reason("damaged_workbook", shape=type(error).__name__, allowed="xlsx"), part=clip(name)) from None


def _check_cells(table: _Table) -> None:
    """Read a sheet once for nothing: a cell that cannot be read then refuses the whole file, not the half that is not yet published."""
    try:
        for _ in table.sheet.iter_rows(min_row=table.row, values_only=True):
            pass
    except Exception as error:  # noqa: BLE001  see _rows
        raise FileRefused(Reason("damaged_workbook", shape=type(error).__name__, allowed="xlsx"), part=clip(table.name)) from None


def _load(stream: BinaryIO) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # parts of a workbook that are not data
            return openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
    except Exception as error:  # noqa: BLE001  see _rows
        raise FileRefused(Reason("damaged_workbook", shape=type(error).__name__, allowed="xlsx")) from None


def _check(stream: BinaryIO, size: int) -> None:
    """The whole archive once: checksums, and XML that is well-formed and declares nothing. Raises `FileRefused`."""
    budget = Budget(size)
    with opened_zip(stream) as archive:
        for info in members(archive):
            _check_member(archive, info, budget)
    stream.seek(0)


def _check_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> None:
    parser = expat.ParserCreate() if info.filename.lower().endswith((".xml", ".rels")) else None
    if parser is not None:
        parser.StartDoctypeDeclHandler = _no_doctype
    try:
        for block in read_all(archive, info, budget):
            if parser is not None:
                parser.Parse(block)
        if parser is not None:
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise FileRefused(Reason("damaged_workbook", shape=f"XML {error.code}", allowed="xlsx")) from None


def _no_doctype(*_: object) -> None:
    raise FileRefused(Reason("damaged_workbook", shape="DOCTYPE", allowed="xlsx"))


def _visible(sheet: Any) -> bool:
    return bool(sheet.sheet_state == "visible")


def _without_blank_end(cells: list[str]) -> list[str]:
    width = len(cells)
    while width and not cells[width - 1].strip():
        width -= 1
    return cells[:width]


def _raw(cells: Sequence[str]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()

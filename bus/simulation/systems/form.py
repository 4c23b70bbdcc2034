"""How a record looks where an agency's system keeps it. Pure."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

import openpyxl


@dataclass(frozen=True, slots=True)
class FileForm:
    """The files of a source: `name` with {at:…} and fields of the record in braces, our columns as the agency heads them, in this order.

    What stands in the name or in `titles` (rows above the header, each with the name of our column whose text it has) is no column. A name
    that ends in .xlsx is a workbook's, with that `sheet`, one in .geojson a collection's of features without a place; all else is text.
    """

    name: str
    header: Mapping[str, str]
    delimiter: str = ","
    encoding: str = "utf-8"
    titles: Mapping[str, str] = field(default_factory=dict)
    sheet: str = "data"

    def name_of(self, at: datetime, record: Mapping[str, object]) -> str:
        """The name of the file in which that record is told."""
        return self.name.format(at=at, **record)

    def content(self, records: Iterable[Mapping[str, object]]) -> bytes:
        """A file with these records."""
        rows = list(records)
        match self.name.rpartition(".")[2]:
            case "geojson":
                return self._features(rows)
            case "xlsx":
                return self._workbook(rows)
        text = io.StringIO()
        csv.writer(text, delimiter=self.delimiter, lineterminator="\n").writerows(self._lines(rows))
        return text.getvalue().encode(self.encoding)

    def _lines(self, rows: Sequence[Mapping[str, object]]) -> Iterator[list[object]]:
        yield from ([title, rows[0][column]] for column, title in self.titles.items())
        yield list(self.header.values())
        yield from ([row[column] for column in self.header] for row in rows)

    def _workbook(self, rows: Sequence[Mapping[str, object]]) -> bytes:
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet(self.sheet)
        for line in self._lines(rows):
            sheet.append(line)
        return saved(book)

    def _features(self, rows: Sequence[Mapping[str, object]]) -> bytes:
        features = [
            {"type": "Feature", "geometry": None, "properties": {name: row[column] for column, name in self.header.items()}} for row in rows
        ]
        return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False).encode()


def saved(book: openpyxl.Workbook) -> bytes:
    """The book's bytes, the same whenever it is saved: openpyxl writes the time into its properties and beside each part."""
    written, settled = io.BytesIO(), io.BytesIO()
    book.save(written)
    with zipfile.ZipFile(written) as parts, zipfile.ZipFile(settled, "w") as archive:
        for name in parts.namelist():
            content = parts.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"1980-01-01T00:00:00Z", content)
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return settled.getvalue()


def as_json(record: Mapping[str, object]) -> dict[str, object]:
    """The record with times and days as ISO texts, and decimals as texts, so that no digit is lost."""
    return {name: _plain(value) for name, value in record.items()}


def json_text(record: Mapping[str, object]) -> str:
    """One line of JSON."""
    return json.dumps(as_json(record), ensure_ascii=False)


def _plain(value: object) -> object:
    match value:
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case Mapping():
            return {str(name): _plain(each) for name, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
    return value

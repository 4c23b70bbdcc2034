"""Files as agencies make them, invented: workbooks, archives."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import openpyxl

from bus.simulation.systems.form import saved

Rows = Sequence[Sequence[object]]


def workbook(sheets: Mapping[str, Rows], *, dress: Callable[[Any], None] | None = None) -> bytes:
    """A workbook with these sheets; `dress` may change it before it is saved."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    if dress is not None:
        dress(book)
    return saved(book)


def packed(files: Mapping[str, bytes | str]) -> bytes:
    """A zip of these files, the same bytes whenever it is made."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def gzipped(content: bytes | str) -> bytes:
    return gzip.compress(content.encode() if isinstance(content, str) else content, mtime=0)


def rewritten(content: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """A zip with its members changed, checksums right."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return packed({info.filename: change(info.filename, archive.read(info)) for info in archive.infolist()})

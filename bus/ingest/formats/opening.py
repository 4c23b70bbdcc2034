"""From a delivered file to its records, whatever its form: text, workbook, JSON, alone or in an archive."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from bus.ingest.csvfile import CsvFile, parse_record
from bus.ingest.files import content_problem, described
from bus.ingest.formats.archive import Member, gunzip, is_gzip, is_zip, opened_zip, size_of, unzip
from bus.ingest.formats.documents import JSON, JsonFile, JsonLinesFile, parse_document
from bus.ingest.formats.records import RecordFile
from bus.ingest.formats.workbook import XLSX, WorkbookFile, loose
from bus.ingest.kinds import FilesSpec
from bus.ingest.quarantine import RawText
from bus.ingest.source import BadRecord, FileRefused, RawRecord, Reason

#: Stands between the file's name and the member or sheet in it.
WITHIN = " › "
_WORKBOOK = "[Content_Types].xml"


def open_records(stream: BinaryIO, spec: FilesSpec, *, name: str, encoding: str) -> RecordFile:
    """The records of an open, seekable file that was delivered as `name`. What is packed is unpacked now, so this may take seconds.

    Raises `FileRefused`: damaged, no header, too much in it …; no record of such a file was given.
    """
    named = name_values(spec, name)
    head = stream.read(8)
    stream.seek(0)
    if is_gzip(head) or (is_zip(head) and not _is_workbook(stream)):
        return _Parts(stream, spec, name, named)
    if is_zip(head):
        return WorkbookFile(stream, spec, named=named)
    return _text_file(stream, spec, name, encoding, named)


def read_sealed(sealed: RawText, spec: FilesSpec, *, line: int) -> RawRecord | BadRecord:
    """A quarantined record again, as its file would give it. Raises `FileRefused` when today's manifest does not know its header."""
    if sealed.delimiter == JSON:
        return parse_document(sealed.raw, spec, line=line, extra=sealed.extra)
    if sealed.delimiter == XLSX:
        return parse_record(sealed.raw, sealed.header, ",", loose(spec), line=line, extra=sealed.extra)
    return parse_record(sealed.raw, sealed.header, sealed.delimiter, spec, line=line, extra=sealed.extra)


def name_values(spec: FilesSpec, name: str) -> dict[str, str]:
    """What a file's name says. Raises `FileRefused` when it should and does not."""
    if spec.from_name is None:
        return {}
    found = re.search(spec.from_name, name)
    if found is None:
        raise FileRefused(Reason("file_name", allowed=spec.from_name))
    return {column: text or "" for column, text in found.groupdict().items()}


def shown(name: str, part: str) -> str:
    """How a place in a file is named: the file, and the member or sheet where it has several."""
    return f"{name}{WITHIN}{part}" if part else name


def file_of(where: str) -> str:
    """The file of what `shown` gave."""
    return where.partition(WITHIN)[0]


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    file: RecordFile
    stream: BinaryIO
    size: int


class _Parts:
    """The records of what an archive holds, file by file, with numbers that run on."""

    def __init__(self, stream: BinaryIO, spec: FilesSpec, name: str, named: Mapping[str, str]) -> None:
        self._packed = size_of(stream)
        self._open = contextlib.ExitStack()
        self._done = 0
        self.base = self.last_line = 0
        with contextlib.ExitStack() as open_now:
            open_now.callback(self._open.close)
            self._parts = [self._part(member, spec, name, named) for member in self._members(stream, spec, name)]
            open_now.pop_all()
        self._total = sum(part.size for part in self._parts) or 1
        self._now = self._parts[0]
        self.header_line = self._now.file.header_line

    @property
    def header(self) -> Sequence[str]:
        return self._now.file.header

    @property
    def delimiter(self) -> str:
        return self._now.file.delimiter

    @property
    def extra(self) -> Mapping[str, str]:
        return self._now.file.extra

    @property
    def part(self) -> str:
        return WITHIN.join(filter(None, (self._now.name, self._now.file.part)))

    def bytes_done(self) -> int:
        return self._packed * (self._done + min(self._now.file.bytes_done(), self._now.size)) // self._total

    def close(self) -> None:
        self._open.close()

    def __iter__(self) -> Iterator[RawRecord | BadRecord]:
        start = 0
        for part in self._parts:
            self._now = part
            try:
                for record in part.file:
                    self.base, self.last_line = start + part.file.base, start + part.file.last_line
                    yield _moved(record, start) if start else record
            except FileRefused as refused:
                raise _within(part.name, refused) from None
            start = self.last_line = start + part.file.last_line
            self._done += part.size

    def _members(self, stream: BinaryIO, spec: FilesSpec, name: str) -> Iterator[Member]:
        head = stream.read(8)
        stream.seek(0)
        if is_zip(head):
            yield from unzip(stream, spec.members)
            return
        inner = gunzip(stream)
        self._open.callback(inner.stream.close)
        if is_zip(inner.stream.read(8)) and not _is_workbook(inner.stream):
            yield from unzip(inner.stream, spec.members)
        else:
            inner.stream.seek(0)
            yield Member(inner.name, name.lower().removesuffix(".gz"), inner.stream)

    def _part(self, member: Member, spec: FilesSpec, name: str, named: Mapping[str, str]) -> _Part:
        self._open.callback(member.stream.close)
        try:
            content = described(member.stream)
            head = content.head
            if is_gzip(head) or (is_zip(head) and not _is_workbook(member.stream)):
                raise FileRefused(Reason("nested_archive", allowed="CSV, xlsx, JSON"))
            size = size_of(member.stream)
            if (problem := content_problem(content, size)) is not None:
                raise FileRefused(problem)
            file: RecordFile
            if is_zip(head):
                file = WorkbookFile(member.stream, spec, named=named)
            else:
                file = _text_file(member.stream, spec, member.file, spec.encoding or content.encoding, named)
        except FileRefused as refused:
            raise _within(member.name, refused) from None
        self._open.callback(file.close)
        return _Part(member.name, file, member.stream, size)


def _text_file(stream: BinaryIO, spec: FilesSpec, name: str, encoding: str, named: Mapping[str, str]) -> RecordFile:
    match spec.format_of(name):
        case "json":
            return JsonFile(stream, spec, encoding, named=named)
        case "jsonl":
            return JsonLinesFile(stream, spec, encoding, named=named)
        case "xlsx":
            raise FileRefused(Reason("not_a_workbook", allowed="xlsx"))
        case _:
            return CsvFile(stream, spec, encoding, named=named)


def _is_workbook(stream: BinaryIO) -> bool:
    stream.seek(0)
    with opened_zip(stream) as archive:
        found = _WORKBOOK in archive.namelist()
    stream.seek(0)
    return found


def _moved(record: RawRecord | BadRecord, by: int) -> RawRecord | BadRecord:
    if isinstance(record, RawRecord):
        return RawRecord(record.line + by, record.raw, record.values)
    return BadRecord(record.line + by, record.raw, record.reason)


def _within(member: str, refused: FileRefused) -> FileRefused:
    refused.part = WITHIN.join(filter(None, (member, refused.part)))
    return refused

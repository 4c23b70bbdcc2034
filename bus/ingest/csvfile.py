"""CSV as agencies really write it: any of four delimiters, headers that change over the years, quoted newlines, truncated ends.

Streams: never holds more of a file than one record. A record's number is the physical line where it begins (the first is 1).
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, cast

from bus.errors import TransientError
from bus.ingest.manifest import SourceSpec, normal
from bus.ingest.messages import clip
from bus.ingest.source import BadRecord, FileRefused, RawRecord, Reason

_DELIMITERS = (",", ";", "\t", "|")
#: Characters of the longest record; what is longer is no record but a quote that was never closed, or no CSV at all.
LONGEST_RECORD = 256 * 1024
#: What the decoder puts where bytes are no character.
_UNREADABLE = "\ufffd"


class CsvFile:
    """The records of an open file. Its header is read, and its columns resolved, when the object is made.

    Raises `FileRefused` when the header cannot be mapped: an unknown, missing or repeated column makes every record unmappable.
    """

    def __init__(self, stream: BinaryIO, spec: SourceSpec, encoding: str) -> None:
        self._lines = _Lines(io.TextIOWrapper(cast("BinaryIO", _Borrowed(stream)), encoding, errors="replace", newline=""))
        line, text = self._first_line()
        self.header_line = line
        self.header, self.delimiter = _split_header(text, spec, line)
        self._columns = resolve(self.header, spec, line=line)
        self._blank = dict.fromkeys(spec.optional, "")
        self.last_line = line

    def __iter__(self) -> Iterator[RawRecord | BadRecord]:
        while (next_line := self._lines.take()) is not None:
            line, text = next_line
            if not text.strip(self.delimiter + " \t\r\n\f\v"):
                self.last_line = line
                continue
            item = self._item(line, text)
            self.last_line = self._lines.number
            yield item

    def _item(self, line: int, text: str) -> RawRecord | BadRecord:
        if len(text) >= LONGEST_RECORD and not _ended(text):
            self._lines.skip_rest()
            return BadRecord(line, text, Reason("record_too_long", shape=f">= {LONGEST_RECORD}", allowed=f"< {LONGEST_RECORD} characters"))
        if '"' in text:
            fields, raw, rule = self._quoted(text)
        else:
            fields, raw, rule = text.rstrip("\r\n").split(self.delimiter), text, ""
        last = not _ended(raw)
        if last and (rule == "open_quote" or len(fields) < len(self.header) or _UNREADABLE in raw):
            rule = "truncated"
        elif not rule and len(fields) != len(self.header):
            rule = "field_count"
        elif not rule and _UNREADABLE in raw:
            rule = "bad_encoding"
        if rule:
            return BadRecord(line, raw, _malformed(rule, len(fields), len(self.header)))
        return RawRecord(line, raw, self._blank | dict(zip(self._columns, fields, strict=True)))

    def _quoted(self, first: str) -> tuple[list[str], str, str]:
        """The fields of a record that begins on this line, its text, and the rule that it breaks.

        Of a quote that is never closed only the first line is taken; those after it are read again as records of their own.
        """
        taken = [first]
        try:
            fields = next(csv.reader(self._feed(taken), delimiter=self.delimiter, strict=True), [])
        except csv.Error as error:
            self._lines.give_back(taken[1:])
            return [], first, "open_quote" if "end of data" in str(error) else "bad_quoting"
        return fields, "".join(taken), ""

    def _feed(self, taken: list[str]) -> Iterator[str]:
        yield taken[0]
        size = len(taken[0])
        while size < LONGEST_RECORD and (following := self._lines.take()) is not None:
            taken.append(following[1])
            size += len(following[1])
            yield following[1]

    def _first_line(self) -> tuple[int, str]:
        while (found := self._lines.take()) is not None:
            if found[1].strip():
                return found
        raise FileRefused(Reason("empty_file", allowed="baris judul dan data/a header and records"))


def parse_record(raw: str, header: Sequence[str], delimiter: str, spec: SourceSpec, *, line: int) -> RawRecord | BadRecord:
    """One record's text as a file with that header would give it: how a quarantined record is read again."""
    columns = resolve(header, spec, line=line)
    try:
        rows = list(csv.reader(io.StringIO(raw, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return BadRecord(line, raw, _malformed("bad_quoting", 0, len(columns)))
    if len(rows) != 1 or len(rows[0]) != len(columns):
        return BadRecord(line, raw, _malformed("field_count", len(rows[0]) if rows else 0, len(columns)))
    return RawRecord(line, raw, dict.fromkeys(spec.optional, "") | dict(zip(columns, rows[0], strict=True)))


def resolve(header: Sequence[str], spec: SourceSpec, *, line: int) -> list[str]:
    """Our column for each column of a header, in its order. Raises `FileRefused` naming the first column that is wrong."""
    known = _spellings(spec)
    if sum(normal(name) in known for name in header) * 2 < len(header):  # rather a record, whose values are not to be shown
        raise FileRefused(Reason("no_header", shape=f"{len(header)} columns", allowed=_allowed(spec)), line=line)
    columns: list[str] = []
    for name in header:
        column = known.get(normal(name))
        if column is None:
            raise FileRefused(Reason("unknown_column", clip(name) or "''", allowed=_allowed(spec)), line=line)
        if column in columns:
            raise FileRefused(Reason("duplicate_column", clip(name), allowed="satu kali/once"), line=line)
        columns.append(column)
    for column in spec.header:
        if column not in columns and column not in spec.optional:
            raise FileRefused(Reason("missing_column", column, allowed=", ".join(dict.fromkeys((column, *spec.header[column])))), line=line)
    return columns


class _Borrowed(io.BufferedIOBase):
    """A stream that is somebody else's to close: a `TextIOWrapper` closes what it wraps when it goes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return self._stream.read(-1 if size is None else size)
        except OSError as error:
            raise TransientError(f"reading the file failed: {error.strerror}") from error

    def read1(self, size: int = -1, /) -> bytes:
        return self.read(size)


class _Lines:
    """Physical lines with their numbers; lines can be given back."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._back: deque[str] = deque()
        self.number = 0

    def take(self) -> tuple[int, str] | None:
        """The next line, its end included, at most `LONGEST_RECORD` characters of it."""
        line = self._back.popleft() if self._back else self._text.readline(LONGEST_RECORD)
        if not line:
            return None
        self.number += 1
        return self.number, line

    def give_back(self, lines: Sequence[str]) -> None:
        self._back.extendleft(reversed(lines))
        self.number -= len(lines)

    def skip_rest(self) -> None:
        """Go on to the end of a line of which `take` gave only the beginning."""
        while (more := self._text.readline(LONGEST_RECORD)) and not _ended(more):
            continue


def _ended(text: str) -> bool:
    return text.endswith(("\n", "\r"))


def _split_header(text: str, spec: SourceSpec, line: int) -> tuple[list[str], str]:
    """The header's names, by the declared delimiter or the one that gives the most columns that we know."""
    known = _spellings(spec)
    best: tuple[int, list[str], str] = (-1, [], ",")
    for delimiter in (spec.delimiter,) if spec.delimiter else _DELIMITERS:
        try:
            names = next(csv.reader([text], delimiter=delimiter, strict=True), [])
        except csv.Error:
            continue
        score = sum(normal(name) in known for name in names)
        if score > best[0]:
            best = (score, names, delimiter)
    if best[0] < 0:
        raise FileRefused(Reason("bad_quoting", allowed=_allowed(spec)), line=line)
    return best[1], best[2]


def _spellings(spec: SourceSpec) -> Mapping[str, str]:
    return {normal(text): column for column, spellings in spec.header.items() for text in (column, *spellings)}


def _allowed(spec: SourceSpec) -> str:
    return ", ".join(dict.fromkeys(normal(text) for column, spellings in spec.header.items() for text in (column, *spellings)))


def _malformed(rule: str, fields: int, columns: int) -> Reason:
    shape = f"{fields} kolom/fields" if rule in {"field_count", "truncated"} and fields else ""
    return Reason(rule, shape=shape, allowed=f"{columns} kolom/fields")

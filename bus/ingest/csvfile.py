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
from bus.ingest.formats.columns import allowed, arranged, fitted, resolve, score, title_values
from bus.ingest.kinds import FilesSpec
from bus.ingest.source import BadRecord, FileRefused, RawRecord, Reason

_DELIMITERS = (",", ";", "\t", "|")
#: Characters of the longest record; what is longer is no record but a quote that was never closed, or no CSV at all.
LONGEST_RECORD = 256 * 1024
#: What the decoder puts where bytes are no character.
_UNREADABLE = "\ufffd"
#: Lines over which a quoted name in a header may reach.
_HEADER_LINES = 20


class CsvFile:
    """The records of an open file. Its header is read, and its columns resolved, when the object is made.

    Raises `FileRefused` when the header cannot be mapped: an unknown, missing or repeated column makes every record unmappable.
    """

    part = ""
    base = 0

    def __init__(self, stream: BinaryIO, spec: FilesSpec, encoding: str, *, named: Mapping[str, str] | None = None) -> None:
        """`named` are values that every record gets beside its own."""
        self._lines = _Lines(io.TextIOWrapper(cast("BinaryIO", _Borrowed(stream)), encoding, errors="replace", newline=""))
        self._stream = stream
        self._ragged = spec.ragged
        self._reach = 1
        line, header, delimiter, above = self._head(spec)
        self.header_line, self.delimiter = line, delimiter
        self.header = _without_blank_end(header) if spec.ragged else header
        self._columns = resolve(self.header, spec, line=line)
        self._all = None not in self._columns
        self.extra: Mapping[str, str] = {**(named or {}), **title_values(above, spec)}
        self._blank = dict.fromkeys(spec.optional, "") | self.extra
        self.last_line = line

    def close(self) -> None:
        """Nothing is held."""

    def bytes_done(self) -> int:
        """How much of the stream was read."""
        return self._stream.tell()

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
        if self._ragged and not rule and not (last and len(fields) < len(self.header)):
            fields = fitted(fields, len(self.header))
        if last and (rule == "open_quote" or len(fields) < len(self.header) or _UNREADABLE in raw):
            rule = "truncated"
        elif not rule and len(fields) != len(self.header):
            rule = "field_count"
        elif not rule and _UNREADABLE in raw:
            rule = "bad_encoding"
        if rule:
            return BadRecord(line, raw, _malformed(rule, len(fields), len(self.header)))
        own = dict(zip(self._columns, fields, strict=True)) if self._all else arranged(self._columns, fields)
        return RawRecord(line, raw, self._blank | own)  # type: ignore[operator]  # its keys are texts: there is no None in _columns

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

    def _head(self, spec: FilesSpec) -> tuple[int, list[str], str, list[list[str]]]:
        """The header's line, names and delimiter, and the rows above it: of the first lines the one that knows the most of our columns."""
        taken: list[str] = []
        candidates: list[tuple[int, str, int]] = []
        while len(candidates) <= spec.title_rows("csv") and (found := self._logical_line(taken)):
            if found.strip():
                candidates.append((len(taken) - self._reach + 1, found, len(taken)))
        if not candidates:
            raise FileRefused(Reason("empty_file", allowed="baris judul dan data/a header and records"))
        split = [_split(text, spec) for _, text, _ in candidates]
        best = max(range(len(split)), key=lambda at: split[at][0])  # the first of equals
        hits, names, delimiter = split[best]
        line, _, end = candidates[best]
        if hits < 0:
            raise FileRefused(Reason("bad_quoting", allowed=allowed(spec)), line=line)
        self._lines.give_back(taken[end:])
        return line, names, delimiter, [_title_row(text, delimiter) for _, text, _ in candidates[:best]]

    def _logical_line(self, taken: list[str]) -> str:
        """The next line, with those that an open quote continues it with, as far as a header may reach; they are added to `taken`."""
        pieces: list[str] = []
        while (not pieces or "".join(pieces).count('"') % 2) and len(pieces) < _HEADER_LINES and (found := self._lines.take()):
            pieces.append(found[1])
        if len(pieces) > 1 and "".join(pieces).count('"') % 2:
            self._lines.give_back(pieces[1:])
            del pieces[1:]
        taken += pieces
        self._reach = len(pieces)
        return "".join(pieces)


def parse_record(
    raw: str, header: Sequence[str], delimiter: str, spec: FilesSpec, *, line: int, extra: Mapping[str, str] | None = None
) -> RawRecord | BadRecord:
    """One record's text as a file with that header would give it: how a quarantined record is read again."""
    columns = resolve(header, spec, line=line)
    try:
        rows = list(csv.reader(io.StringIO(raw, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return BadRecord(line, raw, _malformed("bad_quoting", 0, len(columns)))
    if spec.ragged:
        rows = [fitted(row, len(columns)) for row in rows]
    if len(rows) != 1 or len(rows[0]) != len(columns):
        return BadRecord(line, raw, _malformed("field_count", len(rows[0]) if rows else 0, len(columns)))
    return RawRecord(line, raw, {**dict.fromkeys(spec.optional, ""), **(extra or {}), **arranged(columns, rows[0])})


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


def _split(text: str, spec: FilesSpec) -> tuple[int, list[str], str]:
    """How many columns of a line we know, its cells, and their delimiter: the declared one or the one by which we know the most."""
    best: tuple[int, list[str], str] = (-1, [], ",")
    for delimiter in (spec.delimiter,) if spec.delimiter else _DELIMITERS:
        try:
            names = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), [])
        except csv.Error:
            continue
        hits = score(names, spec)
        if hits > best[0]:
            best = (hits, names, delimiter)
    return best


def _title_row(text: str, delimiter: str) -> list[str]:
    """The cells of a line above the header, which need not have the header's delimiter."""
    for tried in dict.fromkeys((delimiter, *_DELIMITERS)):
        try:
            cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=tried, strict=True), [])
        except csv.Error:
            continue
        if len(cells) > 1:
            return cells
    return [text.strip()]


def _without_blank_end(header: list[str]) -> list[str]:
    width = len(header)
    while width and not header[width - 1].strip():
        width -= 1
    return header[:width]


def _malformed(rule: str, fields: int, columns: int) -> Reason:
    shape = f"{fields} kolom/fields" if rule in {"field_count", "truncated"} and fields else ""
    return Reason(rule, shape=shape, allowed=f"{columns} kolom/fields")

"""JSON: a list of objects (or the list at a dotted path, or GeoJSON features), and JSON Lines.

A record's number is its running number in a list, its line in JSON Lines. All values become texts, so that one mapping serves an agency
whatever it sends: numbers exactly as they are written ("12.50" stays so), `true`/`false`, null as "", lists and objects as JSON.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from bus.errors import TransientError
from bus.ingest.formats.columns import allowed
from bus.ingest.kinds import FilesSpec
from bus.ingest.kinds.files_spec import normal
from bus.ingest.messages import clip
from bus.ingest.source import BadRecord, FileRefused, RawRecord, Reason

#: How the raw text of a record is marked in the quarantine.
JSON = "json"
#: Bytes of the longest list that is read; it is held in memory, unlike JSON Lines.
LARGEST_LIST = 128 * 1024 * 1024
#: Characters of the longest record of JSON Lines.
LONGEST_RECORD = 256 * 1024


class _Repeated(dict[str, object]):
    """An object that has one name twice; `name` is the first such."""

    name = ""


class JsonFile:
    """The records of one JSON text. Raises `FileRefused` when it is no JSON, or has no list of records where one should be."""

    header: tuple[str, ...] = ()
    delimiter = JSON
    header_line = 0
    part = ""
    base = 0

    def __init__(self, stream: BinaryIO, spec: FilesSpec, encoding: str, *, named: Mapping[str, str] | None = None) -> None:
        content = _read(stream, LARGEST_LIST + 1)
        if len(content) > LARGEST_LIST:
            raise FileRefused(Reason("too_large", allowed=f"<= {LARGEST_LIST >> 20} MiB; JSON Lines"))
        try:
            whole = _loads(content.decode(encoding))
        except json.JSONDecodeError as error:
            raise FileRefused(Reason("bad_json", shape=error.msg.split(":")[0], allowed="JSON"), line=error.lineno) from None
        except (ValueError, RecursionError) as error:
            raise FileRefused(Reason("bad_json", shape=type(error).__name__, allowed="JSON")) from None
        self._items = _list_at(whole, spec.records)
        self._fields = _Fields(spec)
        self._size = len(content)
        self.extra: Mapping[str, str] = {**(named or {}), **dict.fromkeys(spec.titles, "")}
        self.last_line = 0

    def close(self) -> None:
        """Nothing is held."""

    def bytes_done(self) -> int:
        return self._size * self.last_line // max(1, len(self._items))

    def __iter__(self) -> Iterator[RawRecord | BadRecord]:
        for number, item in enumerate(self._items, 1):
            self.last_line = number
            yield self._fields.record(item, json.dumps(item, ensure_ascii=False), number, self.extra)


class JsonLinesFile:
    """The records of JSON Lines: never more than one of them is held."""

    header: tuple[str, ...] = ()
    delimiter = JSON
    header_line = 0
    part = ""
    base = 0

    def __init__(self, stream: BinaryIO, spec: FilesSpec, encoding: str, *, named: Mapping[str, str] | None = None) -> None:
        self._stream, self._encoding = stream, encoding.removesuffix("-sig")
        self._fields = _Fields(spec)
        self.extra: Mapping[str, str] = {**(named or {}), **dict.fromkeys(spec.titles, "")}
        self.last_line = 0

    def close(self) -> None:
        """Nothing is held."""

    def bytes_done(self) -> int:
        return self._stream.tell()

    def __iter__(self) -> Iterator[RawRecord | BadRecord]:
        number = 0
        while line := _line(self._stream):
            number += 1
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            self.last_line = number
            text = line.decode(self._encoding, "replace")
            if len(text) >= LONGEST_RECORD and not line.endswith(b"\n"):
                while (more := _line(self._stream)) and not more.endswith(b"\n"):
                    continue
                rule = Reason("record_too_long", shape=f">= {LONGEST_RECORD}", allowed=f"< {LONGEST_RECORD} characters")
                yield BadRecord(number, text, rule)
            elif "\ufffd" in text:
                yield BadRecord(number, text, Reason("bad_encoding" if line.endswith(b"\n") else "truncated", allowed="JSON"))
            elif text.strip():
                yield self._record(text, number, ended=line.endswith(b"\n"))

    def _record(self, text: str, number: int, *, ended: bool) -> RawRecord | BadRecord:
        try:
            item = _loads(text)
        except (ValueError, RecursionError):
            return BadRecord(number, text, Reason("bad_json" if ended else "truncated", allowed="JSON"))
        return self._fields.record(item, text.rstrip("\r\n"), number, self.extra)


def parse_document(raw: str, spec: FilesSpec, *, line: int, extra: Mapping[str, str]) -> RawRecord | BadRecord:
    """One record's text as its file would give it: how a quarantined record is read again."""
    try:
        item = _loads(raw)
    except (ValueError, RecursionError):
        return BadRecord(line, raw, Reason("bad_json", allowed="JSON"))
    return _Fields(spec).record(item, raw, line, extra)


class _Fields:
    """Finds our columns in a record's members."""

    def __init__(self, spec: FilesSpec) -> None:
        self._known = {normal(text): column for column, spellings in spec.header.items() for text in (column, *spellings)}
        self._ignored = {normal(name) for name in spec.ignored}
        self._spec = spec

    def record(self, item: object, raw: str, number: int, extra: Mapping[str, str]) -> RawRecord | BadRecord:
        if isinstance(item, dict) and item.get("type") == "Feature" and isinstance(item.get("properties"), dict):
            item = item["properties"]  # GeoJSON: where it lies is not what it says
        if not isinstance(item, dict):
            return BadRecord(number, raw, Reason("not_an_object", shape=type(item).__name__, allowed="{…}"))
        values: dict[str, str] = {}
        reason = self._fill(item, "", values)
        if reason is None:
            missing = [name for name in self._spec.header if name not in values and name not in self._spec.optional]
            reason = (
                Reason("missing_field", missing[0], allowed=", ".join((missing[0], *self._spec.header[missing[0]]))) if missing else None
            )
        if reason is not None:
            return BadRecord(number, raw, reason)
        return RawRecord(number, raw, {**dict.fromkeys(self._spec.optional, ""), **extra, **values})

    def _fill(self, item: dict[str, object], path: str, values: dict[str, str]) -> Reason | None:
        if isinstance(item, _Repeated):
            return Reason("duplicate_field", clip(item.name), allowed="satu kali/once")
        for name, value in item.items():
            spelled = normal(path + name)
            column = self._known.get(spelled)
            if column is not None:
                if column in values:
                    return Reason("duplicate_field", clip(name), allowed="satu kali/once")
                values[column] = _text(value)
            elif isinstance(value, dict) and any(known.startswith(f"{spelled}.") for known in (*self._known, *self._ignored)):
                if (reason := self._fill(value, f"{path}{name}.", values)) is not None:
                    return reason
            elif spelled not in self._ignored:
                return Reason("unknown_field", clip(path + name) or "''", allowed=allowed(self._spec))
        return None


def _text(value: object) -> str:
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _loads(text: str) -> object:
    # numbers stay as they are written: nothing is rounded, and no digit is lost
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=_no_number, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeated = _Repeated(found)
    names = [name for name, _ in pairs]
    repeated.name = next(name for name in names if names.count(name) > 1)
    return repeated


def _no_number(name: str) -> object:
    raise ValueError(name)


def _list_at(whole: object, path: str) -> list[object]:
    if isinstance(whole, dict) and whole.get("type") == "FeatureCollection" and not path:
        path = "features"
    for name in filter(None, path.split(".")):
        if not isinstance(whole, dict) or name not in whole:
            raise FileRefused(Reason("no_records", path, allowed="[…]"))
        whole = whole[name]
    if whole is None and path:
        return []
    if not isinstance(whole, list):
        raise FileRefused(Reason("no_records", path, shape=type(whole).__name__, allowed="[…]"))
    return whole


def _read(stream: BinaryIO, size: int) -> bytes:
    try:
        return stream.read(size)
    except OSError as error:
        raise TransientError(f"reading the file failed: {error.strerror}") from error


def _line(stream: BinaryIO) -> bytes:
    try:
        return stream.readline(4 * LONGEST_RECORD)
    except (OSError, io.UnsupportedOperation) as error:
        raise TransientError(f"reading the file failed: {error}") from error

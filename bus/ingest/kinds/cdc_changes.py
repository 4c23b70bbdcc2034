"""From decoded messages to transactions of records. Pure.

A record is what a row has become; a changed key deletes what the old key stood for first. Values are made from the texts that the types
write, in a session whose settings `cdc_database` fixes; the snapshot gives the same texts, so that the same row is the same record.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from bus.errors import FatalError
from bus.ingest.kinds.cdc_spec import TABLE_FIELD, CdcSpec
from bus.ingest.kinds.pgoutput import UNCHANGED, Begin, Column, Commit, Delete, Image, Insert, Message, Relation, Truncate, Update
from bus.ingest.kinds.sql_values import Unreadable, json_of, zoned
from bus.ingest.source import Reason
from bus.ingest.stream import Received

_BOOL, _INTEGERS, _FLOATS, _JSON = 16, frozenset({20, 21, 23, 26}), frozenset({700, 701}), frozenset({114, 3802})
_BYTEA, _NUMERIC, _TIMES, _DATE = 17, 1700, frozenset({1114, 1184}), 1082
_FINITE = "angka berhingga/a finite number"


@dataclass(slots=True)
class Transaction:
    """What a transaction did to the watched tables; `end` is the position after it. `truncated`: tables that it emptied."""

    end: int = 0
    records: list[Received] = field(default_factory=list)
    truncated: set[str] = field(default_factory=set)


def transactions(messages: Iterable[Message], spec: CdcSpec) -> Iterator[Transaction]:
    """The complete transactions, in the order of their commits. Raises `FatalError` for messages that do not follow the protocol."""
    relations: dict[int, Relation] = {}
    current: Transaction | None = None
    for message in messages:
        match message:
            case Begin():
                current = Transaction()
            case Commit():
                if current is None:
                    raise FatalError("a commit without a beginning in the replication stream")
                current.end = message.end
                yield current
                current = None
            case Relation():
                relations[message.oid] = message
            case Insert() | Update() | Delete() | Truncate():
                if current is None:
                    raise FatalError("a change outside of a transaction in the replication stream")
                _apply(message, relations, spec, current)


def _apply(change: Insert | Update | Delete | Truncate, relations: Mapping[int, Relation], spec: CdcSpec, into: Transaction) -> None:
    if isinstance(change, Truncate):
        into.truncated |= {relations[oid].name for oid in change.relations if oid in relations} & set(spec.tables)
        return
    relation = relations.get(change.relation)
    if relation is None:
        raise FatalError("a change of a relation that the replication stream did not describe")
    if relation.name in spec.tables:
        into.records += _records(change, relation, spec)


def _records(change: Insert | Update | Delete, relation: Relation, spec: CdcSpec) -> Iterator[Received]:
    if isinstance(change, Delete):
        yield received(relation.name, relation.columns, change.old, spec, deleted=True, whole=change.whole)
        return
    new = change.new
    if isinstance(change, Update) and change.old is not None:
        if change.whole:
            new = tuple(old if value is UNCHANGED else value for old, value in zip(change.old, new, strict=True))
        if _key(relation, change.old, spec) != _key(relation, new, spec):
            yield received(relation.name, relation.columns, change.old, spec, deleted=True, whole=change.whole)
    yield received(relation.name, relation.columns, new, spec)


def _key(relation: Relation, image: Image, spec: CdcSpec) -> tuple[object, ...]:
    return tuple(value for column, value in zip(relation.columns, image, strict=True) if column.name in spec.key)


def received(table: str, columns: Sequence[Column], image: Image, spec: CdcSpec, *, deleted: bool = False, whole: bool = True) -> Received:
    """The record of a row. Of a deleted row without its `whole` image only the key columns are told."""
    values: dict[str, object] = {TABLE_FIELD: table} if spec.several else {}
    for column, text in zip(columns, image, strict=True):
        if column.name in spec.ignore or (not whole and not column.key):
            continue
        if text is UNCHANGED:
            allowed = f"ALTER TABLE {table} REPLICA IDENTITY FULL"
            return Received(raw=_raw(columns, image), problem=Reason("unchanged_toast", field=column.name, allowed=allowed))
        try:
            values[column.name] = None if text is None else value_of(text, column.type, spec.zone)
        except Unreadable as error:
            return Received(raw=_raw(columns, image), problem=Reason("invalid_value", field=column.name, allowed=error.allowed))
    return Received(values, deleted=deleted)


def value_of(text: str, kind: int, zone: ZoneInfo) -> object:
    """A text of PostgreSQL as JSON knows it; arrays and types of other kinds stay texts. Raises `Unreadable`."""
    if kind in _INTEGERS:
        return int(text)
    if kind == _BOOL:
        return text == "t"
    if kind in _TIMES:
        try:
            return zoned(datetime.fromisoformat(text), zone)
        except ValueError:
            raise Unreadable("waktu dari tahun 1 sampai 9999/a time from year 1 to 9999") from None
    if kind == _NUMERIC or kind in _FLOATS:
        if not text[-1].isdigit():
            raise Unreadable(_FINITE)
        return text if kind == _NUMERIC else float(text)
    if kind in _JSON:
        return json_of(text)
    if kind == _BYTEA:
        raise Unreadable('teks atau angka, bukan biner/text or numbers, not binary; ignore = ["…"]')
    if kind == _DATE and (len(text) != len("2024-01-01") or not text[0].isdigit()):
        raise Unreadable("tanggal dari tahun 1 sampai 9999/a date from year 1 to 9999")
    return text


def _raw(columns: Sequence[Column], image: Image) -> str:
    """The row's text for the seal."""
    told = {column.name: "(unchanged)" if text is UNCHANGED else text for column, text in zip(columns, image, strict=True)}
    return json.dumps(told, ensure_ascii=False)

"""What PostgreSQL's plugin `pgoutput` writes (protocol version 1), decoded. Pure; the layout is that of the manual, 55.9.

An image is a row in the order of its relation's columns: texts as the types write them, None for NULL, `UNCHANGED` for a long value that
the statement did not touch and that the server therefore did not send. It is not NULL.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum


class Unchanged(Enum):
    """The type of `UNCHANGED`."""

    UNCHANGED = "u"


UNCHANGED = Unchanged.UNCHANGED
Image = tuple[str | Unchanged | None, ...]


class Malformed(ValueError):
    """Bytes that are no message of the protocol."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A transaction begins; `lsn` is where its commit lies."""

    lsn: int
    xid: int


@dataclass(frozen=True, slots=True)
class Commit:
    """A transaction is complete; `end` is the position after it."""

    lsn: int
    end: int


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, the OID of its type, and whether it is part of the replica identity."""

    name: str
    type: int
    key: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """What a table's images look like from here on. `identity`: d(efault), f(ull), i(ndex), n(othing)."""

    oid: int
    schema: str
    table: str
    identity: str
    columns: tuple[Column, ...]

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True)
class Insert:
    """A new row."""

    relation: int
    new: Image


@dataclass(frozen=True, slots=True)
class Update:
    """A changed row. `old` is there when the key changed (`whole` False: only its key columns hold something) or the identity is full."""

    relation: int
    new: Image
    old: Image | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """A row that is gone; `whole` False: only its key columns hold something."""

    relation: int
    old: Image
    whole: bool


@dataclass(frozen=True, slots=True)
class Truncate:
    """All rows of these relations are gone."""

    relations: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Other:
    """A message that says nothing of rows: the origin, a type's name, a logical message."""

    kind: str


Message = Begin | Commit | Relation | Insert | Update | Delete | Truncate | Other


def decode(data: bytes) -> Message:
    """One message. Raises `Malformed` for what is none, or is longer or shorter than it says."""
    cursor = _Cursor(data)
    try:
        message = _decode(cursor)
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise Malformed(f"cannot be read at byte {cursor.at}: {type(error).__name__}") from None
    if not isinstance(message, Other) and cursor.at != len(data):
        raise Malformed(f"{len(data) - cursor.at} bytes after the end of a {type(message).__name__}")
    return message


def _decode(cursor: _Cursor) -> Message:
    match cursor.letter():
        case "B":
            lsn, _, xid = cursor.take(">QqI")
            return Begin(lsn, xid)
        case "C":
            _, lsn, end, _ = cursor.take(">BQQq")
            return Commit(lsn, end)
        case "R":
            return _relation(cursor)
        case "I":
            (relation,) = cursor.take(">I")
            cursor.expect("N")
            return Insert(relation, cursor.image())
        case "U":
            return _update(cursor)
        case "D":
            (relation,) = cursor.take(">I")
            whole = cursor.expect("KO") == "O"
            return Delete(relation, cursor.image(), whole)
        case "T":
            count, _ = cursor.take(">IB")
            return Truncate(tuple(cursor.take(">I")[0] for _ in range(count)))
        case "O" | "Y" | "M" as kind:
            return Other(kind)
        case kind:
            raise Malformed(f"a message of kind {kind!r} is not known")


def _relation(cursor: _Cursor) -> Relation:
    (oid,) = cursor.take(">I")
    # an empty namespace means pg_catalog
    schema, table = cursor.text() or "pg_catalog", cursor.text()
    identity = cursor.letter()
    (count,) = cursor.take(">H")
    columns = []
    for _ in range(count):
        (flags,) = cursor.take(">B")
        name = cursor.text()
        kind, _ = cursor.take(">Ii")
        columns.append(Column(name, kind, bool(flags & 1)))
    return Relation(oid, schema, table, identity, tuple(columns))


def _update(cursor: _Cursor) -> Update:
    (relation,) = cursor.take(">I")
    part = cursor.expect("KON")
    if part == "N":
        return Update(relation, cursor.image())
    old = cursor.image()
    cursor.expect("N")
    return Update(relation, cursor.image(), old, whole=part == "O")


class _Cursor:
    """A place in a message."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, layout: str) -> tuple[int, ...]:
        found: tuple[int, ...] = struct.unpack_from(layout, self._data, self.at)
        self.at += struct.calcsize(layout)
        return found

    def letter(self) -> str:
        (code,) = self.take(">B")
        return chr(code)

    def expect(self, letters: str) -> str:
        found = self.letter()
        if found not in letters:
            raise Malformed(f"{found!r} where one of {letters!r} belongs")
        return found

    def text(self) -> str:
        end = self._data.find(b"\0", self.at)
        if end < 0:
            raise Malformed("a name without end")
        found = self._data[self.at : end].decode()
        self.at = end + 1
        return found

    def image(self) -> Image:
        (count,) = self.take(">H")
        return tuple(self._value() for _ in range(count))

    def _value(self) -> str | Unchanged | None:
        kind = self.letter()
        if kind == "n":
            return None
        if kind == "u":
            return UNCHANGED
        if kind != "t":
            raise Malformed(f"a value of kind {kind!r}; only text is asked for")
        (size,) = self.take(">I")
        found = self._data[self.at : self.at + size]
        if len(found) < size:
            raise Malformed("a value ends before its end")
        self.at += size
        return found.decode()

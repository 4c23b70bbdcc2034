"""The incremental query: rows whose watermark is at least the newest one's, less the look-back; what is known of them is passed over.

Pages are cut by the watermark alone and overlap by its last value, so that no order of keys, no collation and no row that is written
meanwhile can make one slip through. A row of the window comes again with every poll. An accepted one would mean nothing the second time,
for the journal knows its key; a refused one would be refused again. So the cursor holds the fingerprints of the refused rows of the window and of the
newest reading, whose receipt a killed process did not see.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from bus.clock import Clock
from bus.errors import ConfigurationError, Problem
from bus.ingest.kinds.sql_database import Database
from bus.ingest.kinds.sql_spec import SqlSpec
from bus.ingest.kinds.sql_values import json_row
from bus.ingest.kinds.sql_watermark import NoWatermark, Watermark, floor_of, from_json, same_kind, to_json, watermark_of
from bus.ingest.source import Reason
from bus.ingest.stream import Reading, Received, Sink

_Key = tuple[str, ...]


class Row(NamedTuple):
    """A row as the database gave it, and what tells it from others."""

    key: _Key
    watermark: Watermark
    mark: str
    values: Mapping[str, object]


class Query:
    """Takes in the rows of one query."""

    def __init__(self, spec: SqlSpec, database: Database, name: str, clock: Clock) -> None:
        self._spec = spec
        self._database = database
        self._name = name
        self._clock = clock
        self._newest: Watermark | None = None
        #: key -> its newest row's watermark and fingerprint, of the window
        self._known: dict[_Key, tuple[Watermark, str]] = {}
        #: fingerprint -> key (None: not seen since the start) of what was refused, or may have been
        self._refused: dict[str, _Key | None] = {}
        self._begun = False

    async def step(self, sink: Sink) -> bool:
        """See `Part.step`: a whole pass from the window's beginning to the end; False, for nothing more was there when it ended."""
        if not self._begun:
            self._begin(sink.cursor)
        spec = self._spec
        start = self._floor()
        seen: set[str] = set()
        limit = spec.limit
        while True:
            rows = await self._database.do(lambda connection, start=start, limit=limit: self._page(connection, start, limit))  # type: ignore[misc]
            seen.update(row.mark for row in rows)
            await self._take(sink, rows)
            if len(rows) < limit:
                break
            # a page of one watermark only cannot be passed: it has to be read as a whole
            limit = limit * 2 if rows[0].watermark == rows[-1].watermark else spec.limit
            start = rows[-1].watermark
        self._forget(seen)
        return False

    def _floor(self) -> Watermark | None:
        """Where the window begins."""
        if self._newest is None:
            return None
        spec = self._spec
        return floor_of(self._newest, self._clock.now(), spec.zone, seconds=spec.look_back_seconds, numbers=spec.look_back_numbers)

    def _begin(self, cursor: Mapping[str, object]) -> None:
        self._newest = from_json(cursor.get("watermark"))
        for name in ("refused", "last"):
            marks = cursor.get(name)
            self._refused |= dict.fromkeys(map(str, marks)) if isinstance(marks, list) else {}
        self._begun = True

    async def _take(self, sink: Sink, rows: Sequence[Row]) -> None:
        """Hand in what is new of a page; what of it was refused is noted with the next reading."""
        new: list[tuple[Row, Received]] = []
        here: set[_Key] = set()
        for row in rows:
            self._rise(row.watermark)
            known = self._known.get(row.key)
            if row.mark in self._refused:
                self._refused[row.mark] = row.key
            elif known is None or known[1] != row.mark:
                new.append((row, self._received(row, twice=row.key in here)))
            if row.mark not in self._refused:
                here.add(row.key)
        if not new:
            return
        changed = {row.key for row, _ in new}
        self._refused = {mark: key for mark, key in self._refused.items() if key not in changed}
        assert self._newest is not None
        cursor = {"watermark": to_json(self._newest), "refused": list(self._refused), "last": [row.mark for row, _ in new]}
        receipt = await sink.take(Reading([received for _, received in new], self._spec.table or self._name, cursor))
        for (row, _), outcome in zip(new, receipt.outcomes, strict=True):
            if outcome.reason is not None:
                self._refused[row.mark] = row.key
            else:
                self._known[row.key] = row.watermark, row.mark

    def _rise(self, watermark: Watermark) -> None:
        if self._newest is not None and not same_kind(self._newest, watermark):
            raise self._wrong("watermark", "is of another type than it was; a changed source needs another name")
        if self._newest is None or watermark > self._newest:  # type: ignore[operator]
            self._newest = watermark

    def _forget(self, seen: set[str]) -> None:
        """What has left the window does not come again."""
        if (floor := self._floor()) is not None:
            self._known = {key: known for key, known in self._known.items() if known[0] >= floor}  # type: ignore[operator]
        self._refused = {mark: key for mark, key in self._refused.items() if mark in seen}

    def _page(self, connection: sa.Connection, start: Watermark | None, limit: int) -> list[Row]:
        spec = self._spec
        assert spec.watermark is not None
        # a colon in the manifest's query is no parameter of ours; its last line may be a comment
        rows: sa.FromClause
        if spec.query is not None:
            rows = sa.text(f"({spec.query.rstrip().rstrip(';')}\n) AS q".replace(":", r"\:"))  # type: ignore[assignment]
        else:
            schema, _, table = (spec.table or "").rpartition(".")
            rows = sa.table(table, schema=schema or None)
        column: sa.ColumnClause[Any] = sa.column(spec.watermark)
        newer = column.is_not(None) if start is None else column >= sa.bindparam("start", start, _type(start))
        found: sa.CursorResult[Any] = connection.execute(
            sa.select(sa.literal_column("*")).select_from(rows).where(newer).order_by(column).limit(limit)
        )
        names = list(found.keys())
        self._check(names)
        return [self._row(dict(zip(names, each, strict=True))) for each in found]

    def _check(self, names: Sequence[str]) -> None:
        if len(set(names)) < len(names):
            raise self._wrong("query", f"gives two columns of one name; it gives: {', '.join(names)}")
        for field, wanted in (("watermark", (str(self._spec.watermark),)), ("key", self._spec.key)):
            if missing := [name for name in wanted if name not in names]:
                raise self._wrong(field, f"{missing[0]!r} is no column of the result; allowed: {', '.join(names)}")

    def _row(self, values: dict[str, object]) -> Row:
        try:
            watermark = watermark_of(values[str(self._spec.watermark)])
        except NoWatermark as error:
            raise self._wrong("watermark", f"is {error}; allowed: a time, a date or a whole number") from error
        text = json.dumps(values, default=repr, sort_keys=True)
        mark = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=12).hexdigest()
        return Row(tuple(str(values[name]) for name in self._spec.key), watermark, mark, values)

    def _received(self, row: Row, *, twice: bool) -> Received:
        if twice:
            raw = json.dumps(row.values, ensure_ascii=False, default=str)
            allowed = "satu baris per kunci/one row per key"
            return Received(raw=raw, problem=Reason("duplicate_key", field=", ".join(self._spec.key), allowed=allowed))
        values = json_row(row.values, self._spec.zone)
        if isinstance(values, Reason):
            return Received(raw=json.dumps(row.values, ensure_ascii=False, default=str), problem=values)
        return Received(values)

    def _wrong(self, field: str, what: str) -> ConfigurationError:
        return ConfigurationError([Problem(f"source {self._name}: {field}", what)])


def _type(value: Watermark) -> sa.types.TypeEngine[Any]:
    """The parameter's type: SQLAlchemy's guess would drop an offset, or a long number's front."""
    match value:
        case datetime():
            return sa.DateTime(timezone=value.tzinfo is not None)
        case date():
            return sa.Date()
        case int():
            return sa.BigInteger()
        case str():
            return sa.types.NullType()

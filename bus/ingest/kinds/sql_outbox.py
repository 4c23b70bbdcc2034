"""The outbox of an agency: rows that were not taken, in the order of their ids; marked or deleted once the journal has them.

Between the journal's commit and the mark a kill may come: the journal's cursor names the rows that it has, and the first thing that a new
process does is to mark them. A number can be used again (a table was emptied, an old MySQL was restarted), so a row is known by its number and
the moment at which it was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from bus.ingest.kinds.sql_database import Database
from bus.ingest.kinds.sql_spec import DEFAULT_TABLE, SqlSpec
from bus.ingest.kinds.sql_values import Unreadable, json_object, json_value
from bus.ingest.source import Reason
from bus.ingest.stream import Reading, Received, Sink

_OPS = ("CREATE", "CORRECT", "CANCEL")


class Entry(NamedTuple):
    """A row of the table; `made` tells it from another that had its number."""

    id: int
    made: str
    op: str
    payload: str


class Outbox:
    """Takes in the rows of one outbox table."""

    def __init__(self, spec: SqlSpec, database: Database) -> None:
        self._spec = spec
        self._database = database
        schema, _, name = (spec.table or DEFAULT_TABLE).rpartition(".")
        self._name = spec.table or DEFAULT_TABLE
        self._id: sa.ColumnClause[int] = sa.column("id", sa.BigInteger)
        self._taken: sa.ColumnClause[Any] = sa.column("taken_at")
        self._made: sa.ColumnClause[Any] = sa.column("made_at")
        self._op: sa.ColumnClause[Any] = sa.column("op")
        self._payload: sa.ColumnClause[Any] = sa.column("payload")
        columns = (self._id, self._taken, self._made, self._op, self._payload)
        self._table = sa.table(name, *columns, schema=schema or None)
        self._recovered = False

    async def step(self, sink: Sink) -> bool:
        """See `Part.step`. The rows are durable, then marked."""
        if not self._recovered:
            await self._finish(sink.cursor)
            self._recovered = True
        entries = await self._database.do(self._untaken)
        if not entries:
            return False
        pending = [[entry.id, entry.made] for entry in entries]
        await sink.take(Reading([self._received(entry) for entry in entries], self._name, {"pending": pending}))
        await self._database.do(lambda connection: self._mark(connection, [entry.id for entry in entries]))
        return len(entries) == self._spec.limit

    async def _finish(self, cursor: Mapping[str, object]) -> None:
        """Mark what the journal had when the process before ended."""
        pending = cursor.get("pending")
        if not isinstance(pending, list) or not pending:
            return
        known = {(int(number), str(made)) for number, made in pending}

        def work(connection: sa.Connection) -> None:
            wanted = sa.select(self._id, self._made).select_from(self._table).where(self._id.in_([number for number, _ in known]))
            rows = [(int(row[0]), self._moment(row[1])) for row in connection.execute(wanted)]
            self._mark(connection, [row[0] for row in rows if row in known])

        await self._database.do(work)

    def _untaken(self, connection: sa.Connection) -> Sequence[Entry]:
        wanted = (
            sa.select(self._id, self._made, self._op, sa.cast(self._payload, sa.Text))
            .select_from(self._table)
            .where(self._taken.is_(None))
            .order_by(self._id)
            .limit(self._spec.limit)
        )
        return [Entry(int(id_), self._moment(made), str(op), str(payload)) for id_, made, op, payload in connection.execute(wanted)]

    def _mark(self, connection: sa.Connection, ids: Sequence[int]) -> None:
        if not ids:
            return
        if self._spec.after == "delete":
            connection.execute(sa.delete(self._table).where(self._id.in_(ids)))
        else:
            # what is marked already stays so: its first mark is the true one
            stays = sa.update(self._table).where(self._id.in_(ids), self._taken.is_(None))
            connection.execute(stays.values(taken_at=sa.func.current_timestamp()))

    def _moment(self, made: object) -> str:
        return str(json_value(made, self._spec.zone))

    def _received(self, entry: Entry) -> Received:
        id_ = f"{self._name}/{entry.id}/{entry.made}"
        if entry.op not in _OPS:
            reason = Reason("invalid_value", field="op", received=entry.op, allowed=", ".join(_OPS))
            return Received(raw=entry.payload, id=id_, problem=reason)
        if entry.op != "CREATE" and not self._spec.key:
            return Received(raw=entry.payload, id=id_, problem=Reason("no_key", field="op", received=entry.op, allowed="CREATE"))
        try:
            values = json_object(entry.payload)
        except Unreadable as error:
            return Received(raw=entry.payload, id=id_, problem=Reason("invalid_value", field="payload", allowed=error.allowed))
        return Received(values, raw=entry.payload, id=id_, deleted=entry.op == "CANCEL")

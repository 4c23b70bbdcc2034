"""What change capture asks of the agency's PostgreSQL: ordinary statements on one connection, in threads, and its errors as ours.

The slot is made by the one command that also exports a snapshot, over a replication connection: the snapshot holds exactly what was
committed before the slot's first position. psycopg is named nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from psycopg import sql
from psycopg.pq import ExecStatus

from bus.errors import BusError, ConfigurationError, FatalError, Problem, TransientError
from bus.ingest.kinds import postgres_errors
from bus.ingest.kinds.pgoutput import Column

_T = TypeVar("_T")
#: How types write their values, whatever the server's or the role's settings are.
_SESSION = {"datestyle": "ISO, YMD", "intervalstyle": "iso_8601", "extra_float_digits": "1", "bytea_output": "hex", "xmlbinary": "base64"}
_PG13, _PG15 = 130_000, 150_000


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the slot is, and where the server: positions in its log. `identity` names the server's data and their history."""

    identity: str
    now: int
    exists: bool
    confirmed: int = 0
    lost: bool = False
    #: Bytes of log that the server keeps because of the slot.
    retained: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A watched table: its columns as published, which of them tell a deleted row, and its filter (SQL) where the publication has one."""

    name: str
    columns: tuple[Column, ...]
    identity: str
    filter: str | None


class CdcDatabase:
    """One connection, opened when it is first needed and again after it was lost."""

    def __init__(self, where: str, url: str, slot: str, publication: str, timezone: str) -> None:
        """`where` names the setting in errors."""
        self._where = where
        self._url = url
        self._slot = slot
        self._publication = publication
        self._session = _SESSION | {"timezone": timezone}
        self._connection: psycopg.Connection | None = None
        self._turn = threading.Lock()

    async def do(self, work: Callable[[psycopg.Connection], _T]) -> _T:
        """Run that in a thread. Raises `TransientError` when the connection is lost, `ConfigurationError` for what waiting does not mend."""
        return await asyncio.to_thread(self._do, work)

    def close(self) -> None:
        """End the connection; one that a cancelled call's thread still waits in is left to its time limits."""
        if self._turn.acquire(timeout=1):
            try:
                self._close()
            finally:
                self._turn.release()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()

    def _do(self, work: Callable[[psycopg.Connection], _T]) -> _T:
        with self._turn:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                return work(self._connection)
            except psycopg.Error as error:
                connecting = self._connection is None
                self._close()
                raise self._ours(error, connecting=connecting) from error

    def _connect(self) -> psycopg.Connection:
        connection = psycopg.connect(
            self._url, autocommit=True, connect_timeout=10, keepalives_idle=30, keepalives_interval=10, keepalives_count=3
        )
        for name, value in self._session.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        return connection

    def _ours(self, error: psycopg.Error, *, connecting: bool) -> BusError:
        text = str(error)
        if postgres_errors.lasting(error.sqlstate, text):
            if connecting:
                return ConfigurationError([Problem(self._where, "the database refuses this user, password or database name")])
            return ConfigurationError([Problem(self._where, f"the database refuses: {postgres_errors.sayable(error.sqlstate, text)}")])
        if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None and connecting:
            return ConfigurationError([Problem(self._where, "is not of the form postgresql://user:password@host:port/database")])
        if connecting:
            return TransientError(f"{self._where}: the database does not answer")
        return TransientError(f"{self._where}: {postgres_errors.sayable(error.sqlstate, text)}")

    # what is asked

    def slot(self, connection: psycopg.Connection) -> Slot:
        """The slot and the server's position."""
        row = connection.execute(
            "SELECT (SELECT system_identifier FROM pg_control_system())::text || '/' || (SELECT timeline_id FROM pg_control_checkpoint())::text,"
            " pg_current_wal_flush_lsn() - '0/0'::pg_lsn"
        ).fetchone()
        assert row is not None
        identity, now = str(row[0]), int(row[1])
        lost = "wal_status = 'lost'" if connection.info.server_version >= _PG13 else "restart_lsn IS NULL"
        found = connection.execute(
            f"SELECT confirmed_flush_lsn - '0/0'::pg_lsn, {lost}, pg_current_wal_lsn() - restart_lsn"  # noqa: S608  two texts of ours
            " FROM pg_replication_slots WHERE slot_name = %s AND database = current_database() AND plugin = 'pgoutput'",
            (self._slot,),
        ).fetchone()
        if found is None:
            return Slot(identity, now, exists=False)
        return Slot(identity, now, exists=True, confirmed=int(found[0] or 0), lost=bool(found[1]), retained=int(found[2] or 0))

    def tables(self, connection: psycopg.Connection, names: Sequence[str], key: Sequence[str] | None) -> list[Table]:
        """The watched tables. Raises `ConfigurationError` with everything that the agency's administrator has to mend.

        `key`: the columns by which a deleted row is known; None when the mapping makes keys itself.
        """
        (level,) = connection.execute("SHOW wal_level").fetchone() or ("",)
        if level != "logical":
            raise ConfigurationError([Problem(self._where, f"the server has wal_level = {level}; set wal_level = logical and restart it")])
        found = [self._table(connection, name) for name in names]
        problems = []
        for name, table in zip(names, found, strict=True):
            if table is None:
                what = f"publication {self._publication!r} does not publish {name}: CREATE PUBLICATION {self._publication} FOR TABLE …"
                problems.append(Problem(self._where, f"{what} (`bus ddl postgres-cdc`)"))
                continue
            told = [column.name for column in table.columns if column.key]
            missing = [column for column in key or () if column not in told]
            if not told or missing:
                what = f"{name} has no primary key" if not told else f"key {missing[0]!r} is not in the replica identity of {name}"
                mend = f"ALTER TABLE {name} ADD PRIMARY KEY (…), or ALTER TABLE {name} REPLICA IDENTITY FULL"
                problems.append(Problem(self._where, f"{what}: a deleted row could not be told; {mend}"))
        if problems:
            raise ConfigurationError(problems)
        return [table for table in found if table is not None]

    def _table(self, connection: psycopg.Connection, name: str) -> Table | None:
        schema, _, table = name.partition(".")
        new = connection.info.server_version >= _PG15
        extra = "attnames::text[], rowfilter" if new else "NULL, NULL"
        published = connection.execute(
            f"SELECT {extra} FROM pg_publication_tables WHERE pubname = %s AND schemaname = %s AND tablename = %s",  # noqa: S608  ours
            (self._publication, schema, table),
        ).fetchone()
        if published is None:
            return None
        names, row_filter = published
        rows = connection.execute(
            "SELECT a.attname, a.atttypid, c.relreplident, coalesce(i.indkey::int2[] @> ARRAY[a.attnum], false)"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''"
            " LEFT JOIN pg_index i ON i.indrelid = c.oid"
            " AND (CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END)"
            " WHERE n.nspname = %s AND c.relname = %s ORDER BY a.attnum",
            (schema, table),
        ).fetchall()
        columns = tuple(
            Column(column, int(kind), bool(identifying) or identity == "f")
            for column, kind, identity, identifying in rows
            if names is None or column in names
        )
        return Table(name, columns, str(rows[0][2]) if rows else "n", row_filter)

    def changes(self, connection: psycopg.Connection, limit: int) -> list[bytes]:
        """The next messages of the slot, at least `limit` of them if there are as many; whole transactions. They stay there."""
        rows = connection.execute(
            "SELECT data FROM pg_logical_slot_peek_binary_changes(%s, NULL, %s, 'proto_version', '1', 'publication_names', %s)",
            (self._slot, limit, sql.Identifier(self._publication).as_string(connection)), binary=True,
        )  # fmt: skip
        return [bytes(row[0]) for row in rows]

    def advance(self, connection: psycopg.Connection, position: int) -> None:
        """The server may forget what lies before that."""
        connection.execute(
            "SELECT pg_replication_slot_advance(slot_name, %s::pg_lsn) FROM pg_replication_slots"
            " WHERE slot_name = %s AND confirmed_flush_lsn < %s::pg_lsn",
            (lsn_text(position), self._slot, lsn_text(position)),
        )

    def drop(self, connection: psycopg.Connection) -> None:
        """Give the slot up: the server keeps no log for it any more."""
        connection.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", (self._slot,))

    @contextlib.contextmanager
    def begun(self, connection: psycopg.Connection) -> Iterator[int]:
        """Make the slot anew. Inside, the connection reads the snapshot that ends where the slot begins, which is the position given."""
        self.drop(connection)
        replication = psycopg.connect(self._url, autocommit=True, connect_timeout=10, replication="database")
        try:
            command = sql.SQL("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput EXPORT_SNAPSHOT").format(sql.Identifier(self._slot))
            made = replication.pgconn.exec_(command.as_string(connection).encode())
            if made.status != ExecStatus.TUPLES_OK:
                raise self._refused(made)
            position, snapshot = _text(made.get_value(0, 1)), _text(made.get_value(0, 2))
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
                yield lsn_of(position)
        finally:
            replication.close()

    def _refused(self, made: psycopg.pq.abc.PGresult) -> BusError:
        state = _text(made.error_field(psycopg.pq.DiagnosticField.SQLSTATE))
        what = postgres_errors.sayable(state, _text(made.error_message))
        if postgres_errors.lasting(state, what):
            return ConfigurationError([Problem(self._where, f"the slot cannot be made: {what}")])
        return TransientError(f"{self._where}: the slot cannot be made: {what}")

    def rows(self, connection: psycopg.Connection, table: Table) -> Generator[tuple[str | None, ...], None, None]:
        """All rows of a table, each value as its type writes it: the texts that the stream gives, too."""
        schema, _, name = table.name.partition(".")
        where = sql.SQL("") if table.filter is None else sql.SQL(" WHERE ") + sql.SQL(table.filter)
        columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
        statement = sql.SQL("COPY (SELECT {} FROM {}{}) TO STDOUT").format(columns, sql.Identifier(schema, name), where)
        with connection.cursor().copy(statement) as copy:
            yield from copy.rows()


def lsn_text(position: int) -> str:
    """A position as PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def lsn_of(text: str) -> int:
    """A position that PostgreSQL wrote. Raises `FatalError` for what is none."""
    high, slash, low = text.partition("/")
    if not slash:
        raise FatalError(f"{text!r} is no position in a server's log")
    return (int(high, 16) << 32) | int(low, 16)


def _text(content: bytes | memoryview | None) -> str:
    return bytes(content or b"").decode(errors="replace")

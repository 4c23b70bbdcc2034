"""The store's database: an engine for readers in many threads and one writer at a time, and its errors as ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from bus.errors import BusError, ConfigurationError, FatalError, Problem, TransientError
from consumers.ppid.tables import migrate

_T = TypeVar("_T")

WHERE = "BUS_PPID__DATABASE_URL"
_CONNECT_SECONDS, _ANSWER_SECONDS = 5, 60
_BUSY_SECONDS = 20
#: Of PostgreSQL, what no waiting mends: wrong password or database, a missing table or right.
_LASTING = ("28", "3D", "42")


class Database:
    """Transactions on one database. Nothing is opened before the first of them."""

    def __init__(self, url: str, *, fallback: Path) -> None:
        """`fallback` is the SQLite file that is used when the address is empty. Raises `ConfigurationError` for one that cannot be used."""
        self._engine = _engine(url, fallback)
        self._ready = False

    @property
    def dialect(self) -> str:
        """sqlite or postgresql."""
        return self._engine.dialect.name

    def close(self) -> None:
        self._engine.dispose()

    def prepare(self) -> None:
        """Make or migrate the tables, once for each process. Raises as `write` does."""
        if not self._ready:
            with _ours(), self._engine.begin() as connection:
                if self.dialect == "sqlite":
                    connection.execute(sa.text("BEGIN IMMEDIATE"))
                migrate(connection, WHERE)
            self._ready = True

    def write(self, work: Callable[[sa.Connection], _T]) -> _T:
        """Run that in one transaction, which is durable when this returns, or had no effect when it raises.

        Raises `TransientError` while the database is away or busy, `ConfigurationError` for what waiting does not mend.
        """
        self.prepare()
        with _ours(), self._engine.begin() as connection:
            if self.dialect == "sqlite":
                connection.execute(sa.text("BEGIN IMMEDIATE"))
            return work(connection)

    def read(self, work: Callable[[sa.Connection], _T]) -> _T:
        """Run that on one consistent state of the database. Raises as `write` does."""
        self.prepare()
        with _ours(), self._engine.connect() as connection:
            if self.dialect == "sqlite":
                connection.execute(sa.text("BEGIN"))
            else:
                connection.execution_options(isolation_level="REPEATABLE READ")
            return work(connection)


@contextmanager
def _ours() -> Iterator[None]:
    """The driver's errors as the bus's; none quotes the address, which holds a password."""
    try:
        yield
    except BusError:
        raise
    except IntegrityError as error:
        # another process was quicker with the same row: what stands is read again
        raise TransientError(f"the open-data database has the row already: {' '.join(str(error.orig).split())[:200]}") from error
    except (SQLAlchemyError, OSError, sqlite3.Error) as error:
        raise _translated(error) from error


def _translated(error: Exception) -> BusError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    text = " ".join(str(cause).split())[:300] or type(cause).__name__
    state = getattr(cause, "sqlstate", None) or ""
    if isinstance(error, ProgrammingError) or state.startswith(_LASTING) or "password authentication failed" in text:
        return ConfigurationError([Problem(WHERE, f"the database refuses: {text}")])
    if isinstance(error, OperationalError) or getattr(error, "connection_invalidated", False) or isinstance(error, OSError):
        return TransientError(f"the open-data database does not answer: {text}")
    if isinstance(error, DBAPIError):
        return TransientError(f"the open-data database failed: {text}")
    return FatalError(f"the open-data store: {text}")


def _engine(url: str, fallback: Path) -> sa.Engine:
    try:
        parsed = sa.make_url(url) if url else sa.URL.create("sqlite", database=str(fallback))
    except (ArgumentError, ValueError):
        raise ConfigurationError([Problem(WHERE, "is not of the form postgresql://user:password@host:port/database")]) from None
    kind = parsed.drivername.partition("+")[0]
    if kind == "sqlite":
        return _sqlite(parsed)
    if kind not in ("postgresql", "postgres"):
        raise ConfigurationError([Problem(WHERE, f"names {kind}; allowed: postgresql://… or sqlite:///…")])
    arguments = {
        "connect_timeout": _CONNECT_SECONDS, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3,
        "options": f"-c statement_timeout={_ANSWER_SECONDS}s -c timezone=UTC -c synchronous_commit=on", "application_name": "simpul-ppid",
    }  # fmt: skip
    # no pool: after the server was away, one would hand out, and forget to close, connections of before
    return sa.create_engine(parsed.set(drivername="postgresql+psycopg"), connect_args=arguments, poolclass=NullPool)


def _sqlite(url: sa.URL) -> sa.Engine:
    path = url.database or ""
    if not path or path == ":memory:":
        raise ConfigurationError([Problem(WHERE, "names no file: sqlite:////folder/file.db")])
    Path(path).parent.mkdir(parents=True, exist_ok=True)

    def connect() -> sqlite3.Connection:
        # transactions are begun by hand: the driver would begin one only at the first change
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    return sa.create_engine("sqlite://", creator=connect, poolclass=NullPool)

"""The agency's database as the `sql` source needs it: one connection, used in threads, and its errors as ours.

SQLAlchemy and the drivers are named nowhere else but here and in the statements beside.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from bus.errors import BusError, ConfigurationError, Problem, TransientError
from bus.ingest.kinds import postgres_errors

_T = TypeVar("_T")
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "sqlite": "sqlite",
}
#: How long a server may take to answer a connection and a statement, in seconds.
_CONNECT_SECONDS, _ANSWER_SECONDS = 10, 120
#: MySQL's errors that no waiting mends: access denied, no such database, table or column, wrong syntax, a command denied.
_MYSQL_LASTING = frozenset({1044, 1045, 1049, 1054, 1064, 1142, 1143, 1146, 1698})
_SQLITE_LASTING = ("no such", "syntax error", "not a database", "readonly", "ambiguous", "incomplete input", "misuse")


class Database:
    """One connection to the agency's database, opened when it is first needed and again after it was lost."""

    def __init__(self, where: str, url: str, zone: ZoneInfo) -> None:
        """`where` names the setting in errors. Raises `ConfigurationError` for an address that cannot be one."""
        self._where = where
        self._engine = _engine(where, url, zone)
        self._connection: sa.Connection | None = None
        self._turn = threading.Lock()

    @property
    def dialect(self) -> str:
        """postgresql, mysql or sqlite."""
        return self._engine.dialect.name

    async def do(self, work: Callable[[sa.Connection], _T]) -> _T:
        """Run that in a transaction, in a thread. Raises `TransientError` when the connection is lost, `ConfigurationError` for what
        waiting does not mend; neither quotes the address."""
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
            try:
                connection.close()
            except SQLAlchemyError:
                connection.invalidate()
        self._engine.dispose()

    def _do(self, work: Callable[[sa.Connection], _T]) -> _T:
        with self._turn:
            try:
                if self._connection is None:
                    self._connection = self._engine.connect()
                with self._connection.begin():
                    return work(self._connection)
            except BusError:
                raise
            except (SQLAlchemyError, OSError, sqlite3.Error) as error:
                self._close()
                raise _ours(self._where, error) from error


def _engine(where: str, url: str, zone: ZoneInfo) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError([Problem(where, "is not of the form postgresql://user:password@host:port/database")]) from None
    driver = _DRIVERS.get(parsed.drivername.partition("+")[0])
    if driver is None:
        allowed = "postgresql://…, mysql://…, mariadb://… or sqlite:///…"
        raise ConfigurationError([Problem(where, f"names a database that is not known; allowed: {allowed}")])
    parsed = parsed.set(drivername=driver)
    if driver == "sqlite":
        path = Path(parsed.database or "")
        if not parsed.database or parsed.database == ":memory:":
            raise ConfigurationError([Problem(where, "names no file: sqlite:////folder/file.db")])
        # a file that is not there is not made: it may be on a share that is away
        address = f"file:{quote(str(path))}?mode=rw"
        return sa.create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(address, uri=True, timeout=10, check_same_thread=False), poolclass=NullPool
        )
    arguments: dict[str, object] = {"connect_timeout": _CONNECT_SECONDS}
    if driver.startswith("mysql"):
        # TIMESTAMP columns are said in the session's zone
        offset = datetime.now(zone).strftime("%z")
        zone_text = f"{offset[:3]}:{offset[3:5]}"
        arguments |= {"read_timeout": _ANSWER_SECONDS, "write_timeout": _ANSWER_SECONDS, "init_command": f"SET time_zone = '{zone_text}'"}
    else:
        keepalive = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
        arguments |= keepalive | {"options": f"-c statement_timeout={_ANSWER_SECONDS}s"}
    return sa.create_engine(parsed, connect_args=arguments, poolclass=NullPool, isolation_level="READ COMMITTED")


def _ours(where: str, error: Exception) -> BusError:
    """A driver's error as ours. What it says of the connection is not repeated: it may quote the address."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    connecting = not isinstance(error, DBAPIError) or error.statement is None
    if _lasting(error, cause):
        if connecting:
            return ConfigurationError([Problem(where, "the database refuses this user, password or database name")])
        return ConfigurationError([Problem(where, f"the database refuses the statement: {_said(cause)}")])
    if connecting:
        return TransientError(f"{where}: the database does not answer ({type(cause).__name__})")
    return TransientError(f"{where}: {type(cause).__name__}: {_said(cause)}")


def _lasting(error: Exception, cause: BaseException | None) -> bool:
    """Whether waiting does not mend it."""
    if isinstance(cause, sqlite3.Error):
        return any(part in str(cause) for part in _SQLITE_LASTING)
    code = cause.args[0] if cause is not None and cause.args else None
    if isinstance(code, int):
        return code in _MYSQL_LASTING
    state = getattr(cause, "sqlstate", None)
    if state or isinstance(error, OperationalError):
        return postgres_errors.lasting(state, str(cause))
    return isinstance(error, DBAPIError) and not error.connection_invalidated and not isinstance(error, InterfaceError)


def _said(cause: BaseException | None) -> str:
    text = str(cause.args[1] if cause is not None and len(cause.args) > 1 else cause)
    return postgres_errors.sayable(getattr(cause, "sqlstate", None), text)

"""Servers of the tests: databases, one of each kind a session with a database of its own for each test; and an interface."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from starlette.responses import Response

from bus.simulation.servers import MariaServer, PostgresServer, maria_binaries
from tests.conftest import unavailable
from tests.pipeline.ingest_world import World
from tests.sources.cdc_world import SOURCE as CDC_SOURCE
from tests.sources.cdc_world import TABLE as CDC_TABLE
from tests.sources.http_server import Interface
from tests.sources.world import database_world


@pytest.fixture(scope="session")
def maria_server() -> Iterator[MariaServer]:
    """The session's MariaDB. A test that kills it leaves it running."""
    binaries = maria_binaries()
    if binaries is None:
        unavailable("MariaDB: install the package mariadb-server")
    server = MariaServer(binaries, "mysql")
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[Callable[..., str]]:
    """The address of a new, empty database: `postgres()`; with `user=` and `password=` as somebody else."""
    name = f"t{uuid.uuid4().hex[:10]}"
    with postgres_server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield lambda **who: postgres_server.url(name, **who)
    with postgres_server.connect() as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        for (slot,) in connection.execute(f"SELECT slot_name FROM pg_replication_slots WHERE database = '{name}'").fetchall():
            connection.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def maria(maria_server: MariaServer) -> Iterator[Callable[..., str]]:
    """The same of MariaDB."""
    name = f"t{uuid.uuid4().hex[:10]}"
    with maria_server.connect("") as connection:
        connection.cursor().execute(f"CREATE DATABASE {name}")
    yield lambda **who: maria_server.url(name, **who)
    with maria_server.connect("") as connection:
        connection.cursor().execute(f"DROP DATABASE {name}")


@pytest.fixture
def db(postgres: Callable[..., str]) -> Iterator[psycopg.Connection]:
    """An agency's own connection to its PostgreSQL, with one published table."""
    with psycopg.connect(postgres(), autocommit=True) as connection:
        connection.execute(CDC_TABLE.format(""))
        connection.execute("CREATE PUBLICATION bus FOR TABLE samples")
        yield connection


@pytest.fixture
def world(tmp_path: Path, postgres: Callable[..., str], db: psycopg.Connection) -> World:
    """That agency, its table followed by change capture."""
    return database_world(tmp_path, postgres(), CDC_SOURCE)


@pytest.fixture
def interface() -> Iterator[Interface]:
    """A server on this machine that answers what `interface.answer` says."""
    found = Interface(lambda _: Response(status_code=500))
    with found.serving():
        yield found

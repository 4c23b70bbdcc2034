"""The store's database: SQLite, and PostgreSQL where it is installed; each test has an empty one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bus.simulation.servers import PostgresServer
from bus.testing.memory import MemoryLog
from consumers.ppid.database import Database
from tests.unit.ppid.feed import PM10

MakeDatabase = Callable[[], Database]


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex[:10]}"
    with postgres_server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    with postgres_server.connect() as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ppid.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def make_database(database_url: str, tmp_path: Path) -> Iterator[MakeDatabase]:
    """Opens that database, each time as another process would."""
    opened: list[Database] = []

    def make() -> Database:
        opened.append(Database(database_url, fallback=tmp_path / "unused.db"))
        return opened[-1]

    yield make
    for database in opened:
        database.close()


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    return make_database()


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog({f"public.{PM10}": 1}, compacted=[f"public.{PM10}"])

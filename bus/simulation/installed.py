"""Servers for agencies' systems, where this machine has them installed: PostgreSQL, MariaDB and Mosquitto, for as long as somebody looks on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bus.errors import ConfigurationError, Problem
from bus.ingest.kinds.sql_spec import SqlSpec
from bus.ingest.manifest import Agency
from bus.simulation.mosquitto import Mosquitto, mosquitto_binary
from bus.simulation.play import Servers
from bus.simulation.servers import MariaServer, PostgresServer, maria_binaries, postgres_binaries


@contextmanager
def installed_servers(agencies: Mapping[str, Agency], folder: Path) -> Iterator[Servers]:
    """Started servers: every second agency with a database has it in PostgreSQL, the others in MariaDB.

    Raises `ConfigurationError` with everything that is to be installed.
    """
    postgres, maria, mosquitto = postgres_binaries(), maria_binaries(), mosquitto_binary()
    if postgres is None or maria is None or mosquitto is None:
        packages = {"postgresql": postgres, "mariadb-server": maria, "mosquitto": mosquitto}
        missing = [name for name, found in packages.items() if found is None]
        raise ConfigurationError([Problem(name, "is not installed; install the package of that name") for name in missing])
    with ExitStack() as stack:
        first, second, broker = PostgresServer(postgres, "postgres"), MariaServer(maria, "mysql"), Mosquitto(folder / "mosquitto")
        for server in (first, second):
            stack.callback(server.remove)
            server.start()
        stack.callback(broker.kill)
        broker.start()
        databases = {}
        for number, agency in enumerate(agencies.values()):
            if any(isinstance(spec, SqlSpec) for spec in agency.manifest.sources.values()):
                databases[agency.id] = _in_postgres(first, agency.id) if number % 2 else _in_maria(second, agency.id)
        yield Servers(databases, broker.url)


def _in_postgres(server: PostgresServer, name: str) -> str:
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server.url(name)


def _in_maria(server: MariaServer, name: str) -> str:
    with server.connect("") as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    return server.url(name)

"""The agency's side of the tests: its database, written to by its own system."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa


class Agency:
    """The agency's side: its database, written to by its own system."""

    def __init__(self, url: str, dialect: str) -> None:
        self.url, self.dialect = url, dialect
        driver = {"postgresql": "postgresql+psycopg", "mariadb": "mysql+pymysql", "sqlite": "sqlite"}[dialect]
        self.engine = sa.create_engine(sa.make_url(url).set(drivername=driver), poolclass=sa.NullPool)

    def script(self, text: str) -> None:
        with self.engine.begin() as connection:
            told = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
            for statement in filter(str.strip, told.split(";")):
                connection.exec_driver_sql(statement)

    def do(self, statement: str, *rows: Mapping[str, object]) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement), list(rows) or None)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with self.engine.begin() as connection:
            return [tuple(row) for row in connection.execute(sa.text(statement))]

    def put(self, op: str, **payload: object) -> None:
        self.do("INSERT INTO bus_outbox (op, payload) VALUES (:op, :payload)", {"op": op, "payload": json.dumps(payload)})

    def with_samples(self) -> None:
        kind = {"postgresql": "timestamp", "mariadb": "datetime(6)", "sqlite": "text"}[self.dialect]
        self.script(f"CREATE TABLE samples (no varchar(20) PRIMARY KEY, value varchar(20), changed {kind})")

"""An agency's database in the tests: what its views give, as tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path


class Ledger:
    """Tables that are made by the columns of the first row."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.do("PRAGMA journal_mode = WAL")

    @property
    def url(self) -> str:
        """Its address, as a setting."""
        return f"sqlite:///{self.path}"

    def put(self, table: str, *rows: Mapping[str, object]) -> None:
        for row in rows:
            self.do(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(row)})")
            self.do(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", *row.values())

    def do(self, statement: str, *values: object) -> None:
        connection = sqlite3.connect(self.path)
        with connection:
            connection.execute(statement, values)
        connection.close()

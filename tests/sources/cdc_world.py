"""The agency's PostgreSQL in the tests of change capture."""

from __future__ import annotations

from typing import Any

import psycopg

SOURCE = 'type = "postgres-cdc"\ntables = ["public.samples"]\nkey = ["no"]\n'
BOTH = 'type = "postgres-cdc"\ntables = ["public.samples", "lain.samples"]\nkey = ["_table", "no"]\n'
TABLE = "CREATE TABLE {}samples (no text PRIMARY KEY, value text)"


def put(db: psycopg.Connection, no: str, value: str = "a", table: str = "samples") -> None:
    db.execute(f"INSERT INTO {table} VALUES (%s, %s) ON CONFLICT (no) DO UPDATE SET value = EXCLUDED.value", (no, value))


def slots(db: psycopg.Connection) -> list[tuple[Any, ...]]:
    return db.execute("SELECT slot_name, confirmed_flush_lsn FROM pg_replication_slots WHERE database = current_database()").fetchall()

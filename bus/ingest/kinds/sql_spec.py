"""Rows of a database: from an outbox table that the agency's system fills, or by a query that asks for what is newer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from bus.ingest.kinds.base_spec import DatabaseSpec

_TABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?$")
#: The outbox's name where the manifest names none.
DEFAULT_TABLE = "bus_outbox"
_SELECT = re.compile(r"^\s*(select|with)\b", re.IGNORECASE)


class SqlSpec(DatabaseSpec):
    """Rows of a database: from an outbox table that the agency's system fills, or by a query that asks for what is newer."""

    type: Literal["sql"]
    mode: Literal["outbox", "query"] = Field(description="outbox: a table that the system fills (`bus ddl`); query: what is newer")
    setting: str = Field("url", description="the setting with the database's address: postgresql://…, mysql://…, sqlite:///…")
    table: str | None = Field(None, description="table or schema.table; outbox: bus_outbox when left out; query: its rows as they are")
    query: str | None = Field(None, description="query: a SELECT instead of a table; its columns are the record's fields")
    watermark: str | None = Field(None, description="query: the column that rises with every insert and update: a time or a whole number")
    after: Literal["mark", "delete"] = Field("mark", description="outbox: what is done with rows that are safe on our side")
    look_back_seconds: float = Field(300.0, ge=0, description="for how long, at most, a transaction of the agency's stays open")
    look_back_numbers: int = Field(
        1_000,
        ge=0,
        description="query with a number as watermark: how many numbers open transactions may hold (as many as there are: all is read each time)",
    )
    poll_seconds: float = Field(2.0, gt=0, description="how long to wait when nothing new was there")
    limit: int = Field(1_000, ge=1, le=100_000, description="rows asked for at once")

    def faults(self) -> list[tuple[str, str]]:
        return [*super().faults(), *self._faults()]

    def _faults(self) -> Iterator[tuple[str, str]]:
        if self.table is not None and not _TABLE.match(self.table):
            yield "table", f"{self.table!r} is not of the form table or schema.table"
        if self.mode == "query":
            yield from self._query_faults()
        else:
            yield from ((name, 'belongs to mode = "query"') for name in ("query", "watermark") if getattr(self, name) is not None)

    def _query_faults(self) -> Iterator[tuple[str, str]]:
        if (self.table is None) == (self.query is None):
            yield "query", "name either a table or a query, and not both"
        if self.query is not None and (not _SELECT.match(self.query) or ";" in self.query.rstrip().rstrip(";")):
            yield "query", "is not one statement that begins with SELECT or WITH"
        if self.watermark is None:
            yield "watermark", "is missing: without it what is new cannot be told from what is known"
        if not self.key:
            yield "key", "a query needs a key: rows of the look-back window come again and are told apart by it"
        if self.after != "mark":
            yield "after", 'belongs to mode = "outbox"'

"""Changes of PostgreSQL tables by logical replication."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from bus.ingest.kinds.base_spec import DatabaseSpec

_TABLE = re.compile(r"^[^.\s]+\.[^.\s]+$")
_NAME = re.compile(r"^[a-z0-9_]{1,63}$")
#: The field that names a record's table where a source watches several.
TABLE_FIELD = "_table"


class CdcSpec(DatabaseSpec):
    """Changes of PostgreSQL tables by logical replication.

    A record's fields are the table's columns. Where several tables are watched, `_table` says which ("public.pasien"), and is part of the
    key: tables know nothing of one another's numbers.
    """

    type: Literal["postgres-cdc"]
    tables: tuple[str, ...] = Field(min_length=1, description="schema.table of each table that is watched")
    setting: str = Field("url", description="the setting with the database's address: postgresql://…")
    publication: str = Field("bus", description="the publication that the agency made for these tables (`bus ddl postgres-cdc`)")
    slot: str | None = Field(None, description="the replication slot that we make; bus_<agency>_<source> when left out")
    ignore: tuple[str, ...] = Field((), description="columns that are not read (documents, photographs)")
    max_lag_bytes: int = Field(
        4 << 30, ge=32 << 20, description="the log that the agency's server may keep for us; past it the slot is given up"
    )
    look_back_seconds: float = Field(300.0, ge=0, description="for how long, at most, a transaction of the agency's stays open")
    poll_seconds: float = Field(1.0, gt=0, description="how long to wait when nothing new was there")
    limit: int = Field(2_000, ge=1, le=100_000, description="changes asked for at once; a transaction is never divided")

    @property
    def several(self) -> bool:
        """Whether records say which table they are of."""
        return len(self.tables) > 1

    def faults(self) -> list[tuple[str, str]]:
        return [*super().faults(), *self._faults()]

    def _faults(self) -> Iterator[tuple[str, str]]:
        yield from (("tables", f"{name!r} is not of the form schema.table") for name in self.tables if not _TABLE.match(name))
        if len(set(self.tables)) < len(self.tables):
            yield "tables", "names a table twice"
        if not self.key:
            yield "key", "change capture needs a key: what is read twice, changed or deleted is known by it"
        if self.several and TABLE_FIELD not in self.key:
            yield "key", f"{TABLE_FIELD!r} has to be part of the key where several tables are watched"
        if not self.several and TABLE_FIELD in self.key:
            yield "key", f"{TABLE_FIELD!r} is only there where several tables are watched"
        yield from (("ignore", f"{name!r} is part of the key") for name in self.ignore if name in self.key)
        if self.slot is not None and not _NAME.match(self.slot):
            yield "slot", f"{self.slot!r}; allowed: a to z, 0 to 9 and _, at most 63"

"""Agencies' databases: rows of what a query asks for, and outboxes, in SQLite, PostgreSQL or MariaDB, as the manifests say that they are read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from bus.errors import ConfigurationError, Problem
from bus.ingest.kinds.sql_ddl import ddl
from bus.ingest.kinds.sql_spec import DEFAULT_TABLE, SqlSpec
from bus.simulation.story import Telling
from bus.simulation.systems.form import json_text

#: What `ddl` calls the dialects.
_FORMS = {"mysql": "mariadb", "postgresql": "postgresql", "sqlite": "sqlite"}
_DRIVERS = {"mysql": "mysql+pymysql", "postgresql": "postgresql+psycopg", "sqlite": "sqlite"}


class Tables:
    """The tables of one agency. `sources`: those that are read from this database; `tellings`: all that will be told, for the columns' types."""

    def __init__(self, url: str, sources: Mapping[str, SqlSpec], tellings: Iterable[Telling]) -> None:
        scheme, _, rest = url.partition("://")
        self._engine = sa.create_engine(f"{_DRIVERS[scheme]}://{rest}")
        self._form = _FORMS[scheme]
        self._sources = sources
        self._told: dict[str, set[tuple[str, ...]]] = {name: set() for name in sources}
        samples: dict[str, dict[str, object]] = {name: {} for name in sources}
        for telling in tellings:
            known = samples.get(telling.source)
            if known is not None:
                known |= {name: value for name, value in telling.record.items() if known.get(name) is None or isinstance(value, str)}
        metadata = sa.MetaData()
        self._tables = {
            name: sa.Table(_table_of(name, spec), metadata, *(self._column(*each) for each in (samples[name] or _least(spec)).items()))
            for name, spec in sources.items()
            if spec.mode == "query"
        }
        metadata.create_all(self._engine)
        self._outboxes = {name: self._outbox(spec) for name, spec in sources.items() if spec.mode == "outbox"}

    async def tell(self, source: str, tellings: Sequence[Telling]) -> None:
        """Commit what the system writes of these."""
        await asyncio.to_thread(self._tell, source, tellings)

    def close(self) -> None:
        """End the connections."""
        self._engine.dispose()

    def _tell(self, source: str, tellings: Sequence[Telling]) -> None:
        spec = self._sources[source]
        with self._engine.begin() as connection:
            if spec.mode == "outbox":
                connection.execute(sa.insert(self._outboxes[source]), [self._entry(source, spec, telling) for telling in tellings])
                return
            table = self._tables[source]
            # of two tellings of one row in this transaction nobody sees the first
            rows = {tuple(telling.record[name] for name in spec.key): self._row(spec, telling) for telling in tellings}
            for key in rows:
                connection.execute(sa.delete(table).where(*(table.c[name] == value for name, value in zip(spec.key, key, strict=True))))
            connection.execute(sa.insert(table), list(rows.values()))

    def _row(self, spec: SqlSpec, telling: Telling) -> dict[str, object]:
        assert spec.watermark is not None
        return {name: self._value(value, spec.zone) for name, value in {**telling.record, spec.watermark: telling.at}.items()}

    def _entry(self, source: str, spec: SqlSpec, telling: Telling) -> dict[str, object]:
        key = tuple(str(telling.record[name]) for name in spec.key)
        op = "CANCEL" if telling.gone else "CORRECT" if key in self._told[source] else "CREATE"
        self._told[source].add(key)
        return {"op": op, "payload": json_text(telling.record)}

    def _outbox(self, spec: SqlSpec) -> sa.TableClause:
        name = spec.table or DEFAULT_TABLE
        with self._engine.begin() as connection:
            for statement in ddl(self._form, name).split(";"):
                lines = [line for line in statement.splitlines() if not line.lstrip().startswith("--")]
                if "".join(lines).strip():
                    connection.execute(sa.text("\n".join(lines).replace(":", r"\:")))
        return sa.table(name, sa.column("op"), sa.column("payload"))

    def _column(self, name: str, value: object) -> sa.Column[Any]:
        exact = self._form != "sqlite"  # SQLite would keep a fraction as a float
        match value:
            case datetime():
                return sa.Column(name, sa.DateTime(timezone=self._form == "postgresql") if exact else sa.Text)
            case date():
                return sa.Column(name, sa.Date if exact else sa.Text)
            case int():
                return sa.Column(name, sa.BigInteger)
            case Decimal():
                return sa.Column(name, sa.Numeric(24, 4) if exact else sa.Text)
        return sa.Column(name, sa.String(400) if exact else sa.Text)

    def _value(self, value: object, zone: ZoneInfo) -> object:
        match value:
            case datetime() if self._form == "mariadb":
                return value.astimezone(zone).replace(tzinfo=None)
            case datetime() if self._form == "sqlite":
                return value.astimezone(zone).isoformat(" ")
            case date() | Decimal() if self._form == "sqlite":
                return str(value)
        return value


def _least(spec: SqlSpec) -> dict[str, object]:
    """The columns of a table in which nothing will be told: those that it is asked by."""
    assert spec.watermark is not None
    return {**dict.fromkeys(spec.key, ""), spec.watermark: datetime.fromtimestamp(0, UTC)}


def _table_of(name: str, spec: SqlSpec) -> str:
    if spec.table is None:
        raise ConfigurationError([Problem(f"sources.{name}", "is a query over tables of the agency's own: only a view can be simulated")])
    return spec.table

"""Agencies' databases before anything is told, or when nothing ever is."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from bus.ingest.kinds.sql_spec import SqlSpec
from bus.ingest.manifest import discover
from bus.settings import Settings
from bus.simulation.systems.tables import Tables


def test_a_table_of_which_nothing_will_be_told_can_be_asked(tmp_path: Path) -> None:
    agency = discover(Settings().connector_roots())["dukcapil"]
    sources = {name: spec for name, spec in agency.manifest.sources.items() if isinstance(spec, SqlSpec) and spec.mode == "query"}
    assert sources
    url = f"sqlite:///{tmp_path / 'siak.db'}"
    Tables(url, sources, []).close()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        for spec in sources.values():
            wanted: list[sa.ColumnClause[object]] = [sa.column(name) for name in (*spec.key, str(spec.watermark))]
            query = sa.select(*wanted).select_from(sa.table(str(spec.table))).where(sa.column(str(spec.watermark)) > "2026-01-01")
            assert connection.execute(query).all() == []
    engine.dispose()

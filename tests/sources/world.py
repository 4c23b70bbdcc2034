"""The made-up agency of these tests: its source reads a database; a record is a number and a value."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.ingest_world import World, lab_agency

MANIFEST = """
id = "lab"
title = "Laboratorium"
owner = "Laboratorium"
summary = "Sebuah laboratorium rekaan dengan basis data sendiri. A made-up laboratory with a database of its own."
settings = ["url"]
[events."lab.sample.recorded.v1"]
access = "internal"
[sources.samples]
"""
#: Strict, as mappings are: what it does not know it refuses.
MAPPING = """
from datetime import UTC, datetime
from bus.errors import SourceChanged
from bus.events.envelope import Event

def to_events(record):
    unknown = sorted(set(record) - {"no", "value", "changed", "_table"})
    if unknown:
        raise SourceChanged("unknown", field=unknown[0], rule="unknown_field")
    if record["value"] == "buruk":
        raise SourceChanged("bad", field="value", rule="out_of_range")
    subject = "-".join([*record.get("_table", "").split(), str(record["no"])])
    yield Event("lab.sample.recorded.v1", subject, datetime(2024, 1, 1, tzinfo=UTC), {"value": record["value"]})
"""


def database_world(base: Path, url: str, source: str, *, mapping: str = MAPPING) -> World:
    """A world whose source is declared by these lines of a manifest and reads that address."""
    connectors, schemas = lab_agency(base, mapping=mapping)
    (connectors / "lab" / "agency.toml").write_text(MANIFEST + source)
    world = World(base, roots=[connectors], schemas=[schemas], agency="lab")
    world.environ["BUS_LAB__URL"] = url
    world.environ["BUS_INGEST__BATCH_RECORDS"] = "500"
    return world


def said(world: World) -> list[tuple[str, str, object]]:
    """What was told, in its order."""
    return [(e.op.value, e.event.subject, e.event.data["value"]) for e in world.folded()]

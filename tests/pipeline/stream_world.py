"""A made-up agency whose readings go through a journal, and a reader that gives what a test tells it to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bus.ingest.context import SourceContext
from bus.ingest.journal import Journal
from bus.ingest.stream import Reading, Receipt, Received, Sink
from tests.pipeline.ingest_world import ONE_EVENT, World, lab_agency

MANIFEST = """
id = "lab"
title = "Laboratorium"
owner = "Laboratorium"
summary = "Sebuah laboratorium rekaan yang catatannya datang satu per satu. A made-up laboratory whose records come one by one."
settings = ["base_url"]
[events."lab.sample.recorded.v1"]
access = "internal"
[sources.samples]
type = "http"
path = "/samples"
key = ["no"]
"""


@dataclass
class Told:
    """A reader: the readings from the cursor on; with `until_end` it returns after the last."""

    readings: Sequence[Reading]

    def __call__(self, context: SourceContext, values: Mapping[str, str]) -> Told:
        return self

    async def run(self, sink: Sink, *, until_end: bool) -> None:
        assert until_end
        receipts: list[Receipt] = []
        for place in range(int(str(sink.cursor.get("next", 0))), len(self.readings)):
            reading = self.readings[place]
            receipts.append(await sink.take(Reading(reading.records, reading.name, {"next": place + 1}, reading.upto, reading.whole)))


def said(no: str, value: str | None = "a", *, id_: str = "", deleted: bool = False) -> Received:
    values: dict[str, Any] = {"no": no} if deleted else {"no": no, "value": value}
    return Received(values, id=id_, deleted=deleted)


def stream_world(base: Path, patch: pytest.MonkeyPatch, readings: Sequence[Reading], *, mapping: str = ONE_EVENT) -> World:
    """A world in which the agency's source gives these readings."""
    connectors, schemas = lab_agency(base, kind="table", mapping=mapping)
    (connectors / "lab" / "agency.toml").write_text(MANIFEST)
    patch.setattr("bus.ingest.stream_runner.reader_of", Told(readings))
    world = World(base, roots=[connectors], schemas=[schemas], agency="lab")
    world.environ["BUS_LAB__BASE_URL"] = "http://127.0.0.1:1"
    return world


def journal_of(world: World) -> Journal:
    """The journal, between two runs."""
    return Journal(world.settings.data_dir / "journal" / "lab" / "samples.db", "lab/samples", world.clock)

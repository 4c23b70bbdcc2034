"""Agencies of the overlay over the log in memory, reading real exports: what the tests of file forms share."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from bus.events.envelope import Op
from bus.ingest.deliver import Progress
from bus.ingest.retry import Sleep
from bus.ingest.runner import Runner
from bus.kafka.ports import Publisher
from bus.kafka.snapshots import KafkaSnapshotStore
from tests.pipeline.ingest_world import ONE_EVENT, World, lab_agency

OVERLAY = Path(__file__).parent / "overlay_files"


def overlay_world(base: Path, agency: str, *, batch_records: int = 500) -> World:
    """A world of one of the overlay's agencies."""
    world = World(base, roots=[OVERLAY / "connectors"], schemas=[OVERLAY / "schemas"], agency=agency)
    world.environ["BUS_INGEST__BATCH_RECORDS"] = str(batch_records)
    return world


def take(world: World, paths: Iterable[Path]) -> list[str]:
    """Put copies of these files into the world's folder, in the order given; their names."""
    return [world.put_bytes(path.name, path.read_bytes()).name for path in paths]


def changes(world: World) -> dict[int, Counter[Op]]:
    """Per delivery, how many facts it created, corrected and cancelled."""
    found: dict[int, Counter[Op]] = {}
    for envelope in world.folded():
        found.setdefault(envelope.sequence >> 40, Counter())[envelope.op] += 1
    return found


def reference(folder: Path, name: str) -> list[Mapping[str, str]]:
    """The rows of an answer that others computed."""
    with (folder / "reference" / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


class AgencyWorld(World):
    """A world whose connector finds its folder in the settings, as an installation does: acknowledgements are written."""

    def runner(
        self, *, folder: Path | None = None, pace: float | None = None, seen: list[Progress] | None = None, sleep: Sleep | None = None,
        publisher: Publisher | None = None,
    ) -> Runner:  # fmt: skip
        self.environ.setdefault(f"BUS_{self.agency_id}__FOLDER".upper(), str(self.folder))
        publisher = publisher or self.log
        return Runner(
            self.agency, publisher=publisher, reader=self.log, snapshots=KafkaSnapshotStore(publisher, self.log), codec=self.codec,
            settings=self.settings, clock=self.clock, sleep=sleep or self.clock.sleep, pace=pace,
        )  # fmt: skip

    def receipts(self) -> dict[str, str]:
        """The acknowledgements beside the inputs, by name."""
        folder = self.folder / "bukti"
        return {path.name: path.read_text() for path in sorted(folder.iterdir())} if folder.is_dir() else {}


def lab_agency_world(base: Path, *, kind: str = "table", mapping: str = ONE_EVENT, spec: str = "") -> AgencyWorld:
    """The made-up agency, installed; `spec` are more lines of its source."""
    connectors, schemas = lab_agency(base, kind=kind, mapping=mapping)
    manifest = connectors / "lab" / "agency.toml"
    manifest.write_text(manifest.read_text().replace('key = ["no"]\n', f'key = ["no"]\npatterns = ["*"]\n{spec}\n'))
    return AgencyWorld(base, roots=[connectors], schemas=[schemas], agency="lab")

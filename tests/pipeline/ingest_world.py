"""A connector over the log in memory: what the ingest tests share. A crash is an error that no code of ours knows."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from bus.events.catalogue import Catalogue
from bus.events.codec import Codec, envelope_of
from bus.events.envelope import Envelope
from bus.events.heartbeat import heartbeat_of
from bus.ingest.deliver import Progress
from bus.ingest.manifest import Agency, discover
from bus.ingest.privacy.keys import door_of
from bus.ingest.quarantine import Entry, Place
from bus.ingest.retry import Sleep
from bus.ingest.runner import Runner
from bus.ingest.seal import private_key_path, sealer_for
from bus.kafka.ports import Message, Publisher, Record
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.ops.quarantine import Replayed, list_quarantine, replay
from bus.settings import ROOT, Settings
from bus.testing.clock import ManualClock
from bus.testing.memory import MemoryLog

HEADER = "tanggal,stasiun,pm10,pm25,so2,co,o3,no2,max,critical,categori"
#: A moment before the manual clock's, so that files count as settled.
LONG_AGO_NS = 1_700_000_000_000_000_000


class Crash(BaseException):
    """The process is gone: nothing after the effect happens."""


def row(
    day: int, station: str = "DKI1 (Bunderan HI)", pm10: str = "40", *, month: int = 1, category: str = "SEDANG", largest: str = "60"
) -> str:
    return f"2022-{month:02}-{day:02},{station},{pm10},60,20,10,30,15,{largest},PM25,{category}"


class World:
    """A data folder, an input folder and a log; connectors come and go."""

    def __init__(
        self,
        base: Path,
        *,
        roots: Sequence[Path] = (ROOT / "connectors",),
        schemas: Sequence[Path] = (ROOT / "schemas",),
        agency: str = "dlh",
    ) -> None:
        self.folder = base / "input"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.roots, self.agency_id = roots, agency
        self.codec = Codec(Catalogue.load(schemas))
        self.topics = [f"events.{name}" for name in self.codec.catalogue.types if name.startswith(f"{agency}.")]
        self.log = self.fresh_log()
        self.clock = ManualClock()
        self.environ = {"BUS_DATA_DIR": str(base / "var"), "BUS_INGEST__BATCH_RECORDS": "3"}
        self._written = 0

    def fresh_log(self) -> MemoryLog:
        compacted = {f"quarantine.{self.agency_id}": 1, "bus.snapshots": 4, "bus.checkpoints": 1}
        return MemoryLog({**dict.fromkeys(self.topics, 4), **compacted, "bus.claims": 1}, compacted=list(compacted))

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.environ, agencies=[self.agency_id])

    @property
    def agency(self) -> Agency:
        return discover(self.roots)[self.agency_id]

    def put(self, name: str, *lines: str, header: str = HEADER) -> Path:
        """A file of these lines, newer than those before."""
        return self.put_bytes(name, ("\n".join([header, *lines]) + "\n").encode())

    def put_bytes(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        self._written += 1
        moment = LONG_AGO_NS + self._written * 1_000_000_000
        os.utime(path, ns=(moment, moment))
        return path

    def runner(
        self, *, folder: Path | None = None, pace: float | None = None, seen: list[Progress] | None = None, sleep: Sleep | None = None,
        publisher: Publisher | None = None,
    ) -> Runner:  # fmt: skip
        publisher = publisher or self.log
        return Runner(
            self.agency, publisher=publisher, reader=self.log, snapshots=KafkaSnapshotStore(publisher, self.log), codec=self.codec,
            settings=self.settings, folders={self.agency_id: folder or self.folder}, clock=self.clock, sleep=sleep or self.clock.sleep, pace=pace,
            progress=seen.append if seen is not None else None,
        )  # fmt: skip

    async def run(self, *, folder: Path | None = None) -> None:
        """A fresh process reads everything there is."""
        await self.runner(folder=folder).run(until_end=True)

    async def run_until_crash(self, effect: int) -> bool:
        """A process that dies at its n-th effect; whether it came so far."""
        left = effect

        def hook(message: Message) -> None:
            nonlocal left
            if left == 0:
                raise Crash
            left -= 1

        self.log.on_effect = hook
        try:
            await self.run()
        except Crash:
            return True
        finally:
            self.log.on_effect = None
        return False

    def envelope(self, record: Record) -> Envelope | None:
        """The event that a record of an event topic holds; None when it is a heartbeat."""
        if record.value is None:
            assert heartbeat_of(record.headers) is not None
            return None
        return envelope_of(record.topic.removeprefix("events."), self.codec.decode(record.value, record.headers))

    def envelopes(self) -> list[Envelope]:
        """All events in the log, in the order of (source, sequence)."""
        found = []
        for topic in self.topics:
            for partition in range(self.log.topics[topic]):
                found += [envelope for record in self.log.records(topic, partition) if (envelope := self.envelope(record)) is not None]
        return sorted(found, key=lambda envelope: (envelope.source, envelope.sequence))

    def folded(self) -> list[Envelope]:
        """What a fold applies: per partition and source only rising sequences (ADR 0014 R6)."""
        kept = []
        for topic in self.topics:
            for partition in range(self.log.topics[topic]):
                highest: dict[str, int] = {}
                for record in self.log.records(topic, partition):
                    envelope = self.envelope(record)
                    if envelope is not None and envelope.sequence > highest.get(envelope.source, -1):
                        highest[envelope.source] = envelope.sequence
                        kept.append(envelope)
        return sorted(kept, key=lambda envelope: (envelope.source, envelope.sequence))

    def current(self) -> dict[tuple[str, str], Mapping[str, object]]:
        """The facts that hold now: by subject, the highest version, unless cancelled."""
        newest: dict[tuple[str, str], Envelope] = {}
        for envelope in self.folded():
            key = (envelope.event.type, envelope.event.subject)
            if key not in newest or envelope.version > newest[key].version:
                newest[key] = envelope
        return {key: dict(envelope.event.data) for key, envelope in newest.items() if envelope.op != "CANCEL"}

    async def quarantine(self, *, state: str | None = "open") -> Sequence[Entry]:
        return await list_quarantine(self.log, self.agency_id, state=state)

    async def replay(self, *places: Place) -> Sequence[Replayed]:
        keys = self.settings.data_dir / "keys"
        sealer_for(keys, self.agency_id)
        return await replay(
            self.agency, publisher=self.log, reader=self.log, snapshots=KafkaSnapshotStore(self.log, self.log), codec=self.codec, clock=self.clock,
            keys=keys, private_key=private_key_path(keys, self.agency_id), indicators={}, places=places or None,
            door=door_of(self.agency, self.settings, self.clock),
        )  # fmt: skip

    def everything_clear(self) -> str:
        """All bytes of the log's own topics that anyone can read, as text."""
        return " ".join(
            (record.value or b"").decode(errors="replace")
            for topic in ("bus.claims", "bus.checkpoints", f"quarantine.{self.agency_id}")
            for record in self.log.records(topic)
        )


def place_of(entry: Entry) -> Place:
    """Where the file of a refused record or file is."""
    assert isinstance(entry.place, Place)
    return entry.place


def lab_agency(base: Path, *, kind: str = "table", mapping: str, columns: Sequence[str] = ("no", "value")) -> tuple[Path, Path]:
    """An agency outside of the repository: its connectors folder and its schemas folder."""
    folder, schemas = base / "overlay" / "connectors" / "lab", base / "overlay" / "schemas"
    folder.mkdir(parents=True, exist_ok=True)
    header = "\n".join(f'{column} = ["{column}"]' for column in columns)
    (folder / "agency.toml").write_text(
        f'id = "lab"\ntitle = "Laboratory"\nowner = "lab@example.go.id"\nsummary = "An agency of the tests: numbers with a value, delivered as whole tables."\n'
        f'settings = ["folder"]\n[events."lab.sample.recorded.v1"]\naccess = "internal"\n'
        f'[sources.samples]\nkind = "{kind}"\nkey = ["no"]\n[sources.samples.header]\n{header}\n'
    )
    (folder / "mapping.py").write_text(mapping)
    template = json.loads((ROOT / "schemas/events/dlh/air_quality.recorded.v1.avsc").read_text())
    template["namespace"] = "lab.sample.recorded"
    template["fields"] = [*template["fields"][:7], {"name": "value", "type": ["null", "string"], "default": None, "doc": "The value."}]
    path = schemas / "events" / "lab" / "sample.recorded.v1.avsc"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(template))
    return folder.parent, schemas


ONE_EVENT = """
from datetime import UTC, datetime
from bus.events.envelope import Event

def to_events(record):
    yield Event("lab.sample.recorded.v1", record["no"], datetime(2024, 1, 1, tzinfo=UTC), {"value": record["value"]})
"""
THREE_EVENTS = """
from datetime import UTC, datetime
from bus.events.envelope import Event

def to_events(record):
    for part in "abc"[: len(record["value"])]:
        yield Event("lab.sample.recorded.v1", record["no"] + part, datetime(2024, 1, 1, tzinfo=UTC), {"value": record["value"]})
"""


def lab_world(base: Path, *, kind: str = "table", mapping: str = ONE_EVENT) -> World:
    """A world of the made-up agency."""
    connectors, schemas = lab_agency(base, kind=kind, mapping=mapping)
    return World(base, roots=[connectors], schemas=[schemas], agency="lab")


def deliver_tables(world: World) -> None:
    """Creations, corrections, cancellations, refusals of both kinds, a repetition and a file that is no CSV."""
    world.put("1.csv", *(f"{n},a" for n in range(8)), header="no,value")
    world.put("2.csv", "0,a", "1,b", *(f"{n},a" for n in range(3, 8)), "9,new", header="no,value")
    world.put("3.csv", "0,a", "1,b", *(f"{n},a" for n in range(3, 8)), "9,new", header="no,value")
    world.put("4.csv", "0,a", "1,3374010101900001", "5,z,extra", "6,y", header="no,value")
    world.put("5.csv", "0,a", header="no,unknown")
    world.put("6.csv", "0,a", "6,y", header="no,value")


def facts(envelopes: Sequence[Envelope]) -> list[tuple[str, int, str, str, object]]:
    """What events say, in brief."""
    return [(e.source, e.sequence, e.op, e.event.subject, e.event.data["value"]) for e in envelopes]


async def quarantined(world: World) -> list[tuple[str, str, str]]:
    """Place, state and rule of everything that was ever refused."""
    return [(entry.place.key, entry.state, entry.reason["rule"]) for entry in await world.quarantine(state=None)]

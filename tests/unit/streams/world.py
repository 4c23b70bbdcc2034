"""One event type, two indicators and seeded histories, for the stages in memory and on brokers."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.events.envelope import Envelope, Event, Op, sequence_of
from bus.indicators.loader import load_indicators
from bus.kafka.ports import LogReader, Message, TopicPartition
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import CONTROL, PARTIALS, QUARANTINE_PREFIX, SNAPSHOT_PARTITIONS, SNAPSHOTS, partition_of
from bus.streams.folding import FoldWork
from bus.streams.merging import MergeWork
from bus.streams.output_watch import OutputWatch
from bus.streams.stage import Stage
from bus.testing.memory import MemoryLog

TYPE = "test.thing.counted.v1"
EVENTS = f"events.{TYPE}"
PARTITIONS = 2
START = datetime(2021, 1, 1, tzinfo=UTC)

_TIME = {"type": "long", "logicalType": "timestamp-micros"}


def schema() -> dict[str, object]:
    op = {"type": "enum", "name": "Op", "symbols": ["CREATE", "CORRECT", "CANCEL"], "default": "CREATE", "doc": "What it does."}
    kinds: dict[str, object] = {"source": "string", "sequence": "long", "version": "long", "subject": "string", "occurred_at": _TIME}
    fields = [{"name": name, "type": kind, "doc": f"The {name}."} for name, kind in kinds.items()]
    fields.append({"name": "op", "type": op, "default": "CREATE", "doc": "What it does."})
    fields.append({"name": "batch", "type": "string", "doc": "The delivery."})
    fields.append({"name": "place", "type": "string", "doc": "Where."})
    fields.append({"name": "amount", "type": ["null", "long"], "default": None, "doc": "How much."})
    return {"type": "record", "name": "v1", "namespace": "test.thing.counted", "doc": "A thing was counted.", "fields": fields}


def indicator_text(name: str, measure: str, *, version: int = 1, where: str = "") -> str:
    condition = f'where = "{where}"\n' if where else ""
    return (
        f'id = "{name}"\nversion = {version}\nevent = "{TYPE}"\nwindow = "1d"\nunit = "buah"\nby = ["place"]\nmeasure = {measure}\n{condition}'
        f'publish = {{ class = "dikecualikan" }}\n'
        f'title = {{ id = "Jumlah barang {name}", en = "Things {name}" }}\n'
    )


def write_schemas(root: Path) -> Path:
    """A schemas folder with the event type and two indicators."""
    events = root / "events" / "test"
    events.mkdir(parents=True)
    (events / "thing.counted.v1.avsc").write_text(json.dumps(schema()))
    (root / "indicators").mkdir()
    write_indicator(root, "test.total", '{ kind = "sum", of = "amount" }')
    write_indicator(root, "test.count", '{ kind = "count" }')
    return root


def write_indicator(root: Path, name: str, measure: str, *, version: int = 1, where: str = "") -> None:
    (root / "indicators" / f"{name}.toml").write_text(indicator_text(name, measure, version=version, where=where))


@dataclass(frozen=True)
class Fact:
    subject: str
    place: str
    amount: int
    day: int
    op: Op
    version: int
    sequence: int


def history(seed: int, events: int, *, subjects: int = 50, first: int = 0) -> list[Fact]:
    """Seeded creations, corrections and cancellations, in their order of publication."""
    chance = random.Random(seed)
    facts = []
    for number in range(first, first + events):
        op = chance.choices([Op.CREATE, Op.CORRECT, Op.CANCEL], [6, 3, 1])[0]
        facts.append(Fact(
            f"s{chance.randrange(subjects)}", f"p{chance.randrange(3)}", chance.randrange(-5, 100), chance.randrange(4), op,
            sequence_of(1, number), sequence_of(1, number),
        ))  # fmt: skip
    return facts


def expected(facts: Iterable[Fact], *, least: int = -1_000) -> dict[str, dict[tuple[str, int], int]]:
    """Indicator -> (place, day) -> value: what a newcomer would compute from the facts by hand."""
    newest: dict[str, Fact] = {}
    for fact in facts:
        if fact.subject not in newest or fact.version > newest[fact.subject].version:
            newest[fact.subject] = fact
    total: dict[tuple[str, int], int] = defaultdict(int)
    count: dict[tuple[str, int], int] = defaultdict(int)
    for fact in newest.values():
        if fact.op is not Op.CANCEL and fact.amount >= least:
            total[fact.place, fact.day] += fact.amount
            count[fact.place, fact.day] += 1
    return {"test.total": dict(total), "test.count": dict(count)}


def message(codec: Codec, fact: Fact, partitions: int = PARTITIONS, source: str = "test/a") -> Message:
    at = START + timedelta(days=fact.day)
    event = Event(TYPE, fact.subject, at, {"place": fact.place, "amount": fact.amount})
    value, headers = codec.encode(Envelope(event, source, fact.sequence, fact.version, fact.op, "test/a/1"))
    return Message(EVENTS, partition_of(fact.subject, partitions), fact.subject.encode(), value, headers)


async def published(reader: LogReader, codec: Codec, indicator: str) -> dict[tuple[str, int], int]:
    """(place, day) -> value of an indicator, as a reader of its topic who ignores lower records sees it."""
    newest: dict[bytes, tuple[tuple[int, int], dict[str, Any]]] = {}
    topic = TopicPartition(f"indicators.{indicator}", 0)
    async for batch in reader.read(topic, await reader.beginning(topic), await reader.end(topic)):
        for record in batch:
            assert record.key is not None
            assert record.value is not None
            fields: dict[str, Any] = codec.decode(record.value, record.headers)
            order = (fields["version"], fields["revision"])
            if record.key not in newest or order >= newest[record.key][0]:
                newest[record.key] = (order, fields)
    values = {}
    for _, fields in newest.values():
        if fields["n"]:
            place = fields["dimensions"][0]["value"]
            values[place, (fields["window_start"] + timedelta(hours=7) - START).days] = int(fields["value"])
    return values


class Clock:
    """Time that moves only when told."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class World:
    """The log in memory with all topics, and workers over it."""

    def __init__(self, root: Path, *, partials: int = 1) -> None:
        self.root = write_schemas(root / "schemas")
        core = Path(__file__).resolve().parents[3] / "schemas"
        internal = self.root / "bus"
        internal.mkdir()
        (internal / "indicator_value.v1.avsc").write_text((core / "bus" / "indicator_value.v1.avsc").read_text())
        self.catalogue = Catalogue.load([self.root])
        self.codec = Codec(self.catalogue)
        self.partials = partials
        self.clock = Clock()
        self.log = MemoryLog(batch_records=7)
        self.log.create(EVENTS, PARTITIONS)
        self.log.create(PARTIALS, partials)
        self.log.create(CONTROL)
        self.log.create(SNAPSHOTS, SNAPSHOT_PARTITIONS, compacted=True)
        self.log.create(f"{QUARANTINE_PREFIX}test", compacted=True)
        for name in ("test.total", "test.count", "test.large"):
            self.log.create(f"indicators.{name}", compacted=True)
            self.log.create(f"history.{name}")

    def indicators(self):
        return load_indicators([self.root], self.catalogue)

    def worker(self) -> Process:
        return Process(self)

    async def publish(self, facts: Sequence[Fact]) -> None:
        await self.log.send([message(self.codec, fact) for fact in facts])

    async def values(self, indicator: str) -> dict[tuple[str, int], int]:
        return await published(self.log, self.codec, indicator)


class Process:
    """A worker process over the world's log, driven step by step."""

    def __init__(self, world: World) -> None:
        self.world = world
        log = world.log
        self.fold_work = FoldWork(world.catalogue, world.indicators(), event_partitions=PARTITIONS, partials_partitions=world.partials)
        self.merge_work = MergeWork(world.codec)
        self.fold = Stage(self.fold_work, log, log, KafkaSnapshotStore(log, log), world.clock, snapshot_seconds=5, replay_records=10)
        self.merge = Stage(self.merge_work, log, log, KafkaSnapshotStore(log, log), world.clock, snapshot_seconds=5, replay_records=10)
        self.outputs = OutputWatch(self.merge, self.merge_work, log, world.codec)

    async def assign(self, events: Iterable[int] = range(PARTITIONS), partials: Iterable[int] | None = None, generation: int = 1) -> None:
        await self.fold.assign({TopicPartition(EVENTS, partition) for partition in events}, generation)
        wanted = range(self.world.partials) if partials is None else partials
        await self.merge.assign({TopicPartition(PARTIALS, partition) for partition in wanted}, generation)
        await self.outputs.start()

    async def poll(self, stage: Stage[Any, Any], partition: TopicPartition, *, limit: int = 20) -> bool:
        """Fetch and hand over the next batch of one partition, as a consumer would; False when there is none."""
        start = stage.position(partition)
        if start is None:
            return False
        end = min(self.world.log._partition(partition).end, start + limit)
        records = [record async for batch in self.world.log.read(partition, start, end) for record in batch] if start < end else []
        if not records:
            return False
        await stage.on_batch(partition, stage.generation, records)
        return True

    async def run(self, *, limit: int = 20, snapshots: bool = True) -> None:
        """Until everything has been taken in."""
        moved = True
        while moved:
            moved = False
            for stage in (self.fold, self.merge):
                for partition in list(stage.lanes):
                    moved |= await self.poll(stage, partition, limit=limit)
                moved |= await stage.catch_up()
            if snapshots:
                self.world.clock.seconds += 1
                await self.fold.tick()
                await self.merge.tick()

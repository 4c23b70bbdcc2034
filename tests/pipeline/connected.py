"""A whole pipeline's life: the real connector reads files, an operator replays what was refused, fold and merge follow, over one log.

Every write of every process passes the same gate. A failed send of the connector keeps the port's promise (in each partition a beginning
of the call's messages is there); the worker is tried without it.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bus.errors import BusError
from bus.events.envelope import Op
from bus.indicators.indicator import Indicator
from bus.ingest.manifest import Agency, discover
from bus.ingest.runner import Runner
from bus.ingest.seal import private_key_path, sealer_for
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.ops.quarantine import replay
from bus.settings import Settings
from bus.testing.clock import ManualClock
from bus.testing.faults import Cluster, Fault
from bus.testing.gate import GatedPublisher, Killed, Lifeline
from tests.pipeline.histories import SAMPLE, Expected, Fact, expected
from tests.pipeline.scenes import CATALOGUE, CODEC, INDICATORS, Rows, rows

SAMPLES = {name: each for name, each in INDICATORS.items() if name.startswith("lab.sample_")}
LONG_AGO = 1_700_000_000
_MAX_LIVES = 100
#: What another process writes while one sleeps; a delivery of these histories writes about so much between two looks at its lease.
_STEPS_A_SLEEP = 8

MANIFEST = """
id = "lab"
title = "Laboratory"
owner = "lab@example.go.id"
summary = "An agency of the tests: samples with up to three amounts a record, delivered as whole tables."
settings = ["folder"]
[events."lab.sample.recorded.v1"]
access = "internal"
[sources.samples]
kind = "table"
key = ["no"]
[sources.samples.header]
no = ["no"]
hours = ["hours"]
place = ["place"]
amounts = ["amounts"]
"""
#: One record becomes as many events of one topic as it has amounts.
MAPPING = """
from datetime import UTC, datetime, timedelta
from bus.errors import RecordError
from bus.events.envelope import Event

def to_events(record):
    at = datetime(2026, 2, 28, 17, tzinfo=UTC) + timedelta(hours=int(record["hours"]))
    for part, amount in zip("abc", record["amounts"].split("/")):
        try:
            data = {"place": record["place"], "amount": int(AMOUNT)}
        except ValueError:
            raise RecordError("no number", field="amounts", rule="invalid_value", allowed="numbers") from None
        yield Event("lab.sample.recorded.v1", record["no"] + part, at, data)
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A record of the table. `spoilt`: its last amount is written in a way that only the mended mapping reads."""

    hours: int
    place: str
    amounts: tuple[int, ...]
    spoilt: bool = False

    def line(self, key: str) -> str:
        return f"{key},{self.hours},{self.place},{'/'.join(map(str, self.amounts))}{'x' if self.spoilt else ''}"


#: File name and whole table, in the order of delivery; "" instead of a name: the mapping is mended and the quarantine replayed.
History = Sequence[tuple[str, Mapping[str, Row]]]


def small() -> History:
    """A first delivery, the same under another name, a correction with a malformed line, its replay."""
    first = {"1": Row(0, "utara", (7, 100, -3)), "2": Row(5, "utara", (7,)), "3": Row(30, "selatan", (1,))}
    second = {"1": Row(0, "utara", (7, 101, -3)), "2": Row(5, "selatan", (9,), spoilt=True), "4": Row(0, "selatan", (2, 2))}
    return [("b.csv", first), ("c.csv", first), ("a.csv", second), ("", {})]


def seeded(seed: int) -> History:
    """The same history for the same seed. What was once spoilt keeps its key and the number of its amounts."""
    choose = random.Random(seed).choice
    table: dict[str, Row] = {}
    kept: set[str] = set()
    history: list[tuple[str, Mapping[str, Row]]] = []
    for number in range(choose((3, 4, 5))):
        if history and choose(range(4)) == 0:
            history.append((f"{choose('abc')}{number}.csv", history[-1][1]))
            continue
        for key in map(str, range(1, 6)):
            what = choose(("as it was", "new", "new", "gone"))
            size = len(table[key].amounts) if key in kept else choose((1, 1, 2, 3))
            if what == "new":
                spoilt = choose(range(5)) == 0
                kept |= {key} if spoilt else set()
                size = len(table[key].amounts) if spoilt and key in table else size
                amounts = tuple(choose((-3, 0, 7, 100)) for _ in range(size))
                table[key] = Row(choose((0, 5, 30, 800)), choose(("utara", "selatan")), amounts, spoilt)
            elif what == "gone" and key not in kept:
                table.pop(key, None)
        table.setdefault("1", Row(0, "utara", (1,)))
        history.append((f"{choose('abc')}{number}.csv", dict(table)))
        if kept and choose(range(3)) == 0:
            history.append(("", {}))
    return [*history, ("", {})]


def oracle(history: History) -> Expected:
    """The numbers by brute force: each delivery is the whole truth, and in the end everything is out of quarantine."""
    newest = [table for name, table in history if name][-1]
    subjects = [(key + part, row, amount) for key, row in newest.items() for part, amount in zip("abc", row.amounts, strict=False)]
    facts = [
        Fact(SAMPLE, "lab/samples", number, subject, 1, Op.CREATE, row.hours, row.place, amount)
        for number, (subject, row, amount) in enumerate(subjects, 1)
    ]
    return {name: each for name, each in expected(facts).items() if name in SAMPLES}


class Laboratory:
    """The agency: its folder, its connector's processes and its operator's, beside the cluster on whose log they write."""

    def __init__(self, cluster: Cluster, base: Path, *, continue_after: int | None = None) -> None:
        """A stopped process goes on after that many further effects of others (None: when `proceed_all` is called)."""
        self.cluster = cluster
        self.folder = Path(tempfile.mkdtemp(dir=base))
        self._before, self._after = agencies(base)
        self._mended = False
        self._continue_after = continue_after
        self._stopped: list[tuple[int, Lifeline]] = []
        self._clock = ManualClock()
        environ = {"BUS_DATA_DIR": str(base / "var"), "BUS_INGEST__BATCH_RECORDS": "2", "BUS_INGEST__POLL_SECONDS": "1"}
        self._settings = Settings.from_env(environ)
        self._moments = count(LONG_AGO)

    @property
    def _agency(self) -> Agency:
        return self._after if self._mended else self._before

    async def receive(self, name: str, table: Mapping[str, Row]) -> None:
        """A file comes, and connectors run until one has read everything."""
        path = self.folder / name
        path.write_text("\n".join(["no,hours,place,amounts", *(row.line(key) for key, row in table.items()), ""]))
        moment = next(self._moments)
        os.utime(path, (moment, moment))
        await self._until_done(self._read)

    async def mend(self) -> None:
        """The mapping is mended, and the quarantine replayed until nothing is left in it."""
        self._mended = True
        await self._until_done(self._replay)

    async def proceed_all(self) -> None:
        """SIGCONT to every stopped process."""
        for _, process in self._stopped:
            process.continued.set()
        for _, process in self._stopped:
            if process.doing is not None:
                await asyncio.wait({process.doing})
                _ended(process)
        self._stopped.clear()

    async def _until_done(self, action: Callable[[GatedPublisher], Awaitable[None]]) -> None:
        for _ in range(_MAX_LIVES):
            if await self._live(action):
                return
        raise AssertionError("no connector comes to its end")

    async def _live(self, action: Callable[[GatedPublisher], Awaitable[None]]) -> bool:
        """One process; False when it was killed, stopped or ended itself before it was done."""
        process = Lifeline()
        publisher = GatedPublisher(self.cluster, process, beginnings=True)

        async def run() -> None:
            await action(publisher)

        process.doing = asyncio.get_running_loop().create_task(run())
        stopping = asyncio.get_running_loop().create_task(process.stopped.wait())
        while not process.doing.done() and not stopping.done():
            await asyncio.wait({process.doing, stopping}, return_when=asyncio.FIRST_COMPLETED, timeout=self._patience())
            for since, stopped in self._stopped:
                if self._continue_after is not None and self.cluster.effects >= since + self._continue_after:
                    stopped.continued.set()
        stopping.cancel()
        with suppress(asyncio.CancelledError):
            await stopping
        if not process.doing.done():
            self._stopped.append((self.cluster.effects, process))
            return False
        return _ended(process)

    def _patience(self) -> float | None:
        """While somebody waits for a number of effects, look at it between any two steps of the others."""
        return None if self._continue_after is None or all(each.continued.is_set() for _, each in self._stopped) else 0.0

    async def _read(self, publisher: GatedPublisher) -> None:
        log = self.cluster.log
        runner = Runner(
            self._agency, publisher=publisher, reader=log, snapshots=KafkaSnapshotStore(publisher, log), codec=CODEC, settings=self._settings,
            folders={"lab": self.folder}, clock=self._clock, sleep=self._sleep,
        )  # fmt: skip
        await runner.run(until_end=True)

    async def _sleep(self, seconds: float) -> None:
        """Time passes after the others have done a few things: a process that waits for a lease would otherwise let it run out while its
        holder writes a handful of records, and two of them would take it from one another for ever.
        """
        for _ in range(_STEPS_A_SLEEP):
            await asyncio.sleep(0)
        await self._clock.sleep(seconds)

    async def _replay(self, publisher: GatedPublisher) -> None:
        keys, log = self._settings.data_dir / "keys", self.cluster.log
        found = await replay(
            self._agency, publisher=publisher, reader=log, snapshots=KafkaSnapshotStore(publisher, log), codec=CODEC, clock=self._clock,
            keys=keys, private_key=private_key_path(keys, "lab"), indicators={},
        )  # fmt: skip
        assert all(each.resolved for each in found), found


async def connected(
    history: History,
    plan: Mapping[int, Fault],
    base: Path,
    *,
    continue_after: int | None = None,
    indicators: Mapping[str, Indicator] = SAMPLES,
) -> tuple[Rows, Cluster]:
    """Files come one after another; after each, fold and merge do some work; in the end everything comes to rest."""
    cluster = Cluster(CATALOGUE, indicators, event_types=(SAMPLE,), plan=plan)
    laboratory = Laboratory(cluster, base, continue_after=continue_after)
    for name, table in history:
        await (laboratory.receive(name, table) if name else laboratory.mend())
        cluster.compact()
        for partition in (*cluster.events, *cluster.partials):
            await cluster.deliver(partition, 3)
        await cluster.tick()
    await cluster.drain()
    await laboratory.proceed_all()
    await cluster.proceed_all()
    cluster.compact()
    await cluster.drain()
    return await rows(cluster), cluster


def agencies(base: Path) -> tuple[Agency, Agency]:
    """The agency before and after its mapping was mended; with a pair of keys."""
    found = []
    for name, amount in (("before", "amount"), ("after", 'amount.rstrip("x")')):
        folder = base / name / "lab"
        if not folder.is_dir():
            folder.mkdir(parents=True)
            (folder / "agency.toml").write_text(MANIFEST)
            (folder / "mapping.py").write_text(MAPPING.replace("AMOUNT", amount))
            sealer_for(base / "var" / "keys", "lab")
        found.append(discover([folder.parent])["lab"])
    return found[0], found[1]


def _ended(process: Lifeline) -> bool:
    assert process.doing is not None
    error = process.doing.exception()
    if error is not None and not isinstance(error, Killed | BusError):
        raise error
    return error is None

"""`bus demo`: the whole bus on this machine with exports that are made up (or given), shown at a pace that can be watched."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bus.errors import ConfigurationError, Problem
from bus.kafka.process import LOCALHOST, free_port
from bus.ops.backfill import count_events, open_quarantine, with_broker
from bus.ops.demo_generator import Export, exports, place
from bus.ops.idle import IdleWatch, Progress, merge_duties
from bus.ops.inputs import Input
from bus.ops.installation import Installation
from bus.ops.processes import GIVE_UP_AFTER, connectors_role, consumer_role, embedded_broker, streams_role
from bus.ops.supervisor import Supervisor, child_environ
from bus.ops.tree import first_end
from bus.ops.values import read_values
from bus.ops.wiring import Log, apply_topics, connect

#: The agency and source that the demo feeds.
AGENCY, SOURCE = "dlh", "ispu"
#: A watched folder shows its files, and states are written, sooner than in production.
QUICK = {
    "BUS_INGEST__SETTLE_SECONDS": "0.2",
    "BUS_INGEST__POLL_SECONDS": "0.2",
    "BUS_STREAMS__SNAPSHOT_SECONDS": "1",
    "BUS_STREAMS__RELOAD_SECONDS": "1",
}


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that runs: where its page is, where its files are put, and its log."""

    installation: Installation
    url: str
    folder: Path
    log: Log
    watch: IdleWatch
    trees: tuple[Supervisor, ...] = field(repr=False)

    async def wait(self) -> None:
        """Until a role cannot go on, which raises; otherwise for ever."""
        await first_end(*self.trees)

    async def state(self) -> State:
        """What can be told of it now."""
        return await state_of(self.installation, self.log, await self.watch.look())


@dataclass(frozen=True, slots=True)
class State:
    """How far a demo is: events published, records in quarantine, the stages, and cells with a value per indicator."""

    events: int
    quarantined: int
    progress: Progress
    values: Mapping[str, int]

    @property
    def without_values(self) -> tuple[str, ...]:
        return tuple(name for name, count in self.values.items() if not count)


async def state_of(installation: Installation, log: Log, progress: Progress) -> State:
    """What the log tells of a demo."""
    values = {}
    for name, indicator in installation.indicators.items():
        found = await read_values(log.reader, installation.codec, name, version=indicator.version)
        values[name] = sum(value.n > 0 for value in found)
    events = await count_events(installation, log.reader, [AGENCY])
    return State(events, len(await open_quarantine(log.reader, AGENCY)), progress, values)


@asynccontextmanager
async def started(installation: Installation, environ: Mapping[str, str], folder: Path, *, port: int, pace: float) -> AsyncIterator[Demo]:
    """Broker, connectors, streams and gateway, watching `folder`, while the context is open."""
    async with AsyncExitStack() as stack:
        logs = installation.settings.data_dir / "logs"
        broker, access = await stack.enter_async_context(embedded_broker(environ, logs))
        settings = with_broker(installation.settings, access)
        await apply_topics(settings, installation.topics())
        quick = {name: value for name, value in QUICK.items() if name not in environ}
        extra = {**quick, **access, "BUS_GATEWAY__PORT": str(port), "BUS_GATEWAY__HOST": LOCALHOST}
        folder.mkdir(parents=True, exist_ok=True)
        source = str(Input(AGENCY, SOURCE, folder))
        roles = [connectors_role([source], pace=pace), streams_role(), consumer_role("gateway")]
        tree = Supervisor(roles, child_environ(environ, **extra), log_dir=logs, give_up_after=GIVE_UP_AFTER)
        await stack.enter_async_context(tree)
        log = await stack.enter_async_context(connect(settings))
        watch = IdleWatch(log.reader, log.snapshots, installation.fold_duties(), merge_duties(settings.kafka.partials_partitions))
        yield Demo(installation, f"http://{LOCALHOST}:{port}/", folder, log, watch, (broker, tree))


def demo_port(wanted: int) -> int:
    """The wanted port when it is free, otherwise (and for 0) any free one."""
    if not wanted:
        return free_port()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCALHOST, wanted))
        except OSError:
            return free_port()
    return wanted


def files_to_feed(data: Path | None) -> Iterator[Export]:
    """The made-up exports, or the files of `data` in the order of their names. Raises `ConfigurationError` when there are none."""
    if data is None:
        yield from exports()
        return
    paths = sorted(path for path in data.expanduser().iterdir() if path.suffix.lower() == ".csv") if data.expanduser().is_dir() else []
    if not paths:
        raise ConfigurationError([Problem(f"--data {data}", "no folder with .csv files of the air-quality exports")])
    for path in paths:
        yield Export(path.name, path.read_bytes(), 0)


async def feed(demo: Demo, files: list[Export], *, pace: float) -> None:
    """Put the files into the watched folder one after another, each when the one before it has had the time that `pace` asks for."""
    for export in files:
        await asyncio.to_thread(place, demo.folder, export)
        await asyncio.sleep(export.content.count(b"\n") / pace if pace else 0)

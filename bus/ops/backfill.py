"""`bus run --until-idle`: take in all of the given files, wait until every number of them stands, write the numbers as files."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bus.disclosure.releases import Releases
from bus.errors import ConfigurationError, Problem, TransientError
from bus.ingest.quarantine import OPEN, Entry, Quarantine
from bus.kafka.ports import LogReader, TopicPartition
from bus.kafka.topics import QUARANTINE_PREFIX
from bus.ops.idle import IdleWatch, Progress, merge_duties, until_idle
from bus.ops.inputs import Input
from bus.ops.installation import Installation
from bus.ops.processes import GIVE_UP_AFTER, connectors_role, consumer_role, embedded_broker, release_role, streams_role
from bus.ops.supervisor import Supervisor, child_environ
from bus.ops.values import read_values, write_csv
from bus.ops.wiring import Log, apply_topics, connect
from bus.settings import Settings
from bus.streams.releasing import ReleaseView

#: What a run with an end sets where the environment does not: states are written often, so that its end is seen soon, and the gateway takes
#: any port, for several may run at once.
DEFAULTS = {"BUS_STREAMS__SNAPSHOT_SECONDS": "0.5", "BUS_GATEWAY__PORT": "0"}


@dataclass(frozen=True, slots=True)
class Backfill:
    """What is to be done. `pace` is records a second, 0 as fast as possible; `gateway` serves the numbers meanwhile, `release` lets out what the
    public may see."""

    inputs: Sequence[Input]
    pace: float = 0.0
    gateway: bool = False
    release: bool = False
    log_dir: Path | None = None


class Report(Protocol):
    """Told again and again how far everything is."""

    def __call__(self, progress: Progress, *, connectors_done: bool) -> None: ...


@asynccontextmanager
async def backfilled(installation: Installation, environ: Mapping[str, str], todo: Backfill, *, report: Report) -> AsyncIterator[Log]:
    """Take everything in; inside the context every number of it stands, with `release` what is due of it is out, and all roles but the
    connectors still run.

    Without a configured broker an embedded one is started. Roles that die are started again, and change nothing about the outcome. Raises
    `BusError` when one cannot be kept alive.
    """
    settings = installation.settings
    extra = {name: value for name, value in DEFAULTS.items() if name not in environ}
    async with AsyncExitStack() as stack:
        trees: list[Supervisor] = []
        if not settings.kafka.bootstrap_servers:
            broker, access = await stack.enter_async_context(embedded_broker(environ, todo.log_dir or settings.data_dir / "logs"))
            trees.append(broker)
            extra |= access
            settings = with_broker(settings, access)
        await apply_topics(settings, installation.topics())
        log = await stack.enter_async_context(connect(settings))
        roles = [connectors_role([str(each) for each in todo.inputs], until_end=True, pace=todo.pace), streams_role()]
        if todo.gateway:
            roles.append(consumer_role("gateway"))
        if todo.release:
            roles.append(release_role())
        tree = Supervisor(roles, child_environ(environ, **extra), log_dir=todo.log_dir, give_up_after=GIVE_UP_AFTER)
        trees.append(await stack.enter_async_context(tree))

        def check() -> None:
            for each in trees:
                each.check()

        watch = watch_of(installation, log, releases=todo.release)
        await _connectors_end(tree, watch, check, report)
        await until_idle(watch, report=lambda progress: report(progress, connectors_done=True), check=check)
        yield log


def watch_of(installation: Installation, log: Log, *, releases: bool) -> IdleWatch:
    """What says whether all of the installation's numbers stand; with `releases` also whether what is due is out."""

    def view() -> ReleaseView:
        return ReleaseView(Releases.of(installation.public.values()), log.reader, installation.codec)

    merges = merge_duties(installation.settings.kafka.partials_partitions)
    return IdleWatch(log.reader, log.snapshots, installation.fold_duties(), merges, view if releases else None)


async def _connectors_end(tree: Supervisor, watch: IdleWatch, check: Callable[[], None], report: Report) -> None:
    connectors = asyncio.create_task(tree.wait("connectors"))
    try:
        while not connectors.done():
            check()
            with contextlib.suppress(TransientError):
                report(await watch.look(), connectors_done=False)
            await asyncio.wait([connectors], timeout=0.25)
        connectors.result()
    finally:
        connectors.cancel()


async def export_values(installation: Installation, reader: LogReader, folder: Path) -> Mapping[str, int]:
    """Write `<folder>/<indicator>.csv` for every indicator; the rows in each."""
    rows: dict[str, int] = {}
    for name, indicator in installation.published.items():
        values = await read_values(reader, installation.codec, name, version=indicator.version)
        rows[name] = write_csv(folder / f"{name}.csv", list(indicator.definition["dims"]), values)
    return rows


async def count_events(installation: Installation, reader: LogReader, agencies: Collection[str]) -> int:
    """How many events the topics of these agencies hold; heartbeats are none."""
    total = 0
    for schema in installation.catalogue.types.values():
        if schema.type.agency in agencies:
            for number in range(await reader.partitions(schema.type.topic)):
                partition = TopicPartition(schema.type.topic, number)
                async for records in reader.read(partition, await reader.beginning(partition), await reader.end(partition)):
                    total += sum(record.value is not None for record in records)
    return total


async def open_quarantine(reader: LogReader, agency: str) -> Sequence[Entry]:
    """What of the agency is in quarantine now."""
    return [entry for entry in await all_refused(reader, agency) if entry.state == OPEN]


async def all_refused(reader: LogReader, agency: str) -> Sequence[Entry]:
    """What of the agency ever was in quarantine."""
    if not await reader.partitions(QUARANTINE_PREFIX + agency):
        return ()
    quarantine = Quarantine(reader, agency)
    await quarantine.refresh()
    return quarantine.entries(state=None)


def with_broker(settings: Settings, access: Mapping[str, str]) -> Settings:
    """The settings with the embedded broker's address in them."""
    kafka = settings.kafka.model_copy(update={"bootstrap_servers": access["BUS_KAFKA__BOOTSTRAP_SERVERS"], "embedded": True})
    return settings.model_copy(update={"kafka": kafka})


def prepare_folder(folder: Path) -> None:
    """Make the folder for an export. Raises `ConfigurationError` when it cannot be written to; asked before hours of work, not after."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError([Problem(f"--export {folder}", f"cannot be written to: {error.strerror}")]) from error

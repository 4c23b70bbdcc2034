"""A whole bus on this machine for as long as something is fed to it: broker where none is configured, and all roles that are asked for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bus.kafka.process import LOCALHOST, free_port
from bus.ops.backfill import Report, watch_of, with_broker
from bus.ops.idle import IdleWatch, until_idle
from bus.ops.inputs import Input
from bus.ops.installation import Installation
from bus.ops.processes import GATEWAY_KNOWS, GIVE_UP_AFTER, connectors_role, consumer_role, embedded_broker, release_role, streams_role
from bus.ops.supervisor import Supervisor, child_environ
from bus.ops.tree import first_end
from bus.ops.wiring import Log, apply_topics, connect

#: A watched folder shows its files, systems are asked, and states are written sooner than in production.
QUICK = {
    "BUS_INGEST__SETTLE_SECONDS": "0.2",
    "BUS_INGEST__POLL_SECONDS": "0.2",
    "BUS_INGEST__LONGEST_POLL_SECONDS": "0.5",
    "BUS_STREAMS__SNAPSHOT_SECONDS": "1",
    "BUS_STREAMS__RELOAD_SECONDS": "1",
}
#: How much less of a scarce processor they get.
_AFTER_NUMBERS = 10


@dataclass
class Site:
    """A bus that runs: where its page is, where its other consumers are, its log, and how far it is.

    The connectors run in a tree of their own, for they end first.
    """

    installation: Installation
    url: str
    consumers: Mapping[str, str]
    log: Log
    watch: IdleWatch
    trees: list[Supervisor] = field(repr=False)
    _connectors: Callable[..., Supervisor] = field(repr=False)
    _reading: AsyncExitStack = field(repr=False)

    async def wait(self) -> None:
        """Until a role cannot go on, which raises; otherwise for ever."""
        await first_end(*self.trees)

    async def settle(self, report: Report) -> None:
        """Let the connectors read to the end of what there is, and wait until every number of it stands. They do not run any more then."""
        await self._reading.aclose()
        self.trees.pop()
        async with self._connectors(until_end=True) as last:
            waiting = asyncio.create_task(last.wait())
            while not waiting.done():
                self._check()
                report(await self.watch.look(), connectors_done=False)
                await asyncio.wait([waiting], timeout=0.25)
            waiting.result()
        await until_idle(self.watch, report=lambda progress: report(progress, connectors_done=True), check=self._check)

    def _check(self) -> None:
        for tree in self.trees:
            tree.check()


@asynccontextmanager
async def running(
    installation: Installation,
    environ: Mapping[str, str],
    *,
    port: int,
    inputs: Sequence[Input] = (),
    consumers: Mapping[str, int] = {},
) -> AsyncIterator[Site]:
    """The site while the context is open, with its gateway on `port`. `environ` names the systems that are read; logs go to the data folder.

    `consumers` are the ports of others by role (the portal, the alerts); with any of them releases are made too, and waited for.
    """
    async with AsyncExitStack() as stack:
        settings, logs = installation.settings, installation.settings.data_dir / "logs"
        extra = {name: value for name, value in QUICK.items() if name not in environ}
        extra |= {"BUS_GATEWAY__PORT": str(port), "BUS_GATEWAY__HOST": LOCALHOST}
        for role, number in consumers.items():
            extra |= {f"BUS_{role}__PORT".upper(): str(number), f"BUS_{role}__HOST".upper(): LOCALHOST}
        urls = {role: f"http://{LOCALHOST}:{number}" for role, number in consumers.items()}
        extra |= {name: urls[role] for role, name in GATEWAY_KNOWS.items() if role in urls}
        trees: list[Supervisor] = []
        if not settings.kafka.bootstrap_servers:
            broker, access = await stack.enter_async_context(embedded_broker(environ, logs))
            trees.append(broker)
            extra |= access
            settings = with_broker(settings, access)
        await apply_topics(settings, installation.topics())
        children = child_environ(environ, **extra)
        roles = [streams_role(), consumer_role("gateway")]
        # what is made of the numbers comes after the numbers
        roles += [replace(role, nice=_AFTER_NUMBERS) for role in (release_role(), *map(consumer_role, consumers))] if consumers else []
        tree = Supervisor(roles, children, log_dir=logs, give_up_after=GIVE_UP_AFTER)
        trees.append(await stack.enter_async_context(tree))

        def connectors(*, until_end: bool = False) -> Supervisor:
            role = connectors_role([str(each) for each in inputs], until_end=until_end)
            return Supervisor([role], children, log_dir=logs, give_up_after=GIVE_UP_AFTER)

        reading = await stack.enter_async_context(AsyncExitStack())
        trees.append(await reading.enter_async_context(connectors()))
        log = await stack.enter_async_context(connect(settings))
        watch = watch_of(installation, log, releases=bool(consumers))
        yield Site(installation, f"http://{LOCALHOST}:{port}/", urls, log, watch, trees, connectors, reading)


def page_port(wanted: int) -> int:
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


def log_folder(installation: Installation) -> Path:
    """Where the roles' logs are."""
    return installation.settings.data_dir / "logs"

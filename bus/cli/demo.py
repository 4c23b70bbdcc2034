"""`bus demo`: the whole bus on this machine, to look at; `--check` does the same without a terminal and judges the outcome."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.live import Live
from rich.table import Table

from bus.cli.context import Context, Overlay, context, err, run_async
from bus.cli.verify import verify_table
from bus.clock import LOCAL_ZONE
from bus.errors import BusError
from bus.ops.backfill import count_events
from bus.ops.demo import AGENCY, CHECK_DAYS, DAYS, SCALE, Feed, covered, exports_in, refused, regency, values_of
from bus.ops.idle import Progress
from bus.ops.installation import Installation
from bus.ops.outside import alerts, published
from bus.ops.site import Site, log_folder, page_port, running
from bus.ops.verification import require_ok, verify
from bus.simulation.installed import installed_servers
from bus.simulation.play import Servers

#: `--check` has failed when it takes longer, in seconds; four times what it takes on an idle machine of two cores.
CHECK_SECONDS = 600.0
_GATEWAY_SECONDS = 30.0
#: Consumers beside the gateway, and where they listen when nothing else does.
_PORTS = {"ppid": 8083, "alerts": 8082}
#: Where a real installation keeps numbers, and whom it tells of them: nothing of that is the demo's.
_NOT_OURS = ("BUS_PPID__", "BUS_ALERTS__", "BUS_ARCHIVE__", "BUS_GATEWAY__")
_HOUR = 3_600.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    data: Annotated[Path | None, typer.Option("--data", metavar="FOLDER", help="Real air-quality exports instead of the regency.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="No terminal: exit 0 only when every indicator of what is fed has values and all are proven.")
    ] = False,
    speed: Annotated[
        float, typer.Option("--speed", min=0, metavar="N", help="Hours of the regency in a second; 0: as fast as possible.")
    ] = 6,
    pace: Annotated[float, typer.Option("--pace", min=0, metavar="N", help="With --data: records a second; 0: as fast as possible.")] = 40,
    scale: Annotated[float, typer.Option("--scale", min=0.0005, max=1, help="How much of the regency: 1 is all of it.")] = SCALE,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=730, help=f"How many days until today; {DAYS}, for a check {CHECK_DAYS}.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another regency for another number.")] = 1,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of the page; another free one when it is taken.")] = 8080,
    full: Annotated[
        bool, typer.Option("--full", help="Databases in PostgreSQL and MariaDB, and sensors at a Mosquitto, which have to be installed.")
    ] = False,
    overlay: Overlay = None,
) -> None:
    """Show the whole bus with a made-up regency on an embedded broker, until Ctrl-C.

    Seventeen agencies' own systems (databases, folders, interfaces, senders) are told what happened in the last forty days, late, twice, wrong and
    corrected as in life; nobody in it exists. Everything is kept in a temporary folder and gone afterwards.

      bus demo
      bus demo --speed 24
      bus demo --data ~/exports --pace 200
      bus demo --check
      bus demo --full
    """
    with tempfile.TemporaryDirectory(prefix="simpul-demo-") as scratch:
        # The demo never touches a Kafka, a store or a mailbox that happens to be configured, and of real exports only the agency that they are
        # of is served.
        only = {"BUS_ONLY_AGENCIES": AGENCY} if data is not None else {}
        here = context(
            overlay, without=_NOT_OURS, BUS_DATA_DIR=scratch, BUS_KAFKA__BOOTSTRAP_SERVERS="", BUS_KAFKA__EMBEDDED="false", **only
        )
        show = _Show(
            here,
            Installation.load(here.settings),
            Path(scratch),
            data,
            seed=seed,
            scale=scale,
            days=days or (CHECK_DAYS if check else DAYS),
            full=full,
        )
        if check:
            run_async(_in_time(_check(show)))
        else:
            ports = {role: page_port(wanted if port else 0) for role, wanted in _PORTS.items()}
            run_async(_run(show, port=page_port(port), consumers=ports, speed=pace if data is not None else speed * _HOUR))


@dataclass(frozen=True)
class _Show:
    """What was asked for."""

    here: Context = field(repr=False)
    installation: Installation
    scratch: Path
    data: Path | None
    seed: int
    scale: float
    days: int
    full: bool

    @asynccontextmanager
    async def fed(self) -> AsyncIterator[Feed]:
        """What it is fed with."""
        if self.data is not None:
            yield exports_in(self.data, self.scratch / "incoming")
            return
        today = datetime.now(LOCAL_ZONE).date()
        place = self.scratch / "systems"
        place.mkdir()
        with installed_servers(self.installation.agencies, self.scratch) if self.full else nullcontext(Servers()) as servers:
            async with regency(
                self.installation, place, today, seed=self.seed, scale=self.scale, days=self.days, servers=servers
            ) as feed:  # fmt: skip
                yield feed

    def site(self, feed: Feed, *, port: int, consumers: Mapping[str, int]) -> AbstractAsyncContextManager[Site]:
        """The bus over it."""
        environ = {**self.here.environ, **feed.environ}
        return running(self.installation, environ, port=port, inputs=feed.inputs, consumers=consumers)


async def _in_time(work: Coroutine[None, None, None]) -> None:
    try:
        await asyncio.wait_for(work, CHECK_SECONDS)
    except TimeoutError as error:
        raise BusError(f"not done after {CHECK_SECONDS:.0f} s") from error


async def _check(show: _Show) -> None:
    began, first, installation = time.monotonic(), _First(), show.installation
    ports = {role: page_port(0) for role in _PORTS}
    async with show.fed() as feed, show.site(feed, port=page_port(0), consumers=ports) as site:
        await feed.play(lambda _: None, speed=0)
        err.print(f"all told after {time.monotonic() - began:.1f} s")
        await site.settle(first.note)
        values = await values_of(installation, site.log, feed)
        if empty := [name for name, count in values.items() if not count]:
            raise BusError(f"no values for {', '.join(empty)}")
        turned_away = await refused(site.log, feed.agencies)
        if turned_away < feed.refused:
            raise BusError(f"{turned_away} records were refused, expected {feed.refused}: what is malformed was let through")
        reports = await verify(installation, site.log.reader)
        err.print(verify_table(reports))
        require_ok(reports)
        if missing := set(values) - set(await _served(site.url)):
            raise BusError(f"the gateway does not serve {', '.join(sorted(missing))}")
        public = await published(site.consumers["ppid"], installation, site.log.reader)
        episodes = await alerts(site.consumers["alerts"])
        events = await count_events(installation, site.log.reader, sorted(feed.agencies))
    err.print(
        f"[green]good:[/green] {events:,} events, {sum(values.values()):,} values of {len(values)} indicators, all proven from the log and served; "
        f"the portal serves {public.rows:,} rows of {public.datasets} datasets, {public.suppressed:,} of them withheld, {public.superseded:,} as of "
        f"an earlier release, all others equal to the live ones; {episodes} alerts are served; {turned_away} records refused; "
        f"first numbers after {first.at - began:.1f} s, done after {time.monotonic() - began:.1f} s",
        soft_wrap=True,
    )


class _First:
    """When the first numbers were there."""

    at = float("inf")

    def note(self, progress: Progress, *, connectors_done: bool) -> None:
        """Look at the progress; a merge's durable state holds numbers that are already published."""
        if progress.merge.done or (connectors_done and progress.idle):
            self.at = min(self.at, time.monotonic())


async def _served(url: str) -> Mapping[str, int]:
    """How many cells the gateway has of each indicator."""
    deadline = time.monotonic() + _GATEWAY_SECONDS
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        while True:
            with suppress(httpx.HTTPError, ValueError):
                answer = await client.get("/v1/indicators")
                if answer.status_code == httpx.codes.OK:
                    return {each["id"]: each["cells"] for each in answer.json()["indicators"]}
            if time.monotonic() > deadline:
                raise BusError(f"the gateway did not answer within {_GATEWAY_SECONDS:.0f} s")
            await asyncio.sleep(0.2)


async def _run(show: _Show, *, port: int, consumers: Mapping[str, int], speed: float) -> None:
    err.print("Starting broker, connectors, streams, release, gateway, portal and alerts …")
    async with show.fed() as feed, show.site(feed, port=port, consumers=consumers) as site:
        err.print(
            f"The page: [bold]{site.url}[/bold]   the open-data portal: {site.consumers['ppid']}/   "
            f"the alerts: {site.consumers['alerts']}/v1/alerts\nthe agencies' systems: {show.scratch}   the logs: {log_folder(show.installation)}",
            soft_wrap=True,
        )
        said = _Said()
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(feed.play(said.say, speed=speed))]
        tasks += [asyncio.create_task(_watch(show.installation, site, feed, said, tasks[0])), asyncio.create_task(site.wait())]
        try:
            done, _ = await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        finally:
            err.print("Stopping …")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _Said:
    """What the feed said last."""

    text = "nothing told yet"

    def say(self, text: str) -> None:
        """Take note."""
        self.text = text


async def _watch(installation: Installation, site: Site, feed: Feed, said: _Said, feeding: asyncio.Task[None]) -> None:
    """Say how far it is for as long as it runs: a table that renews itself on a terminal, otherwise a line when something changed."""
    before, wanted = "", list(covered(installation, feed))
    with Live(console=err, refresh_per_second=4, transient=True) as live:
        while True:
            served = await _served(site.url)
            shown = [name for name in wanted if served.get(name)]
            line = f"{said.text} · {sum(served.values()):,} values of {len(shown)}/{len(wanted)} indicators"
            if feeding.done():
                feeding.result()
                line += " · all told; Ctrl-C stops"
            if err.is_terminal:
                live.update(_panel(installation, site, line, wanted, served))
            elif line != before:
                err.print(line, soft_wrap=True, markup=False)
            before = line
            await asyncio.sleep(1.0)


def _panel(installation: Installation, site: Site, line: str, wanted: Sequence[str], served: Mapping[str, int]) -> Table:
    """A row an agency."""
    table = Table(title=f"{site.url} — {line}", title_justify="left", box=None, pad_edge=False)
    table.add_column("agency")
    table.add_column("indicators", justify="right")
    table.add_column("values", justify="right")
    for agency in installation.agencies.values():
        names = [name for name in wanted if name.startswith(f"{agency.id}.")]
        counts = [served.get(name, 0) for name in names]
        title = agency.manifest.title
        name = title if isinstance(title, str) else title.en
        table.add_row(name, f"{sum(map(bool, counts))}/{len(names)}", f"{sum(counts):,}")
    return table

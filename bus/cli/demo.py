"""`bus demo`: the whole bus on this machine, to look at; `--check` does the same without a terminal and judges the outcome."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.live import Live
from rich.table import Table

from bus.cli.context import Overlay, context, err, run_async
from bus.cli.verify import verify_table
from bus.errors import BusError
from bus.ops.backfill import Backfill, backfilled
from bus.ops.demo import AGENCY, SOURCE, Demo, State, demo_port, feed, files_to_feed, started, state_of
from bus.ops.demo_generator import Export, place
from bus.ops.idle import Progress
from bus.ops.inputs import Input
from bus.ops.installation import Installation
from bus.ops.verification import require_ok, verify

#: `--check` has failed when it takes longer, in seconds; ten times what it takes on an idle machine.
CHECK_SECONDS = 300.0
_GATEWAY_SECONDS = 30.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    data: Annotated[Path | None, typer.Option("--data", metavar="FOLDER", help="Real exports instead of made-up ones.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="No terminal: exit 0 only when every indicator has values and all are proven.")
    ] = False,
    pace: Annotated[float, typer.Option("--pace", min=0, metavar="N", help="Records a second; 0: as fast as possible.")] = 40,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of the page; another free one when it is taken.")] = 8080,
    overlay: Overlay = None,
) -> None:
    """Show the whole bus with an environment agency's air-quality exports, on an embedded broker, until Ctrl-C.

    Everything is kept in a temporary folder and gone afterwards.

      bus demo
      bus demo --data ~/exports --pace 200
      bus demo --check
    """
    with tempfile.TemporaryDirectory(prefix="simpul-demo-") as scratch:
        # The demo never touches a Kafka that happens to be configured.
        here = context(overlay, BUS_DATA_DIR=scratch, BUS_KAFKA__BOOTSTRAP_SERVERS="", BUS_KAFKA__EMBEDDED="false")
        files = list(files_to_feed(data))
        installation = Installation.load(here.settings)
        folder = Path(scratch) / "incoming"
        environ = dict(here.environ)
        if check:
            run_async(_in_time(_check(installation, environ, folder, files)))
        else:
            run_async(_show(installation, environ, folder, files, port=demo_port(port), pace=pace))


async def _in_time(work: Coroutine[None, None, None]) -> None:
    try:
        await asyncio.wait_for(work, CHECK_SECONDS)
    except TimeoutError as error:
        raise BusError(f"not done after {CHECK_SECONDS:.0f} s") from error


async def _check(installation: Installation, environ: dict[str, str], folder: Path, files: list[Export]) -> None:
    began = time.monotonic()
    folder.mkdir(parents=True)
    for export in files:
        place(folder, export)
    port = demo_port(0)
    todo = Backfill([Input(AGENCY, SOURCE, folder)], gateway=True, log_dir=installation.settings.data_dir / "logs")
    environ = {**environ, "BUS_GATEWAY__PORT": str(port), "BUS_GATEWAY__HOST": "127.0.0.1"}
    first = _First()
    async with backfilled(installation, environ, todo, report=first.note) as log:
        state = await state_of(installation, log, Progress.none())
        if state.without_values:
            raise BusError(f"no values for {', '.join(state.without_values)}")
        expected = sum(export.malformed for export in files)
        if state.quarantined < expected:
            raise BusError(f"{state.quarantined} records in quarantine, expected {expected}: what is malformed was let through")
        reports = await verify(installation, log.reader)
        err.print(verify_table(reports))
        require_ok(reports)
        served = await _served(port)
        if missing := set(state.values) - served:
            raise BusError(f"the gateway does not serve {', '.join(sorted(missing))}")
        cells = sum(state.values.values())
    err.print(
        f"[green]good:[/green] {state.events:,} events, {cells:,} values of {len(state.values)} indicators, all proven from the log and served; "
        f"{state.quarantined} in quarantine; first numbers after {first.at - began:.1f} s, done after {time.monotonic() - began:.1f} s",
        soft_wrap=True,
    )


class _First:
    """When the first numbers were there."""

    at = float("inf")

    def note(self, progress: Progress, *, connectors_done: bool) -> None:
        """Look at the progress; a merge's durable state holds numbers that are already published."""
        if progress.merge.done or (connectors_done and progress.idle):
            self.at = min(self.at, time.monotonic())


async def _served(port: int) -> set[str]:
    """The indicators that the gateway offers."""
    deadline = time.monotonic() + _GATEWAY_SECONDS
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        while True:
            with suppress(httpx.HTTPError, ValueError):
                answer = await client.get("/v1/indicators")
                if answer.status_code == httpx.codes.OK:
                    return {each["id"] for each in answer.json()["indicators"]}
            if time.monotonic() > deadline:
                raise BusError(f"the gateway did not answer within {_GATEWAY_SECONDS:.0f} s")
            await asyncio.sleep(0.2)


async def _show(installation: Installation, environ: dict[str, str], folder: Path, files: list[Export], *, port: int, pace: float) -> None:
    err.print("Starting broker, connectors, streams and gateway …")
    async with started(installation, environ, folder, port=port, pace=pace) as running:
        err.print(
            f"The page: [bold]{running.url}[/bold]   the files: {folder}   the logs: {installation.settings.data_dir / 'logs'}",
            soft_wrap=True,
        )
        feeding = asyncio.create_task(feed(running, files, pace=pace))
        watching = asyncio.create_task(_watch(running, feeding))
        failing = asyncio.create_task(running.wait())
        try:
            done, _ = await asyncio.wait([watching, failing], return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        finally:
            for task in (feeding, watching, failing):
                task.cancel()
            err.print("Stopping …")


async def _watch(running: Demo, feeding: asyncio.Task[None]) -> None:
    """Say how far it is for as long as it runs: a table that renews itself on a terminal, otherwise a line when something changed."""
    said = ""
    with Live(console=err, refresh_per_second=4, transient=True) as live:
        while True:
            state = await running.state()
            line = _line(state, fed=feeding.done())
            if err.is_terminal:
                live.update(_panel(running, state, line))
            elif line != said:
                err.print(line, soft_wrap=True)
            said = line
            if feeding.done():
                feeding.result()
            await asyncio.sleep(0.5 if not state.progress.idle else 1.0)


def _line(state: State, *, fed: bool) -> str:
    shown = sum(count > 0 for count in state.values.values())
    text = f"{state.events:,} events · {sum(state.values.values()):,} values of {shown}/{len(state.values)} indicators · {state.quarantined} in quarantine"
    if fed and state.progress.idle:
        text += " · all taken in; Ctrl-C stops"
    return text


def _panel(running: Demo, state: State, line: str) -> Table:
    table = Table(title=f"{running.url} — {line}", title_justify="left", box=None, pad_edge=False)
    for name in ("indicator", "values") * 2:
        table.add_column(name, justify="right" if name == "values" else "left")
    rows = [(name, f"{count:,}") for name, count in state.values.items()]
    half = (len(rows) + 1) // 2
    for index in range(half):
        other = rows[index + half] if index + half < len(rows) else ("", "")
        table.add_row(*rows[index], *other)
    return table

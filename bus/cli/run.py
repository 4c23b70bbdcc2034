"""`bus run`: all roles in one process tree, one role alone, or everything once until idle."""

from __future__ import annotations

import asyncio
import csv
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from bus.cli.context import Context, Lifeline, Overlay, context, err, require_broker, run_async
from bus.errors import ConfigurationError, Problem
from bus.ingest.quarantine import Entry
from bus.ops import idle
from bus.ops.backfill import Backfill, backfilled, count_events, export_values, open_quarantine, prepare_folder
from bus.ops.inputs import parse_inputs
from bus.ops.installation import Installation
from bus.ops.lifeline import end_with_supervisor
from bus.ops.logs import configure_logging
from bus.ops.roles import CONNECTORS, RELEASE, STREAMS, file_sources, known_roles, run_connectors, run_consumer, run_release, run_streams
from bus.ops.tree import run_tree
from bus.settings import Settings

Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="AGENCY=FOLDER",
        help="Read the agency's files from this folder (AGENCY/SOURCE=FOLDER where it has several sources).",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    role: Annotated[
        str | None,
        typer.Argument(help="connectors, streams, release, or a consumer's role such as gateway or alerts; all of them when left out."),
    ] = None,
    inputs: Inputs = None,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Process all input, wait until every number stands, then exit.")] = False,
    export: Annotated[Path | None, typer.Option("--export", metavar="DIR", help="With --until-idle: write DIR/<indicator>.csv.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="With --until-idle: exit 1 when anything is in quarantine.")] = False,
    pace: Annotated[float, typer.Option("--pace", min=0, metavar="N", help="At most N records a second; 0: as fast as possible.")] = 0,
    gateway: Annotated[bool, typer.Option("--gateway", help="With --until-idle: serve the numbers meanwhile.")] = False,
    release: Annotated[
        bool, typer.Option("--release", help="With --until-idle: let out what the public may see, too, and wait until it is out.")
    ] = False,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Use the embedded broker: everything is lost when this ends.")] = False,
    overlay: Overlay = None,
    once: Annotated[bool, typer.Option("--once", hidden=True, help="connectors: read the inputs to their end and exit.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="With --until-idle: show the roles' logs instead of writing them to files.")
    ] = False,
    lifeline: Lifeline = False,
) -> None:
    """Run the bus: connectors, streams, release and the consumers in one process tree, each started again whenever it dies.

    [bold]Examples[/bold]

      bus run --input dlh=/srv/dlh               all roles, until Ctrl-C (needs a Kafka, see `bus kafka`)
      bus run streams                            one more worker, on this or another machine
      bus run --until-idle --input dlh=exports/ --export out/
      bus run --until-idle --input kelurahan=in/ --export out/ --overlay ~/kelurahan --strict
    """
    here = context(overlay)
    only_idle = {"--export": export is not None, "--strict": strict, "--gateway": gateway, "--release": release}
    problems = _misuse(role, until_idle=until_idle, export=export, only_idle=only_idle, inputs=inputs, once=once)
    if problems:
        raise ConfigurationError(problems)
    if role is not None:
        require_broker(here.settings)
        configure_logging(here.settings.log, role=role)
        if lifeline:
            end_with_supervisor()
        _run_role(here.settings, role, inputs or (), until_end=once, pace=pace)
        return
    installation = Installation.load(here.settings)
    parsed = parse_inputs(inputs or (), file_sources(installation.agencies))
    if until_idle:
        folder = export.expanduser().resolve() if export else None
        logs = None if verbose else here.settings.data_dir.resolve() / "logs" / f"run-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
        todo = Backfill(parsed, pace=pace, gateway=gateway or pace > 0, release=release, log_dir=logs)
        raise typer.Exit(_until_idle(here, installation, todo, folder, strict=strict))
    configure_logging(here.settings.log, role="supervisor")
    if not here.settings.kafka.bootstrap_servers and not ephemeral:
        raise ConfigurationError([Problem("BUS_KAFKA__BOOTSTRAP_SERVERS", _NO_BROKER)])
    run_async(run_tree(installation, here.environ, parsed, pace=pace, embedded=not here.settings.kafka.bootstrap_servers))


#: Refused records that the summary names.
_SHOWN = 10
_NO_BROKER = """no broker is named, and the embedded one keeps everything in memory only. Either
  - start a real Kafka (`make kafka`, or `bus kafka`) and: export BUS_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:9092
  - or say --ephemeral when losing everything at the end is fine"""


def _run_role(settings: Settings, role: str, inputs: Sequence[str], *, until_end: bool, pace: float) -> None:
    if role == CONNECTORS:
        run_async(run_connectors(settings, inputs, until_end=until_end, pace=pace))
    elif role == STREAMS:
        asyncio.run(run_streams(settings))
    elif role == RELEASE:
        run_async(run_release(settings))
    else:
        asyncio.run(run_consumer(settings, role))


def _misuse(
    role: str | None, *, until_idle: bool, export: Path | None, only_idle: Mapping[str, bool], inputs: Sequence[str] | None, once: bool
) -> list[Problem]:
    """What does not go together; `only_idle` are options, given or not, that mean nothing without --until-idle."""
    problems = []
    if role is not None and role not in (known := known_roles(context().settings)):
        problems.append(Problem(f"bus run {role}", f"unknown role; known are: {', '.join(known)}"))
    if role is not None and until_idle:
        problems.append(Problem("--until-idle", f"runs all roles; leave out {role!r}"))
    if role not in (None, CONNECTORS) and inputs:
        problems.append(Problem("--input", f"is read by the connectors, not by {role!r}"))
    if not until_idle:
        problems += [Problem(name, "only goes with --until-idle") for name, used in only_idle.items() if used]
    if until_idle and not inputs:
        problems.append(Problem("--until-idle", "needs at least one --input AGENCY=FOLDER"))
    if until_idle and export is None and not context().settings.kafka.bootstrap_servers:
        problems.append(
            Problem("--export DIR", "is missing: without it, and without a Kafka of yours, the numbers would be lost at the end")
        )
    if once and role != CONNECTORS:
        problems.append(Problem("--once", "only goes with the role connectors"))
    return problems


def _until_idle(here: Context, installation: Installation, todo: Backfill, export: Path | None, *, strict: bool) -> int:
    configure_logging(here.settings.log, role="supervisor", tool=todo.log_dir is not None)
    began = time.monotonic()
    if export is not None:
        if clash := [each for each in todo.inputs if each.folder == export]:
            raise ConfigurationError([Problem(f"--export {export}", f"is also read from: --input {clash[0]}; give another folder")])
        prepare_folder(export)
    if empty := [each for each in todo.inputs if not any(path.is_file() for path in each.folder.iterdir())]:
        raise ConfigurationError([Problem(f"--input {each}", "there is no file in that folder") for each in empty])
    with Bars(enabled=err.is_terminal and todo.log_dir is not None) as bars:
        quarantined = run_async(_work(here, installation, todo, export, bars))
    err.print(f"done in {time.monotonic() - began:.1f} s")
    if quarantined:
        err.print(f"[yellow]{len(quarantined):,} in quarantine:[/yellow]")
        for entry in quarantined[:_SHOWN]:
            err.print(f"  {entry.reason.get('message', '')}", soft_wrap=True, markup=False)
            err.print(f"  [dim]{escape(entry.reason.get('message_en', ''))}[/dim]", soft_wrap=True)
        if len(quarantined) > _SHOWN:
            where = _write_all(quarantined, todo.log_dir or here.settings.data_dir.resolve() / "logs")
            err.print(f"  … and {len(quarantined) - _SHOWN:,} more; all of them are in {where}", soft_wrap=True, markup=False)
    if strict and quarantined:
        err.print("[red]error:[/red] --strict, and something is in quarantine")
        return 1
    return 0


def _write_all(quarantined: Sequence[Entry], folder: Path) -> Path:
    """Every refusal as a row; holds what the messages hold, nothing of the records themselves."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "quarantine.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["place", "file", "line", "rule", "message", "message_en"])
        for each in quarantined:
            reason = each.reason
            writer.writerow([each.place.key, each.file, each.line, *(reason.get(name, "") for name in ("rule", "message", "message_en"))])
    return path


async def _work(here: Context, installation: Installation, todo: Backfill, export: Path | None, bars: Bars) -> list[Entry]:
    agencies = sorted({each.agency for each in todo.inputs})
    async with backfilled(installation, here.environ, todo, report=bars.show) as log:
        err.print(f"{await count_events(installation, log.reader, agencies):,} events of {', '.join(agencies)}")
        if export is not None:
            rows = await export_values(installation, log.reader, export)
            err.print(f"{sum(rows.values()):,} rows of {len(rows)} indicators in {export}", soft_wrap=True)
        return [entry for agency in agencies for entry in await open_quarantine(log.reader, agency)]


class Bars:
    """Three bars on the terminal; nothing where there is none."""

    def __init__(self, *, enabled: bool) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description:<11}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=err, disable=not enabled, transient=True)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        self._tasks = {name: self._progress.add_task(name, total=None) for name in (CONNECTORS, "fold", "merge")}
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, progress: idle.Progress, *, connectors_done: bool) -> None:
        """Draw how far everything is."""
        if connectors_done:
            self._progress.update(self._tasks[CONNECTORS], total=1, completed=1)
        for stage in (progress.fold, progress.merge):
            self._progress.update(self._tasks[stage.stage], total=max(stage.total, 1), completed=stage.done)

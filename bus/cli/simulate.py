"""`bus simulate`: a made-up regency's systems, told what happened, for a bus that reads them."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bus.cli.context import Overlay, context, err, run_async
from bus.clock import LOCAL_ZONE
from bus.errors import ConfigurationError, Problem
from bus.ingest.manifest import Agency, discover
from bus.settings import ROOT
from bus.simulation.faults import Rates
from bus.simulation.play import Servers, Systems, opened
from bus.simulation.world import Plan, World, made, simulated

_HOUR = 3_600.0
_FAULTS = tuple(each.name for each in fields(Rates))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulate")(simulate)


def simulate(
    into: Annotated[Path, typer.Argument(metavar="DIR", help="Takes databases, folders, bus.env and truth.jsonl; made when missing.")],
    begin: Annotated[str, typer.Option("--begin", metavar="YYYY-MM-DD", help="First day; left out: so that the period ends today.")] = "",
    days: Annotated[int, typer.Option("--days", min=1, max=730, help="How many days.")] = 31,
    seed: Annotated[int, typer.Option("--seed", help="The same world for the same number.")] = 1,
    scale: Annotated[float, typer.Option("--scale", min=0.0005, max=1, help="How much of the regency: 1 is all of it.")] = 0.01,
    speed: Annotated[
        float, typer.Option("--speed", min=0, metavar="N", help="Hours of the world in a second; 0: as fast as possible.")
    ] = 0,
    faults: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="KIND=PERCENT", help=f"How often: {', '.join(_FAULTS)}; 'none' for no fault. May be repeated."),
    ] = None,
    agencies: Annotated[
        list[str] | None,
        typer.Option("--agency", metavar="ID", help="Only this one; may be repeated. Left out: all that can be simulated."),
    ] = None,
    databases: Annotated[
        list[str] | None,
        typer.Option(
            "--database", metavar="AGENCY=URL", help="An empty database of its own instead of a SQLite file: postgresql://, mysql://"
        ),
    ] = None,
    mqtt: Annotated[str, typer.Option("--mqtt", metavar="URL", help="An MQTT broker for sensors, which are silent without one.")] = "",
    stay: Annotated[bool, typer.Option("--stay/--no-stay", help="When all is told, go on answering until Ctrl-C.")] = True,
    overlay: Overlay = None,
) -> None:
    """Drive the agencies' own systems with a made-up regency: rows, files, interfaces, posts and sensors, with faults, and the truth.

    Start the bus beside it with what it says in DIR/bus.env. What happened is in DIR/truth.jsonl: one fact a line.

      bus simulate kota --days 31 --scale 0.01 --speed 6
      set -a; . kota/bus.env; bus run --ephemeral       in another terminal; or beside a Kafka of yours, without --ephemeral
      bus simulate kota --agency mpp --fault none
    """
    here = context(overlay)
    known = discover(here.settings.connector_roots(), here.settings.only_agencies)
    chosen = _chosen(known, agencies or ())
    plan = Plan(_begin(begin, days), days, seed, scale, _rates(faults or ()))
    servers = Servers(_databases(databases or (), chosen), mqtt)
    folder = into.expanduser().resolve()
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigurationError([Problem(str(folder), "is not empty: a world begins with empty systems; give a new folder")])
    folder.mkdir(parents=True, exist_ok=True)
    err.print(f"Making up {days} days of {len(chosen)} agencies from {plan.begin} on …")
    world = made(chosen, ROOT / "schemas" / "reference", plan)
    world.write_truth(folder / "truth.jsonl")
    run_async(_play(chosen, world, folder, servers, speed=speed, stay=stay))


async def _play(agencies: dict[str, Agency], world: World, folder: Path, servers: Servers, *, speed: float, stay: bool) -> None:
    async with opened(agencies, world, folder, servers) as systems:
        _write_env(folder / "bus.env", systems)
        refused = sum(world.refused.values())
        err.print(f"{len(world.told):,} records, {refused:,} of them with a mistake; offline for days: {', '.join(world.away) or 'nobody'}")
        err.print(
            f"The bus reads with: set -a; . {shlex.quote(str(folder / 'bus.env'))}; bus run --ephemeral", soft_wrap=True, markup=False
        )
        for agency, source in sorted(systems.silent):
            err.print(f"{agency}/{source} is silent: it needs a server (--mqtt)")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=err, disable=not err.is_terminal) as bar:
            task = bar.add_task(str(world.plan.begin), total=len(world.told))

            def report(moment: datetime, done: int) -> None:
                bar.update(task, completed=done, description=f"{moment:%Y-%m-%d}")

            await systems.play(world, speed=speed * _HOUR, report=report)
        err.print(f"all told; the truth is in {folder / 'truth.jsonl'}", soft_wrap=True, markup=False)
        if stay:
            err.print("The systems go on answering; Ctrl-C stops")
            await asyncio.Event().wait()


def _write_env(path: Path, systems: Systems) -> None:
    """Readable by us alone: it holds the keys of the made-up systems."""
    path.touch(mode=0o600)
    environ = {"BUS_INGEST__LONGEST_POLL_SECONDS": "1", **systems.environ}
    path.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(environ.items())), encoding="utf-8")


def _chosen(known: Mapping[str, Agency], names: Sequence[str]) -> dict[str, Agency]:
    if unknown := [name for name in names if name not in known]:
        raise ConfigurationError([Problem(f"--agency {name}", f"is not known; allowed: {', '.join(known)}") for name in unknown])
    return {name: agency for name, agency in known.items() if name in names} if names else simulated(known)


def _begin(text: str, days: int) -> date:
    if not text:
        return datetime.now(LOCAL_ZONE).date() - timedelta(days=days)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError([Problem(f"--begin {text}", "is no day of the form YYYY-MM-DD")]) from error


def _rates(given: Sequence[str]) -> Rates:
    if "none" in given:
        return Rates.none()
    chosen: dict[str, float] = {}
    for each in given:
        name, _, percent = each.partition("=")
        if name not in _FAULTS or not percent.replace(".", "", 1).isdigit() or float(percent) > 100:
            what = f"is not KIND=PERCENT; kinds are {', '.join(_FAULTS)}, percent 0 to 100; or none"
            raise ConfigurationError([Problem(f"--fault {each}", what)])
        chosen[name] = float(percent)
    return Rates(**chosen)


def _databases(given: Sequence[str], agencies: dict[str, Agency]) -> dict[str, str]:
    found = dict(each.partition("=")[::2] for each in given)
    schemes = ("postgresql://", "mysql://", "sqlite:///")
    problems = [
        Problem(f"--database {name}=…", f"is not AGENCY=URL with an agency that is simulated and one of {', '.join(schemes)}")
        for name, url in found.items()
        if name not in agencies or not url.startswith(schemes)
    ]
    if problems:
        raise ConfigurationError(problems)
    return found

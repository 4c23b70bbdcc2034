"""`bus new-agency`, `bus try`: joining the bus, and seeing what a record would come to before anything is sent."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from bus.cli.context import AsJson, Overlay, context, err, out, print_json
from bus.errors import ConfigurationError, Problem
from bus.ops.installation import Installation
from bus.settings import ROOT

if TYPE_CHECKING:
    from bus.testing.trial import Touched, Tried


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("new-agency")(new_agency)
    app.command("try")(try_records)


def new_agency(
    agency: Annotated[str, typer.Argument(help="Its id: lower case, with digits and _.")],
    kind: Annotated[str, typer.Option("--kind", help="How its records come: files, sql, postgres-cdc, http, webhook or mqtt.")] = "files",
    into: Annotated[
        Path | None, typer.Option("--into", metavar="DIR", help="A folder outside the repository (an overlay); default: the repository.")
    ] = None,
) -> None:
    """Write a working agency: manifest, mapping, sample with its expectation, schema with its id, one indicator. It passes the kit at once.

    Example: bus new-agency perpustakaan --kind files --into ../perpustakaan
    """
    folder = (into or ROOT).expanduser()
    # imported here: the kit carries every rule and what they need, which no other command should wait for
    written = importlib.import_module("bus.testing.scaffold.agency").new_agency(agency, kind=kind, into=folder)
    for path in written:
        out.print(str(path), soft_wrap=True, markup=False)
    overlay = [folder] if folder.resolve() != ROOT else None
    report = importlib.import_module("bus.testing.kit").check(context(overlay).settings, agency)
    for problem in report.problems:
        err.print(str(problem), soft_wrap=True, markup=False)
    err.print(str(report))
    extra = f" --overlay {folder}" if overlay else ""
    sample = "contoh.csv" if kind == "files" else "contoh.jsonl"
    err.print(f"Next: bus try {agency} {sample}{extra}; then write its own mapping; bus check {agency}{extra}", soft_wrap=True)
    if not report.ok:
        raise typer.Exit(1)


def try_records(
    agency: Annotated[str, typer.Argument(help="The agency's id.")],
    sample: Annotated[str, typer.Argument(metavar="SAMPLE|FILE", help="A sample by its name, or any file of the same form.")],
    source: Annotated[str | None, typer.Option("--source", help="Which source of the agency, where it has several.")] = None,
    overlay: Overlay = None,
    as_json: AsJson = False,
) -> None:
    """Show what each record becomes: raw record, events, and the cells of which indicators they touch; or why it is refused. Without Kafka.

    Personal fields are shown by their shape, and pseudonyms are those of samples, not of the agency. Exit 1 when a record is refused.

    Example: bus try dlh bulanan.csv
    """
    installation = Installation.load(context(overlay).settings)
    if agency not in installation.agencies:
        known = ", ".join(installation.agencies) or "none"
        raise ConfigurationError([Problem(f"bus try {agency}", f"unknown agency; known are: {known}")])
    trial = importlib.import_module("bus.testing.trial")
    chosen = trial.chosen_sample(installation.agencies[agency], sample, source)
    found: list[Tried] = list(trial.tried(chosen, installation.codec, installation.indicators))
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        _show(found)
    if any(each.refused for each in found):
        raise typer.Exit(1)


def _show(found: Sequence[Tried]) -> None:
    table = Table("line", box=None, pad_edge=False)
    for name in ("record", "events", "touches"):
        table.add_column(name, overflow="fold")
    for each in found:
        record = ", ".join(f"{name}={value}" for name, value in each.raw.items())
        if each.refused is not None:
            table.add_row(str(each.line), record, "refused", "\n".join(each.refused), style="red")
            continue
        events = "\n".join(f"{event['type']} {event['subject']} {_plain(event['data'])}" for event in each.events) or "none"
        touches = [f"{cell.indicator} [{_cell(cell)}]" + (f" = {cell.value}" if cell.value else "") for cell in each.touched]
        touches += [f"in {name}" for name in each.composites]
        table.add_row(str(each.line), record, events.replace("[", r"\["), "\n".join(touches).replace("[", r"\[") or "no indicator")
    out.print(table)
    refused = sum(each.refused is not None for each in found)
    err.print(f"{len(found)} records, {sum(len(each.events) for each in found)} events, {refused} refused")


def _cell(touched: Touched) -> str:
    """A cell by the day on which its window begins and its dimensions, as `bus verify` takes it."""
    return "/".join(value[:10] if name == "window_start" else value for name, value in touched.cell.items() if name != "window_end")


def _plain(data: object) -> str:
    return ", ".join(f"{name}={value}" for name, value in data.items()) if isinstance(data, dict) else str(data)

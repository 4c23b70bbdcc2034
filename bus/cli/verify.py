"""`bus verify`: prove published numbers, or show where they differ from the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bus.cli.context import AsJson, Context, Overlay, context, err, impatient, out, print_json, require_broker, run_async
from bus.errors import ConfigurationError, Problem
from bus.ops.installation import Installation
from bus.ops.values import CELL_NAMES
from bus.ops.verification import Report, verify
from bus.ops.wiring import connect

#: Differences shown of one indicator; the rest is counted.
_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify_command)


def verify_command(
    indicator: Annotated[str | None, typer.Argument(help="Id, as `bus indicators list` shows it.")] = None,
    cells: Annotated[list[str] | None, typer.Argument(metavar="[CELL]...", help=f"Only these cells: {CELL_NAMES}")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every indicator.")] = False,
    overlay: Overlay = None,
    as_json: AsJson = False,
) -> None:
    """Recompute numbers from the events that each names as its evidence, and compare exactly; exit 1 on any difference.

    bus verify --all
    bus verify dlh.pm25_mean
    bus verify dlh.pm25_mean 2021-07-01/DKI3

    Rows of a current state are named now/DIMENSION/…; those of a composite are recomputed from the events of all that it is made of.
    """
    if everything == (indicator is not None):
        raise ConfigurationError([Problem("bus verify", "give an indicator, or --all for every one")])
    here = context(overlay)
    require_broker(here.settings)
    reports = run_async(_verify(here, [indicator] if indicator else None, cells or []))
    if as_json:
        print_json(verify_json(reports))
    else:
        out.print(verify_table(reports))
        differences(reports)
    if not all(each.ok for each in reports):
        raise typer.Exit(1)


def verify_table(reports: Sequence[Report]) -> Table:
    """One line an indicator; where there are composites, with what they are made of."""
    composed = any(each.made_of for each in reports)
    table = Table("indicator", "cells", "records read", "outcome", *(["made of"] if composed else []), box=None, pad_edge=False)
    for each in reports:
        outcome = (
            "[green]proven[/green]"
            if each.ok and each.cells
            else "no values yet"
            if each.ok
            else f"[red]{len(each.mismatches)} differences[/red]"
        )
        made_of = [" + ".join(each.made_of)] if composed else []
        table.add_row(each.indicator, f"{each.cells:,}", f"{each.events:,}", outcome, *made_of)
    return table


def verify_json(reports: Sequence[Report]) -> list[dict[str, object]]:
    """The reports for programs."""
    return [{**asdict(each), "ok": each.ok} for each in reports]


def differences(reports: Sequence[Report]) -> None:
    """Where numbers differ, some of each indicator."""
    for report in reports:
        for each in report.mismatches[:_SHOWN]:
            err.print(
                f"{report.indicator} {each.cell}: {each.field} published {each.published or 'nothing'}, recomputed {each.recomputed}",
                soft_wrap=True,
                markup=False,
            )
        if len(report.mismatches) > _SHOWN:
            err.print(f"{report.indicator}: … and {len(report.mismatches) - _SHOWN:,} more")


async def _verify(here: Context, names: list[str] | None, cells: list[str]) -> list[Report]:
    installation = Installation.load(here.settings)
    columns = (TextColumn("reading events"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with connect(impatient(here.settings)) as log:
        with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as bar:
            task = bar.add_task("read", total=None)
            return await verify(
                installation,
                log.reader,
                names,
                cells=cells,
                progress=lambda done, total: bar.update(task, completed=done, total=max(total, 1)),
            )

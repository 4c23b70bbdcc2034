"""`bus indicators`: what is measured."""

from __future__ import annotations

import typer
from rich.table import Table

from bus.cli import deploy
from bus.cli.context import AsJson, Overlay, context, err, out, print_json
from bus.indicators.indicator import Indicator
from bus.ops.installation import Installation

indicators = typer.Typer(help="The indicators: TOML files under schemas/indicators/.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(indicators, name="indicators")
    deploy.register(indicators)


@indicators.command("list")
def list_indicators(overlay: Overlay = None, as_json: AsJson = False) -> None:
    """All indicators, with what each is made of."""
    found = Installation.load(context(overlay).settings).indicators
    if as_json:
        print_json(
            [
                {
                    "id": each.id,
                    "version": each.version,
                    "fingerprint": each.fingerprint,
                    "title": each.spec.title.model_dump(),
                    "event": each.event_type if isinstance(each, Indicator) else "",
                    "parts": list(each.parts),
                    "kind": each.kind,
                    "dimensions": each.definition["dims"],
                    "window": each.window,
                    "unit": each.spec.unit,
                }
                for each in found.values()
            ]
        )
        return
    table = Table("id", "measure", "by", "window", "made of", "title", box=None, pad_edge=False)
    for each in found.values():
        made_of = each.event_type if isinstance(each, Indicator) else " + ".join(each.parts)
        table.add_row(each.id, each.kind, ", ".join(each.definition["dims"]), each.window, made_of, each.spec.title.en)
    out.print(table)


@indicators.command("check")
def check_indicators(overlay: Overlay = None) -> None:
    """Compile every indicator against its event's schema; exit 2 with every problem of every file when something is wrong."""
    found = Installation.load(context(overlay).settings).indicators
    err.print(f"{len(found)} indicators, all good")

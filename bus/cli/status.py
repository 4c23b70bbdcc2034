"""`bus status`: how far everything is."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.table import Table

from bus.cli.context import AsJson, Context, Overlay, context, impatient, out, print_json, require_broker, run_async
from bus.ops.installation import Installation
from bus.ops.status import Status, look
from bus.ops.wiring import connect


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def status(overlay: Overlay = None, as_json: AsJson = False) -> None:
    """How far each stage is behind its log, what is in quarantine, and how many values each indicator has.

    Asked of the log alone, so it works whichever processes run, and where.
    """
    here = context(overlay)
    require_broker(here.settings)
    found = run_async(_look(here))
    if as_json:
        print_json(_json(found))
    else:
        _show(found)


async def _look(here: Context) -> Status:
    installation = Installation.load(here.settings)
    async with connect(impatient(here.settings)) as log:
        return await look(installation, log)


def _json(found: Status) -> dict[str, object]:
    stages = {
        each.stage: {"done": each.done, "total": each.total, "behind": [duty.unit for duty in each.behind]}
        for each in (found.progress.fold, found.progress.merge)
    }
    return {
        "idle": found.progress.idle,
        "stages": stages,
        "topics": [asdict(each) for each in found.topics],
        "indicators": [asdict(each) for each in found.indicators],
        "quarantine": dict(found.quarantine),
        "snapshots": found.snapshots,
    }


def _show(found: Status) -> None:
    for stage in (found.progress.fold, found.progress.merge):
        lag = "idle" if stage.idle else f"{len(stage.behind)} states behind, {stage.total - stage.done:,} records to go"
        out.print(f"{stage.stage:<6} {lag}")
    out.print(f"states {found.snapshots:,} with a snapshot")
    topics = Table("event type", "records", "behind", box=None, pad_edge=False)
    for topic in found.topics:
        topics.add_row(topic.name, f"{topic.records:,}", f"{topic.behind:,}")
    out.print(topics)
    indicators = Table("indicator", "values", "final", "revisions", box=None, pad_edge=False)
    for each in found.indicators:
        indicators.add_row(each.name, f"{each.values:,}", f"{each.final:,}", f"{each.revisions:,}")
    out.print(indicators)
    quarantine = Table("agency", "in quarantine", box=None, pad_edge=False)
    for agency, count in found.quarantine.items():
        quarantine.add_row(agency, f"{count:,}")
    out.print(quarantine)

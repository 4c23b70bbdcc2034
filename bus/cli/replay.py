"""`bus replay`: the numbers computed anew from the archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bus.cli.context import AsJson, Context, Overlay, context, err, impatient, out, print_json, require_broker, run_async
from bus.cli.progress import bar
from bus.cli.verify import differences, verify_json, verify_table
from bus.errors import ConfigurationError, Problem
from bus.ops.archive import archive_of
from bus.ops.backfill import prepare_folder
from bus.ops.installation import Installation
from bus.ops.replay import Rebuilt, compare, rebuild
from bus.ops.verification import Report
from bus.ops.wiring import connect


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay")(replay)


def replay(
    indicators: Annotated[list[str] | None, typer.Argument(metavar="[INDICATOR]...", help="Only these; default: every one.")] = None,
    from_archive: Annotated[bool, typer.Option("--from-archive", help="Read the files in BUS_ARCHIVE__FOLDER.")] = False,
    export: Annotated[Path | None, typer.Option("--export", metavar="DIR", help="Write DIR/<indicator>.csv.")] = None,
    compared: Annotated[
        bool, typer.Option("--compare", help="Hold what is published against the archive; exit 1 on any difference.")
    ] = False,
    overlay: Overlay = None,
    as_json: AsJson = False,
) -> None:
    """Compute the indicators anew from the archive's files, with the worker's own functions.

    bus replay --from-archive --export out/              all numbers as of the archive's end
    bus replay --from-archive --export out/ mpp.waiting_time
    bus replay --from-archive --compare                  is what is published what the archive says?

    --export needs no Kafka: the files alone give the same CSV as `bus run --export` gave of the same
    events, byte for byte (but for the revision of a reconciliation's rows, which tells how much both
    registers had changed when the row was last published). That is also how a new definition is tried on years of events.

    --compare asks Kafka for the published rows, and recomputes each from the events that it names as
    its evidence. Those are read from the archive as far as it goes, also where the topic still has
    them; what came after is read from the topic.

    Each file is first compared with the SHA-256 in its name; a damaged or missing one is named.
    """
    if not from_archive or (export is None and not compared):
        what = "say --from-archive, and --export DIR or --compare or both: bus replay --from-archive --export out/"
        raise ConfigurationError([Problem("bus replay", what)])
    here = context(overlay)
    archive_of(here.settings)
    if compared:
        require_broker(here.settings)
    installation = Installation.load(here.settings)
    names = indicators or None
    rebuilt = run_async(_rebuild(here, installation, names, export.expanduser().resolve())) if export is not None else None
    reports = run_async(_compare(here, installation, names)) if compared else []
    if as_json:
        print_json({"rebuilt": None if rebuilt is None else _json(rebuilt), "compared": verify_json(reports)})
    else:
        if rebuilt is not None:
            out.print(f"{rebuilt.events:,} events, {sum(rebuilt.rows.values()):,} rows of {len(rebuilt.rows)} indicators in {export}")
        if compared:
            out.print(verify_table(reports))
            differences(reports)
    if not all(each.ok for each in reports):
        raise typer.Exit(1)


async def _rebuild(here: Context, installation: Installation, names: list[str] | None, folder: Path) -> Rebuilt:
    prepare_folder(folder)
    with bar("replaying events") as progress:
        return await rebuild(installation, archive_of(here.settings), folder, names, progress=progress)


async def _compare(here: Context, installation: Installation, names: list[str] | None) -> list[Report]:
    async with connect(impatient(here.settings)) as log:
        err.print("comparing what is published with the archive")
        with bar("reading events") as progress:
            return await compare(installation, archive_of(here.settings), log.reader, names, progress=progress)


def _json(rebuilt: Rebuilt) -> dict[str, object]:
    positions = [{"topic": place.topic, "partition": place.partition, "end": end} for place, end in rebuilt.positions.items()]
    return {"events": rebuilt.events, "rows": dict(rebuilt.rows), "positions": positions}

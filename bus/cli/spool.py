"""`bus spool`: what waits on this machine for Kafka, and carrying it there by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bus.cli.context import AsJson, Context, Overlay, context, impatient, out, print_json, require_broker, run_async
from bus.cli.progress import bar
from bus.clock import SystemClock
from bus.errors import ConfigurationError, Problem
from bus.ops.audit import Audit
from bus.ops.installation import Installation
from bus.ops.spool import Import, Imported, confirm, export, receipt_path, spools
from bus.ops.wiring import connect

_group = typer.Typer(help="What waits on this machine for Kafka; carry it there by hand.", no_args_is_help=True)
_Source = Annotated[str, typer.Argument(metavar="AGENCY/SOURCE", help="The source, as `bus spool list` names it: dlh/sensors.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_group, name="spool")


@_group.command("list")
def list_spools(overlay: Overlay = None, as_json: AsJson = False) -> None:
    """List the journals of this machine: how much waits in each, and since when."""
    found = spools(context(overlay).settings, SystemClock())
    if as_json:
        rows = [
            {"source": each.source, "path": str(each.path), "in_use": each.backlog is None}
            | (
                {
                    "messages": each.backlog.messages,
                    "bytes": each.backlog.bytes,
                    "since": each.backlog.oldest and each.backlog.oldest.isoformat(),
                }
                if each.backlog is not None
                else {}
            )
            for each in found
        ]
        print_json(rows)
        return
    table = Table("source", "waiting", "bytes", "since", box=None, pad_edge=False)
    for each in found:
        if each.backlog is None:
            table.add_row(each.source, "in use by its connector: see its metrics bus_connector_backlog_*")
        else:
            since = f"{each.backlog.oldest:%Y-%m-%d %H:%M} UTC" if each.backlog.oldest else ""
            table.add_row(each.source, f"{each.backlog.messages:,}", f"{each.backlog.bytes:,}", since)
    out.print(table if found else "no source has a journal on this machine")


@_group.command("export")
def export_spool(
    source: _Source,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write; on the stick itself, best.")],
    overlay: Overlay = None,
    as_json: AsJson = False,
) -> None:
    """Write what waits in a source's journal to FILE. Its connector must be stopped meanwhile.

    bus spool export dlh/sensors /media/usb/dlh-sensors.spool

    The journal keeps its messages: should the line come back first, the connector sends them, and
    the import of the file then changes nothing. FILE holds what Kafka may see: pseudonyms, and
    refused records sealed.
    """
    carried = export(context(overlay).settings, source, file, SystemClock())
    if as_json:
        print_json({"source": source, "file": str(file), "messages": carried.messages, "sha256": carried.sha256})
        return
    out.print(f"{carried.messages:,} messages of {source} in {file}", soft_wrap=True, markup=False)
    out.print(f"SHA-256 {carried.sha256}", soft_wrap=True, markup=False)


@_group.command("import")
def import_spool(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `bus spool export` wrote.")],
    overlay: Overlay = None,
    as_json: AsJson = False,
) -> None:
    """Send the messages of FILE to Kafka, in order, and write a receipt beside it.

    A file that is cut or changed is refused as a whole. Importing twice, or what the connector has
    sent meanwhile, doubles nothing. The topic bus.audit keeps who did it and when.
    """
    here = context(overlay)
    require_broker(here.settings)
    imported, carried = run_async(_import(here, file))
    receipt = receipt_path(file)
    if as_json:
        print_json({"file": str(file), "sent": imported.sent, "known": imported.known, "sha256": carried, "receipt": str(receipt)})
        return
    out.print(f"{imported.sent:,} messages sent, {imported.known:,} were known; receipt in {receipt}", soft_wrap=True, markup=False)


@_group.command("confirm")
def confirm_spool(
    source: _Source,
    receipt: Annotated[Path, typer.Argument(metavar="RECEIPT", help="What `bus spool import` wrote beside the file.")],
    overlay: Overlay = None,
) -> None:
    """Make room in a journal: take out what RECEIPT says that Kafka has. Its connector must be stopped meanwhile."""
    count = confirm(context(overlay).settings, source, receipt, SystemClock())
    out.print(f"{count:,} messages of {source} are with Kafka and were taken out of its journal", soft_wrap=True, markup=False)


async def _import(here: Context, file: Path) -> tuple[Imported, str]:
    installation = Installation.load(here.settings)
    clock = SystemClock()
    async with connect(impatient(here.settings)) as log:
        work = Import(
            file, installation.agencies, installation.codec, publisher=log.publisher, reader=log.reader, clock=clock,
            lease_seconds=here.settings.ingest.lease_seconds,
        )  # fmt: skip
        with bar("sending") as progress:
            imported = await work.run(Audit(log.publisher, log.reader, clock), progress)
    try:
        work.receipt.write(receipt_path(file))
    except OSError as error:
        what = f"all is with Kafka, but the receipt cannot be written ({error.strerror}); import it again from where one can write"
        raise ConfigurationError([Problem(str(receipt_path(file)), what)]) from error
    return imported, work.carried.sha256

"""`bus totals`: what the agencies count themselves, beside what the bus holds."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from bus.cli.context import AsJson, Context, Overlay, context, impatient, out, print_json, require_broker, run_async
from bus.clock import SystemClock
from bus.errors import ConfigurationError, Problem
from bus.ingest.manifest import Agency
from bus.ingest.totals import Reconciliation
from bus.ops.installation import Installation
from bus.ops.minutes import WORDS, cells, header, minutes, summary
from bus.ops.totals import Accounts, counted, measure
from bus.ops.wiring import connect

_group = typer.Typer(help="What the agencies count themselves, beside what the bus holds.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_group, name="totals")


@_group.callback()
def _totals() -> None:
    """What the agencies count themselves, beside what the bus holds."""


@_group.command("check")
def check_totals(
    agency: Annotated[str, typer.Argument(help="One agency; all that count for themselves when left out.")] = "",
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="Only days from this one on.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Only days up to this one.")] = None,
    lang: Annotated[Literal["id", "en"], typer.Option("--lang", help="The language of the report.")] = "id",
    report: Annotated[
        Path | None, typer.Option("--report", metavar="DIR", help="Where the minutes to sign go; default: reports/ in the data folder.")
    ] = None,
    all_days: Annotated[bool, typer.Option("--all", help="Show also the days that agree.")] = False,
    overlay: Overlay = None,
    as_json: AsJson = False,
) -> None:
    """Compare the agencies' own daily counts with the facts that stand in the log; exit 1 when they differ.

    bus totals check
    bus totals check dlh --from 2024-01-01 --to 2024-01-31 --report berita-acara/

    An agency's counts are CSV files (tanggal,jenis,jumlah) in the folder that its [totals] names;
    of a day that was counted twice the later file stands. For each agency the minutes of the
    reconciliation are written, to be printed and signed: the figures, the log positions that they
    were counted from, and their hash.
    """
    here = context(overlay)
    require_broker(here.settings)
    span = (first.date() if first else None), (last.date() if last else None)
    found = run_async(_check(here, agency, *span))
    at = SystemClock().now()
    folder = report or here.settings.data_dir / "reports"
    written = {each.id: _write(folder, each, result, at, lang) for each, result in found}
    if as_json:
        print_json([_json(result, written[each.id]) for each, result in found])
    else:
        for each, result in found:
            _show(each, result, written[each.id], lang, all_days=all_days)
    if not all(result.agrees for _, result in found):
        raise typer.Exit(1)


async def _check(here: Context, agency: str, first: date | None, last: date | None) -> list[tuple[Agency, Reconciliation]]:
    installation = Installation.load(here.settings)
    chosen = counted(installation, agency)
    if not chosen:
        raise ConfigurationError([Problem("totals", "no agency has a [totals] in its agency.toml and the folder that it names set")])
    found = []
    async with connect(impatient(here.settings)) as log:
        for each in chosen:
            result = await Accounts(installation, each, log.reader).reconcile(first=first, last=last)
            measure(result)
            found.append((each.agency, result))
    return found


def _write(folder: Path, agency: Agency, found: Reconciliation, at: datetime, lang: Literal["id", "en"]) -> Path:
    path = folder / f"rekonsiliasi-{agency.id}-{at:%Y%m%dT%H%M%SZ}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(minutes(found, agency, at, lang), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError([Problem(f"--report {folder}", f"cannot be written to: {error.strerror}")]) from error
    return path


def _show(agency: Agency, found: Reconciliation, written: Path, lang: Literal["id", "en"], *, all_days: bool) -> None:
    words = WORDS[lang]
    out.print(f"{agency.id}: {summary(found, lang)}", soft_wrap=True, markup=False)
    for fault in found.faults:
        what = fault.id if lang == "id" else fault.en
        out.print(f"  {words['file']} {fault.file}, {words['line']} {fault.line}: {what}", soft_wrap=True, markup=False)
    lines = [line for line in found.lines if all_days or not line.agrees]
    if lines:
        indicator = any(line.indicator is not None for line in lines)
        table = Table(*header(lang, indicator=indicator), box=None, pad_edge=False)
        for line in lines:
            table.add_row(*cells(line, lang, indicator=indicator))
        out.print(table)
    if found.quarantined:
        out.print(f"{words['quarantined']}: {found.quarantined:,}", soft_wrap=True)
    out.print(f"{words['hash']}: {found.sha256}", soft_wrap=True)
    out.print(f"{words['title']}: {written}", soft_wrap=True, markup=False)


def _json(found: Reconciliation, written: Path) -> dict[str, object]:
    return {
        "agency": found.agency,
        "agrees": found.agrees,
        "lines": [
            {
                "event_type": line.event_type, "day": line.day.isoformat(), "agency": line.agency, "bus": line.bus, "indicator": line.indicator,
                "difference": line.difference,
            }
            for line in found.lines
        ],
        "faults": [{"file": each.file, "line": each.line, "what": each.en} for each in found.faults],
        "quarantined": found.quarantined,
        "positions": dict(found.positions),
        "sha256": found.sha256,
        "report": str(written),
    }  # fmt: skip

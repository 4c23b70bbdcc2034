"""`bus archive`: what the archive holds, whether it holds, and cutting topics short behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated

import typer
from rich.table import Table

from bus.cli.context import AsJson, Context, Overlay, context, err, impatient, out, print_json, require_broker, run_async
from bus.cli.progress import bar
from bus.clock import LOCAL_ZONE, SystemClock
from bus.errors import ConfigurationError, Problem
from bus.kafka.admin import delete_records
from bus.kafka.topics import EVENTS_PREFIX
from bus.ops.archive import Cut, Held, archive_of, check, cut, held, plan_cuts, topics_of
from bus.ops.audit import Audit, State, check_reason
from bus.ops.installation import Installation
from bus.ops.wiring import connect

archive = typer.Typer(
    help="Events as files, written by `bus run archive`; what topics no longer have is read from there.", no_args_is_help=True
)

Types = Annotated[list[str] | None, typer.Argument(metavar="[EVENT_TYPE]...", help="Only these, such as mpp.ticket.served.v1.")]
_KEEP_DAYS = 90


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(archive, name="archive")


@archive.command("status")
def status(types: Types = None, overlay: Overlay = None, as_json: AsJson = False) -> None:
    """How far each topic is archived, and what its topic still has; exit 1 when records are in neither, or files are missing.

    bus archive status
    bus archive status mpp.ticket.served.v1 --json
    """
    here = context(overlay)
    archive_of(here.settings)
    require_broker(here.settings)
    found = run_async(_status(here, types))
    if as_json:
        print_json([_json(each) for each in found])
    else:
        out.print(_status_table(found))
    if wrong := [each for each in found if each.lost or each.holding.resumes is not None]:
        for each in wrong:
            upto = (each.holding.resumes or each.beginning) - 1
            err.print(
                f"[red]{each.place.topic}/{each.place.partition}[/red]: offsets {each.holding.end} to {upto} are in no file", soft_wrap=True
            )
        raise typer.Exit(1)


@archive.command("check")
def check_files(as_json: AsJson = False) -> None:
    """Compare every file with the SHA-256 in its name and look for holes between files; exit 1 when something is wrong. Needs no Kafka."""
    here = context(None)
    with bar("checking files") as progress:
        problems = list(check(archive_of(here.settings), progress))
    if as_json:
        print_json([{"where": each.where, "what": each.what} for each in problems])
    else:
        for each in problems:
            err.print(str(each), soft_wrap=True, markup=False)
        if not problems:
            out.print("every file is what its name says, and none is missing")
    if problems:
        raise typer.Exit(1)


@archive.command("trim")
def trim(
    types: Types = None,
    keep_days: Annotated[
        int,
        typer.Option("--keep-days", min=0, metavar="N", help="What was published on the last N days, today included, stays in the topics."),
    ] = _KEEP_DAYS,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit. No personal data.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and remove nothing.")] = False,
    overlay: Overlay = None,
    as_json: AsJson = False,
) -> None:
    """Remove from the event topics what the archive holds, so that brokers keep months and the archive keeps all.

    bus archive trim --dry-run
    bus archive trim --keep-days 90 --reason "disk of the brokers"

    A record goes only when it was compared with the archive, byte for byte; when every indicator
    that counts it has it in a durable snapshot; and when it is older than --keep-days. Whatever
    needs it later (a new definition, a worker without its snapshots, `bus verify`) reads it from
    the archive, so BUS_ARCHIVE__FOLDER has to be set wherever roles and commands run. Keep a
    second copy of that folder first: from then on it is the only place of these events.

    It may be killed at any moment and run again.
    """
    here = context(overlay)
    archive_of(here.settings)
    require_broker(here.settings)
    if here.settings.kafka.embedded:
        raise ConfigurationError([Problem("bus archive trim", "the embedded broker cannot remove records; this is for Apache Kafka")])
    why = "" if dry_run else check_reason(reason)
    cuts = run_async(_trim(here, types, keep_days, why, dry_run=dry_run))
    if as_json:
        print_json([_cut_json(each) for each in cuts])
        return
    out.print(_cut_table(cuts))
    total = sum(each.records for each in cuts)
    out.print(f"{total:,} records {'would go' if dry_run else 'are gone from the topics, and stay in the archive'}")


def _names(here: Context, installation: Installation, types: list[str] | None) -> list[str]:
    """The topics that are meant. Raises `ConfigurationError` with the types there are."""
    known = {*installation.catalogue.types, *(name.removeprefix(EVENTS_PREFIX) for name in archive_of(here.settings).topics())}
    if unknown := [name for name in types or () if name not in known]:
        raise ConfigurationError([Problem(name, f"there is no such event type; known are: {', '.join(sorted(known))}") for name in unknown])
    return [EVENTS_PREFIX + name for name in types or sorted(known)]


async def _status(here: Context, types: list[str] | None) -> list[Held]:
    installation = Installation.load(here.settings)
    async with connect(impatient(here.settings)) as log:
        return await held(archive_of(here.settings), topics_of(log.reader), _names(here, installation, types))


async def _trim(here: Context, types: list[str] | None, keep_days: int, reason: str, *, dry_run: bool) -> Sequence[Cut]:
    installation = Installation.load(here.settings)
    files, clock = archive_of(here.settings), SystemClock()
    before = clock.now().astimezone(LOCAL_ZONE).date() - timedelta(days=keep_days - 1)
    async with connect(impatient(here.settings)) as log:
        topics = topics_of(log.reader)
        names = _names(here, installation, types)
        cuts = await plan_cuts(installation, files, topics, log.snapshots, before=before, names=names)
        todo = [each for each in cuts if each.records]
        if dry_run or not todo:
            return cuts
        audit = Audit(log.publisher, log.reader, clock)
        with bar("comparing events") as progress:
            total, done = sum(each.records for each in todo), 0
            for each in todo:
                about = f"{each.place.topic}/{each.place.partition}"
                await audit.note("trim", about, State.BEGUN, reason=reason, counts={about: {"before_offset": each.upto}})
                await cut(files, topics, each, partial(delete_records, here.settings.kafka))
                await audit.note("trim", about, State.DONE, reason=reason, counts={about: {"before_offset": each.upto}})
                done += each.records
                progress(done, total)
    return cuts


def _status_table(found: Iterable[Held]) -> Table:
    table = Table("event type", "partition", "files", "archived", "in the topic", "waiting", box=None, pad_edge=False)
    for each in found:
        if each.end or each.holding.end:
            table.add_row(
                each.place.topic.removeprefix(EVENTS_PREFIX),
                str(each.place.partition),
                f"{len(each.holding.files):,}",
                f"0 … {each.holding.end - 1:,}" if each.holding.end else "nothing",
                f"{each.beginning:,} … {each.end - 1:,}" if each.end > each.beginning else "nothing",
                f"{max(0, each.end - each.holding.end):,}",
            )
    return table


def _cut_table(cuts: Iterable[Cut]) -> Table:
    table = Table("event type", "partition", "records", "what stays and why", box=None, pad_edge=False)
    for each in cuts:
        if each.upto or each.records:
            table.add_row(
                each.place.topic.removeprefix(EVENTS_PREFIX),
                str(each.place.partition),
                f"{each.records:,}",
                f"from {each.upto:,}: {each.why_not_more}",
            )
    return table


def _json(each: Held) -> dict[str, object]:
    return {
        "topic": each.place.topic,
        "partition": each.place.partition,
        "files": len(each.holding.files),
        "archived_end": each.holding.end,
        "resumes": each.holding.resumes,
        "beginning": each.beginning,
        "end": each.end,
        "lost": each.lost,
    }


def _cut_json(each: Cut) -> dict[str, object]:
    return {
        "topic": each.place.topic,
        "partition": each.place.partition,
        "records": each.records,
        "upto": each.upto,
        "why_not_more": each.why_not_more,
    }

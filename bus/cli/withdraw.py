"""`bus withdraw`: take a wrongly sent batch back as a whole."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.table import Table

from bus.cli.context import AsJson, Context, Overlay, context, err, impatient, out, print_json, require_broker, run_async
from bus.cli.progress import bar
from bus.clock import SystemClock
from bus.errors import ConfigurationError, Problem
from bus.kafka.topics import EVENTS_PREFIX
from bus.ops.audit import Audit, check_reason
from bus.ops.installation import Installation
from bus.ops.repeats import repeats_of
from bus.ops.wiring import Log, connect
from bus.ops.withdrawal import Plan, arriving, plan_withdrawal, withdraw


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("withdraw")(withdraw_batch)


def withdraw_batch(
    batch: Annotated[str, typer.Argument(help="AGENCY/SOURCE/DELIVERY, as the field `batch` of the events has it: dlh/ispu/3.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit. No personal data.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be said, and say nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    overlay: Overlay = None,
    as_json: AsJson = False,
) -> None:
    """Withdraw a batch that should not have been sent: every number becomes what it would be without it.

    bus withdraw dlh/ispu/3 --dry-run
    bus withdraw dlh/ispu/3 --reason "Juli dikirim dua kali"

    Nothing is deleted: each event of the batch is undone by a compensating one, which is CANCEL,
    or CORRECT to the version before it. What later deliveries said stays, also what they only
    repeated without a change; withdraw those too, and it goes with the last of them. (Of sources
    that are no files nobody knows here what was repeated: that goes with the batch.)
    `bus history` shows the rows that changed as `withdrawn`; the topic bus.audit keeps who did it,
    when and why.

    It may be killed at any moment: run it again and it goes on; what is complete is left alone.
    Run it again also when records of earlier deliveries were replayed from quarantine afterwards:
    what the batch would have hidden comes to light.

    To bring withdrawn facts back, deliver them again. A line that differs from the withdrawn one
    comes by itself; one that does not is taken for known. So that every line counts as news, put
    an empty file into the source's folder first (touch ulang.csv): it is refused, and does that.
    Where a file is a whole table, deliver the last right table again before the corrected one:
    what the withdrawn table had left out is known again then.

    Facts that are final (`correctable` is false in their schema) cannot be withdrawn; when the
    batch holds any, nothing is written at all.
    """
    here = context(overlay)
    require_broker(here.settings)
    problems: list[Problem] = []
    if not dry_run:
        try:
            reason = check_reason(reason)
        except ConfigurationError as error:
            problems += error.problems
        if not yes and not sys.stdin.isatty():
            problems.append(Problem("--yes", "is needed where nobody can be asked (or --dry-run, to look first)"))
    if problems:
        raise ConfigurationError(problems)
    plan, sent = run_async(_withdraw(here, batch, reason, dry_run=dry_run, yes=yes, quiet=as_json))
    if as_json:
        print_json(
            {
                "batch": batch,
                "dry_run": dry_run,
                "events": _events(plan),
                "counts": plan.counts,
                "pending": plan.pending,
                "sent": sent,
                "kept": plan.kept,
            }
        )
    elif not plan.pending:
        stays = f" but {plan.kept:,} events that later deliveries repeated" if plan.kept else "; nothing to do"
        out.print(f"{batch} is withdrawn{'' if plan.kept else ' already'}{stays}", soft_wrap=True, markup=False)
    elif not dry_run:
        out.print(f"{batch} is withdrawn: {sent:,} compensating events for {_events(plan):,} of its events", soft_wrap=True, markup=False)


def _events(plan: Plan) -> int:
    return sum(topic.events for topic in plan.topics)


async def _withdraw(here: Context, batch: str, reason: str, *, dry_run: bool, yes: bool, quiet: bool) -> tuple[Plan, int]:
    installation = Installation.load(here.settings)
    clock = SystemClock()
    async with connect(impatient(here.settings)) as log:
        with bar("reading events") as progress:
            repeats = await repeats_of(log, clock, batch)
            types = installation.catalogue.types.values()
            plan = await plan_withdrawal(types, log.reader, installation.codec, batch, repeats=repeats, progress=progress)
        if repeats is None or repeats.uncounted(batch):
            what = "what later deliveries only repeated goes too, for it is not known here; deliver it again where it is to stay"
            err.print(f"[yellow]{batch}:[/yellow] {what}", soft_wrap=True)
        if not quiet:
            out.print(_table(plan))
        if dry_run:
            return plan, 0
        if plan.pending and not yes:
            typer.confirm(f"Withdraw {batch}: write {plan.pending:,} compensating events?", abort=True, err=True)
        with bar("withdrawing") as progress:
            sent = await withdraw(plan, log.publisher, Audit(log.publisher, log.reader, clock), reason=reason, progress=progress)
        await _warn(log, clock, batch)
        return plan, sent


async def _warn(log: Log, clock: SystemClock, batch: str) -> None:
    if await arriving(log, clock, batch):
        err.print(f"[yellow]{batch} is still being delivered:[/yellow] run this again when its connector is done with it", soft_wrap=True)


def _table(plan: Plan) -> Table:
    table = Table("event type", "events", "stay", "to cancel", "to set back", "not said yet", box=None, pad_edge=False)
    for topic in plan.topics:
        cancelled = topic.kinds.get("CANCEL", 0)
        back = sum(topic.kinds.values()) - cancelled
        table.add_row(
            topic.topic.removeprefix(EVENTS_PREFIX), f"{topic.events:,}", f"{topic.kept:,}", f"{cancelled:,}", f"{back:,}",
            f"{len(topic.pending):,}",
        )  # fmt: skip
    return table

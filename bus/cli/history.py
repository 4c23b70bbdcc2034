"""`bus history`: what was published when, and why it changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bus.cli.context import AsJson, Context, Overlay, context, err, impatient, out, print_json, require_broker, run_async
from bus.clock import LOCAL_ZONE
from bus.indicators.history import Change
from bus.indicators.outputs import Output
from bus.kafka.topics import HISTORY_PREFIX
from bus.ops.history import Past, read_history
from bus.ops.installation import Installation
from bus.ops.values import CELL_NAMES, cell_name
from bus.ops.wiring import connect


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("history")(history)


def history(
    indicator: Annotated[str, typer.Argument(help="Id, as `bus indicators list` shows it; also one whose file is gone.")],
    cell: Annotated[str | None, typer.Argument(metavar="CELL", help=f"Only this cell: {CELL_NAMES}")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Show only so many newest changes; 0: all.")] = 20,
    overlay: Overlay = None,
    as_json: AsJson = False,
) -> None:
    """What was published of an indicator and when, and why each row changed against the one before it.

    bus history dlh.pm25_mean                     the newest changes of all cells
    bus history dlh.pm25_mean 2021-07-01/DKI3     one cell, with the evidence of every row
    bus history dlh.pm25_mean --limit 0 --json    everything, for programs

    Why a row changed, with the number of events where it was events:

    new, late (came after the window had closed), corrected, withdrawn (`bus withdraw`);
    definition (another version of the indicator counted the row anew);
    status (final, or provisional again, with the same numbers);
    reporters (more were heard of); time (the same facts seen later: ages).

    A row that was published again after a crash is shown once.
    """
    here = context(overlay)
    require_broker(here.settings)
    past = run_async(_read(here, indicator, cell, limit))
    if as_json:
        print_json([_json(change) for change in past.changes])
        return
    if cell is None:
        out.print(_table(past.changes))
    else:
        for change in past.changes:
            _show(change)
    if past.total > len(past.changes):
        err.print(f"the newest {len(past.changes):,} of {past.total:,} changes; --limit 0 shows all")
    elif not past.total:
        err.print("nothing was published yet")


async def _read(here: Context, indicator: str, cell: str | None, limit: int) -> Past:
    installation = Installation.load(here.settings)
    columns = (TextColumn("reading the history"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with connect(impatient(here.settings)) as log:
        with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as bar:
            task = bar.add_task("read", total=None)

            def show(done: int, total: int) -> None:
                bar.update(task, completed=done, total=max(total, 1))

            if not await log.reader.partitions(HISTORY_PREFIX + indicator):
                installation.indicator(indicator)  # an unknown one is named, with those there are
            return await read_history(log.reader, installation.codec, indicator, cell=cell, limit=limit, progress=show)


def _table(changes: Iterable[Change]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("published (WIB)", "cell", "value", "n", "rev.", "state", "why"):
        table.add_column(name, overflow="fold", no_wrap=name not in ("cell", "why"))
    for change in changes:
        row = change.output
        table.add_row(
            _when(change), cell_name(row), _value(row), f"{row.n:,}", f"{row.revision:,}", f"{row.status} v{row.version}", _why(change)
        )
    return table


def _show(change: Change) -> None:
    row = change.output
    numbers = f"{_value(row)} = {row.numerator} / {row.denominator}, n = {row.n:,}"
    out.print(
        f"{_when(change)} WIB  {numbers}; revision {row.revision:,}, {row.status}, version {row.version}", soft_wrap=True, markup=False
    )
    out.print(f"    why       {_why(change)}", soft_wrap=True, markup=False)
    for topic, places in _evidence(row).items():
        out.print(f"    evidence  {topic} {places}", soft_wrap=True, markup=False)


def _evidence(row: Output) -> Mapping[str, str]:
    """Topic -> the last offset of each of its partitions."""
    found: dict[str, list[str]] = {}
    for topic, partition, offset in row.evidence:
        found.setdefault(topic, []).append(f"{partition}:{offset if offset >= 0 else 'empty'}")
    return {topic: " ".join(places) for topic, places in found.items()}


def _value(row: Output) -> str:
    said = "none" if row.value is None else row.value.rstrip("0").rstrip(".") if "." in row.value else row.value
    return said + "".join(f" ({more})" for more in (row.label, row.error) if more)


def _why(change: Change) -> str:
    said = ", ".join(map(str, change.reasons))
    return f"{said} (first row)" if change.former is None else said


def _when(change: Change) -> str:
    return f"{datetime.fromtimestamp(change.at_ms / 1000, LOCAL_ZONE):%Y-%m-%d %H:%M:%S}"


def _json(change: Change) -> dict[str, object]:
    row = change.output
    return {
        "published": datetime.fromtimestamp(change.at_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "cell": cell_name(row),
        "dimensions": dict(row.dimensions),
        "value": row.value,
        "numerator": row.numerator,
        "denominator": row.denominator,
        "n": row.n,
        "revision": row.revision,
        "status": row.status,
        "version": row.version,
        "fingerprint": row.fingerprint,
        "late": row.late,
        "corrected": row.corrected,
        "withdrawn": row.withdrawn,
        "heard": row.heard,
        "expected": row.expected,
        "label": row.label,
        "error": row.error,
        "as_of": None if row.as_of_us is None else datetime.fromtimestamp(row.as_of_us / 1_000_000, UTC).isoformat(),
        "evidence": [{"topic": topic, "partition": partition, "offset": offset} for topic, partition, offset in row.evidence],
        "why": [{"why": str(reason.why), "events": reason.count} for reason in change.reasons],
        "before": None if change.former is None else change.former.value,
    }

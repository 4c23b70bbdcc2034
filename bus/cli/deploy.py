"""`bus indicators diff` and `bus indicators deploy`: definitions against what is published, and bringing them into force."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from bus.cli.context import AsJson, Context, Overlay, context, err, impatient, out, print_json, require_broker, run_async
from bus.clock import SystemClock
from bus.errors import ConfigurationError
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.ops import idle
from bus.ops.audit import Audit, State
from bus.ops.definitions import Entry, Standing, compare, published
from bus.ops.deployment import Target, refuse, targets, topics_of, until_published
from bus.ops.installation import Installation
from bus.ops.staging import Placement, Tried, attempt, install, place
from bus.ops.wiring import Log, apply_topics, connect

Files = Annotated[
    list[Path] | None,
    typer.Argument(metavar="FILE", help="Files <id>.toml that are not installed yet; none: those that are.", show_default=False),
]


def register(indicators: typer.Typer) -> None:
    """Add the commands."""
    indicators.command("diff")(diff)
    indicators.command("deploy")(deploy)


def diff(files: Files = None, overlay: Overlay = None, as_json: AsJson = False) -> None:
    """Hold the files against what is published: new, changed, unchanged, refused, gone. Exit 1 when anything differs, 2 when refused.

    bus indicators diff                          the installed files
    bus indicators diff drafts/dlh.pm10.toml     what deploying these would change

    A file is refused when it does not compile, or when it computes something else than what was
    published without a higher `version` (rule I07): readers could not tell old numbers from new.
    What is gone from the files stays published as it was last.
    """
    here = context(overlay)
    require_broker(here.settings)
    look = run_async(_look(here, files or []))
    if as_json:
        print_json([_json(entry) for entry in look.entries])
    else:
        _show(look.entries)
    if problems := [*look.tried.problems.get("", ()), *(problem for entry in look.entries for problem in entry.problems)]:
        raise ConfigurationError(problems)
    if any(entry.standing is not Standing.UNCHANGED for entry in look.entries):
        raise typer.Exit(1)


def deploy(
    files: Files = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when readers have every row of the new versions.")] = False,
    overlay: Overlay = None,
    as_json: AsJson = False,
) -> None:
    """Bring definitions into force: check all files together, make missing topics, install the given ones.

    bus indicators deploy drafts/dlh.pm10_mean.toml --wait
    bus indicators deploy --overlay ~/kelurahan kelurahan.days.toml
    bus indicators deploy --wait                 for files that were edited where they lie

    A file goes where its indicator lies already, else into the (last) overlay's schemas/indicators,
    else into the installation's. A running bus takes it up by itself: it computes the whole past
    beside what it publishes now, and the new rows replace the old ones when all are there, so no
    row is ever missing. Nothing is installed when any file is refused (`bus indicators diff`), or
    an example of a given file does not hold. Where the bus runs on several machines, put the file
    on each of them.
    """
    here = context(overlay)
    require_broker(here.settings)
    look, changed, rows = run_async(_deploy(here, files or [], wait=wait, quiet=as_json))
    if as_json:
        entries = [_json(entry) for entry in look.entries if entry.standing is not Standing.UNCHANGED]
        print_json({"installed": [str(path) for path in changed], "indicators": entries, "rows": rows})


@dataclass(frozen=True, slots=True)
class _Look:
    """The files as they would be, and how they stand to what is published."""

    tried: Tried
    placements: Sequence[Placement]
    entries: Sequence[Entry]


async def _look(here: Context, files: Sequence[Path]) -> _Look:
    async with connect(impatient(here.settings)) as log:
        return await _look_over(here, files, log)


async def _look_over(here: Context, files: Sequence[Path], log: Log) -> _Look:
    catalogue = Catalogue.load(here.settings.schemas_roots(), here.settings.only_agencies)
    placements = place(here.settings, files)
    tried = attempt(here.settings, catalogue, placements)
    installed = attempt(here.settings, catalogue).indicators if placements else {}
    known = await published(log.reader, log.snapshots, Codec(catalogue), await log.topics())
    return _Look(tried, placements, compare(tried, known, installed))


async def _deploy(here: Context, files: Sequence[Path], *, wait: bool, quiet: bool) -> tuple[_Look, list[Path], int | None]:
    async with connect(impatient(here.settings)) as log:
        look = await _look_over(here, files, log)
        if not quiet:
            _show(look.entries)
        refuse(look.tried, look.entries, look.placements)
        wanted = targets(look.entries, look.tried, [each.target.stem for each in look.placements], computing=wait)
        await apply_topics(here.settings, topics_of(here.settings, look.tried, [target.indicator for target in wanted]))
        _warn(here, look.placements)
        changed = install(look.placements)
        for path in changed:
            err.print(f"installed {path}", soft_wrap=True, markup=False)
        await _note(log, look, wanted)
        if not wanted:
            err.print("nothing to do: every file is published as it is")
            return look, changed, 0
        if not wait:
            err.print(f"{len(wanted)} to be computed by the running bus; --wait follows it, `bus status` shows it")
            return look, changed, None
        rows = await _followed(here, log, wanted)
        err.print(f"[green]published:[/green] {_named(wanted)}, {rows:,} rows", soft_wrap=True)
        return look, changed, rows


async def _note(log: Log, look: _Look, wanted: Sequence[Target]) -> None:
    audit = Audit(log.publisher, log.reader, SystemClock())
    before = {entry.indicator: entry.old for entry in look.entries}
    for target in wanted:
        if before[target.indicator] != target.version:
            was = f"version {before[target.indicator]}" if before[target.indicator] is not None else "new"
            await audit.note("deploy", target.indicator, State.DONE, reason=f"{was} -> version {target.version}")


async def _followed(here: Context, log: Log, wanted: Sequence[Target]) -> int:
    installation = Installation.load(here.settings)
    with _bars() as report:
        return await until_published(installation, log, wanted, report=report)


def _warn(here: Context, placements: Sequence[Placement]) -> None:
    for root in sorted({each.target.parent.parent for each in placements}):
        if not root.is_dir():
            err.print(
                f"[yellow]{root} is new:[/yellow] a bus that already runs with this overlay has to be started again to look there",
                soft_wrap=True,
            )


class _Bars:
    """How far the stages are on the way to the new rows."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, progress: idle.Progress) -> None:
        for stage in (progress.fold, progress.merge):
            if stage.total:
                if stage.stage not in self._tasks:
                    self._tasks[stage.stage] = self._progress.add_task(stage.stage, total=None)
                self._progress.update(self._tasks[stage.stage], total=stage.total, completed=stage.done)


@contextmanager
def _bars() -> Iterator[_Bars]:
    columns = (SpinnerColumn(), TextColumn("{task.description:<6}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        yield _Bars(progress)


def _named(wanted: Sequence[Target]) -> str:
    return ", ".join(f"{target.indicator} version {target.version}" for target in wanted)


_COLOURS = {Standing.NEW: "green", Standing.CHANGED: "yellow", Standing.REFUSED: "red", Standing.GONE: "magenta"}


def _show(entries: Sequence[Entry]) -> None:
    """One line for each that differs, and how many do not."""
    table = Table("indicator", "", "version", "what differs", box=None, pad_edge=False)
    for entry in entries:
        if entry.standing is not Standing.UNCHANGED:
            colour = _COLOURS[entry.standing]
            table.add_row(entry.indicator, f"[{colour}]{entry.standing}[/{colour}]", _versions(entry), "\n".join(entry.parts))
    if table.row_count:
        out.print(table)
    same = sum(entry.standing is Standing.UNCHANGED for entry in entries)
    out.print(f"{same} unchanged")
    for entry in entries:
        if entry.standing is Standing.UNCHANGED and 0 < entry.shown < (entry.new or 0):
            out.print(f"{entry.indicator}: version {entry.new} is being computed; readers still have {entry.shown}", soft_wrap=True)


def _versions(entry: Entry) -> str:
    if entry.old is None or entry.new is None or entry.old == entry.new:
        return str(entry.old if entry.new is None else entry.new)
    return f"{entry.old} -> {entry.new}"


def _json(entry: Entry) -> dict[str, object]:
    return {
        "indicator": entry.indicator,
        "standing": entry.standing.value,
        "published_version": entry.old,
        "file_version": entry.new,
        "shown_version": entry.shown,
        "differs": list(entry.parts),
        "problems": [{"where": each.where, "what": each.what, "rule": each.rule} for each in entry.problems],
    }

"""`bus quarantine`: what was refused, why, and bringing it in once the mapping is right; `bus new-key` for the agency's key pair."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bus.cli.context import AsJson, Context, Overlay, context, err, impatient, out, print_json, require_broker, run_async
from bus.clock import SystemClock
from bus.errors import ConfigurationError, Problem
from bus.ingest.manifest import Agency
from bus.ingest.privacy.keys import door_of
from bus.ingest.quarantine import OPEN, Entry, Place, parse_place
from bus.ingest.seal import private_key_path, sealer_for
from bus.kafka.places import LogPlace
from bus.ops.installation import Installation
from bus.ops.quarantine import Replayed, Shown, list_quarantine, replay, show, show_original
from bus.ops.wiring import connect

quarantine = typer.Typer(help="Records and files that were refused, with the reason; their content is sealed.", no_args_is_help=True)

Key = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="The agency's private key (default: the one made on this machine, in BUS_DATA_DIR/keys)."),
]
Places = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PLACE]...", help="As `list` shows it."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(quarantine, name="quarantine")
    app.command("new-key")(new_key)


@quarantine.command("list")
def list_entries(
    agency: Annotated[str | None, typer.Argument(help="Only this agency.")] = None,
    resolved: Annotated[bool, typer.Option("--all", help="Also what is resolved.")] = False,
    overlay: Overlay = None,
    as_json: AsJson = False,
    english: Annotated[bool, typer.Option("--english", help="Say what is wrong in English.")] = False,
) -> None:
    """What is in quarantine: file, line, field, and what is allowed, in Indonesian, as agencies read it. Needs no key.

    Example: bus quarantine list dlh
    """
    here = context(overlay)
    require_broker(here.settings)
    found = run_async(_list(here, agency, state=None if resolved else OPEN))
    if as_json:
        print_json([{"agency": name, **each.value()} for name, entries in found.items() for each in entries])
        return
    table = Table("place", "state", "file", "line", "rule", "what", box=None, pad_edge=False)
    for entries in found.values():
        for each in entries:
            table.add_row(
                each.place.key,
                each.state,
                each.file,
                str(each.line),
                each.reason.get("rule", ""),
                each.reason.get("message_en" if english else "message", ""),
            )
    if table.row_count:
        out.print(table)
    else:
        err.print("nothing is in quarantine")


@quarantine.command("show")
def show_entry(agency: str, place: str, key: Key = None, overlay: Overlay = None) -> None:
    """Open one sealed record with the agency's private key. What it prints may be personal data.

    A record that a fold left out (its place begins with `fold|`) is read from the log again and needs no key.

    Example: bus quarantine show dlh 'dlh/ispu|2|70' --key dlh.private
    """
    here = context(overlay)
    require_broker(here.settings)
    shown = run_async(_show(here, agency, _place(place), key))
    for name, value in shown.entry.reason.items():
        err.print(f"{name}: {value}", soft_wrap=True, markup=False)
    typer.echo(shown.content.decode("utf-8", "replace"))


@quarantine.command("replay")
def replay_entries(agency: str, places: Places = None, key: Key = None, overlay: Overlay = None, as_json: AsJson = False) -> None:
    """Try open records again with today's mapping (all of the agency, or those named); exit 1 when any is still refused.

    Of a record that a fold left out it says what to mend; it is closed once higher versions of the indicators take it, or the data
    are mended: a later version of its subject stands that they can use, or the subject is cancelled.

    Example, after the mapping was mended: bus quarantine replay dlh
    """
    here = context(overlay)
    require_broker(here.settings)
    results = run_async(_replay(here, agency, [_place(each) for each in places] if places else None, key))
    if as_json:
        print_json(
            [
                {
                    "place": each.place.key,
                    "resolved": each.resolved,
                    "events": each.events,
                    "refused": each.refused,
                    "problem": each.problem_en,
                    "outcome": each.outcome,
                }
                for each in results
            ]
        )
    else:
        for line in _lines(results):
            out.print(line, soft_wrap=True, markup=False)
        if not results:
            err.print("nothing is in quarantine")
    if not all(each.resolved for each in results):
        raise typer.Exit(1)


def new_key(
    agency: str,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="Where to put both files (default: BUS_DATA_DIR/keys).")
    ] = None,
    overlay: Overlay = None,
) -> None:
    """Make the key pair that an agency's quarantined records are sealed with. Never overwrites one.

    The public half belongs into BUS_DATA_DIR/keys of the machine that runs the connectors; the private half belongs to the agency.

    Example: bus new-key dlh --folder ~/keys
    """
    settings = context(overlay).settings
    if agency not in Installation.load(settings).agencies:
        raise ConfigurationError(
            [Problem(f"bus new-key {agency}", f"unknown agency; known are: {', '.join(Installation.load(settings).agencies)}")]
        )
    keys = folder or settings.data_dir / "keys"
    for half in (keys / f"{agency}.private", keys / f"{agency}.public"):
        if half.exists():
            raise ConfigurationError([Problem(str(half), "is there already; what was sealed with it would be lost, so it is not replaced")])
    sealer_for(keys, agency)
    out.print(f"{keys / agency}.private (keep it secret) and {keys / agency}.public", soft_wrap=True)


def _place(text: str) -> Place | LogPlace:
    try:
        return parse_place(text)
    except ValueError:
        what = "is no place; expected source|delivery|line or fold|topic/partition/offset|indicator as `bus quarantine list` shows it"
        raise ConfigurationError([Problem(text, what)]) from None


def _lines(results: list[Replayed]) -> Iterator[str]:
    """A line for each record; where indicators left out one of the log, below it a line for each thing to say, with those that it is said of."""
    left_out: dict[str, dict[str, list[str]]] = {}
    for result in results:
        if isinstance(result.place, LogPlace):
            said = left_out.setdefault(result.place.where, {})
            name = result.place.indicator
            # what is the same but for the indicator's name is said once
            text = (
                _sentence(result).replace(f"{name}: ", "", 1).replace(f"{name}.toml", "the indicator's file") if name else _sentence(result)
            )
            said.setdefault(text, []).append(name or "every indicator")
        else:
            yield f"{result.place.key}: {_sentence(result)}"
    for where, said in left_out.items():
        yield f"{where}:"
        yield from (f"  {', '.join(names)}: {text}" for text, names in said.items())


def _sentence(result: Replayed) -> str:
    if not result.resolved:
        return f"still refused: {result.problem_en}"
    if result.outcome:
        return result.outcome
    more = f", {result.refused} of its records refused" if result.refused else ""
    return f"{result.events} events published{more}"


def _agency(installation: Installation, name: str) -> Agency:
    if name not in installation.agencies:
        raise ConfigurationError([Problem(name, f"unknown agency; known are: {', '.join(installation.agencies) or 'none'}")])
    return installation.agencies[name]


def _private(here: Context, agency: str, key: Path | None) -> Path:
    path = key or private_key_path(here.settings.data_dir / "keys", agency)
    if not path.is_file():
        raise ConfigurationError([Problem(str(path), "there is no such key; give the agency's private key with --key FILE")])
    return path


async def _list(here: Context, agency: str | None, *, state: str | None) -> dict[str, list[Entry]]:
    installation = Installation.load(here.settings)
    names = [_agency(installation, agency).id] if agency else list(installation.agencies)
    async with connect(impatient(here.settings)) as log:
        return {name: list(await list_quarantine(log.reader, name, state=state)) for name in names}


async def _show(here: Context, agency: str, place: Place | LogPlace, key: Path | None) -> Shown:
    installation = Installation.load(here.settings)
    _agency(installation, agency)
    async with connect(impatient(here.settings)) as log:
        if isinstance(place, LogPlace):
            return await show_original(log.reader, installation.codec, agency, place)
        return await show(log.reader, agency, place, private_key=_private(here, agency, key))


async def _replay(here: Context, agency: str, places: list[Place | LogPlace] | None, key: Path | None) -> list[Replayed]:
    installation = Installation.load(here.settings)
    chosen = _agency(installation, agency)
    async with connect(impatient(here.settings)) as log:
        found = await replay(
            chosen,
            publisher=log.publisher,
            reader=log.reader,
            snapshots=log.snapshots,
            codec=installation.codec,
            clock=SystemClock(),
            keys=here.settings.data_dir / "keys",
            private_key=key or private_key_path(here.settings.data_dir / "keys", agency),
            indicators=installation.leaves,
            places=places,
            door=door_of(chosen, here.settings, SystemClock()),
        )
        return list(found)

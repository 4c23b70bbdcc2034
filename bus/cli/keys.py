"""`bus keys`, `bus erase`: the keys that close personal data, their rotation and replacement, and destroying those of a subject."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bus.cli import replacement
from bus.cli.context import Context, Overlay, context, err, impatient, out, require_broker, run_async
from bus.cli.replacement import KINDS, Kind, keys_of
from bus.clock import SystemClock
from bus.errors import ConfigurationError, Problem
from bus.ops.audit import Audit
from bus.ops.erasure import erase
from bus.ops.installation import Installation
from bus.ops.wiring import connect

keys = typer.Typer(help="The keys that pseudonyms and sealed fields are made with.", no_args_is_help=True)
replacement.register(keys)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(keys, name="keys")
    app.command("erase")(erase_subject)


@keys.command("rotate")
def rotate(agency: Annotated[str, typer.Argument(help="The agency's id.")], overlay: Overlay = None) -> None:
    """Wrap an agency's keys by new key-encryption keys. Pseudonyms and sealed fields stay what they are; stop its connector before.

    Those of a join domain are wrapped anew for all agencies that share it. Example: bus keys rotate rsud
    """
    for path in keys_of(context(overlay), agency).rotate():
        out.print(f"wrapped anew: {path}", soft_wrap=True)


@keys.command("pseudonym")
def pseudonym(
    agency: Annotated[str, typer.Argument(help="The agency's id.")],
    kind: Kind = "nik",
    former: Annotated[bool, typer.Option("--former", help="The one under the key before a replacement that is not finished.")] = False,
    overlay: Overlay = None,
) -> None:
    """Read one identifier from standard input and print its pseudonym, by which its facts are found. For requests of the person concerned.

    Example: bus keys pseudonym rsud --kind nik < permohonan.txt
    """
    if kind not in KINDS:
        raise ConfigurationError([Problem("--kind", f"{kind!r}; allowed: {', '.join(KINDS)}")])
    found = keys_of(context(overlay), agency)
    door = found.former() if former else found.known()
    out.print(door.pseudonym(KINDS[kind].read(sys.stdin.readline().strip(), kind)))


def erase_subject(
    agency: Annotated[str, typer.Argument(help="The agency's id.")],
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="The event type.")],
    subject: Annotated[str, typer.Argument(help="The subject as it stands in the topic; with * at the end all that begin so.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the audit.")],
    overlay: Overlay = None,
) -> None:
    """Destroy the key of a subject's sealed fields, for good: nobody can read them any more. Numbers and their proofs stay.

    On the machine that runs the agency's connector.

    Example: bus erase rsud rsud.visit.recorded.v1 'hmac:abcd…/*' --reason "permohonan 12/2026"
    """
    here = context(overlay)
    require_broker(here.settings)
    erased = run_async(_erase(here, agency, event_type, subject, reason))
    for name in erased:
        out.print(f"erased: {name}", soft_wrap=True, markup=False)
    err.print(f"{len(erased)} keys destroyed" if erased else "nothing to do: all of it was erased before")


async def _erase(here: Context, agency: str, event_type: str, subject: str, reason: str) -> list[str]:
    installation = Installation.load(here.settings)
    found = keys_of(here, agency, installation)
    if event_type not in installation.agencies[agency].manifest.events:
        known = ", ".join(installation.agencies[agency].manifest.events)
        raise ConfigurationError([Problem(event_type, f"is no event type of {agency}; it has {known}")])
    async with connect(impatient(here.settings)) as log:
        audit = Audit(log.publisher, log.reader, SystemClock())
        return await erase(agency, found, installation.catalogue[event_type], subject, reason=reason, audit=audit)

"""`bus keys replace`, `map`, `forget-former`: what is done when a pseudonym key has leaked."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bus.cli.context import Context, Overlay, context, err, impatient, out, require_broker, run_async
from bus.cli.progress import bar
from bus.clock import SystemClock
from bus.errors import ConfigurationError, Problem
from bus.events.personal import mapping_type
from bus.ingest.manifest import Agency
from bus.ingest.privacy import Identifier, Nik, NoKk, PersonName, Phone
from bus.ingest.privacy.keys import AgencyKeys, agency_keys
from bus.ops.audit import Audit, State, check_reason
from bus.ops.installation import Installation
from bus.ops.pseudonyms import Given, mapping_schema, pairs_of, publish
from bus.ops.replacement import forget_former, replace_key
from bus.ops.wiring import connect

#: What a line of standard input may be, by the name of its kind.
KINDS: Mapping[str, type[Identifier]] = {kind.kind: kind for kind in (Nik, NoKk, Phone, PersonName)}
_NAMED = 50

AgencyId = Annotated[str, typer.Argument(metavar="AGENCY", help="The agency's id.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit. No personal data.")]
Kind = Annotated[str, typer.Option("--kind", help="nik, no_kk, phone or name.")]


def register(keys: typer.Typer) -> None:
    """Add the commands to `bus keys`."""
    keys.command("replace")(replace)
    keys.command("map")(map_pseudonyms)
    keys.command("forget-former")(forget)


def replace(agency: AgencyId, reason: Reason, overlay: Overlay = None) -> None:
    """Replace a pseudonym key that has leaked; stop the connectors of its domain before.

    bus keys replace rsud --reason "cadangan kunci hilang, laporan 7/2026"

    Pseudonyms are other ones from then on, so every event type that holds some gets a new major. They are
    named here, and nothing goes into their topics any more: a source that still gives one stands still. The
    former key is kept beside the new one, for `bus keys map`, until `bus keys forget-former`. What tells the
    old pseudonyms from the new, <agency>.pseudonym.mapped.v1, is written, released and declared.

    It may be killed at any moment: run it again. When only a .kek has leaked, `bus keys rotate` is enough.
    """
    here = context(overlay)
    check_reason(reason)
    # also agencies that this installation does not serve: they may share the domain
    installation = Installation.load(here.settings.model_copy(update={"only_agencies": ()}))
    keys = keys_of(here, agency, installation)
    found, written = _prepared(keys, installation)
    run_async(_replace(here, keys, [name for names in found.values() for name in names], reason))
    out.print(f"the key of domain {keys.domain} is a new one; the one before is kept", soft_wrap=True, markup=False)
    for path in written:
        out.print(f"written: {path}", soft_wrap=True, markup=False)
    for name in (name for names in found.values() for name in names):
        out.print(f"needs a new major: {name}", soft_wrap=True, markup=False)
    err.print(_next_steps(agency, keys.domain, found), soft_wrap=True, markup=False)


def map_pseudonyms(
    agency: AgencyId,
    kind: Kind = "nik",
    event_type: Annotated[str, typer.Option("--type", help="The event type; default: <agency>.pseudonym.mapped.v1.")] = "",
    overlay: Overlay = None,
) -> None:
    """Read one identifier a line from standard input, and publish which pseudonym of the replaced key is which of the new one.

    Once for each person, however often it is run and with whatever lists. Lines that hold no such identifier are
    told by their numbers, and the answer is then 1. No identifier is kept, sent, logged or shown.

    Example: bus keys map rsud --kind nik < semua_nik.txt
    """
    here = context(overlay)
    if kind not in KINDS:
        raise ConfigurationError([Problem("--kind", f"{kind!r}; allowed: {', '.join(KINDS)}")])
    require_broker(here.settings)
    given, told = run_async(_map(here, agency, KINDS[kind], event_type or mapping_type(agency)))
    out.print(f"{told:,} mapped, {len(given.pairs) - told:,} were mapped before", markup=False)
    if given.bad:
        more = f" … and {len(given.bad) - _NAMED:,} more" if len(given.bad) > _NAMED else ""
        err.print(f"{len(given.bad):,} lines hold no {kind}: {', '.join(map(str, given.bad[:_NAMED]))}{more}", soft_wrap=True, markup=False)
        raise typer.Exit(1)


def forget(agency: AgencyId, reason: Reason, overlay: Overlay = None) -> None:
    """Destroy the key that `bus keys replace` kept, for good: old pseudonyms can be computed no more.

    Refused while an event type with its pseudonyms is declared or has a topic. Destroy copies of the key yourself.

    Example: bus keys forget-former rsud --reason "topik lama sudah dihapus"
    """
    here = context(overlay)
    require_broker(here.settings)
    check_reason(reason)
    run_async(_forget(here, agency, reason))
    out.print("the former key is destroyed on this machine", markup=False)


def keys_of(here: Context, agency: str, installation: Installation | None = None) -> AgencyKeys:
    """The keys of an agency. Raises `ConfigurationError` for an unknown one, with those there are."""
    agencies = (installation or Installation.load(here.settings)).agencies
    if agency not in agencies:
        raise ConfigurationError([Problem(agency, f"unknown agency; known are: {', '.join(agencies) or 'none'}")])
    return agency_keys(agencies[agency], here.settings, SystemClock())


def _prepared(keys: AgencyKeys, installation: Installation) -> tuple[Mapping[str, Sequence[str]], list[Path]]:
    """Agency -> its event types that hold pseudonyms of the domain, and the files written so that each can map them."""
    # imported here: it reads samples and carries what they need, which `bus keys pseudonym` should not wait for
    scaffold = importlib.import_module("bus.testing.scaffold.pseudonyms")
    sharing = [each for each in installation.agencies.values() if (each.manifest.privacy.join_domain or each.id) == keys.domain]
    found = {each.id: names for each in sharing if (names := scaffold.holders(each, installation.catalogue))}
    if keys.replaced:
        return found, []
    keys.check_replaceable()
    return found, [path for name in found for path in scaffold.add_mapping_type(installation.agencies[name])]


async def _replace(here: Context, keys: AgencyKeys, types: Sequence[str], reason: str) -> None:
    if not here.settings.kafka.bootstrap_servers:
        err.print("[yellow]no broker is named:[/yellow] the audit does not get this; write down who did it and why", soft_wrap=True)
        await replace_key(keys, types, reason=reason, audit=None)
        return
    async with connect(impatient(here.settings)) as log:
        await replace_key(keys, types, reason=reason, audit=Audit(log.publisher, log.reader, SystemClock()))


def _next_steps(agency: str, domain: str, found: Mapping[str, Sequence[str]]) -> str:
    forget = f'bus keys forget-former {agency} --reason "..." on each of these machines, and destroy all copies of the former key.'
    steps = [
        f"Copy what is new in keys/ (domain.{domain}.*, each with its .kek) to every other machine that has this key, and keep a copy.",
        """Write a new major of each type that is named above. A source with a new id gives it, for it has to read everything from the
     beginning; the source of before goes. Then: bus check, bus topics apply, and start the connectors.""",
        "Erase again whom `erase` in bus.audit names, under the new majors: the key store's marks are those of the old subjects.",
        *(
            f"bus keys map {each} --kind nik < FILE, with all persons that it still holds; and so each other kind that it has."
            for each in found
        ),
        """When the new topics are proven (bus verify): take the old majors and their indicators away and delete their topics; also
     that of the mapping, when everybody has used it, for with the leaked key it leads to the new pseudonyms.""",
        forget,
    ]
    if not found:
        steps = [steps[0], forget]
    return "\n".join(["Next:", *(f"  {number}. {step}" for number, step in enumerate(steps, 1))])


async def _map(here: Context, agency_id: str, kind: type[Identifier], name: str) -> tuple[Given, int]:
    installation = Installation.load(here.settings)
    keys = keys_of(here, agency_id, installation)
    agency: Agency = installation.agencies[agency_id]
    schema = mapping_schema(agency, installation.catalogue.types, name)
    real = here.settings.simulation
    given = pairs_of(sys.stdin.buffer.read().splitlines(), kind, keys.former(simulation=real), keys.known(simulation=real))
    async with connect(impatient(here.settings)) as log:
        audit = Audit(log.publisher, log.reader, SystemClock())
        with bar("mapping") as progress:
            told = await publish(schema, given.pairs, log.publisher, log.reader, installation.codec, SystemClock(), progress)
        if told:
            await audit.note("map pseudonyms", name, State.DONE, counts={schema.type.topic: {"CREATE": told}})
    return given, told


async def _forget(here: Context, agency: str, reason: str) -> None:
    installation = Installation.load(here.settings.model_copy(update={"only_agencies": ()}))
    keys = keys_of(here, agency, installation)
    async with connect(impatient(here.settings)) as log:
        audit, topics = Audit(log.publisher, log.reader, SystemClock()), await log.topics()
        await forget_former(keys, reason=reason, audit=audit, declared=installation.catalogue.types, topics=topics)

"""`bus schemas`, `bus check`: what the repository and its overlays declare, held against the rules."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import typer

from bus.cli.context import AsJson, Overlay, context, err, out, print_json
from bus.errors import ConfigurationError, Problem
from bus.events.catalogue import Catalogue
from bus.events.release import release
from bus.settings import Settings

schemas = typer.Typer(help="The event schemas and their pinned ids.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(schemas, name="schemas")
    app.command("check")(check)


@schemas.command()
def lock(overlay: Overlay = None) -> None:
    """Give new and compatibly changed schemas their ids in registry.lock.json. Commit that file; an id is never reused.

    With --overlay only the overlays' schemas are released, into their own lock files.
    """
    settings = context(overlay).settings
    roots = settings.schemas_roots()
    released = [
        (root, each) for root in (roots[1:] if settings.overlay else roots[:1]) for each in release(root, overlay=bool(settings.overlay))
    ]
    for root, each in released:
        out.print(f"{each.name} version {each.version}: id {each.id} in {root}", soft_wrap=True)
    if not released:
        out.print("nothing to release: every schema has its id")


@schemas.command("check")
def check_schemas(overlay: Overlay = None, as_json: AsJson = False) -> None:
    """Read all schemas and their lock files; exit 2 with every problem when something is wrong."""
    found = Catalogue.load(context(overlay).settings.schemas_roots()).schemas
    if as_json:
        print_json([{"name": each.name, "version": each.version, "id": each.schema_id, "fingerprint": each.fingerprint} for each in found])
    else:
        for each in found:
            out.print(f"{each.schema_id:>10}  {each.name} (version {each.version})")


def check(
    agency: Annotated[str | None, typer.Argument(help="Only what belongs to this agency.")] = None,
    overlay: Overlay = None,
    as_json: AsJson = False,
) -> None:
    """Run the conformance kit: every numbered rule on every agency, schema, indicator and consumer.

    Example: bus check dlh
    """
    settings = context(overlay).settings
    if agency is not None:
        _require_agency(settings, agency)
    # imported here: the kit carries every rule and what they need, which no other command should wait for
    report = importlib.import_module("bus.testing.kit").check(settings, agency)
    if as_json:
        problems = [{"where": each.where, "what": each.what, "rule": each.rule} for each in report.problems]
        print_json({"checks": report.cases, "subjects": report.subjects, "problems": problems})
    else:
        for problem in report.problems:
            err.print(str(problem), soft_wrap=True, markup=False)
        err.print(str(report))
    if not report.ok:
        raise typer.Exit(1)


def _require_agency(settings: Settings, agency: str) -> None:
    folders: list[Path] = [
        path for root in settings.connector_roots() for path in root.iterdir() if path.is_dir() and path.name.isidentifier()
    ]
    known = sorted({path.name for path in folders if not path.name.startswith("_")})
    if agency not in known:
        raise ConfigurationError([Problem(f"bus check {agency}", f"unknown agency; known are: {', '.join(known) or 'none'}")])

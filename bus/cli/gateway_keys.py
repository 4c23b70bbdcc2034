"""`bus gateway-key`: an API key for a client of the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bus.cli.context import context, err, out
from bus.errors import ConfigurationError, Problem
from bus.ops.apikeys import Role, add_key


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gateway-key")(gateway_key)


def gateway_key(
    client: Annotated[str, typer.Argument(help="Name of the client, as the access log shows it.")],
    role: Annotated[Role, typer.Option("--role", help="What it may see: what is released, cells of at least 5, or all.")],
    file: Annotated[Path | None, typer.Option("--file", metavar="FILE", help="The file of keys (default: BUS_GATEWAY__KEYS_FILE).")] = None,
) -> None:
    """Make an API key of the gateway, print it once, and write its hash. A running gateway takes it up by itself.

    Clients send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`. To take a key back, remove its line from the file.

    Example: bus gateway-key mcd_screen --role internal
    """
    path = file or context().settings.gateway.keys_file
    if path is None:
        raise ConfigurationError([Problem("--file", "say where the keys are, here or in BUS_GATEWAY__KEYS_FILE")])
    key = add_key(path, client, role)
    err.print(f"{client} ({role}) added to {path}; the key is shown now and never again:", soft_wrap=True, markup=False)
    out.print(key, soft_wrap=True, markup=False)

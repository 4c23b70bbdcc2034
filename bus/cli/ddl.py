"""`bus ddl`: what an agency's database administrator runs before we can read."""

from __future__ import annotations

from typing import Annotated

import typer

from bus.cli.context import out
from bus.errors import ConfigurationError, Problem
from bus.ingest.kinds.sql_ddl import FORMS, ddl


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ddl")(print_ddl)


def print_ddl(
    form: Annotated[str, typer.Argument(help="postgresql, mariadb, mysql, sqlite: an outbox table; postgres-cdc: logical replication.")],
    table: Annotated[str, typer.Option("--table", help="The outbox's name; for postgres-cdc the published tables.")] = "",
) -> None:
    """Print the SQL that makes an outbox table, or opens tables to change capture, with its explanation in Indonesian and English."""
    if form not in FORMS:
        raise ConfigurationError([Problem(f"bus ddl {form}", f"is not known; allowed: {', '.join(FORMS)}")])
    out.print(ddl(form, table), end="", markup=False, highlight=False, soft_wrap=True)

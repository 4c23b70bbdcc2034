"""What an agency's database administrator runs before we can read: SQL texts with explanations, kept as files beside."""

from __future__ import annotations

import re
from pathlib import Path

from bus.ingest.kinds.sql_spec import DEFAULT_TABLE

_FOLDER = Path(__file__).parent / "ddl"
#: What can be asked for -> its file.
FORMS = {
    "postgresql": "postgresql.sql",
    "mariadb": "mariadb.sql",
    "mysql": "mariadb.sql",
    "sqlite": "sqlite.sql",
    "postgres-cdc": "postgres-cdc.sql",
}
_EXAMPLE_TABLES = "public.contoh"


def ddl(form: str, table: str = "") -> str:
    """The text for one of `FORMS`; `table` is the outbox's name, or the tables that are published."""
    text = (_FOLDER / FORMS[form]).read_text(encoding="utf-8")
    name = table or (_EXAMPLE_TABLES if form == "postgres-cdc" else DEFAULT_TABLE)
    return text.replace("{table}", name).replace("{index}", re.sub(r"\W", "_", name))

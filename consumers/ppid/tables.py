"""The tables of the store, the same on SQLite and PostgreSQL, and how a database of an older form becomes one of this."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from bus.errors import ConfigurationError, Problem

METADATA = sa.MetaData()
_Micros = sa.BigInteger

#: One row: the form of this database.
form = sa.Table("ppid_form", METADATA, sa.Column("version", sa.Integer, primary_key=True))

#: One row for each log that was ever followed. A topic that begins anew is another log, of the next generation; the highest is the current one.
log = sa.Table(
    "ppid_log",
    METADATA,
    sa.Column("indicator", sa.String(200), primary_key=True),
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),  # the next offset to read
    sa.Column("moment_us", _Micros, nullable=False),  # the highest release told so far
    sa.Column("version", sa.BigInteger, nullable=False),  # the highest definition version so far
    sa.Column("last_digest", sa.String(64), nullable=False),  # of the record before `position`: tells another log from this one
    sa.Column("began_us", _Micros, nullable=False),
)

#: Every row that readers ever had. `from_us` and `until_us` are moments of the log; a row that stands has no `until_us`.
observation = sa.Table(
    "ppid_observation",
    METADATA,
    sa.Column("indicator", sa.String(200), primary_key=True),
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("log_offset", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("cell", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("from_us", _Micros, nullable=False),
    sa.Column("until_us", _Micros),
    sa.Column("until_offset", sa.BigInteger),
    sa.Column("released_us", _Micros),
    sa.Column("high", sa.BigInteger, nullable=False),
    sa.Column("window_start_us", _Micros, nullable=False),
    sa.Column("window_end_us", _Micros, nullable=False),
    sa.Column("gone", sa.Boolean, nullable=False),
    sa.Column("said", sa.Text, nullable=False),  # canonical JSON of the observation
    sa.Index("ppid_observation_standing", "indicator", "generation", "until_us", "from_us"),
    sa.Index("ppid_observation_release", "indicator", "generation", "from_us"),
    # a cell has at most one row that stands: the database itself refuses a double
    sa.Index(
        "ppid_observation_one_stands",
        "indicator",
        "generation",
        "cell",
        unique=True,
        sqlite_where=sa.text("until_us IS NULL"),
        postgresql_where=sa.text("until_us IS NULL"),
    ),
)

#: Records that could not be read; the log goes on after them.
refused = sa.Table(
    "ppid_refused",
    METADATA,
    sa.Column("indicator", sa.String(200), primary_key=True),
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("log_offset", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("reason", sa.Text, nullable=False),
)

#: Where each dataset stands at the walidata gate. `approved` is the metadata that the public reads; without them nobody sees the dataset.
dataset = sa.Table(
    "ppid_dataset",
    METADATA,
    sa.Column("indicator", sa.String(200), primary_key=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("evidence", sa.String(64), nullable=False),  # digest of what the last check looked at
    sa.Column("held", sa.Boolean, nullable=False),  # given back by a person: only a person publishes it again
    sa.Column("approved", sa.Text),
    sa.Column("first_published_us", _Micros),
    sa.Column("changed_us", _Micros, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
)

#: The change log that the public reads. Rows are only ever added.
change = sa.Table(
    "ppid_change",
    METADATA,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("at_us", _Micros, nullable=False),
    sa.Column("indicator", sa.String(200), nullable=False, index=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("was", sa.String(20), nullable=False),
    sa.Column("became", sa.String(20), nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)

#: Hash and size of files that were made: the same rows and the same maker give the same bytes.
artefact = sa.Table(
    "ppid_artefact",
    METADATA,
    sa.Column("indicator", sa.String(200), primary_key=True),
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("moment_us", _Micros, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("maker", sa.String(80), primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
)


def _first(connection: sa.Connection) -> None:
    METADATA.create_all(connection)


#: What makes form n+1 of form n, at index n. Each runs once, in one transaction with its number.
MIGRATIONS: Sequence[Callable[[sa.Connection], None]] = (_first,)
#: An advisory lock of PostgreSQL, so that two processes do not migrate at once.
_LOCK = 3309_0001


def migrate(connection: sa.Connection, where: str) -> int:
    """Bring the database to this form, within the caller's transaction; the form it had. Raises `ConfigurationError` for a newer form."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    had = 0
    if sa.inspect(connection).has_table(form.name):
        had = connection.execute(sa.select(sa.func.coalesce(sa.func.max(form.c.version), 0))).scalar_one()
    if had > len(MIGRATIONS):
        what = f"the database has form {had}; this version of the bus knows forms up to {len(MIGRATIONS)}: install the newer version"
        raise ConfigurationError([Problem(where, what)])
    for step in MIGRATIONS[had:]:
        step(connection)
    if had < len(MIGRATIONS):
        connection.execute(sa.delete(form))
        connection.execute(sa.insert(form).values(version=len(MIGRATIONS)))
    return had

"""The store: rows with the stretches of time in which they stood, and the position in each log, in one transaction.

A record is applied exactly once, whatever dies in between: the position moves with the rows that the records up to it made, and only from
where it was when the records were read. What a table said at a moment is one query.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from bus.errors import TransientError
from bus.kafka.ports import Record
from consumers.ppid import tables
from consumers.ppid.database import Database
from consumers.ppid.ledger import Changes, Retirement, Row, changes_of
from consumers.ppid.observations import Entry, Observation

_KEYS_AT_ONCE = 400
_O = tables.observation.c
_L = tables.log.c


@dataclass(frozen=True, slots=True)
class LogState:
    """How far one log was read. `moment_us` is the highest release told, 0 before the first."""

    indicator: str
    generation: int
    position: int
    moment_us: int
    version: int
    last_digest: str


@dataclass(frozen=True, slots=True)
class Vintage:
    """A release: the moment from which on the table said something else, how many rows changed with it, and whether more may come with it."""

    moment_us: int
    changed: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Table:
    """What an indicator's table said at a moment: rows by window and dimensions. `moment_us` is the release that it is of."""

    indicator: str
    generation: int
    moment_us: int
    position: int
    complete: bool
    rows: Sequence[Row]


class Store:
    """Reading and writing the rows. All calls block; callers in an event loop use threads."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # what the follower does

    def logs(self) -> Mapping[str, LogState]:
        """The current log of each indicator."""
        return self.database.read(lambda connection: {state.indicator: state for state in map(_state, connection.execute(_current()))})

    def begin(self, indicator: str, *, now_us: int) -> LogState:
        """Take up an indicator's log at its beginning, as a new generation; earlier ones stay as they are."""

        def work(connection: sa.Connection) -> LogState:
            last = connection.execute(sa.select(sa.func.max(_L.generation)).where(_L.indicator == indicator)).scalar()
            state = LogState(indicator, (last or 0) + 1, 0, 0, 0, "")
            connection.execute(sa.insert(tables.log).values(**asdict(state), began_us=now_us))
            return state

        return self.database.write(work)

    def apply(self, state: LogState, entries: Sequence[Entry], unreadable: Mapping[int, str], *, upto: int, digest: str) -> LogState:
        """Apply the records of that log from `state.position` to (not including) `upto`, in one transaction; where the log is now.

        `digest` is that of the record before `upto`. Raises `TransientError` when another process has applied them meanwhile.
        """

        def work(connection: sa.Connection) -> LogState:
            here = sa.and_(_L.indicator == state.indicator, _L.generation == state.generation)
            standing = _standing(connection, state, {entry.cell for entry in entries})
            changes = changes_of(entries, standing, moment_us=state.moment_us, version=state.version)
            new = LogState(state.indicator, state.generation, upto, changes.moment_us, changes.version, digest or state.last_digest)
            moved = connection.execute(
                sa.update(tables.log)
                .where(here, _L.position == state.position)
                .values(position=new.position, moment_us=new.moment_us, version=new.version, last_digest=new.last_digest)
            )
            if moved.rowcount != 1:
                raise TransientError(f"another process follows {state.indicator} into the same database")
            _write(connection, state, changes)
            if unreadable:
                rows = [_refusal(state, offset, reason) for offset, reason in unreadable.items()]
                connection.execute(sa.insert(tables.refused), rows)
            return new

        return self.database.write(work)

    def refusals(self) -> tuple[int, str]:
        """How many records of the current logs could not be read, and the first of them."""
        R = tables.refused.c  # noqa: N806 - the columns, as above
        current = _current().subquery()
        query = (
            sa.select(R.indicator, R.log_offset, R.reason)
            .join(current, sa.and_(R.indicator == current.c.indicator, R.generation == current.c.generation))
            .order_by(R.indicator, R.log_offset)
        )
        found = self.database.read(lambda connection: connection.execute(query).all())
        return len(found), f"public.{found[0][0]} at offset {found[0][1]}: {found[0][2]}" if found else ""

    # what readers ask

    def as_of(self, indicator: str, moment_us: int | None = None) -> Table | None:
        """What the table said at that moment of the log (None: what it says now); nothing when it has said nothing by then."""

        def work(connection: sa.Connection) -> Table | None:
            state = next(map(_state, connection.execute(_current().where(_L.indicator == indicator))), None)
            if state is None:
                return None
            here = sa.and_(_O.indicator == indicator, _O.generation == state.generation)
            upto = state.moment_us if moment_us is None else min(moment_us, state.moment_us)
            release = connection.execute(sa.select(sa.func.max(_O.from_us)).where(here, _O.from_us <= upto)).scalar()
            if release is None:
                return None
            found = connection.execute(_standing_at(indicator, state.generation, release)).all()
            rows = sorted((_row(each) for each in found), key=_place)
            return Table(indicator, state.generation, release, state.position, release < state.moment_us, rows)

        return self.database.read(work)

    def vintages(self, indicator: str) -> Sequence[Vintage]:
        """All releases of the indicator's current log, the newest first."""

        def work(connection: sa.Connection) -> Sequence[Vintage]:
            state = next(map(_state, connection.execute(_current().where(_L.indicator == indicator))), None)
            if state is None:
                return []
            query = (
                sa.select(_O.from_us, sa.func.count())
                .where(_O.indicator == indicator, _O.generation == state.generation)
                .group_by(_O.from_us)
                .order_by(_O.from_us.desc())
            )
            return [Vintage(moment, count, moment < state.moment_us) for moment, count in connection.execute(query)]

        return self.database.read(work)


def digest_of(record: Record) -> str:
    """A record's fingerprint, by which a log is told from another one."""
    head = f"{record.offset}:{len(record.key or b'')}:{record.timestamp_ms}:".encode()
    return hashlib.sha256(head + (record.key or b"") + (record.value or b"")).hexdigest()


def _current() -> sa.Select[*tuple[Any, ...]]:
    newest = sa.select(_L.indicator.label("i"), sa.func.max(_L.generation).label("g")).group_by(_L.indicator).subquery()
    return sa.select(_L.indicator, _L.generation, _L.position, _L.moment_us, _L.version, _L.last_digest).join(
        newest, sa.and_(_L.indicator == newest.c.i, _L.generation == newest.c.g)
    )


def _standing_at(indicator: str, generation: int, moment_us: int) -> sa.Select[*tuple[Any, ...]]:
    """The one query behind "what did this table say then"."""
    return sa.select(tables.observation).where(
        _O.indicator == indicator,
        _O.generation == generation,
        _O.from_us <= moment_us,
        sa.or_(_O.until_us.is_(None), _O.until_us > moment_us),
        _O.gone.is_(False),
    )


def _state(row: sa.Row[*tuple[Any, ...]]) -> LogState:
    return LogState(*row)


def _standing(connection: sa.Connection, state: LogState, cells: Iterable[str]) -> dict[str, Row]:
    wanted = sorted(cells)
    found: dict[str, Row] = {}
    for start in range(0, len(wanted), _KEYS_AT_ONCE):
        query = sa.select(tables.observation).where(
            _O.indicator == state.indicator,
            _O.generation == state.generation,
            _O.until_us.is_(None),
            _O.cell.in_(wanted[start : start + _KEYS_AT_ONCE]),
        )
        found |= {row.said.cell: row for row in map(_row, connection.execute(query))}
    return found


def _row(row: sa.Row[*tuple[Any, ...]]) -> Row:
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's public name
    said = json.loads(values["said"])
    said["evidence"] = [tuple(each) for each in said["evidence"]]
    return Row(
        offset=values["log_offset"], from_us=values["from_us"], released_us=values["released_us"], said=Observation(**said),
        high=values["high"], until_us=values["until_us"], until_offset=values["until_offset"],
    )  # fmt: skip


def _write(connection: sa.Connection, state: LogState, changes: Changes) -> None:
    here = sa.and_(_O.indicator == state.indicator, _O.generation == state.generation)
    if changes.ended:
        ends = [{"o": row.offset, "u": row.until_us, "uo": row.until_offset} for row in changes.ended]
        statement = sa.update(tables.observation).where(here, _O.log_offset == sa.bindparam("o"), _O.until_us.is_(None))
        connection.execute(statement.values(until_us=sa.bindparam("u"), until_offset=sa.bindparam("uo")), ends)
    for retired in changes.retired:
        connection.execute(_retire(here, retired))
    if changes.rows:
        connection.execute(sa.insert(tables.observation), [_values(state, row) for row in changes.rows])


def _retire(here: sa.ColumnElement[bool], retired: Retirement) -> sa.Update:
    return (
        sa.update(tables.observation)
        .where(here, _O.until_us.is_(None), _O.version < retired.version)
        .values(until_us=retired.moment_us, until_offset=retired.offset)
    )


def _values(state: LogState, row: Row) -> dict[str, object]:
    said = row.said
    return {
        "indicator": state.indicator, "generation": state.generation, "log_offset": row.offset, "cell": said.cell, "version": said.version,
        "from_us": row.from_us, "until_us": row.until_us, "until_offset": row.until_offset, "released_us": row.released_us, "high": row.high,
        "window_start_us": said.window_start_us, "window_end_us": said.window_end_us, "gone": said.gone, "said": said.content(),
    }  # fmt: skip


def _refusal(state: LogState, offset: int, reason: str) -> dict[str, object]:
    return {"indicator": state.indicator, "generation": state.generation, "log_offset": offset, "reason": reason}


def _place(row: Row) -> tuple[int, tuple[tuple[bool, str], ...]]:
    return row.said.window_start_us, tuple((value is not None, value or "") for value in row.said.dimensions.values())

"""The `sql` source: PostgreSQL, MariaDB, MySQL and SQLite, asked again and again.

`mode = "outbox"`: a table that the agency's system fills in its own transactions (`bus ddl <database>`). Nothing is missed, whenever a
transaction commits, for rows are not asked for by their number but by not having been taken; each is in the journal before it is marked or
deleted. `mode = "query"`: the rows of a table or query whose watermark is newer, and once more those of the look-back window, which are
compared with what is known.

What they cannot promise. Outbox: the order of two facts is that of their ids, so a row has to be inserted after the change that it tells
of; a row whose `taken_at` is emptied again is known and not sent twice (insert another); who deletes rows that were not taken loses them. Query: a
deleted row is not seen (say it in a column); of changes between two polls only the last is seen; a row without watermark, or whose
change does not raise it, is not seen; neither is one whose transaction stayed open for longer than the look-back window. Both: one process
at a time may read a source, for its journal is on that machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from bus.clock import Clock
from bus.ingest.context import SourceContext
from bus.ingest.kinds.sql_database import Database
from bus.ingest.kinds.sql_outbox import Outbox
from bus.ingest.kinds.sql_query import Query
from bus.ingest.kinds.sql_spec import SqlSpec
from bus.ingest.stream import Reading, Sink

#: At most so often, in seconds, a source in which nothing happens says up to when it was read.
_BEAT_SECONDS = 5.0


class Part(Protocol):
    """One way of reading."""

    async def step(self, sink: Sink) -> bool:
        """Take in what is new, up to some limit; whether there may be more at once."""
        ...


class SqlSource:
    """Reads one database."""

    def __init__(self, context: SourceContext, values: Mapping[str, str]) -> None:
        """Raises `ConfigurationError` for an address that cannot be one; the database is not asked yet."""
        spec = context.spec
        assert isinstance(spec, SqlSpec)
        self._spec = spec
        self._clock: Clock = context.clock
        where = f"BUS_{context.agency.id}__{spec.setting}".upper()
        self._database = Database(where, values[spec.setting], spec.zone)
        self._name = context.name
        self._poll_seconds = context.wait_seconds(spec.poll_seconds)

    async def run(self, sink: Sink, *, until_end: bool) -> None:
        """See `StreamSource.run`. Raises `TransientError` when the database is away, `ConfigurationError` for a wrong password or statement."""
        part = self._part()
        beat = 0.0
        try:
            while True:
                at, moment = self._clock.now(), self._clock.monotonic()
                if await part.step(sink):
                    continue
                if until_end or moment >= beat:
                    await sink.take(Reading(upto=self._upto(at)))
                    beat = moment + _BEAT_SECONDS
                if until_end:
                    return
                await asyncio.sleep(self._poll_seconds)
        finally:
            self._database.close()

    def _part(self) -> Part:
        if self._spec.mode == "outbox":
            return Outbox(self._spec, self._database)
        return Query(self._spec, self._database, self._name, self._clock)

    def _upto(self, at: datetime) -> datetime:
        """What is said of times before this has been read: transactions that were open then are closed."""
        return at - timedelta(seconds=self._spec.look_back_seconds)

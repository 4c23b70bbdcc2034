"""The `postgres-cdc` source: what is committed to PostgreSQL tables, in the order of the commits, by logical replication.

The tables are read once, in the snapshot that the making of the slot exports: it holds exactly the transactions that committed before the
slot's first position, so nothing is missing between the two and nothing is in both. Then the slot's transactions are taken whole: peeked at
(which does not move the slot), journaled together with the position after them, and only then is the slot told to move on. A transaction
that comes again, because a kill came between the two or the server forgot that the slot had moved, ends at or before the journal's
position and is passed over.

The tables are read anew, and compared as a whole with what is known (unchanged is no event, missing is CANCEL), whenever the stream cannot
continue where the journal ends: the slot is gone or lost, somebody else moved it, the server was restored or failed over, a table was
truncated, or the server kept more log for us than `max_lag_bytes`: then the slot is dropped at once, for the agency's disk goes first.

What it cannot promise. Changes between the end of one slot and the next snapshot are not told one by one, only what they led to; and
while a row of a snapshot is refused, rows that vanished in such a gap are not cancelled. A snapshot is taken in one piece, so the tables
have to fit in memory (about 1 GB for a million short rows). A long value that an UPDATE did not touch is not sent by the server: with
REPLICA IDENTITY FULL it is filled from the image before, else the record is refused, never taken for null. A slot fills the agency's
disk while no connector runs at all: against that only the server's `max_slot_wal_keep_size` helps. DDL is not replicated: a new column
is a new field to the mapping. One process at a time may read a source, and a slot belongs to one installation.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

import psycopg
import structlog

from bus import metrics
from bus.errors import FatalError
from bus.ingest.context import SourceContext
from bus.ingest.kinds.cdc_changes import Transaction, received, transactions
from bus.ingest.kinds.cdc_database import CdcDatabase, Slot, Table
from bus.ingest.kinds.cdc_spec import TABLE_FIELD, CdcSpec
from bus.ingest.kinds.pgoutput import Malformed, decode
from bus.ingest.stream import Reading, Received, Sink

_log = structlog.get_logger(__name__)

#: At most so often, in seconds, a source in which nothing happens moves its slot and says up to when it was read.
_BEAT_SECONDS = 5.0
#: How often a full spool is looked at again, in seconds.
_LOOK_SECONDS = 0.5


class CdcSource:
    """Follows one slot."""

    def __init__(self, context: SourceContext, values: Mapping[str, str]) -> None:
        spec = context.spec
        assert isinstance(spec, CdcSpec)
        self._spec = spec
        self._clock = context.clock
        self._poll_seconds = context.wait_seconds(spec.poll_seconds)
        self._name = context.name
        self._labels = context.agency.id, context.source_id
        self._key = None if context.meaning.key_of else [name for name in spec.key if name != TABLE_FIELD]
        where = f"BUS_{context.agency.id}__{spec.setting}".upper()
        slot = spec.slot or f"bus_{context.agency.id}_{context.source_id}"[:63]
        self._database = CdcDatabase(where, values[spec.setting], slot, spec.publication, spec.timezone)

    async def run(self, sink: Sink, *, until_end: bool) -> None:
        """See `StreamSource.run`. Raises `TransientError` when the database is away, `ConfigurationError` for what its administrator has
        to mend, `FatalError` when the stream is not one that we can read."""
        database = self._database
        beat = 0.0
        try:
            tables = await database.do(partial(database.tables, names=self._spec.tables, key=self._key))
            while True:
                at, moment = self._clock.now(), self._clock.monotonic()
                slot = await self._watched(sink)
                if slot is None:
                    await self._snapshot(sink, tables)
                    continue
                if await self._step(sink, slot):
                    continue
                if until_end or moment >= beat:
                    await self._idle(sink, slot, at)
                    beat = moment + _BEAT_SECONDS
                if until_end:
                    return
                await asyncio.sleep(self._poll_seconds)
        finally:
            database.close()

    async def _watched(self, sink: Sink) -> Slot | None:
        """The slot, when the journal can continue from it and the spool has room. What the server keeps for us is watched meanwhile."""
        while True:
            slot = await self._database.do(self._database.slot)
            metrics.slot_lag.labels(*self._labels).set(slot.retained)
            if slot.exists and not slot.lost and slot.retained > self._spec.max_lag_bytes:
                _log.error(
                    "the slot is given up so that the server's disk does not fill; its tables will be read anew", source=self._name,
                    lag_bytes=slot.retained, max_lag_bytes=self._spec.max_lag_bytes,
                )  # fmt: skip
                await self._database.do(self._database.drop)
                continue
            if sink.room:
                return slot if self._continues(slot, sink.cursor) else None
            await asyncio.sleep(_LOOK_SECONDS)

    def _continues(self, slot: Slot, cursor: Mapping[str, object]) -> bool:
        """Whether the slot still holds everything after the journal's position."""
        position = cursor.get("position")
        if not isinstance(position, int):
            return False
        reasons = {
            "the slot is gone": not slot.exists,
            "the server has thrown away what the slot needs": slot.lost,
            "the slot was moved by somebody else": slot.confirmed > position,
            "the server's log is another one": slot.identity != cursor.get("server"),
            "the server's log has gone back": slot.now < position,
        }
        for reason in (reason for reason, true in reasons.items() if true):
            _log.warning("tables are read anew", source=self._name, reason=reason)
            return False
        return True

    async def _snapshot(self, sink: Sink, tables: list[Table]) -> None:
        """Make the slot and read the tables as they are where it begins, all in one reading: it is there as a whole or begun again."""

        def work(connection: psycopg.Connection) -> tuple[list[Received], int]:
            records: list[Received] = []
            with self._database.begun(connection) as position:
                for table in tables:
                    # closed before the transaction ends, whatever happens: a connection cannot roll back in the middle of a COPY
                    with contextlib.closing(self._database.rows(connection, table)) as rows:
                        records += (received(table.name, table.columns, row, self._spec) for row in rows)
            return records, position

        at = self._clock.now()
        tables[:] = await self._database.do(partial(self._database.tables, names=self._spec.tables, key=self._key))
        records, position = await self._database.do(work)
        slot = await self._database.do(self._database.slot)
        cursor = {"position": position, "server": slot.identity}
        await sink.take(Reading(records, ", ".join(self._spec.tables), cursor, self._upto(at), whole=True))
        metrics.cdc_snapshots.labels(*self._labels).inc()
        _log.info("the tables were read", source=self._name, records=len(records))

    async def _step(self, sink: Sink, slot: Slot) -> bool:
        """The next transactions; whether there may be more at once. The journal has them before the slot moves."""
        position = int(str(sink.cursor["position"]))
        if slot.confirmed < position:
            # the process before was killed in between, or the server forgot: a crash takes a slot back to its last checkpoint
            await self._database.do(partial(self._database.advance, position=position))
        messages = await self._database.do(partial(self._database.changes, limit=self._spec.limit))
        try:
            found = [each for each in transactions(map(decode, messages), self._spec) if each.end > position]
        except Malformed as error:
            raise FatalError(f"{self._name}: the replication stream cannot be read: {error}") from error
        if not found:
            return False
        before = self._before_truncate(found)
        if before:
            records = [record for each in before for record in each.records]
            await self._take(sink, slot, Reading(records, ", ".join(self._spec.tables)), before[-1].end)
        if len(before) < len(found):
            emptied = ", ".join(sorted(found[len(before)].truncated))
            _log.warning("tables are read anew", source=self._name, reason=f"TRUNCATE of {emptied}")
            await self._database.do(self._database.drop)
            return True
        return len(messages) >= self._spec.limit

    @staticmethod
    def _before_truncate(found: list[Transaction]) -> list[Transaction]:
        """The transactions before the first that emptied a table."""
        for place, each in enumerate(found):
            if each.truncated:
                return found[:place]
        return found

    async def _idle(self, sink: Sink, slot: Slot, at: datetime) -> None:
        """All that was committed when the slot was looked at has been taken: other tables' log is not kept for us either."""
        position = max(slot.now, int(str(sink.cursor["position"])))
        await self._take(sink, slot, Reading(upto=self._upto(at)), position)

    async def _take(self, sink: Sink, slot: Slot, reading: Reading, position: int) -> None:
        cursor = {"position": position, "server": slot.identity}
        await sink.take(Reading(reading.records, reading.name, cursor, reading.upto))
        await self._database.do(partial(self._database.advance, position=position))

    def _upto(self, at: datetime) -> datetime:
        """What is said of times before this has been committed: transactions that were open then are closed."""
        return at - timedelta(seconds=self._spec.look_back_seconds)

"""Runs one source whose readings go through the journal: the reader fills it, the drain empties it, and neither waits for the other.

Kafka may be away for as long as the spool has room: the reader goes on. The source may be away: what is in the journal is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import structlog

from bus import metrics
from bus.errors import ConfigurationError, FatalError, Problem, TransientError
from bus.ingest.context import SourceContext
from bus.ingest.deliver import Progress
from bus.ingest.drain import Drain
from bus.ingest.intake import Intake
from bus.ingest.journal import Journal
from bus.ingest.kinds import READERS
from bus.ingest.lease import Holder, Lease
from bus.ingest.retry import Retry, Sleep
from bus.ingest.stream import Reading, Receipt, StreamSource
from bus.kafka.ports import LogReader
from bus.settings import Settings

_log = structlog.get_logger(__name__)

#: What a full spool waits between two looks, and an empty one, in seconds.
_LOOK_SECONDS = 0.2
#: So long an answer about the lease is waited for before the reader begins without one, in seconds.
_ANSWER_SECONDS = 5.0
#: What giving back the lease may take, in seconds.
_RELEASE_SECONDS = 3.0


def reader_of(context: SourceContext, values: Mapping[str, str]) -> StreamSource:
    """The reader of a source, of the kind that its manifest names. Raises `ConfigurationError` for settings that cannot be used."""
    module_name, _, class_name = READERS[context.spec.type].partition(":")
    source: StreamSource = getattr(importlib.import_module(module_name), class_name)(context, values)
    return source


class StreamRunner:
    """One source of an agency, of a kind in `READERS`."""

    def __init__(
        self, context: SourceContext, values: Mapping[str, str], *, reader: LogReader, settings: Settings, pace: float | None,
        report: Callable[[Progress], None], sleep: Sleep,
    ) -> None:  # fmt: skip
        self._context = context
        self._reader = reader
        self._settings = settings
        self._pace = pace
        self._report = report
        self._sleep = sleep
        self._source = reader_of(context, values)
        self._lease = Lease(
            context.name, context.publisher, reader, clock=context.clock, lease_seconds=settings.ingest.lease_seconds,
            holder=Holder.this_process(),
        )  # fmt: skip
        #: Whether what is read is ours to take; unset while another process is known to publish the source.
        self._allowed = asyncio.Event()
        self._asked = False
        self.progress = Progress(context.name)

    async def run(self, *, until_end: bool) -> None:
        """See `Runner.run`; without an end it never gives up."""
        clock, kafka = self._context.clock, self._settings.kafka
        patience = kafka.retry_seconds if until_end else None
        reading = Retry(self._context.name, clock, give_up_seconds=patience, sleep=self._sleep)
        sending = Retry(f"{self._context.name}: sending", clock, give_up_seconds=patience, sleep=self._sleep)
        with contextlib.closing(await self._opened()) as journal:
            sink = JournalSink(
                self._context,
                journal,
                self._settings,
                retry=reading,
                pace=self._pace,
                sleep=self._sleep,
                read=partial(self._saw, journal),
                allowed=self._allowed,
            )
            ended = asyncio.Event()
            drain = Drain(
                self._context, journal, self._reader, lease=self._lease, turn=sink.turn, batch_messages=self._settings.ingest.batch_records
            )
            async with asyncio.TaskGroup() as group:
                committing = group.create_task(sink.commit_forever())
                asking = group.create_task(self._no_answer())
                draining = group.create_task(sending.run(partial(self._drain, drain, journal, ended, sending)))
                try:
                    await reading.run(partial(self._source.run, sink, until_end=until_end))
                    ended.set()
                    await draining
                finally:
                    committing.cancel()
                    asking.cancel()
                    draining.cancel()

    async def _opened(self) -> Journal:
        path = self._settings.data_dir / "journal" / self._context.agency.id / f"{self._context.source_id}.db"
        while True:
            try:
                return Journal(path, self._context.name, self._context.clock)
            except TransientError as error:
                _log.info("waiting for the journal", source=self._context.name, reason=str(error))
                await self._sleep(1.0)

    async def _drain(self, drain: Drain, journal: Journal, ended: asyncio.Event, retry: Retry) -> None:
        while not await self._ours():
            await self._sleep(self._lease.poll_seconds)
            retry.succeeded()
        try:
            while True:
                over = ended.is_set()
                sent = await drain.step(last=over)
                retry.succeeded()
                self._tell(journal)
                if not sent and over:
                    return
                if not sent:
                    await self._sleep(_LOOK_SECONDS)
        finally:
            # An absent Kafka may not hold up whoever ends this process.
            with contextlib.suppress(TransientError, TimeoutError):
                async with asyncio.timeout(_RELEASE_SECONDS):
                    await self._lease.release()

    async def _no_answer(self) -> None:
        """A Kafka that is away lets nobody wait for as long as its clients are patient (by the machine's own time, as the clients are)."""
        await asyncio.sleep(_ANSWER_SECONDS)
        if not self._asked:
            self._allowed.set()

    async def _ours(self) -> bool:
        """Whether the lease is ours. Another's keeps the reader waiting: two machines must not share an agency's records out between their
        journals. Where nobody can be asked, and never could be, the reader begins all the same."""
        try:
            ours = await self._lease.try_acquire()
        except TransientError:
            if not self._asked:
                self._allowed.set()
            raise
        self._asked = True
        if ours:
            self._allowed.set()
        else:
            self._allowed.clear()
        return ours

    def _saw(self, journal: Journal, reading: Reading, receipt: Receipt) -> None:
        now = self.progress
        self.progress = replace(
            now, state="reading", file=reading.name, records=now.records + len(receipt.outcomes),
            events=now.events + sum(each.events for each in receipt.outcomes),
            quarantined=now.quarantined + sum(each.reason is not None for each in receipt.outcomes),
        )  # fmt: skip
        self._report(self.progress)
        labels = self._context.agency.id, self._context.source_id
        metrics.connector_last_success.labels(*labels).set(self._context.clock.now().timestamp())
        self._tell(journal)

    def _tell(self, journal: Journal) -> None:
        backlog = journal.backlog()
        labels = self._context.agency.id, self._context.source_id
        metrics.backlog_messages.labels(*labels).set(backlog.messages)
        metrics.backlog_bytes.labels(*labels).set(backlog.bytes)
        metrics.backlog_oldest.labels(*labels).set(backlog.oldest.timestamp() if backlog.oldest is not None else 0)


class JournalSink:
    """Where the reader puts what it reads. Readings that are handed in at once share one transaction."""

    def __init__(
        self, context: SourceContext, journal: Journal, settings: Settings, *, retry: Retry, pace: float | None, sleep: Sleep,
        read: Callable[[Reading, Receipt], None], allowed: asyncio.Event,
    ) -> None:  # fmt: skip
        self._allowed = allowed
        self._intake = Intake(context, journal)
        self._journal = journal
        self._cursor = journal.cursor
        self._limit = settings.ingest.spool_bytes
        self._retry = retry
        self._pace = pace
        self._sleep = sleep
        self._read = read
        self._waiting: list[tuple[Reading, asyncio.Future[Receipt]]] = []
        self._work = asyncio.Event()
        self.turn = asyncio.Lock()

    @property
    def cursor(self) -> Mapping[str, object]:
        return self._cursor

    @property
    def room(self) -> bool:
        return self._allowed.is_set() and self._journal.size < self._limit

    async def take(self, reading: Reading) -> Receipt:
        await self._allowed.wait()
        while not self.room:
            await self._sleep(_LOOK_SECONDS)
        taken: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._waiting.append((reading, taken))
        self._work.set()
        receipt = await taken
        self._retry.succeeded()
        self._read(reading, receipt)
        if self._pace and reading.records:
            await self._sleep(len(reading.records) / self._pace)
        return receipt

    async def commit_forever(self) -> None:
        """Take in what waits, all of it in one transaction, again and again. A fault of one reading is every one's: nothing of it is kept."""
        while True:
            await self._work.wait()
            self._work.clear()
            waiting, self._waiting = self._waiting, []
            try:
                async with self.turn:
                    receipts = await asyncio.to_thread(self._intake.take, [reading for reading, _ in waiting])
            except Exception as error:
                for _, taken in waiting:
                    if not taken.done():
                        taken.set_exception(error if isinstance(error, FatalError) else FatalError(f"the journal failed: {error!r}"))
                raise
            for (reading, taken), receipt in zip(waiting, receipts, strict=True):
                self._cursor = self._cursor if reading.cursor is None else reading.cursor
                if not taken.done():
                    taken.set_result(receipt)


def unusable(context: SourceContext, setting: str, what: str) -> ConfigurationError:
    """The error of a setting that a reader cannot use; never with its value."""
    return ConfigurationError([Problem(f"BUS_{context.agency.id}__{setting}".upper(), what)])

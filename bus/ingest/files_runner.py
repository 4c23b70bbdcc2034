"""Runs one source of files: finds them, wins their numbers, delivers them in order, and goes on after whatever goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import structlog

from bus import metrics
from bus.errors import ConfigurationError, Problem, TransientError
from bus.ingest.checkpoint import Checkpoints
from bus.ingest.claims import Claims
from bus.ingest.context import SourceContext
from bus.ingest.deliver import Deliverer, Progress
from bus.ingest.files import Facts, FolderAway, Seen, Settling
from bus.ingest.folder import Folder
from bus.ingest.lease import Holder, Lease
from bus.ingest.publisher import EventPublisher
from bus.ingest.receipts import Receipts
from bus.ingest.retry import Retry, Sleep
from bus.ingest.rows import Rows
from bus.kafka.ports import LogReader
from bus.settings import Settings

_log = structlog.get_logger(__name__)

#: Batches a second when a pace is set, so that it looks like a flow.
_PACED_BATCHES = 4


class FilesRunner:
    """One source of an agency: a folder whose files are deliveries. `acknowledge`: the agency finds a receipt of each beside them."""

    def __init__(
        self, context: SourceContext, *, reader: LogReader, folder: Folder, settings: Settings, pace: float | None, report: Callable[[Progress], None],
        sleep: Sleep, acknowledge: bool,
    ) -> None:  # fmt: skip
        ingest = settings.ingest
        self._context = context
        self._reader = reader
        self._folder = folder
        self._clock = context.clock
        self._sleep = sleep
        self._pace = pace
        self._poll_seconds = context.agency.manifest.poll_seconds or ingest.poll_seconds
        self._settle_seconds = ingest.settle_seconds
        self._retry = Retry(context.name, context.clock, give_up_seconds=settings.kafka.retry_seconds, sleep=sleep)
        self._lease = Lease(
            context.name, context.publisher, reader, clock=context.clock, lease_seconds=ingest.lease_seconds, holder=Holder.this_process()
        )
        self._claims = Claims(context.name, context.publisher, reader, context.clock)
        self._checkpoints = Checkpoints(context.name, context.publisher, reader, context.clock)
        self._receipts = Receipts(context.name, folder, wanted=acknowledge)
        self._deliverer = Deliverer(
            context, EventPublisher(context.agency.id, context.publisher, reader),
            self._checkpoints, self._receipts,
            batch_records=min(ingest.batch_records, max(1, int(pace / _PACED_BATCHES))) if pace else ingest.batch_records,
            before_effects=self._lease.hold, after_records=self._keep_pace, report=report,
        )  # fmt: skip
        self._settling = Settling(self._settle_seconds)
        self._seen: dict[str, Seen] = {}
        self._facts: dict[str, Facts] = {}
        self._claimed: Seen | None = None
        self._rows = Rows()
        self._done = 0
        self._due = 0.0

    @property
    def progress(self) -> Progress:
        return self._deliverer.progress

    async def run(self, *, until_end: bool) -> None:
        """See `Runner.run`."""
        try:
            await self._retry.run(partial(self._once, until_end))
        except asyncio.CancelledError:
            await self._release()
            raise
        finally:
            await self._folder.close()
        await self._release()

    async def _once(self, until_end: bool) -> None:
        if until_end and not await self._folder.exists():
            raise ConfigurationError(
                [Problem(f"agency {self._context.agency.id}", f"its files are read from {self._folder}, which is no folder")]
            )
        while not await self._lease.try_acquire():
            await self._sleep(self._lease.poll_seconds)
            self._succeeded()
        await self._recover()
        while True:
            await self._lease.hold()
            try:
                await self._deliver_claimed()
                facts, waiting = await self._next_file()
            except FolderAway as error:
                if until_end:
                    raise
                _log.warning("waiting for the folder", source=self._context.name, reason=str(error))
                facts, waiting = None, True
            self._succeeded()
            if facts is not None:
                await self._lease.hold(now=True)
                await self._claims.claim(facts, unread=self._rows.unread, newest_refused=self._rows.refused)
                self._claimed = facts.seen
            elif until_end and not waiting:
                await self._settle_receipts()
                return
            else:
                await self._sleep(min(self._poll_seconds, self._settle_seconds or self._poll_seconds) if waiting else self._poll_seconds)

    async def _recover(self) -> None:
        """Load the state after the last complete delivery; what was claimed after it is then delivered (again)."""
        snapshot = await self._context.snapshots.load(self._context.rows_unit)
        self._rows = Rows.load(snapshot.chunks) if snapshot is not None else Rows()
        self._done = self._rows.delivery
        if self._receipts.wanted:
            await self._claims.refresh()
            newest = await self._checkpoints.newest()
            if newest.done or newest.delivery <= self._done:
                self._receipts.begin(self._claims.get(newest.delivery), newest)

    async def _deliver_claimed(self) -> None:
        """Deliver, in order, every claimed number that is not done, whoever claimed it."""
        await self._settle_receipts()
        await self._claims.refresh()
        pending = list(self._claims.after(self._done))
        if not pending:
            return
        found = await self._where([claim.name_id for claim in pending if not claim.duplicate_of])
        for claim in pending:
            await self._settle_receipts()
            await self._lease.hold(now=True)
            seen = found.get(claim.name_id)
            facts = None if seen is None or claim.duplicate_of else await self._examined(seen)
            self._rows = await self._deliverer.deliver(claim, facts, self._rows)
            self._done = claim.delivery
            if facts is not None:
                self._release_file(facts)
            self._succeeded()

    async def _where(self, wanted: Sequence[str]) -> Mapping[str, Seen]:
        """The files with these ids of names. The one that was claimed last is looked at by itself: a folder of years is not listed for it again."""
        claimed = self._claimed
        if claimed is not None and all(each == claimed.name_id for each in wanted) and await self._folder.still(claimed):
            return {claimed.name_id: claimed}
        return {seen.name_id: seen for seen in await self._list()} if wanted else {}

    async def _next_file(self) -> tuple[Facts | None, bool]:
        """The first whole file in the order of delivery that has no number yet; and whether a file is still being written."""
        await self._claims.refresh()
        fresh = [seen for seen in await self._list() if not seen.same(self._seen.get(seen.name))]
        whole = self._settling.settled(fresh, monotonic=self._clock.monotonic(), now_ns=int(self._clock.now().timestamp() * 1e9))
        waiting = len(whole) < len(fresh)
        for seen in whole:
            facts = await self._examined(seen)
            if not await self._folder.still(seen):
                waiting = True
            elif self._claims.knows(facts, unread=self._rows.unread):
                self._seen[seen.name] = seen
                self._release_file(facts)
            else:
                return facts, waiting
        return None, waiting

    async def _examined(self, seen: Seen) -> Facts:
        facts = self._facts.get(seen.name)
        if facts is None or not seen.same(facts.seen) or facts.problem is not None:
            facts = await self._folder.examined(seen, encoding=self._context.files.encoding)
            self._facts[seen.name] = facts
        return facts

    async def _settle_receipts(self) -> None:
        await self._receipts.settle(self._reader, self._context.agency.id)

    def _release_file(self, facts: Facts) -> None:
        self._facts.pop(facts.seen.name, None)
        self._folder.release(facts)

    async def _list(self) -> list[Seen]:
        return await self._folder.list(self._context.files.patterns)

    async def _keep_pace(self, records: int) -> None:
        if self._pace is None or not records:
            return
        now = self._clock.monotonic()
        self._due = max(self._due, now) + records / self._pace
        await self._sleep(self._due - now)

    async def _release(self) -> None:
        try:
            await self._lease.release()
        except TransientError as error:
            _log.warning("the lease could not be given back; the next process waits for it", source=self._context.name, reason=str(error))

    def _succeeded(self) -> None:
        self._retry.succeeded()
        metrics.connector_last_success.labels(self._context.agency.id, self._context.source_id).set(self._clock.now().timestamp())

"""Runs an agency's connector: finds files, wins their numbers, delivers them in order, and goes on after whatever goes wrong.

Owns retries, back-pressure (each send is awaited), pace, lease and shutdown; the meaning of records is the mapping's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from bus import metrics
from bus.clock import Clock, SystemClock
from bus.errors import ConfigurationError, Problem, TransientError
from bus.events.codec import Codec
from bus.ingest.checkpoint import Checkpoints
from bus.ingest.claims import Claims
from bus.ingest.deliver import Deliverer, Progress, SourceContext
from bus.ingest.files import Facts, FolderAway, Seen, Settling, examine, scan
from bus.ingest.lease import Holder, Lease
from bus.ingest.manifest import Agency
from bus.ingest.publisher import EventPublisher
from bus.ingest.rows import Rows
from bus.ingest.seal import sealer_for
from bus.kafka.ports import LogReader, Publisher, SnapshotStore
from bus.settings import Settings

_log = structlog.get_logger(__name__)

Sleep = Callable[[float], Awaitable[None]]
#: The longest wait between two tries, in seconds.
_LONGEST_WAIT = 10.0
#: Batches a second when a pace is set, so that it looks like a flow.
_PACED_BATCHES = 4


class Runner:
    """The connector of one agency. `pace`: records a second for each source; None: as fast as the log takes them."""

    def __init__(
        self,
        agency: Agency,
        *,
        publisher: Publisher,
        reader: LogReader,
        snapshots: SnapshotStore,
        codec: Codec,
        settings: Settings,
        folders: Mapping[str, Path] | None = None,
        clock: Clock | None = None,
        pace: float | None = None,
        progress: Callable[[Progress], None] | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`folders` maps agencies (`dlh`) or single sources (`dlh/ispu`) to folders and goes before the setting that the manifest names. A
        source without a folder rests.

        Raises `ConfigurationError` when no source has a folder, an event type has no schema, or a mapping cannot be imported.
        """
        folder_of = _folders(agency, settings, folders or {})
        _check_events(agency, codec)
        sealer = sealer_for(settings.data_dir / "keys", agency.id)
        clock = clock or SystemClock()
        self._sources = [
            SourceRunner(
                SourceContext(agency, source_id, agency.meaning(source_id), codec, publisher, snapshots, sealer, clock),
                reader=reader, folder=folder_of[source_id], settings=settings, pace=pace, report=progress or _unseen, sleep=sleep,
            )
            for source_id in folder_of
        ]  # fmt: skip

    async def run(self, *, until_end: bool) -> None:
        """Deliver everything there is and return (`until_end`), or go on watching until cancelled.

        Raises `ConfigurationError`, `FatalError`, or `TransientError` when the log was away for longer than `kafka.retry_seconds`.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for source in self._sources:
                    group.create_task(source.run(until_end=until_end))
        except BaseExceptionGroup as errors:
            raise _first(errors) from errors

    def status(self) -> tuple[Progress, ...]:
        """Where each source is."""
        return tuple(source.progress for source in self._sources)


class SourceRunner:
    """One source of an agency: a folder whose files are deliveries."""

    def __init__(
        self, context: SourceContext, *, reader: LogReader, folder: Path, settings: Settings, pace: float | None, report: Callable[[Progress], None],
        sleep: Sleep,
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
        self._give_up_seconds = settings.kafka.retry_seconds
        self._lease = Lease(
            context.name, context.publisher, reader, clock=context.clock, lease_seconds=ingest.lease_seconds, holder=Holder.this_process()
        )
        self._claims = Claims(context.name, context.publisher, reader, context.clock)
        self._deliverer = Deliverer(
            context, EventPublisher(context.agency.id, context.publisher, reader),
            Checkpoints(context.name, context.publisher, reader, context.clock),
            batch_records=min(ingest.batch_records, max(1, int(pace / _PACED_BATCHES))) if pace else ingest.batch_records,
            before_effects=self._lease.hold, after_records=self._keep_pace, report=report,
        )  # fmt: skip
        self._settling = Settling(self._settle_seconds)
        self._seen: dict[str, Seen] = {}
        self._facts: dict[str, Facts] = {}
        self._rows = Rows()
        self._done = 0
        self._failures = 0
        self._last_success = self._clock.monotonic()
        self._due = 0.0

    @property
    def progress(self) -> Progress:
        return self._deliverer.progress

    async def run(self, *, until_end: bool) -> None:
        """See `Runner.run`."""
        if until_end and not self._folder.is_dir():
            raise ConfigurationError(
                [Problem(f"agency {self._context.agency.id}", f"its files are read from {self._folder}, which is no folder")]
            )
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(TransientError), stop=self._gives_up, wait=self._wait, sleep=self._sleep, reraise=True,
            before_sleep=self._note_failure,
        )  # fmt: skip
        self._last_success = self._clock.monotonic()
        try:
            await retrying(self._once, until_end)
        except asyncio.CancelledError:
            await self._release()
            raise
        await self._release()

    async def _once(self, until_end: bool) -> None:
        while not await self._lease.try_acquire():
            await self._sleep(self._lease.poll_seconds)
            self._succeeded()
        await self._recover()
        while True:
            await self._lease.hold()
            await self._deliver_claimed()
            try:
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
            elif until_end and not waiting:
                return
            else:
                await self._sleep(min(self._poll_seconds, self._settle_seconds or self._poll_seconds) if waiting else self._poll_seconds)

    async def _recover(self) -> None:
        """Load the state after the last complete delivery; what was claimed after it is then delivered (again)."""
        snapshot = await self._context.snapshots.load(self._context.rows_unit)
        self._rows = Rows.load(snapshot.chunks) if snapshot is not None else Rows()
        self._done = self._rows.delivery

    async def _deliver_claimed(self) -> None:
        """Deliver, in order, every claimed number that is not done, whoever claimed it."""
        await self._claims.refresh()
        pending = list(self._claims.after(self._done))
        if not pending:
            return
        found = {} if all(claim.duplicate_of for claim in pending) else {seen.name_id: seen for seen in self._list()}
        for claim in pending:
            await self._lease.hold(now=True)
            seen = found.get(claim.name_id)
            facts = None if seen is None or claim.duplicate_of else await self._examined(seen)
            self._rows = await self._deliverer.deliver(claim, facts, self._rows)
            self._done = claim.delivery
            self._succeeded()

    async def _next_file(self) -> tuple[Facts | None, bool]:
        """The first whole file in the order of delivery that has no number yet; and whether a file is still being written."""
        await self._claims.refresh()
        fresh = [seen for seen in self._list() if not seen.same(self._seen.get(seen.name))]
        whole = self._settling.settled(fresh, monotonic=self._clock.monotonic(), now_ns=int(self._clock.now().timestamp() * 1e9))
        waiting = len(whole) < len(fresh)
        for seen in whole:
            facts = await self._examined(seen)
            if not _still(seen):
                waiting = True
            elif self._claims.knows(facts, unread=self._rows.unread):
                self._seen[seen.name] = seen
                self._facts.pop(seen.name, None)
            else:
                return facts, waiting
        return None, waiting

    async def _examined(self, seen: Seen) -> Facts:
        facts = self._facts.get(seen.name)
        if facts is None or not seen.same(facts.seen) or facts.problem is not None:
            facts = await asyncio.to_thread(examine, seen, encoding=self._context.spec.encoding)
            self._facts[seen.name] = facts
        return facts

    def _list(self) -> list[Seen]:
        return scan(self._folder, self._context.spec.patterns)

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
        self._failures = 0
        self._last_success = self._clock.monotonic()
        metrics.connector_last_success.labels(self._context.agency.id, self._context.source_id).set(self._clock.now().timestamp())

    def _gives_up(self, state: RetryCallState) -> bool:
        return self._clock.monotonic() - self._last_success > self._give_up_seconds

    def _wait(self, state: RetryCallState) -> float:
        return float(min(_LONGEST_WAIT, 0.1 * 2 ** min(self._failures, 10)))

    def _note_failure(self, state: RetryCallState) -> None:
        self._failures += 1
        error = state.outcome.exception() if state.outcome is not None else None
        _log.warning("trying again from the last state", source=self._context.name, reason=str(error), failures=self._failures)


def _still(seen: Seen) -> bool:
    """Whether the file is there and untouched since it was listed."""
    try:
        info = seen.path.stat()
    except OSError:
        return False
    return (info.st_size, info.st_mtime_ns) == (seen.size, seen.mtime_ns)


def _folders(agency: Agency, settings: Settings, given: Mapping[str, Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    problems = []
    values = settings.agencies.get(agency.id, {})
    for source_id, spec in agency.manifest.sources.items():
        folder = given.get(agency.source_name(source_id), given.get(agency.id))
        if folder is not None:
            found[source_id] = folder
        elif spec.setting in values:
            found[source_id] = Path(values[spec.setting].get_secret_value())
        else:
            name = f"BUS_{agency.id}__{spec.setting}".upper()
            problems.append(
                Problem(
                    f"agency {agency.id}",
                    f"source {source_id} has no folder: give --input {agency.source_name(source_id)}=FOLDER or set {name}",
                )
            )
    if not found:
        raise ConfigurationError(problems)
    for problem in problems:
        _log.info("a source rests", reason=problem.what, agency=agency.id)
    return found


def _check_events(agency: Agency, codec: Codec) -> None:
    missing = [name for name in agency.manifest.events if name not in codec.catalogue]
    if missing:
        raise ConfigurationError(
            [Problem(f"agency {agency.id}: events.{name}", "there is no schema for it under schemas/events") for name in missing]
        )


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _unseen(progress: Progress) -> None:
    """Nobody looks."""

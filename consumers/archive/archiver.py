"""Follows the event topics and keeps them as files. What is archived the files' names say; beside them there is no state at all.

Kafka may be away, the disk may be full: it waits, says so, and goes on. Killed at any moment it begins again behind its last whole file.
Another archiver over the same folder waits until this one ends.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from prometheus_client import start_http_server

from bus import metrics
from bus.clock import Clock, SystemClock
from bus.errors import BusError, ConfigurationError, FatalError, Problem
from bus.events.catalogue import Catalogue
from bus.kafka.archive import Archive
from bus.kafka.archive_file import day_of
from bus.kafka.archived_log import require_same_log
from bus.kafka.client import KafkaLogReader
from bus.kafka.ports import LogReader, Record, TopicPartition
from bus.kafka.topics import EVENTS_PREFIX
from bus.settings import ArchiveSettings, Settings
from consumers.archive.columns import Columns, columns

_log = structlog.get_logger(__name__)

#: Opens a reader of the log; opened anew after each failure.
OpenReader = Callable[[], AbstractAsyncContextManager[LogReader]]
#: Topics and their numbers of partitions, asked through the reader.
ListTopics = Callable[[LogReader], Awaitable[Mapping[str, int]]]

_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often it looks, in seconds; `longest_wait` between two tries of what failed."""

    poll: float = 2.0
    longest_wait: float = 30.0


def create(settings: Settings) -> Archiver:
    """The archiver of these settings. Raises `ConfigurationError` when no folder is set."""
    folder = settings.archive.path
    if folder is None:
        raise ConfigurationError([Problem("BUS_ARCHIVE__FOLDER", "is not set; name the folder that is to hold the archive")])
    kafka = settings.kafka.model_copy(update={"retry_seconds": 1.0})

    async def list_topics(reader: LogReader) -> Mapping[str, int]:
        assert isinstance(reader, KafkaLogReader)
        return await reader.topics()

    decode = columns(Catalogue.load(settings.schemas_roots(), settings.only_agencies))
    return Archiver(settings.archive, Archive(folder), lambda: KafkaLogReader(kafka), list_topics, decode, SystemClock())


class Archiver:
    """Writes the archive; `round` is one look at all topics."""

    def __init__(
        self,
        settings: ArchiveSettings,
        archive: Archive,
        open_reader: OpenReader,
        list_topics: ListTopics,
        decode: Columns,
        clock: Clock,
        *,
        pace: Pace = Pace(),
    ) -> None:
        self._settings = settings
        self._archive = archive
        self._open_reader = open_reader
        self._list_topics = list_topics
        self._decode = decode
        self._clock = clock
        self._pace = pace
        self._running: asyncio.Task[None] | None = None
        #: Partitions whose topic was seen to be the one that the archive holds.
        self._recognised: set[TopicPartition] = set()
        self._swept: set[str] = set()
        #: Partition -> first waiting offset, when it was published and since when it is known to wait (`monotonic`).
        self._waiting: dict[TopicPartition, tuple[int, float, float]] = {}
        self._standing: dict[TopicPartition, str] = {}
        self._stands_since = 0.0

    async def run(self, announce: Callable[[str], None]) -> None:
        """Archive until SIGINT, SIGTERM or `stop`; errors of broker and disk are survived, those of ours are not hidden."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError, RuntimeError):  # a thread other than the main one has no signals
                loop.add_signal_handler(number, self.stop)
        if self._settings.metrics_port:
            start_http_server(self._settings.metrics_port, addr="127.0.0.1", registry=metrics.REGISTRY)
        self._running = asyncio.create_task(self._alone())
        with suppress(asyncio.CancelledError):
            await self._running

    def stop(self) -> None:
        """End between two effects; what waits is archived by the next one."""
        if self._running is not None:
            self._running.cancel()

    async def _alone(self) -> None:
        async with self._lock():
            _log.info("archive.writing", folder=str(self._archive.root))
            await self._follow()

    async def _follow(self) -> None:
        wait = self._pace.poll
        while True:
            try:
                async with self._open_reader() as reader:
                    while True:
                        await self.round(reader)
                        wait = self._pace.poll
                        await asyncio.sleep(wait)
            except ConfigurationError:
                raise
            except BusError as error:
                _log.warning("archive.waits", reason=str(error))
                wait = min(wait * 2, self._pace.longest_wait)
            await asyncio.sleep(wait)

    async def round(self, reader: LogReader) -> int:
        """Archive what is due; the number of files written. A partition that cannot go on is named and does not hold up the others."""
        topics = {name: count for name, count in (await self._list_topics(reader)).items() if _is_event_topic(name)}
        for topic in topics.keys() - self._swept:
            await asyncio.to_thread(self._archive.sweep, topic)
            self._swept.add(topic)
        places = [TopicPartition(topic, number) for topic, count in sorted(topics.items()) for number in range(count)]
        written, lag = 0, 0
        for place, end in zip(places, await reader.ends(places), strict=True):
            try:
                written += await self._partition(reader, place, end)
                self._standing.pop(place, None)
            except FatalError as error:
                if self._standing.get(place) != str(error):
                    _log.error("archive.stands", topic=place.topic, partition=place.partition, reason=str(error))
                self._standing[place] = str(error)
                # Somebody may be putting in place what is missing.
                await asyncio.to_thread(self._archive.refresh, place.topic)
            lag += max(0, end - self._archive.holding(place).end)
        metrics.archive_lag.set(lag)
        self._stands_since = (self._stands_since or self._clock.now().timestamp()) if self._standing else 0.0
        metrics.archive_stands.labels("log").set(self._stands_since)
        return written

    async def _partition(self, reader: LogReader, place: TopicPartition, end: int) -> int:
        """Write the files of a partition that are due. Raises `FatalError` when the topic does not go on where the archive ends."""
        holding = await asyncio.to_thread(self._archive.holding, place)
        if holding.end == end:
            return 0
        if holding.end > end:
            self._recognised.discard(place)
        if place not in self._recognised:
            await self._recognise(reader, place, holding.end)
        written = 0
        while holding.end < end:
            upto = end if holding.resumes is None else min(end, holding.resumes)
            if holding.resumes is None and not await self._due(reader, place, holding.end, end):
                break
            records = await self._gather(reader, place, holding.end, upto)
            await self._write(records)
            metrics.archive_records.labels(place.topic).inc(len(records))
            written += 1
            holding = self._archive.holding(place)
        return written

    async def _recognise(self, reader: LogReader, place: TopicPartition, held: int) -> None:
        beginning = await reader.beginning(place)
        if beginning > held:
            raise FatalError(
                f"{place.topic}/{place.partition} begins at offset {beginning} and the archive {self._archive.root} ends at {held - 1}: what lies"
                " between is lost unless a copy of its files is put there"
            )
        await require_same_log(reader, self._archive, place, beginning, held)
        self._recognised.add(place)

    async def _due(self, reader: LogReader, place: TopicPartition, start: int, end: int) -> bool:
        """Whether a whole file waits, or the oldest waiting record has waited long enough: since it was published, or seen here."""
        if end - start >= self._settings.file_records:
            return True
        now = self._clock.monotonic()
        if self._waiting.get(place, (-1, 0.0, 0.0))[0] != start:
            oldest = [record async for some in reader.read(place, start, start + 1) for record in some]
            self._waiting[place] = (start, oldest[0].timestamp_ms / 1000, now)
        _, published, seen = self._waiting[place]
        return max(self._clock.now().timestamp() - published, now - seen) >= self._settings.seconds

    async def _gather(self, reader: LogReader, place: TopicPartition, start: int, end: int) -> Sequence[Record]:
        """The records of the next file: as many as it may have, none published on a later day than the first."""
        records: list[Record] = []
        size = 0
        async for some in reader.read(place, start, min(end, start + self._settings.file_records)):
            for record in some:
                size += len(record.value or b"")
                if records and (size > self._settings.file_bytes or day_of(record) > day_of(records[0])):
                    return records
                records.append(record)
        return records

    async def _write(self, records: Sequence[Record]) -> None:
        """Until the disk takes it."""
        decoded = await asyncio.to_thread(self._decode, records)
        wait, since = self._pace.poll, 0.0
        while True:
            try:
                await asyncio.to_thread(self._archive.write, records, decoded)
            except OSError as error:
                since = since or self._clock.now().timestamp()
                metrics.archive_stands.labels("disk").set(since)
                _log.error("archive.disk", folder=str(self._archive.root), reason=error.strerror or str(error), again_in_seconds=wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, self._pace.longest_wait)
            else:
                metrics.archive_stands.labels("disk").set(0)
                return

    @asynccontextmanager
    async def _lock(self) -> AsyncIterator[None]:
        """While it is held no other archiver on this machine writes here; the kernel lets go of it however the process ends."""
        descriptor = await self._open_lock(self._archive.root)
        try:
            said = False
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not said:
                        _log.info("archive.another_writes", folder=str(self._archive.root))
                    said = True
                    await asyncio.sleep(self._pace.poll)
                except OSError as error:
                    # A network file system may know no locks; two archivers then do the same work twice, and no harm.
                    _log.warning("archive.no_lock", folder=str(self._archive.root), reason=error.strerror)
                    break
            yield
        finally:
            os.close(descriptor)

    async def _open_lock(self, root: Path) -> int:
        """Raises `ConfigurationError` when the folder cannot be had."""
        try:
            root.mkdir(mode=0o750, parents=True, exist_ok=True)
            return os.open(root / _LOCK, os.O_RDWR | os.O_CREAT, 0o640)
        except OSError as error:
            raise ConfigurationError([Problem("BUS_ARCHIVE__FOLDER", f"{root} cannot be written to: {error.strerror}")]) from error


def _is_event_topic(name: str) -> bool:
    """No type has an empty part; as the name of a folder it could lead out of the archive."""
    return name.startswith(EVENTS_PREFIX) and all(name.split("."))

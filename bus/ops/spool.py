"""`bus spool`: what waits in the journals of this machine, and the way to Kafka by hand when there is no line.

A carried message has the source and sequence that the connector gave it. So it does not matter how often, in which order or by which way
messages arrive: by an import, by another import, by the connector when its line is back. The fold takes each once (ADR 0014 R6).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bus.clock import Clock
from bus.errors import BusError, ConfigurationError, FatalError, Problem, TransientError
from bus.events.codec import Codec, envelope_of
from bus.events.envelope import EventType, sequence_of
from bus.ingest.checkpoint import Checkpoint, Checkpoints
from bus.ingest.drain import Addresses
from bus.ingest.journal import Backlog, Journal, Outgoing
from bus.ingest.lease import Holder, Lease
from bus.ingest.manifest import Agency
from bus.ingest.publisher import EventPublisher
from bus.ingest.retry import Sleep
from bus.ingest.spool import Carried, Manifest, Receipt, check, write
from bus.kafka.ports import LogReader, Publisher
from bus.kafka.topics import EVENTS_PREFIX, QUARANTINE_PREFIX
from bus.ops.audit import Audit, State
from bus.settings import Settings

Progressed = Callable[[int, int], None]

#: How the audit names it.
ACTION = "import"
_AT_ONCE = 500
_RECEIPT_SUFFIX = ".tanda-terima"


@dataclass(frozen=True, slots=True)
class Spool:
    """One journal of this machine; `backlog` None: its connector runs and has it open."""

    source: str
    path: Path
    backlog: Backlog | None


def spools(settings: Settings, clock: Clock) -> Sequence[Spool]:
    """All journals of this machine, by name."""
    found = []
    for path in sorted((settings.data_dir / "journal").glob("*/*.db")):
        source = f"{path.parent.name}/{path.stem}"
        try:
            with closing(Journal(path, source, clock)) as journal:
                found.append(Spool(source, path, journal.backlog()))
        except TransientError:
            found.append(Spool(source, path, None))
    return found


def export(settings: Settings, source: str, target: Path, clock: Clock) -> Carried:
    """Write what waits in a source's journal to a file; the journal keeps it until Kafka is known to have it.

    Raises `ConfigurationError` when there is no such journal, its connector runs, nothing waits, or the file cannot be written.
    """
    with _opened(settings, source, clock) as journal:
        waiting = _all_waiting(journal)
        first = next(waiting, None)
        if first is None:
            raise ConfigurationError([Problem(source, "nothing waits in its journal")])
        manifest = Manifest(source, journal.source, journal.epoch, journal.number, clock.now().isoformat(), journal.times())
        try:
            return write(target, manifest, _with(first, waiting))
        except OSError as error:
            raise ConfigurationError([Problem(str(target), f"cannot be written: {error.strerror}")]) from error


def confirm(settings: Settings, source: str, receipt_file: Path, clock: Clock) -> int:
    """Take out of a journal what a receipt says Kafka has, which makes room; how many messages that was. Raises as `export` does."""
    receipt = Receipt.read(receipt_file)
    with _opened(settings, source, clock) as journal:
        if (receipt.journal, receipt.epoch) != (journal.source, journal.epoch) or receipt.last > journal.number:
            raise ConfigurationError([Problem(str(receipt_file), f"is the receipt of another journal than {journal.source}")])
        held = [each for each in _all_waiting(journal) if each.number <= receipt.last]
        if held:
            journal.acknowledged(held[-1])
        return len(held)


def receipt_path(carried: Path) -> Path:
    """Where the receipt of a file is put: beside it, on the stick."""
    return carried.with_name(carried.name + _RECEIPT_SUFFIX)


@dataclass(frozen=True, slots=True)
class Imported:
    """A file that Kafka has: messages sent now, and those that it had already."""

    sent: int
    known: int


class Import:
    """Brings one file into Kafka."""

    def __init__(
        self, path: Path, agencies: Mapping[str, Agency], codec: Codec, *, publisher: Publisher, reader: LogReader, clock: Clock,
        lease_seconds: float, sleep: Sleep = asyncio.sleep,
    ) -> None:  # fmt: skip
        """Reads the file to its end. Raises `ConfigurationError` when it is not whole or not of an agency and source of ours."""
        self.carried = check(path)
        self._codec = codec
        self._publisher, self._reader, self._clock, self._sleep = publisher, reader, clock, sleep
        manifest = self.carried.manifest
        agency = agencies.get(manifest.agency)
        if agency is None or manifest.source not in map(agency.source_name, agency.manifest.sources):
            raise ConfigurationError([Problem(str(path), f"is of {manifest.source}, which is no source of an agency here")])
        if manifest.journal.partition("~")[0] != manifest.source:
            raise ConfigurationError([Problem(str(path), f"names the journal {manifest.journal}, which is none of {manifest.source}")])
        self._agency = agency
        self._check_messages()
        self._lease_seconds = lease_seconds
        self._lease = Lease(
            manifest.source, publisher, reader, clock=clock, lease_seconds=lease_seconds, holder=Holder.this_process()
        )  # fmt: skip

    async def run(self, audit: Audit, progress: Progressed | None = None) -> Imported:
        """Send its messages in order, with a record in the audit before and after; durable when it returns. Killed, it is run again.

        Raises `TransientError` when the source's connector is on line (which then drains by itself), or Kafka stays away.
        """
        carried = self.carried
        manifest, counts = carried.manifest, self._counts()
        await self._acquire()
        try:
            checkpoints = Checkpoints(manifest.journal, self._publisher, self._reader, self._clock)
            newest = await checkpoints.newest()
            known = newest.line if newest.delivery == manifest.epoch else 0
            await audit.note(ACTION, manifest.journal, State.BEGUN, reason=f"sha256 {carried.sha256}", counts=counts)
            imported = await self._send(checkpoints, known, progress or _unseen)
            await EventPublisher(manifest.agency, self._publisher, self._reader).beat(manifest.journal, manifest.times)
            await audit.note(ACTION, manifest.journal, State.DONE, reason=f"sha256 {carried.sha256}", counts=counts)
        finally:
            await self._lease.release()
        return imported

    @property
    def receipt(self) -> Receipt:
        """What `confirm` reads where the file was made; true once `run` has returned."""
        manifest = self.carried.manifest
        return Receipt(manifest.journal, manifest.epoch, manifest.last, self.carried.sha256)

    async def _send(self, checkpoints: Checkpoints, known: int, progress: Progressed) -> Imported:
        addresses, epoch = Addresses(self._reader), self.carried.manifest.epoch
        sent = seen = 0
        for batch in _batches(self.carried.read()):
            await self._lease.hold()
            # Of the record at the checkpoint itself only a part may have been sent.
            news = [each for each in batch if each.number >= known]
            if news:
                await self._publisher.send([await addresses.message(each) for each in news])
                await checkpoints.save(Checkpoint(epoch, done=False, line=max(known, news[-1].number)))
            sent, seen = sent + len(news), seen + len(batch)
            progress(seen, self.carried.messages)
        return Imported(sent, seen - sent)

    async def _acquire(self) -> None:
        end = self._clock.monotonic() + 2 * self._lease_seconds
        while not await self._lease.try_acquire():
            if self._clock.monotonic() > end:
                raise TransientError(f"the connector of {self.carried.manifest.source} is on line and sends what it has by itself")
            await self._sleep(self._lease.poll_seconds)

    def _check_messages(self) -> None:
        """That every message is one that this journal may send, before the first is sent."""
        manifest, before = self.carried.manifest, 0
        for each in self.carried.read():
            wrong = self._wrong(each)
            if not before <= each.number <= manifest.last:
                wrong = f"its number {each.number} is out of order"
            if wrong:
                raise ConfigurationError([Problem(f"{self.carried.path}: message {each.id}", f"{wrong}; nothing of the file was sent")])
            before = each.number

    def _wrong(self, each: Outgoing) -> str:
        manifest = self.carried.manifest
        if each.topic == QUARANTINE_PREFIX + manifest.agency:
            return "" if each.key.startswith(f"{manifest.journal}|") else "it is a refusal of another source"
        name = each.topic.removeprefix(EVENTS_PREFIX)
        if each.topic == name or name not in self._agency.manifest.events or each.value is None:
            return f"it is for {each.topic}, which is no event of this agency"
        try:
            envelope = envelope_of(EventType.parse(name).name, self._codec.decode(each.value, each.headers))
        except BusError as error:
            return f"it cannot be read with the schemas of this machine: {error}"
        first = sequence_of(manifest.epoch, each.number)
        in_place = envelope.source == manifest.journal and first <= envelope.sequence < sequence_of(manifest.epoch, each.number + 1)
        return "" if in_place and envelope.event.subject == each.key else "it is an event of another source or place"

    def _counts(self) -> Mapping[str, Mapping[str, int]]:
        return {topic: {"messages": count} for topic, count in Counter(each.topic for each in self.carried.read()).items()}


@contextmanager
def _opened(settings: Settings, source: str, clock: Clock) -> Iterator[Journal]:
    agency, _, source_id = source.partition("/")
    path = settings.data_dir / "journal" / agency / f"{source_id}.db"
    if not path.is_file():
        known = ", ".join(each.source for each in spools(settings, clock)) or "none"
        raise ConfigurationError([Problem(source, f"has no journal under {settings.data_dir}; those that there are: {known}")])
    try:
        journal = Journal(path, source, clock)
    except TransientError as error:
        raise ConfigurationError(
            [Problem(source, "its connector runs and has the journal open; stop it for as long as this takes")]
        ) from error
    except FatalError as error:
        raise ConfigurationError([Problem(source, str(error))]) from error
    with closing(journal):
        yield journal


def _all_waiting(journal: Journal) -> Iterator[Outgoing]:
    after = 0
    while waiting := journal.waiting(_AT_ONCE, after=after):
        yield from waiting
        after = waiting[-1].id


def _with(first: Outgoing, rest: Iterator[Outgoing]) -> Iterator[Outgoing]:
    yield first
    yield from rest


def _batches(messages: Iterator[Outgoing]) -> Iterator[Sequence[Outgoing]]:
    batch: list[Outgoing] = []
    for each in messages:
        batch.append(each)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _unseen(done: int, total: int) -> None:
    """Nobody looks."""

"""What an operator does with the quarantine: list it, look into a record, and bring records in once the mapping is right.

A replayed record is a source by itself, named by its original place, and keeps the version of that place: publishing it twice (a crash
before it was marked, two operators at once) changes nothing, and it never covers what a later delivery has said.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from bus.clock import Clock
from bus.errors import ConfigurationError, Problem, RecordError
from bus.events.codec import Codec
from bus.ingest.csvfile import CsvFile, parse_record
from bus.ingest.deliver import SourceContext
from bus.ingest.delivery import Derived, Encoded, Stamp
from bus.ingest.files import encoding_of
from bus.ingest.manifest import Agency
from bus.ingest.messages import describe
from bus.ingest.publisher import EventPublisher
from bus.ingest.quarantine import OPEN, Entry, Place, Quarantine, RawText
from bus.ingest.rows import Rows
from bus.ingest.seal import Opener, opener_for, sealer_for
from bus.ingest.source import FileRefused, Reason
from bus.kafka.ports import LogReader, Publisher, SnapshotStore

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry and the content that was sealed: a record's text, or a whole file's bytes."""

    entry: Entry
    content: bytes


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one entry. `refused` counts a file's records that went into quarantine themselves; `problem` says why it stays open."""

    place: Place
    events: int = 0
    refused: int = 0
    problem: str = ""
    problem_en: str = ""

    @property
    def resolved(self) -> bool:
        return not self.problem


async def list_quarantine(reader: LogReader, agency: str, *, state: str | None = OPEN) -> Sequence[Entry]:
    """The entries of an agency in that state (None: all), by source and position. Needs no key."""
    quarantine = Quarantine(reader, agency)
    await quarantine.refresh()
    return quarantine.entries(state=state)


async def show(reader: LogReader, agency: str, place: Place, *, private_key: Path) -> Shown:
    """One entry with its content. Raises `ConfigurationError` for a place that is not there or a bad key file, `RecordError` when the
    content cannot be opened."""
    opener = opener_for(private_key)
    quarantine = Quarantine(reader, agency)
    await quarantine.refresh()
    entry = _wanted(quarantine, [place])[0]
    content = quarantine.content(entry, opener)
    return Shown(entry, RawText.decode(content).raw.encode() if place.line else content)


async def replay(
    agency: Agency,
    *,
    publisher: Publisher,
    reader: LogReader,
    snapshots: SnapshotStore,
    codec: Codec,
    clock: Clock,
    keys: Path,
    private_key: Path,
    places: Collection[Place] | None = None,
) -> Sequence[Replayed]:
    """Try the open entries (all, or those at `places`) again with today's mapping: what is accepted is published, then marked resolved.

    `keys` is the folder with the agency's public key. Raises `ConfigurationError` for a wrong key or place, `TransientError` when the log
    does not answer; what was done until then stays done.
    """
    opener = opener_for(private_key)
    quarantine = Quarantine(reader, agency.id)
    await quarantine.refresh()
    entries = quarantine.entries() if places is None else [entry for entry in _wanted(quarantine, places) if entry.state == OPEN]
    sealer = sealer_for(keys, agency.id)
    results = []
    for entry in entries:
        _, _, source_id = entry.place.source.partition("/")
        if source_id not in agency.manifest.sources:
            results.append(
                Replayed(entry.place, problem=f"sumber {source_id} tidak ada lagi", problem_en=f"there is no source {source_id} any more")
            )
            continue
        context = SourceContext(agency, source_id, agency.meaning(source_id), codec, publisher, snapshots, sealer, clock)
        results.append(await _Replay(context, EventPublisher(agency.id, publisher, reader), quarantine, opener).run(entry))
    return results


class _Replay:
    """The replay of one entry."""

    def __init__(self, context: SourceContext, events: EventPublisher, quarantine: Quarantine, opener: Opener) -> None:
        self._context = context
        self._events = events
        self._quarantine = quarantine
        self._opener = opener

    async def run(self, entry: Entry) -> Replayed:
        try:
            content = self._quarantine.content(entry, self._opener)
        except RecordError as error:
            return Replayed(entry.place, problem=str(error), problem_en=str(error))
        try:
            result = await (self._record(entry, content) if entry.place.line else self._file(entry, content))
        except FileRefused as refused:
            return _still_refused(entry, refused.reason)
        if result.resolved:
            outcome = f"replayed: {result.events} events, {result.refused} records refused"
            closing = entry.resolved(self._context.agency.id, at=self._context.clock.now().isoformat(), outcome=outcome)
            await self._context.publisher.send(closing)
        return result

    async def _record(self, entry: Entry, content: bytes) -> Replayed:
        sealed = RawText.decode(content)
        record = parse_record(sealed.raw, sealed.header, sealed.delimiter, self._context.spec, line=entry.place.line)
        derived = self._context.derivation(self._stamp(entry.place), Rows()).record(record)
        if derived.reason is not None:
            return _still_refused(entry, derived.reason)
        await self._events.publish(derived.events)
        return Replayed(entry.place, events=len(derived.events))

    async def _file(self, entry: Entry, content: bytes) -> Replayed:
        if not content.strip() or b"\0" in content:
            return _still_refused(entry, Reason(entry.reason.get("rule", ""), allowed=entry.reason.get("allowed", "")))
        file = CsvFile(io.BytesIO(content), self._context.spec, self._context.spec.encoding or encoding_of(content))
        derivation = self._context.derivation(self._stamp(entry.place), Rows())
        events: list[Encoded] = []
        refused: list[Derived] = []
        published = 0
        for record in file:
            derived = derivation.record(record)
            events += derived.events
            if derived.reason is not None:
                refused.append(derived)
            if len(events) >= _BATCH:
                await self._events.publish(events)
                published += len(events)
                events = []
        await self._events.publish(events)
        for derived in refused:
            await self._context.publisher.send(
                self._context.refusal(entry.place.delivery, derived, file=entry.file, header=tuple(file.header), delimiter=file.delimiter)
            )
        return Replayed(entry.place, events=published + len(events), refused=len(refused))

    def _stamp(self, place: Place) -> Stamp:
        return Stamp(place.source, place.delivery, self._context.clock.now(), replayed_line=place.line)


def _still_refused(entry: Entry, reason: Reason) -> Replayed:
    message_id, message_en = describe(reason, file=entry.file, line=entry.place.line)
    return Replayed(entry.place, problem=message_id, problem_en=message_en)


def _wanted(quarantine: Quarantine, places: Collection[Place]) -> list[Entry]:
    found = {place: quarantine.get(place) for place in places}
    missing = [place for place, entry in found.items() if entry is None]
    if missing:
        known = ", ".join(entry.place.key for entry in quarantine.entries()[:10]) or "none"
        raise ConfigurationError([Problem(place.key, f"is not in the quarantine; open are: {known}") for place in missing])
    return [entry for entry in found.values() if entry is not None]

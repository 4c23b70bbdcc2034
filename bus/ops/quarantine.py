"""What an operator does with the quarantine: list it, look into a record, and bring records in once the mapping is right.

A replayed record is a source by itself, named by its original place, and keeps the version of that place: publishing it twice (a crash
before it was marked, two operators at once) changes nothing, and it never covers what a later delivery has said.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bus.clock import Clock
from bus.errors import ConfigurationError, Problem, RecordError
from bus.events.codec import Codec
from bus.indicators.indicator import Indicator
from bus.ingest.context import SourceContext
from bus.ingest.delivery import Encoded
from bus.ingest.files import encoding_of
from bus.ingest.formats.archive import is_archive
from bus.ingest.formats.opening import file_of, open_records, read_sealed
from bus.ingest.formats.records import RecordFile
from bus.ingest.intake import read_again
from bus.ingest.kinds import FilesSpec
from bus.ingest.manifest import Agency
from bus.ingest.messages import describe
from bus.ingest.privacy.door import Door, NoKeys
from bus.ingest.publisher import EventPublisher
from bus.ingest.quarantine import OPEN, Entry, Place, Quarantine, RawText
from bus.ingest.rows import Rows
from bus.ingest.seal import Opener, opener_for, sealer_for
from bus.ingest.source import FileRefused, Reason
from bus.ingest.stamp import Stamp
from bus.kafka.places import LogPlace
from bus.kafka.ports import LogReader, Message, Publisher, SnapshotStore
from bus.ops.left_out import NewestWord, original, why_left_out

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry and the content that was sealed: a record's text, or a whole file's bytes."""

    entry: Entry
    content: bytes


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one entry. `refused` counts a file's records that went into quarantine themselves; `problem` says why it stays open.

    `outcome` is of a record in the log: how it is counted now.
    """

    place: Place | LogPlace
    events: int = 0
    refused: int = 0
    problem: str = ""
    problem_en: str = ""
    outcome: str = ""

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


async def show_original(reader: LogReader, codec: Codec, agency: str, place: LogPlace) -> Shown:
    """One entry of a record in the log, with the record. Raises `ConfigurationError` for a place that is not there, `RecordError` when the
    log no longer holds the record."""
    quarantine = Quarantine(reader, agency)
    await quarantine.refresh()
    entry = _wanted(quarantine, [place])[0]
    return Shown(entry, await original(reader, codec, place))


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
    indicators: Mapping[str, Indicator],
    places: Collection[Place | LogPlace] | None = None,
    door: Door | None = None,
) -> Sequence[Replayed]:
    """Try the open entries (all, or those at `places`) again with today's mapping: what is accepted is published, then marked resolved.

    Records that lie in the log are only looked at, and closed once they are counted or their data were mended: see `bus.ops.left_out`.
    `keys` is the folder with the agency's public key; the private one is needed only where something is sealed. Raises
    `ConfigurationError` for a wrong key or place, `TransientError` when the log does not answer; what was done until then stays done.
    """
    quarantine = Quarantine(reader, agency.id)
    await quarantine.refresh()
    entries = quarantine.entries() if places is None else [entry for entry in _wanted(quarantine, places) if entry.state == OPEN]
    sealed = [(entry, entry.place) for entry in entries if isinstance(entry.place, Place)]
    opener = opener_for(private_key) if sealed else None
    newest = NewestWord(reader, codec, (entry.place for entry in entries if isinstance(entry.place, LogPlace)))
    results = [
        await _look_again(entry, entry.place, agency.id, publisher, reader, codec, indicators, clock, newest)
        for entry in entries
        if isinstance(entry.place, LogPlace)
    ]
    for entry, place in sealed:
        assert opener is not None
        source_id = place.source.partition("/")[2].partition("~")[0]
        if source_id not in agency.manifest.sources:
            results.append(
                Replayed(place, problem=f"sumber {source_id} tidak ada lagi", problem_en=f"there is no source {source_id} any more")
            )
            continue
        sealer = sealer_for(keys, agency.id)
        context = SourceContext(
            agency, source_id, agency.meaning(source_id), codec, publisher, snapshots, sealer, clock, door=door or Door(NoKeys())
        )
        results.append(await _Replay(context, EventPublisher(agency.id, publisher, reader), quarantine, opener).run(entry, place))
    return results


async def _look_again(
    entry: Entry, place: LogPlace, agency: str, publisher: Publisher, reader: LogReader, codec: Codec,
    indicators: Mapping[str, Indicator], clock: Clock, newest: NewestWord,
) -> Replayed:  # fmt: skip
    mended = reason = ""
    try:
        mended = await newest.mended(indicators, entry, place)
        reason = "" if mended else await why_left_out(reader, codec, indicators, entry, place)
    except RecordError as error:
        reason = str(error)
    if reason:
        return Replayed(place, problem=f"{place.where} belum dapat dihitung: {reason}", problem_en=reason)
    higher = ", ".join(f"{name} version {indicators[name].version}" for name in sorted(entry.definitions) if name in indicators)
    outcome = mended or (f"computed by {higher}" if higher else "no indicator asks for it any more")
    await publisher.send(entry.resolved(agency, at=clock.now().isoformat(), outcome=outcome))
    return Replayed(place, outcome=outcome)


class _Replay:
    """The replay of one entry."""

    def __init__(self, context: SourceContext, events: EventPublisher, quarantine: Quarantine, opener: Opener) -> None:
        self._context = context
        self._events = events
        self._quarantine = quarantine
        self._opener = opener

    async def run(self, entry: Entry, place: Place) -> Replayed:
        try:
            content = self._quarantine.content(entry, self._opener)
        except RecordError as error:
            return Replayed(place, problem=str(error), problem_en=str(error))
        try:
            result = await (self._record(entry, place, content) if place.line else self._file(entry, place, content))
        except FileRefused as refused:
            return _still_refused(entry, place, refused.reason)
        if result.resolved:
            outcome = f"replayed: {result.events} events, {result.refused} records refused"
            closing = entry.resolved(self._context.agency.id, at=self._context.clock.now().isoformat(), outcome=outcome)
            await self._context.publisher.send(closing)
        return result

    async def _record(self, entry: Entry, place: Place, content: bytes) -> Replayed:
        sealed = RawText.decode(content)
        spec = self._context.spec
        record = read_sealed(sealed, spec, line=place.line) if isinstance(spec, FilesSpec) else read_again(sealed.raw, place.line)
        derived = self._context.derivation(self._stamp(place), Rows()).record(record)
        if derived.reason is not None:
            return _still_refused(entry, place, derived.reason)
        await self._events.publish(derived.events)
        return Replayed(place, events=len(derived.events))

    async def _file(self, entry: Entry, place: Place, content: bytes) -> Replayed:
        if not content.strip() or (b"\0" in content and not is_archive(content)):
            return _still_refused(entry, place, Reason(entry.reason.get("rule", ""), allowed=entry.reason.get("allowed", "")))
        name, encoding = file_of(entry.file), self._context.files.encoding or encoding_of(content)
        with contextlib.closing(open_records(io.BytesIO(content), self._context.files, name=name, encoding=encoding)) as file:
            return await self._records(place, name, file)

    async def _records(self, place: Place, name: str, file: RecordFile) -> Replayed:
        derivation = self._context.derivation(self._stamp(place), Rows())
        events: list[Encoded] = []
        refused: list[Message] = []
        published = refusals = 0
        for record in file:
            derived = derivation.record(record)
            events += derived.events
            if derived.reason is not None:
                refusals += 1
                refused += self._context.refusal(place.delivery, derived, file=name, read=file)
            if len(events) >= _BATCH:
                await self._events.publish(events)
                published += len(events)
                events = []
        await self._events.publish(events)
        if refused:
            await self._context.publisher.send(refused)
        return Replayed(place, events=published + len(events), refused=refusals)

    def _stamp(self, place: Place) -> Stamp:
        return Stamp(place.source, place.delivery, self._context.clock.now(), replayed_line=place.line)


def _still_refused(entry: Entry, place: Place, reason: Reason) -> Replayed:
    message_id, message_en = describe(reason, file=entry.file, line=place.line)
    return Replayed(place, problem=message_id, problem_en=message_en)


def _wanted(quarantine: Quarantine, places: Collection[Place | LogPlace]) -> list[Entry]:
    found = {place: quarantine.get(place) for place in places}
    missing = [place for place, entry in found.items() if entry is None]
    if missing:
        known = ", ".join(entry.place.key for entry in quarantine.entries()[:10]) or "none"
        raise ConfigurationError([Problem(place.key, f"is not in the quarantine; open are: {known}") for place in missing])
    return [entry for entry in found.values() if entry is not None]

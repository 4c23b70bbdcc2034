"""Records that reached the log and that a fold had to leave out: looking at the original, and closing the entry once it is counted or mended.

Nothing is published again for them: the log keeps the record, and a definition with a higher version is computed from its beginning. Where
facts can be corrected the data may be mended instead: then a later version of the subject, or its cancellation, stands in its place. A
final fact has no later versions; there only the definition can be mended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from bus.errors import BusError, ConfigurationError, Problem, RecordError
from bus.events.codec import Codec, UndecodableRecords
from bus.events.envelope import EventType, Op
from bus.indicators.fold import Batch, FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.partial import RowFault
from bus.ingest.quarantine import Entry
from bus.kafka.places import LogPlace
from bus.kafka.ports import LogReader, Record, TopicPartition
from bus.kafka.topics import EVENTS_PREFIX


async def original(reader: LogReader, codec: Codec, place: LogPlace) -> bytes:
    """The record at that place: as JSON where it can be decoded, otherwise its bytes in hexadecimal after the reason.

    Raises `RecordError` when the log no longer holds it.
    """
    record = await _record(reader, place)
    try:
        fields = codec.decode(record.value or b"", record.headers)
    except BusError as error:
        return f"{error}\n{(record.value or b'').hex(' ')}".encode()
    return json.dumps(fields, ensure_ascii=False, indent=2, default=str).encode()


async def why_left_out(reader: LogReader, codec: Codec, indicators: Mapping[str, Indicator], entry: Entry, place: LogPlace) -> str:
    """What still keeps the record out and what to do about it; "" when every definition that left it out has a successor that takes it.

    Raises `ConfigurationError` for a place whose event type is not known here.
    """
    type_name = place.topic.removeprefix(EVENTS_PREFIX)
    if type_name not in codec.catalogue:
        raise ConfigurationError([Problem(place.key, f"there is no event type {type_name} here")])
    record = await _record(reader, place)
    fingerprint = next((value for name, value in record.headers if name == "ce_dataschema"), None)
    try:
        frame = codec.decode_batch(type_name, [record.value or b""], [place.offset], fingerprints=[fingerprint] if fingerprint else None)
    except UndecodableRecords as error:
        return (
            f"no schema of {EventType.parse(type_name).agency} reads it ({error.reasons[0]}), so every indicator leaves it out;"
            " add the schema that it was written with, then raise `version` of the indicators over it"
        )
    waiting = [_waits(indicators[name], version, place, frame) for name, version in sorted(entry.definitions.items()) if name in indicators]
    return "; ".join(reason for reason in waiting if reason)


class NewestWord:
    """What stands in place of records that were left out: the highest version of their subjects. Reads each partition once."""

    def __init__(self, reader: LogReader, codec: Codec, places: Iterable[LogPlace]) -> None:
        self._reader = reader
        self._codec = codec
        self._places = list(places)
        self._newest: dict[TopicPartition, dict[bytes, tuple[int, Record]]] = {}

    async def mended(self, indicators: Mapping[str, Indicator], entry: Entry, place: LogPlace) -> str:
        """How the data were mended: by a higher version of the subject that the indicators can use, or by its cancellation; "" when they were
        not, when facts of this type are final, and where the record itself cannot be read. Raises `RecordError` as `original` does."""
        name = place.topic.removeprefix(EVENTS_PREFIX)
        if name not in self._codec.catalogue or not self._codec.catalogue[name].correctable:
            return ""
        left_out = await _record(self._reader, place)
        version = self._version(left_out)
        found = (await self._scanned(TopicPartition(place.topic, place.partition))).get(left_out.key or b"")
        if version is None or found is None or found[0] <= version:
            return ""
        record = found[1]
        where = LogPlace(place.topic, place.partition, record.offset)
        if self._codec.decode(record.value or b"", record.headers)["op"] == Op.CANCEL:
            return f"its subject is cancelled by {where.where}"
        frame = self._codec.decode_batch(name, [record.value or b""], [record.offset])
        if any(_faults(indicators[each], where, frame) for each in entry.definitions if each in indicators):
            return ""
        return f"mended by a later version of its subject, {where.where}"

    async def _scanned(self, partition: TopicPartition) -> Mapping[bytes, tuple[int, Record]]:
        if partition not in self._newest:
            newest = self._newest[partition] = {}
            places = [each for each in self._places if (each.topic, each.partition) == (partition.topic, partition.partition)]
            wanted = {(await _record(self._reader, each)).key for each in places}
            end = await self._reader.end(partition)
            async for batch in self._reader.read(partition, await self._reader.beginning(partition), end):
                for record in batch:
                    key = record.key or b""
                    if (
                        record.key in wanted
                        and (version := self._version(record)) is not None
                        and version > newest.get(key, (-1, record))[0]
                    ):
                        newest[key] = version, record
        return self._newest[partition]

    def _version(self, record: Record) -> int | None:
        try:
            return int(str(self._codec.decode(record.value or b"", record.headers)["version"]))
        except BusError:
            return None  # what nobody can read mends nothing


def _faults(indicator: Indicator, place: LogPlace, frame: pl.DataFrame) -> Sequence[RowFault]:
    """What the indicator has against that one record."""
    unit = FoldUnit.new(indicator, place.topic, place.partition, place.partition + 1)
    unit.offset = place.offset - 1
    partial = unit.apply(Batch(frame, place.offset, place.offset))
    return partial.faults if partial is not None else ()


def _waits(indicator: Indicator, version: int, place: LogPlace, frame: pl.DataFrame) -> str:
    file = f"{indicator.id}.toml"
    if faults := _faults(indicator, place, frame):
        higher = max(version, indicator.version) + 1
        definition = f"mend {file} and set version = {higher}; it is then computed from the log's beginning, this included"
        data = "deliver it corrected, or " if indicator.correctable else "facts of this type are final, so no later one takes its place: "
        return f"{faults[0].message}: {data}{definition}"
    if indicator.version <= version:
        return f"{indicator.id} version {version} has left it out: set version = {version + 1} in {file}; it is then computed from the log's beginning"
    return ""


async def _record(reader: LogReader, place: LogPlace) -> Record:
    partition = TopicPartition(place.topic, place.partition)
    held = 0 <= place.partition < await reader.partitions(place.topic)
    if held and await reader.beginning(partition) <= place.offset < await reader.end(partition):
        async for batch in reader.read(partition, place.offset, place.offset + 1):
            return batch[0]
    raise RecordError(f"{place.where} is not in the log any more", rule="not_kept", allowed="the archive")

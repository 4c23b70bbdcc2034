"""Records that reached the log and that a fold had to leave out: looking at the original, and closing the entry once it is counted.

Nothing is published again for them: the log keeps the record, and a definition with a higher version is computed from its beginning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import polars as pl

from bus.errors import BusError, ConfigurationError, Problem, RecordError
from bus.events.codec import Codec, UndecodableRecords
from bus.events.envelope import EventType
from bus.indicators.fold import Batch, FoldUnit
from bus.indicators.indicator import Indicator
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


def _waits(indicator: Indicator, version: int, place: LogPlace, frame: pl.DataFrame) -> str:
    file = f"{indicator.id}.toml"
    unit = FoldUnit.new(indicator, place.topic, place.partition, place.partition + 1)
    unit.offset = place.offset - 1
    partial = unit.apply(Batch(frame, place.offset, place.offset))
    if partial is not None and partial.faults:
        higher = max(version, indicator.version) + 1
        return f"{partial.faults[0].message}: mend {file} and set version = {higher}; it is then computed from the log's beginning, this included"
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

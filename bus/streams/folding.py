"""The fold as work of a stage: events in, partials out, and what cannot be read into quarantine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import polars as pl
import structlog

from bus.events.catalogue import Catalogue
from bus.events.codec import Codec, UndecodableRecords
from bus.indicators.fold import Batch, FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.partial import RowFault, encode
from bus.kafka.ports import Message, Record, Snapshot, TopicPartition
from bus.kafka.topics import EVENTS_PREFIX, PARTIALS, QUARANTINE_PREFIX
from bus.streams.work import Effects, Prepared

_log = structlog.get_logger(__name__)


class FoldWork:
    """All indicators over all event topics. `indicators` may be replaced while it runs; the stage then calls `refresh`."""

    name = "fold"
    may_begin_late = False

    def __init__(self, catalogue: Catalogue, indicators: Mapping[str, Indicator], *, event_partitions: int, partials_partitions: int) -> None:
        self._codec = Codec(catalogue)
        self._event_partitions = event_partitions
        self._partials_partitions = partials_partitions
        self._by_topic: dict[str, dict[str, Indicator]] = {}
        self.take(indicators)

    def take(self, indicators: Mapping[str, Indicator]) -> None:
        """The wanted indicators from now on."""
        by_topic: dict[str, dict[str, Indicator]] = {}
        for indicator in indicators.values():
            topic = EVENTS_PREFIX + indicator.spec.event
            by_topic.setdefault(topic, {})[indicator.spec.id] = indicator
        self._by_topic = by_topic

    @property
    def topics(self) -> frozenset[str]:
        """The topics that some indicator reads."""
        return frozenset(self._by_topic)

    def unit_ids(self, partition: TopicPartition) -> Sequence[str]:
        return [self._new(indicator, partition).unit_id for indicator in self._by_topic.get(partition.topic, {}).values()]

    def fresh(self, partition: TopicPartition, unit_id: str, offset: int) -> FoldUnit:
        unit = self._new(self._indicator(partition, unit_id), partition)
        unit.offset = offset
        return unit

    def restore(self, partition: TopicPartition, unit_id: str, snapshot: Snapshot) -> FoldUnit:
        indicator = self._indicator(partition, unit_id)
        return FoldUnit.load(indicator, partition.topic, partition.partition, self._event_partitions, snapshot.offset, snapshot.chunks)

    def prepare(self, partition: TopicPartition, records: Sequence[Record]) -> Prepared[Batch]:
        """Decode; what cannot be decoded goes to quarantine and the rest is decoded without it."""
        event_type = partition.topic.removeprefix(EVENTS_PREFIX)
        first, last = records[0].offset, records[-1].offset
        readable = [record for record in records if record.value is not None]
        rejected = [_quarantined(record, "undecodable", "", "a record without value") for record in records if record.value is None]
        try:
            frame = self._decode(event_type, readable)
        except UndecodableRecords as error:
            for index, reason in zip(error.indices, error.reasons, strict=True):
                rejected.append(_quarantined(readable[index], "undecodable", "", reason))
            bad = set(error.indices)
            frame = self._decode(event_type, [record for index, record in enumerate(readable) if index not in bad])
        if rejected:
            _log.warning("records_undecodable", topic=partition.topic, partition=partition.partition, first=first, last=last, records=len(rejected))
        return Prepared(Batch(frame, first, last), first, last, rejected)

    def apply(self, unit: FoldUnit, prepared: Prepared[Batch]) -> Effects:
        partial = unit.apply(prepared.batch)
        if partial is None:
            return Effects()
        faults = [_faulty(unit, fault) for fault in partial.faults]
        return Effects(faults, [self._message(unit, part) for part in encode(partial)])

    def announce(self, unit: FoldUnit) -> list[Message]:
        return [self._message(unit, part) for part in encode(unit.full_partial())]

    def replaces(self, new: str, old: str) -> bool:
        return new.split("/")[1] == old.split("/")[1]

    def repeats_to(self, unit: FoldUnit) -> int:
        return unit.indicator.partials_partition(self._partials_partitions)

    def sent(self, messages: Sequence[Message], offsets: Sequence[int]) -> None:
        """Nothing depends on where partials lie."""

    def _new(self, indicator: Indicator, partition: TopicPartition) -> FoldUnit:
        return FoldUnit.new(indicator, partition.topic, partition.partition, self._event_partitions)

    def _indicator(self, partition: TopicPartition, unit_id: str) -> Indicator:
        return self._by_topic[partition.topic][unit_id.split("/")[1]]

    def _decode(self, event_type: str, records: Sequence[Record]) -> pl.DataFrame:
        values = [record.value for record in records]
        fingerprints = [_fingerprint(record) for record in records]
        known = None if None in fingerprints else fingerprints
        return self._codec.decode_batch(event_type, values, [record.offset for record in records], fingerprints=known)  # type: ignore[arg-type]

    def _message(self, unit: FoldUnit, part: bytes) -> Message:
        return Message(PARTIALS, self.repeats_to(unit), unit.unit_id.encode(), part)


def _fingerprint(record: Record) -> bytes | None:
    headers = record.headers
    if headers and headers[-1][0] == "ce_dataschema":
        return headers[-1][1]
    return next((value for name, value in headers if name == "ce_dataschema"), None)


def _quarantined(record: Record, rule: str, field: str, message: str) -> Message:
    # Faust's transport hands over aiokafka's records as they are; converting each would cost a tenth of the throughput.
    published_ms = int(getattr(record, "timestamp_ms", None) or getattr(record, "timestamp", None) or 0)
    at = datetime.fromtimestamp(published_ms / 1000, UTC).isoformat()
    return _entry(record.topic, record.partition, record.offset, rule=rule, field=field, message=message, at=at)


def _faulty(unit: FoldUnit, fault: RowFault) -> Message:
    message = f"{unit.indicator.spec.id}: {fault.message}"
    return _entry(unit.topic, unit.partition, fault.offset, rule=fault.rule, field=fault.field, message=message, at="", indicator=unit.indicator.spec.id)


def _entry(topic: str, partition: int, offset: int, *, rule: str, field: str, message: str, at: str, indicator: str = "") -> Message:
    """A quarantine record whose original stays where it is: in the log, at `position`; nothing of its content is repeated here."""
    place = f"{topic}/{partition}/{offset}"
    entry = {
        "source": "fold",
        "position": {"topic": topic, "partition": partition, "offset": offset},
        "reason": {
            "rule": rule,
            "field": field,
            "message": f"Rekaman di {place} tidak dapat dihitung ({rule})",
            "message_en": message,
            "received": "",
            "shape": "",
            "allowed": "",
        },
        "file": "",
        "line": 0,
        "indicator": indicator,
        "state": "open",
        "sealed": "",
        "key_id": "",
        "at": at,
    }
    agency = topic.removeprefix(EVENTS_PREFIX).split(".")[0]
    key = f"fold|{place}|{indicator}"
    return Message(QUARANTINE_PREFIX + agency, 0, key.encode(), json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode())

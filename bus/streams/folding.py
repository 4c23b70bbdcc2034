"""The fold as work of a stage: events in, partials out, and what cannot be read into quarantine."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

import polars as pl
import structlog

from bus.events.catalogue import Catalogue
from bus.events.codec import Codec, UndecodableRecords
from bus.events.heartbeat import heartbeat_of
from bus.indicators.compose import AnyIndicator
from bus.indicators.fold import Batch, FoldUnit
from bus.indicators.fold_state import lasting
from bus.indicators.indicator import Indicator
from bus.indicators.partial import RowFault, canonical, encode
from bus.kafka.places import LogPlace
from bus.kafka.ports import Message, Record, Snapshot, TopicPartition
from bus.kafka.topics import EVENTS_PREFIX, PARTIALS, QUARANTINE_PREFIX
from bus.streams.lane import replay_name
from bus.streams.work import Effects, Prepared

_log = structlog.get_logger(__name__)

_SCHEMA_HEADER = "ce_dataschema"


class FoldWork:
    """All indicators over all event topics. `indicators` may be replaced while it runs; the stage then calls `refresh`."""

    name = "fold"
    may_begin_late = False

    def __init__(
        self, catalogue: Catalogue, indicators: Mapping[str, AnyIndicator], *, event_partitions: int, partials_partitions: int
    ) -> None:
        self._codec = Codec(catalogue)
        self._event_partitions = event_partitions
        self._partials_partitions = partials_partitions
        self._by_topic: dict[str, dict[str, Indicator]] = {}
        self.take(indicators)

    def take(self, indicators: Mapping[str, AnyIndicator]) -> None:
        """The wanted indicators from now on; composites travel with their leaves."""
        by_topic: dict[str, dict[str, Indicator]] = {}
        for indicator in indicators.values():
            if isinstance(indicator, Indicator):
                by_topic.setdefault(indicator.topic, {})[indicator.id] = indicator
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

    def lasting(self, block: str) -> bool:
        return lasting(block)

    def readable(self, snapshot: Snapshot) -> bool:
        return True

    def restore(self, partition: TopicPartition, unit_id: str, snapshot: Snapshot) -> FoldUnit:
        indicator, place = self._indicator(partition, unit_id), (partition.topic, partition.partition)
        return FoldUnit.load(indicator, *place, self._event_partitions, snapshot.offset, snapshot.blocks, snapshot.elsewhere)

    def prepare(self, partition: TopicPartition, records: Sequence[Record]) -> Prepared[Batch]:
        """Decode; what cannot be decoded goes to quarantine and the rest is decoded without it."""
        event_type = partition.topic.removeprefix(EVENTS_PREFIX)
        first, last = records[0].offset, records[-1].offset
        readable = [record for record in records if record.value is not None]
        concerned = {name: indicator.version for name, indicator in self._by_topic.get(partition.topic, {}).items()}
        empty = [record for record in records if record.value is None] if len(readable) < len(records) else []
        beats = {record.offset: heartbeat_of(record.headers) for record in empty}
        rejected = [_quarantined(record, "neither an event nor a heartbeat", concerned) for record in empty if beats[record.offset] is None]
        try:
            frame = self._decode(event_type, readable)
        except UndecodableRecords as error:
            for index, reason in zip(error.indices, error.reasons, strict=True):
                rejected.append(_quarantined(readable[index], reason, concerned))
            bad = set(error.indices)
            frame = self._decode(event_type, [record for index, record in enumerate(readable) if index not in bad])
        if rejected:
            _log.warning(
                "records_undecodable", topic=partition.topic, partition=partition.partition, first=first, last=last, records=len(rejected)
            )
        heartbeats = tuple((offset, *beat) for offset, beat in beats.items() if beat is not None)
        return Prepared(Batch(frame, first, last, heartbeats), first, last, rejected, records)

    def needs(self, unit: FoldUnit, prepared: Prepared[Batch]) -> Collection[str]:
        return unit.needs(prepared.batch)

    def apply(self, unit: FoldUnit, prepared: Prepared[Batch]) -> Effects:
        partial = unit.apply(prepared.batch)
        if partial is None:
            return Effects()
        faults = [_faulty(unit, fault, prepared.records) for fault in partial.faults]
        return Effects(faults, [self._message(unit, part) for part in encode(partial)])

    def announce(self, unit: FoldUnit) -> list[Message]:
        self._bring_up_to_date(unit)
        return [self._message(unit, part) for part in encode(unit.full_partial())]

    def greet(self, unit: FoldUnit) -> list[Message]:
        self._bring_up_to_date(unit)
        return [self._message(unit, part) for part in encode(unit.heading())] if unit.indicator.says_more else []

    def replaces(self, new: str, old: str) -> bool:
        return new.split("/")[1] == old.split("/")[1]

    def supersedes(self, new: str, old: str) -> bool:
        """What `new` was before it was published, and lower versions of its indicator over the same partition."""
        if old == replay_name(new):
            return True
        after, before = _parts(new), _parts(old.removeprefix(replay_name("")))
        return after is not None and before is not None and before[1] < after[1] and (before[0], before[2:]) == (after[0], after[2:])

    def repeats_to(self, unit: FoldUnit) -> int:
        return unit.indicator.partials_partition(self._partials_partitions)

    def sent(self, messages: Sequence[Message], offsets: Sequence[int]) -> None:
        """Nothing depends on where partials lie."""

    def _bring_up_to_date(self, unit: FoldUnit) -> None:
        """What is declared beside its definition may have changed since the unit was made: composites over it, expected reporters."""
        current = self._by_topic.get(unit.topic, {}).get(unit.indicator.id)
        if current is not None and current.fingerprint == unit.indicator.fingerprint:
            unit.indicator = current

    def _new(self, indicator: Indicator, partition: TopicPartition) -> FoldUnit:
        return FoldUnit.new(indicator, partition.topic, partition.partition, self._event_partitions)

    def _indicator(self, partition: TopicPartition, unit_id: str) -> Indicator:
        return self._by_topic[partition.topic][unit_id.split("/")[1]]

    def _decode(self, event_type: str, records: Sequence[Record]) -> pl.DataFrame:
        values = [record.value for record in records]
        # Connectors write this header last; a call for each record would cost a twentieth of the fold.
        fingerprints = [
            record.headers[-1][1] if record.headers and record.headers[-1][0] == _SCHEMA_HEADER else _fingerprint(record)
            for record in records
        ]
        known = None if None in fingerprints else fingerprints
        return self._codec.decode_batch(event_type, values, [record.offset for record in records], fingerprints=known)  # type: ignore[arg-type]

    def _message(self, unit: FoldUnit, part: bytes) -> Message:
        return Message(PARTIALS, self.repeats_to(unit), unit.unit_id.encode(), part)


def _parts(unit_id: str) -> tuple[str, int, str, str] | None:
    """(indicator, version, topic, partition) of a fold unit's name; None for other names."""
    match unit_id.split("/"):
        case ["fold", indicator, version, _, topic, partition] if version.isdecimal():
            return indicator, int(version), topic, partition
    return None


def _fingerprint(record: Record) -> bytes | None:
    return next((value for name, value in record.headers if name == _SCHEMA_HEADER), None)


def _time_of(record: Record) -> str:
    """When the record was published. Faust's transport hands over aiokafka's records as they are, whose field has another name."""
    published_ms = getattr(record, "timestamp_ms", None)
    if published_ms is None:
        published_ms = getattr(record, "timestamp", None)
    return datetime.fromtimestamp((published_ms or 0) / 1000, UTC).isoformat()


def _quarantined(record: Record, what: str, definitions: Mapping[str, int]) -> Message:
    place = LogPlace(record.topic, record.partition, record.offset)
    return _entry(place, rule="undecodable", field="", message=what, at=_time_of(record), definitions=definitions)


def _faulty(unit: FoldUnit, fault: RowFault, records: Sequence[Record]) -> Message:
    indicator = unit.indicator
    place = LogPlace(unit.topic, unit.partition, fault.offset, indicator.id)
    found = bisect_left(records, fault.offset, key=lambda record: record.offset)
    at = _time_of(records[found]) if found < len(records) else ""
    return _entry(place, rule=fault.rule, field=fault.field, message=fault.message, at=at, definitions={indicator.id: indicator.version})


#: Why a record cannot be used, as agencies read it.
_WORDS = {
    "undecodable": "tidak ada skema yang membacanya",
    "too_large": "nilai terlalu besar",
    "not_finite": "nilai bukan bilangan yang terhingga",
    "outside_calendar": "tanggal di luar kalender hari kerja",
    "no_limit": "batas hari kerja tidak ada",
}


def _entry(place: LogPlace, *, rule: str, field: str, message: str, at: str, definitions: Mapping[str, int]) -> Message:
    """A quarantine record whose original stays where it is, in the log; nothing of its content is repeated here.

    `definitions` (indicator -> version) are those that leave the record out: higher versions are computed from the log's beginning.
    """
    entry = {
        "source": place.source,
        "position": {"topic": place.topic, "partition": place.partition, "offset": place.offset},
        "reason": {
            "rule": rule,
            "field": field,
            "message": f"Rekaman di {place.where} tidak dapat dihitung: {_WORDS.get(rule, rule)}",
            "message_en": f"{place.where}: {message}",
            "received": "",
            "shape": "",
            "allowed": "",
        },
        "file": "",
        "line": 0,
        "indicator": place.indicator,
        "definitions": dict(sorted(definitions.items())),
        "state": "open",
        "sealed": "",
        "key_id": "",
        "at": at,
    }
    agency = place.topic.removeprefix(EVENTS_PREFIX).split(".")[0]
    return Message(QUARANTINE_PREFIX + agency, 0, place.key.encode(), canonical(entry).encode())

"""What was let out, in Kafka: the records of `public.<id>`, and the cuts in `bus.releases`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from bus.disclosure.released import Released
from bus.disclosure.releases import Cut
from bus.errors import FatalError
from bus.events.codec import Codec
from bus.events.subjects import PUBLIC_VALUE
from bus.kafka.ports import Message, Record
from bus.kafka.topics import PUBLIC_PREFIX, RELEASES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode_released(codec: Codec, row: Released) -> Message:
    """The record of a row. The same row is the same bytes."""
    fields: Mapping[str, object] = {
        "indicator": row.indicator,
        "version": row.version,
        "window_start": _time(row.window_start_us),
        "window_end": _time(row.window_end_us),
        "dimensions": [{"name": name, "value": value} for name, value in row.dimensions.items()],
        "suppressed": row.suppressed,
        "value": row.value,
        "numerator": row.numerator,
        "denominator": row.denominator,
        "n": row.n,
        "revision": row.revision,
        "status": row.status,
        "label": row.label,
        "error": row.error,
        "heard": row.heard,
        "expected": row.expected,
        "evidence": [{"topic": topic, "partition": partition, "offset": offset} for topic, partition, offset in row.evidence],
        "released": _time(row.released_us),
        "closing": row.closing,
    }
    value, headers = codec.encode_record(PUBLIC_VALUE, fields)
    return Message(PUBLIC_PREFIX + row.indicator, 0, row.key(), value, headers)


def encode_cut(cut: Cut) -> Message:
    """The record of a cut."""
    fields = {"lane": cut.lane, "fingerprint": cut.fingerprint, "at": cut.at_us, "offsets": dict(sorted(cut.offsets.items()))}
    return Message(RELEASES, 0, cut.lane.encode(), json.dumps(fields, separators=(",", ":")).encode())


def decode_cut(record: Record) -> Cut:
    """A cut. Raises `FatalError` for what this version cannot have written."""
    try:
        fields = json.loads(record.value or b"")
        return Cut(fields["lane"], fields["fingerprint"], fields["at"], fields["offsets"])
    except (ValueError, KeyError, TypeError) as error:
        raise FatalError(f"{record.topic} offset {record.offset} is not a cut: {error!r}") from error


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)

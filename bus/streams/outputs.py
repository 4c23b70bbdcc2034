"""What merge publishes: its form in Kafka, and its order (ADR 0014 R5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from bus.errors import FatalError
from bus.events.codec import Codec
from bus.indicators.outputs import Leaf, Output, order_of
from bus.kafka.ports import Headers, Record
from bus.kafka.topics import INDICATORS_PREFIX

SCHEMA = "bus.indicator_value.v1"

#: (topic, record key): one cell.
Place = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Mark:
    """`Output.order` of a record, and what readers see that can change without a change of the cell."""

    version: int
    revision: int
    progress: int
    of_time: tuple[object, ...]

    def stands_below(self, other: Mark) -> bool:
        """Whether readers must not be left with this record where `other` was published: it is older, and says something else.

        Of one version and revision all numbers are the same but ages; status and reporters may differ.
        """
        if (self.version, self.revision) != (other.version, other.revision):
            return (self.version, self.revision) < (other.version, other.revision)
        return self.of_time != other.of_time and self.progress < other.progress


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def topic_of(indicator: str) -> str:
    """The topic of an indicator's values."""
    return INDICATORS_PREFIX + indicator


def mark_of(output: Output) -> Mark:
    """The mark of an output."""
    return Mark(*output.order, (output.status, output.heard, output.expected, output.value))


def encode_output(codec: Codec, output: Output) -> tuple[bytes, bytes, Headers]:
    """Key, value and headers of an output's record."""
    fields: Mapping[str, object] = {
        "indicator": output.indicator,
        "version": output.version,
        "fingerprint": output.fingerprint,
        "window_start": _time(output.window_start_us),
        "window_end": _time(output.window_end_us),
        "dimensions": [{"name": name, "value": value} for name, value in output.dimensions.items()],
        "value": output.value,
        "numerator": output.numerator,
        "denominator": output.denominator,
        "n": output.n,
        "revision": output.revision,
        "status": output.status,
        "evidence": [{"topic": topic, "partition": partition, "offset": offset} for topic, partition, offset in output.evidence],
        "late": output.late,
        "corrected": output.corrected,
        "withdrawn": output.withdrawn,
        "heard": output.heard,
        "expected": output.expected,
        "label": output.label,
        "error": output.error,
        "as_of": None if output.as_of_us is None else _time(output.as_of_us),
        "leaves": [{"indicator": leaf.indicator, "version": leaf.version, "partitions": leaf.partitions} for leaf in output.leaves],
        "closing": output.closing,
        "watermarks": [{"source": source, "at": _time(at)} for source, at in sorted(output.watermarks.items())],
    }
    value, headers = codec.encode_record(SCHEMA, fields)
    return output.key(), value, headers


def mark_of_record(codec: Codec, record: Record) -> Mark | None:
    """The mark that a record of an output topic bears; None for a tombstone."""
    if record.value is None:
        return None
    fields = codec.decode(record.value, record.headers)
    evidence = cast("Sequence[Mapping[str, int]]", fields["evidence"])
    order = order_of(cast("int", fields["version"]), cast("int", fields["revision"]), (entry["offset"] for entry in evidence))
    return Mark(*order, tuple(fields[name] for name in ("status", "heard", "expected", "value")))


def decode_output(codec: Codec, record: Record) -> Output | None:
    """The value in a record of an indicator's topic; None for a tombstone. Raises `FatalError` for what this version cannot have written."""
    if record.value is None:
        return None
    found = cast("Mapping[str, Any]", codec.decode(record.value, record.headers))
    try:
        return Output(
            indicator=found["indicator"],
            version=found["version"],
            fingerprint=found["fingerprint"],
            window_start_us=_micros(found["window_start"]),
            window_end_us=_micros(found["window_end"]),
            dimensions={each["name"]: each["value"] for each in found["dimensions"]},
            value=found["value"],
            numerator=found["numerator"],
            denominator=found["denominator"],
            n=found["n"],
            revision=found["revision"],
            status=str(found["status"]),
            evidence=tuple((each["topic"], each["partition"], each["offset"]) for each in found["evidence"]),
            watermarks={each["source"]: _micros(each["at"]) for each in found["watermarks"]},
            late=found["late"],
            corrected=found["corrected"],
            withdrawn=found["withdrawn"],
            heard=found["heard"],
            expected=found["expected"],
            label=found["label"],
            error=found["error"],
            as_of_us=None if found["as_of"] is None else _micros(found["as_of"]),
            leaves=tuple(Leaf(each["indicator"], each["version"], each["partitions"]) for each in found["leaves"]),
            closing=found["closing"],
        )
    except (KeyError, TypeError) as error:
        raise FatalError(f"{record.topic} offset {record.offset} is not an indicator value: {error!r}") from error


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)

"""One record of a `public.<id>` topic as the store keeps it: plain values, numbers as decimal texts, moments in microseconds (UTC)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import cast

from bus.errors import SchemaViolation
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.indicators.windows import to_micros
from bus.kafka.ports import Record
from bus.kafka.topics import PUBLIC_PREFIX

_DECIMAL = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Observation:
    """A cell as it was let out. `suppressed`: its numbers are withheld; only window, dimensions and status are known.

    `gone`: readers have no row of the cell (any more).
    """

    cell: str
    version: int
    window_start_us: int
    window_end_us: int
    dimensions: Mapping[str, str | None]
    suppressed: bool
    value: str | None
    numerator: str | None
    denominator: str | None
    n: int | None
    revision: int | None
    status: str
    label: str | None
    error: str | None
    heard: int
    expected: int
    evidence: Sequence[tuple[str, int, int]]
    closing: bool
    gone: bool

    def content(self) -> str:
        """All of it in one form: two records with the same content tell readers the same."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Entry:
    """A record of the log: what it says, at which offset, with which release. `said` is None for a tombstone, whose release is not told."""

    offset: int
    cell: str
    released_us: int | None
    said: Observation | None


#: Reads one record. Raises a `BusError` when it cannot be read.
Decode = Callable[[Record], Entry]


def decoder(catalogue: Catalogue) -> Decode:
    """Reads public values by the schemas of that catalogue."""
    codec = Codec(catalogue)

    def decode(record: Record) -> Entry:
        if record.key is None:
            raise SchemaViolation("a record without key", field="key", rule="missing_key")
        cell = record.key.decode("utf-8", "strict")
        if record.value is None:
            return Entry(record.offset, cell, None, None)
        values = codec.decode(record.value, record.headers)
        if values["indicator"] != record.topic.removeprefix(PUBLIC_PREFIX):
            raise SchemaViolation(
                f"a value of indicator {values['indicator']!r} in topic {record.topic}", field="indicator", rule="wrong_topic"
            )
        return Entry(record.offset, cell, to_micros(cast("datetime", values["released"])), observation(cell, values))

    return decode


def observation(cell: str, values: Mapping[str, object]) -> Observation:
    """The observation in a decoded `bus.public_value.v1`. What is withheld stays away, whatever the record holds besides."""
    withheld = bool(values["suppressed"])
    n = None if withheld else cast("int | None", values["n"])
    closing = bool(values["closing"])

    def shown(name: str) -> str | None:
        return None if withheld else cast("str | None", values[name])

    for name in ("value", "numerator", "denominator", "error"):
        if (text := shown(name)) is not None and not _DECIMAL.fullmatch(text):
            raise SchemaViolation(f"{name} is no decimal", field=name, rule="not_a_number", allowed="a decimal number, as -12.5")
    pairs = cast("list[dict[str, str | None]]", values["dimensions"])
    evidence = cast("list[dict[str, object]]", [] if withheld else values["evidence"])
    return Observation(
        cell=cell,
        version=cast("int", values["version"]),
        window_start_us=to_micros(cast("datetime", values["window_start"])),
        window_end_us=to_micros(cast("datetime", values["window_end"])),
        dimensions={str(pair["name"]): pair["value"] for pair in pairs},
        suppressed=withheld,
        value=shown("value"),
        numerator=shown("numerator"),
        denominator=shown("denominator"),
        n=n,
        revision=None if withheld else cast("int | None", values["revision"]),
        status=str(values["status"]),
        label=shown("label"),
        error=shown("error"),
        heard=0 if withheld else cast("int", values["heard"]),
        expected=cast("int", values["expected"]),
        evidence=[(str(each["topic"]), cast("int", each["partition"]), cast("int", each["offset"])) for each in evidence],
        closing=closing,
        gone=n == 0 and not closing,
    )

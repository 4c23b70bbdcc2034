"""Finds raw identifiers in what the bus has left behind: records of topics, clear parts of the quarantine, logs, metrics.

It looks for the structure of a NIK or No. KK, for mobile numbers, and for what a test knows to have been put in (`known`: names, record
numbers). A hit says where and what kind, never the value.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from bus.errors import BusError
from bus.events.codec import Codec
from bus.events.nik import contains_nik, contains_phone, is_nik_number
from bus.kafka.packing import unpack
from bus.kafka.ports import Record
from bus.kafka.topics import EVENTS_PREFIX

#: What is long, random and without meaning: base64 of sealed content, pseudonyms, sealed texts, digests.
_OPAQUE = re.compile(r"sealed:[A-Za-z0-9_-]+|hmac:[a-p]{32}|(?=[A-Za-z0-9+/_-]*[A-Za-z])[A-Za-z0-9+/_-]{44,}={0,2}")


@dataclass(frozen=True, slots=True)
class Hit:
    """A raw identifier: where it was found, and whether it is a `nik`, a `phone` or something `known`."""

    where: str
    kind: str


class Scanner:
    """Looks for identifiers, and for the texts in `known` (names, numbers) in any case and with any blanks or marks between."""

    def __init__(self, known: Collection[str] = (), *, codec: Codec | None = None) -> None:
        """`codec` decodes events, so that their fields are looked at one by one; without it only their bytes are."""
        self._known = [_plain(text) for text in known if len(_plain(text)) > 3]
        self._codec = codec

    def text(self, where: str, text: str) -> Iterator[Hit]:
        """What stands in a text: a log, a message."""
        clear = _OPAQUE.sub(" \N{BULLET} ", text)
        if contains_nik(clear):
            yield Hit(where, "nik")
        if contains_phone(clear):
            yield Hit(where, "phone")
        plain = _plain(text)
        if any(known in plain for known in self._known):
            yield Hit(where, "known")

    def metrics(self, page: str) -> Iterator[Hit]:
        """What stands in a page of metrics: names and labels. Values are measured, and the digits of a duration may look like anything."""
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                yield from self.text(f"metric {family.name}", " \N{BULLET} ".join((sample.name, *sample.labels.values())))

    def value(self, where: str, value: object) -> Iterator[Hit]:
        """What stands in a JSON value or a decoded record, at every depth, names of fields included."""
        if isinstance(value, Mapping):
            for name, each in value.items():
                yield from self.text(f"{where}, a field's name", str(name))
                yield from self.value(f"{where}.{name}" if not contains_nik(str(name)) else where, each)
        elif isinstance(value, (list, tuple)):
            for each in value:
                yield from self.value(where, each)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            if is_nik_number(value):
                yield Hit(where, "nik")
        elif isinstance(value, (str, bytes)):
            yield from self.text(where, value if isinstance(value, str) else value.decode("latin-1"))

    def record(self, topic: str, record: Record) -> Iterator[Hit]:
        """What stands in a record of Kafka: key, headers and value. Events are decoded, states unpacked, JSON is taken apart."""
        where = f"{topic}[{record.partition}]@{record.offset}"
        for name, part in (("key", record.key), *((f"header {name}", value) for name, value in record.headers)):
            yield from self.text(f"{where} {name}", (part or b"").decode("utf-8", "replace"))
        if record.value is None:
            return
        content = record.value if topic.startswith(EVENTS_PREFIX) else _unpacked(record.value)
        yield from self.value(where, self._decoded(content))
        # what decoding might leave out
        if any(known.encode() in content.upper() for known in self._known):
            yield Hit(f"{where} bytes", "known")

    def records(self, topic: str, records: Iterable[Record]) -> list[Hit]:
        """The hits of all records of a topic."""
        return [hit for record in records for hit in self.record(topic, record)]

    def _decoded(self, content: bytes) -> object:
        if self._codec is not None and content[:1] == b"\x00":
            try:
                values = self._codec.decode(content)
            except BusError:
                return content
            return {name: value for name, value in values.items() if name not in {"sequence", "version"}}
        try:
            return json.loads(content)
        except (ValueError, UnicodeDecodeError):
            return content


def _unpacked(value: bytes) -> bytes:
    """A state's block as it was before packing; anything else, or a piece of a block, as it is."""
    try:
        return unpack([value]) if value[:1] in (b"\x00", b"\x01", b"\x02") else value
    except (BusError, zlib.error, OSError):
        return value


def _plain(text: str) -> str:
    return "".join(char for char in text.upper() if char.isalnum())

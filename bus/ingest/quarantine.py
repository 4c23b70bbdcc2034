"""The quarantine: topic `quarantine.<agency>` (compacted), one record a refused record or file, its raw content sealed.

Key `<source>|<delivery>|<line>`; line 0 is a whole file. What does not fit into one record travels in parts under `<key>|<n>`, written
before the record that counts them. A record that came as far as the log and cannot be used by a fold is there under its `LogPlace`,
without content: the original stays in the log.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from bus.errors import RecordError
from bus.events.envelope import sequence_of
from bus.ingest.messages import clip, describe, mask
from bus.ingest.seal import Opener, Sealer
from bus.ingest.source import Reason
from bus.ingest.tail import Tail, json_message, json_value, number, text
from bus.kafka.places import LogPlace
from bus.kafka.ports import LogReader, Message
from bus.kafka.topics import QUARANTINE_PREFIX

_log = structlog.get_logger(__name__)

OPEN, RESOLVED = "open", "resolved"
#: Raw bytes sealed into one Kafka record.
PART_BYTES = 512 * 1024
#: A larger file is not copied into the quarantine: it must be delivered again.
LARGEST_SEALED = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was refused; line 0 is the whole file."""

    source: str
    delivery: int
    line: int

    @property
    def key(self) -> str:
        return f"{self.source}|{self.delivery}|{self.line}"

    @classmethod
    def parse(cls, key: str) -> Place:
        """The place that a key names. Raises `ValueError`."""
        source, delivery, line = key.rsplit("|", 2)
        return cls(source, int(delivery), int(line))


def parse_place(key: str) -> Place | LogPlace:
    """The place that a key names. Raises `ValueError`."""
    return LogPlace.parse(key) or Place.parse(key)


@dataclass(frozen=True, slots=True)
class RawText:
    """What is sealed of a record: its text and what is needed to read it again. `extra` are values from outside of it."""

    header: tuple[str, ...]
    delimiter: str
    raw: str
    extra: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        value = {"header": list(self.header), "delimiter": self.delimiter, "raw": self.raw}
        return json.dumps(value | ({"extra": dict(self.extra)} if self.extra else {}), ensure_ascii=False).encode()

    @classmethod
    def decode(cls, content: bytes) -> RawText:
        value = json.loads(content)
        return cls(tuple(value["header"]), value["delimiter"], value["raw"], value.get("extra", {}))


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of the quarantine, as it may be shown to anyone who may read the topic."""

    place: Place | LogPlace
    state: str
    file: str
    line: int
    reason: Mapping[str, str]
    at: str
    key_id: str = ""
    sealed: str = ""
    parts: int = 0
    outcome: str = ""
    #: Of a record in the log: indicator -> version of the definitions that leave it out.
    definitions: Mapping[str, int] = field(default_factory=dict)

    def value(self) -> dict[str, object]:
        """Its JSON."""
        return _position(self.place) | {
            "reason": dict(self.reason), "file": self.file, "line": self.line, "source": self.place.source, "state": self.state,
            "sealed": self.sealed, "parts": self.parts, "key_id": self.key_id, "at": self.at, "outcome": self.outcome,
        } | ({"definitions": dict(self.definitions)} if self.definitions else {})  # fmt: skip

    def message(self, agency: str) -> Message:
        """The record to write."""
        return json_message(QUARANTINE_PREFIX + agency, self.place.key, self.value())

    def resolved(self, agency: str, *, at: str, outcome: str) -> list[Message]:
        """The records that close it: itself without content, then the tombstones of its parts."""
        closed = replace(self, state=RESOLVED, sealed="", parts=0, at=at, outcome=outcome)
        topic = QUARANTINE_PREFIX + agency
        return [closed.message(agency), *(json_message(topic, f"{self.place.key}|{part}", None) for part in range(self.parts))]


def refusal(
    agency: str, place: Place, reason: Reason, *, file: str, line: int, raw: bytes | None, sealer: Sealer, at: str
) -> list[Message]:
    """The messages that put a record (or with line 0 in `place` a file) into quarantine: parts first. `line` is where to look."""
    message_id, message_en = describe(reason, file=file, line=line)
    clear = {
        "rule": reason.rule,
        "field": clip(reason.field),
        "message": message_id,
        "message_en": message_en,
        "allowed": mask(reason.allowed),
    }
    clear |= {"received": clip(reason.received)} if reason.received else {"shape": clip(reason.shape)}
    entry = Entry(place, OPEN, mask(file), line, clear, at, sealer.key_id if raw is not None else "")
    if raw is None:
        return [entry.message(agency)]
    if len(raw) <= PART_BYTES:
        return [replace(entry, sealed=sealer.seal(raw)).message(agency)]
    pieces = [raw[start : start + PART_BYTES] for start in range(0, len(raw), PART_BYTES)]
    topic = QUARANTINE_PREFIX + agency
    parts = [json_message(topic, f"{place.key}|{part}", {"part": part, "sealed": sealer.seal(piece)}) for part, piece in enumerate(pieces)]
    return [*parts, replace(entry, parts=len(pieces)).message(agency)]


class Quarantine:
    """The quarantine of an agency as it is now. Holds the sealed contents of what is open."""

    def __init__(self, reader: LogReader, agency: str) -> None:
        self._tail = Tail(reader, QUARANTINE_PREFIX + agency)
        self._entries: dict[Place | LogPlace, Entry] = {}
        self._parts: dict[tuple[Place, int], str] = {}

    async def refresh(self) -> None:
        """Read on to the end of the topic."""
        async for record in self._tail.read():
            try:
                self._note((record.key or b"").decode(), json_value(record))
            except ValueError:
                _log.warning("quarantine_record_ignored", topic=record.topic, offset=record.offset, reason="its key names no place")

    def entries(self, *, state: str | None = OPEN) -> Sequence[Entry]:
        """The entries in that state (None: all), by source and position."""
        found = (entry for entry in self._entries.values() if state is None or entry.state == state)
        return sorted(found, key=lambda entry: _order(entry.place))

    def get(self, place: Place | LogPlace) -> Entry | None:
        return self._entries.get(place)

    def content(self, entry: Entry, opener: Opener) -> bytes:
        """What was sealed. Raises `RecordError` when there is nothing, a part is missing, or the key is another one."""
        return b"".join(opener.open(piece) for piece in self._pieces(entry))

    def _pieces(self, entry: Entry) -> Iterator[str]:
        if entry.sealed:
            yield entry.sealed
            return
        if not entry.parts:
            raise RecordError("its content was not kept: have the file delivered again", rule="not_kept", allowed="a new delivery")
        for part in range(entry.parts):
            piece = self._parts.get((entry.place, part)) if isinstance(entry.place, Place) else None
            if piece is None:
                raise RecordError(
                    f"part {part + 1} of {entry.parts} of the sealed content is missing", rule="not_kept", allowed="a new delivery"
                )
            yield piece

    def _note(self, key: str, value: Mapping[str, object] | None) -> None:
        if LogPlace.parse(key) is None and key.count("|") == 3:
            self._note_part(key, value)
        elif value is not None:
            entry = _entry(parse_place(key), value)
            self._entries[entry.place] = entry

    def _note_part(self, key: str, value: Mapping[str, object] | None) -> None:
        head, _, part = key.rpartition("|")
        place = Place.parse(head)
        if value is None:
            self._parts.pop((place, int(part)), None)
        else:
            self._parts[place, int(part)] = text(value, "sealed")


def _position(place: Place | LogPlace) -> dict[str, object]:
    if isinstance(place, Place):
        return {"position": sequence_of(place.delivery, place.line), "delivery": place.delivery}
    return {"position": {"topic": place.topic, "partition": place.partition, "offset": place.offset}, "indicator": place.indicator}


def _order(place: Place | LogPlace) -> tuple[str, str, int, int, str]:
    if isinstance(place, Place):
        return place.source, "", place.delivery, place.line, ""
    return place.source, place.topic, place.partition, place.offset, place.indicator


def _entry(place: Place | LogPlace, value: Mapping[str, object]) -> Entry:
    reason, left_out = value.get("reason"), value.get("definitions")
    clear = {str(name): str(item) for name, item in reason.items()} if isinstance(reason, dict) else {}
    definitions = {str(name): int(version) for name, version in left_out.items()} if isinstance(left_out, dict) else {}
    return Entry(
        place, text(value, "state"), text(value, "file"), number(value, "line"), clear, text(value, "at"), text(value, "key_id"),
        text(value, "sealed"), number(value, "parts"), text(value, "outcome"), definitions,
    )  # fmt: skip

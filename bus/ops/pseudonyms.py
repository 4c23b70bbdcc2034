"""`bus keys map`: an agency tells, for each person that it still holds, which pseudonym of a replaced key is which of the new one.

The log says what has been told. Each person is a subject with one state, so that what a killed run wrote late, or two runs at once, is the
same state said again; and a run ends only when it has found all of its persons in the log as readers take them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bus.clock import Clock
from bus.errors import ConfigurationError, FatalError, Problem, RecordError, TransientError
from bus.events.codec import Codec, envelope_of
from bus.events.envelope import Envelope, Event, Op, sequence_of
from bus.events.personal import is_mapping_type
from bus.events.schema import EventSchema
from bus.ingest.manifest import Agency
from bus.ingest.privacy.door import Door
from bus.ingest.privacy.fields import Identifier
from bus.kafka.ports import LogReader, Message, Publisher, Record, TopicPartition
from bus.kafka.topics import partition_of

Progressed = Callable[[int, int], None]

_SENT_AT_ONCE = 500
_ROUNDS = 5
#: A version leaves its low bits to a withdrawal of its batch.
_ROOM_BITS = 8


@dataclass(frozen=True, slots=True)
class Given:
    """Persons to be mapped: new pseudonym -> old one; and the lines (from 1) that hold no such identifier."""

    pairs: Mapping[str, str]
    bad: tuple[int, ...]


def source_of(agency: str) -> str:
    """The source under which an agency's mapping is told; no source of a manifest has such a name."""
    return f"{agency}/~pseudonyms"


def mapping_schema(agency: Agency, schemas: Mapping[str, EventSchema], name: str) -> EventSchema:
    """The schema of a mapping type. Raises `ConfigurationError` for a type that is none, is not there, or is not restricted."""
    if not is_mapping_type(name, agency.id):
        raise ConfigurationError([Problem("--type", f"{name!r}; allowed: {agency.id}.pseudonym.mapped.v<major>")])
    schema, spec = schemas.get(name), agency.manifest.events.get(name)
    if schema is None or spec is None:
        raise ConfigurationError([Problem(name, "is not declared; `bus keys replace` writes its schema and declares it")])
    if spec.access != "restricted":
        raise ConfigurationError([Problem(f"{agency.folder}: events.{name}", f'access is "{spec.access}"; allowed: "restricted"')])
    if sorted(schema.payload_fields) != ["new", "old"] or any(field.pii != "direct" for field in schema.payload_fields.values()):
        raise ConfigurationError([Problem(schema.where, 'its fields are `old` and `new`, both "pii": "direct", and no other')])
    return schema


def pairs_of(lines: Sequence[bytes], kind: type[Identifier], old: Door, new: Door) -> Given:
    """The pseudonyms of the identifiers, one a line; blank lines are none. Of what a line holds nothing is kept."""
    pairs: dict[str, str] = {}
    bad: list[int] = []
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if not text:
                continue
            identifier = kind.read(text, kind.kind)
            pairs[new.pseudonym(identifier)] = old.pseudonym(identifier)
        except (RecordError, UnicodeDecodeError):
            bad.append(number)
    return Given(pairs, tuple(bad))


async def publish(
    schema: EventSchema, pairs: Mapping[str, str], publisher: Publisher, reader: LogReader, codec: Codec, clock: Clock,
    progress: Progressed | None = None,
) -> int:  # fmt: skip
    """Tell of those that the log does not know yet; how many those were. Durable when it returns; killed, it is run again.

    Raises `TransientError` when others go on writing under the same source at the same time, and `FatalError` when there is no such topic.
    """
    told = _Told(reader, codec, schema)
    await told.refresh()
    missing = told.missing(pairs)
    wanted = len(missing)
    for _ in range(_ROUNDS):
        if not missing:
            return wanted
        messages = [_message(codec, envelope, told.partitions) for envelope in told.envelopes(missing, pairs, clock)]
        for begin in range(0, len(messages), _SENT_AT_ONCE):
            await publisher.send(messages[begin : begin + _SENT_AT_ONCE])
            if progress is not None:
                progress(min(begin + _SENT_AT_ONCE, len(messages)), len(messages))
        # what a killed run wrote just before ours may have taken our sequences, and readers then drop ours
        await told.refresh()
        missing = told.missing(pairs)
    raise TransientError(f"{len(missing)} persons are not in {schema.type.topic}, for somebody else writes there too: run it again")


class _Told:
    """What the topic says, as readers take it: a sequence not above the highest of its source in the partition is a repeat (R6)."""

    def __init__(self, reader: LogReader, codec: Codec, schema: EventSchema) -> None:
        self._reader = reader
        self._codec = codec
        self._schema = schema
        self._positions: dict[int, int] = {}
        self._highest: dict[tuple[int, str], int] = {}
        #: Subject -> its newest version, and whether that is a cancellation.
        self._states: dict[str, tuple[int, bool]] = {}
        self.partitions = 0

    async def refresh(self) -> None:
        """Read what was written since the last time."""
        topic = self._schema.type.topic
        self.partitions = await self._reader.partitions(topic)
        if not self.partitions:
            raise FatalError(f"topic {topic} does not exist: run `bus topics apply`")
        for number in range(self.partitions):
            partition = TopicPartition(topic, number)
            start, end = self._positions.get(number, 0), await self._reader.end(partition)
            if end > start:
                async for batch in self._reader.read(partition, start, end):
                    for record in batch:
                        self._take(record)
            self._positions[number] = end

    def missing(self, pairs: Mapping[str, str]) -> list[str]:
        """Those of the new pseudonyms that are not told of, in the order given."""
        return [new for new in pairs if self._states.get(new, (0, True))[1]]

    def envelopes(self, missing: Sequence[str], pairs: Mapping[str, str], clock: Clock) -> list[Envelope]:
        """The events that tell of them: a batch of its own, above everything that the source has said."""
        name, source = self._schema.name, source_of(self._schema.type.agency)
        highest = max((sequence for (_, each), sequence in self._highest.items() if each == source), default=0)
        delivery, now = (highest >> 40) + 1, clock.now()
        found = []
        for line, new in enumerate(missing, 1):
            version = ((self._states.get(new, (0, True))[0] >> _ROOM_BITS) + 1) << _ROOM_BITS
            event = Event(name, new, now, {"old": pairs[new], "new": new})
            found.append(Envelope(event, source, sequence_of(delivery, line), version, Op.CREATE, f"{source}/{delivery}"))
        return found

    def _take(self, record: Record) -> None:
        if record.value is None:
            return
        envelope = envelope_of(self._schema.name, self._codec.decode(record.value, record.headers))
        place = (record.partition, envelope.source)
        if envelope.sequence <= self._highest.get(place, -1):
            return
        self._highest[place] = envelope.sequence
        subject = envelope.event.subject
        if envelope.version > self._states.get(subject, (0, True))[0]:
            self._states[subject] = (envelope.version, envelope.op is Op.CANCEL)


def _message(codec: Codec, envelope: Envelope, partitions: int) -> Message:
    value, headers = codec.encode(envelope)
    subject, topic = envelope.event.subject, codec.catalogue[envelope.event.type].type.topic
    return Message(topic, partition_of(subject, partitions), subject.encode(), value, headers)

"""`bus withdraw`: everything that a batch said is undone by compensating events, as if it had never been sent (`bus.events.withdrawal`).

The log itself says what has been done: a run that was killed is completed by the next one, and a run of what is complete says nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from bus.clock import Clock
from bus.errors import ConfigurationError, Problem
from bus.events.codec import Codec, UndecodableRecords, envelope_of
from bus.events.schema import EventSchema
from bus.events.withdrawal import Compensation, Logged, compensations, source_of
from bus.ingest.checkpoint import Checkpoints
from bus.ingest.quarantine import Quarantine
from bus.kafka.places import LogPlace
from bus.kafka.ports import LogReader, Message, Publisher, Record, TopicPartition
from bus.kafka.topics import QUARANTINE_PREFIX
from bus.ops.audit import Audit, State
from bus.ops.repeats import Repeats
from bus.ops.wiring import Log

Progressed = Callable[[int, int], None]

#: The header that names the event which a compensating one undoes.
UNDOES = "ce_undoes"
_FINGERPRINT = "ce_dataschema"
_SENT_AT_ONCE = 500
_NAMED = 10
#: Above every offset of a log.
_NOT_YET = 1 << 62


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """What is to be said in one event topic: the batch's events there, and the compensating events by operation."""

    topic: str
    events: int
    kinds: Mapping[str, int]
    pending: tuple[Message, ...] = field(repr=False)
    #: Of the events, those that a later delivery said again without a change.
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A withdrawal before it happens."""

    batch: str
    topics: tuple[TopicPlan, ...]

    @property
    def pending(self) -> int:
        """Compensating events that are not in the log yet."""
        return sum(len(topic.pending) for topic in self.topics)

    @property
    def kept(self) -> int:
        """Events of the batch that a later delivery said again without a change, and that stay."""
        return sum(topic.kept for topic in self.topics)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Topic -> operation -> how many, the events that were said before included."""
        return {topic.topic: dict(topic.kinds) for topic in self.topics}


async def plan_withdrawal(
    schemas: Collection[EventSchema], reader: LogReader, codec: Codec, batch: str, *, repeats: Repeats | None = None,
    progress: Progressed | None = None,
) -> Plan:  # fmt: skip
    """Find every event of the batch and work out what undoes it; nothing is written. `schemas` are all event types.

    `repeats`: what deliveries of its source said again. Such facts stay; those of withdrawn batches that only this one had said again go.

    `progress` is told the records read and those to read. Raises `ConfigurationError` when there is no such batch and when events of it
    cannot be taken back.
    """
    search = _Search(reader, codec, batch, progress or _unseen, repeats)
    mine = [schema for schema in schemas if schema.type.agency == batch.partition("/")[0]]
    if not mine or batch.count("/") < 2:
        agencies = ", ".join(sorted({schema.type.agency for schema in schemas}))
        what = f"is no batch: expected AGENCY/SOURCE/DELIVERY, as the field `batch` of events has it; agencies are: {agencies or 'none'}"
        raise ConfigurationError([Problem(batch, what)])
    found = [(schema, hits) for schema in mine if (hits := await search.find(schema))]
    if not any(hits.events for _, hits in found) and not (repeats and repeats.knows(batch)):
        raise ConfigurationError([Problem(batch, search.nothing())])
    if problems := [_final(batch, schema, hits) for schema, hits in found if hits.events and not schema.correctable]:
        raise ConfigurationError(problems)
    topics = [await search.plan(schema, hits) for schema, hits in found]
    return Plan(batch, tuple(topics))


async def withdraw(plan: Plan, publisher: Publisher, audit: Audit, *, reason: str, progress: Progressed | None = None) -> int:
    """Say what is not said yet, with a record in the audit before and after; how many events that was.

    Durable when it returns. What it raises leaves a withdrawal that the next run completes.
    """
    if not plan.pending:
        if not any(deed.state is State.DONE for deed in await audit.deeds("withdraw", plan.batch)):
            await audit.note("withdraw", plan.batch, State.DONE, reason=reason, counts=plan.counts)
        return 0
    await audit.note("withdraw", plan.batch, State.BEGUN, reason=reason, counts=plan.counts)
    sent = 0
    for topic in plan.topics:
        for begin in range(0, len(topic.pending), _SENT_AT_ONCE):
            messages = topic.pending[begin : begin + _SENT_AT_ONCE]
            await publisher.send(messages)
            sent += len(messages)
            (progress or _unseen)(sent, plan.pending)
    await audit.note("withdraw", plan.batch, State.DONE, reason=reason, counts=plan.counts)
    return sent


async def arriving(log: Log, clock: Clock, batch: str) -> bool:
    """Whether the connector of the batch's source has not finished delivering it."""
    source, _, delivery = batch.rpartition("/")
    newest = await Checkpoints(source, log.publisher, log.reader, clock).newest()
    return str(newest.delivery) == delivery and not newest.done


@dataclass(slots=True)
class _Hits:
    """Where events of the batch lie in a topic, and the subjects that they speak of: partition -> subjects."""

    events: int = 0
    subjects: dict[int, set[str]] = field(default_factory=dict)


class _Search:
    """Reads event topics twice: for the events of the batch, then for all that was ever said of their subjects."""

    def __init__(self, reader: LogReader, codec: Codec, batch: str, progress: Progressed, repeats: Repeats | None) -> None:
        self._repeats = repeats.beside(batch) if repeats is not None else None
        #: The batch, and those withdrawn before of which it may have said something again.
        self._chosen = [batch, *(repeats.said_before(batch) if repeats is not None else ())]
        self._reader = reader
        self._codec = codec
        self._batch = batch
        self._progress = progress
        self._done = self._total = 0
        #: The batches of the same source that were met.
        self._batches: set[str] = set()

    async def find(self, schema: EventSchema) -> _Hits | None:
        """The chosen batches' events in the topic of a type; None when there are none."""
        hits, like = _Hits(), self._batch.rpartition("/")[0] + "/"
        for number in range(await self._reader.partitions(schema.type.topic)):
            async for frame, _ in self._taken(schema, number):
                self._batches.update(name for name in frame["batch"].unique() if name.startswith(like))
                chosen = frame.filter(pl.col("batch").is_in(self._chosen))
                if chosen.height:
                    hits.events += chosen.filter(pl.col("batch") == self._batch).height
                    hits.subjects.setdefault(number, set()).update(chosen["subject"])
        return hits if hits.subjects else None

    async def plan(self, schema: EventSchema, hits: _Hits) -> TopicPlan:
        """What undoes them, and what of it is not in the log yet."""
        events: list[Logged] = []
        for number, subjects in hits.subjects.items():
            async for frame, records in self._taken(schema, number):
                places = zip(frame["subject"], frame["_offset"], strict=True)
                events += (self._logged(schema, records[offset]) for subject, offset in places if subject in subjects)
        left_out, missing = await self._left_out(schema), list[Compensation]()
        kept = {batch: self._repeats.kept(batch, events) if self._repeats is not None else set() for batch in self._chosen}
        for batch in self._chosen:
            # as if said: what one goes back to may be what the next takes away
            supposed = [
                Logged(each.envelope, each.envelope.id, each.partition, _NOT_YET + n, each.undoes) for n, each in enumerate(missing)
            ]
            missing += compensations(batch, [*events, *supposed], left_out, kept[batch])
        said = (event.envelope for event in events if event.envelope.source.partition("#")[0] == source_of(self._batch))
        kinds = Counter(each.op.value for each in (*said, *(each.envelope for each in missing)))
        return TopicPlan(
            schema.type.topic, hits.events, dict(sorted(kinds.items())), tuple(map(self._message, missing)), len(kept[self._batch])
        )

    async def _left_out(self, schema: EventSchema) -> set[tuple[int, int]]:
        """The places of records of the topic that some indicator could not use, from the agency's quarantine."""
        if not await self._reader.partitions(QUARANTINE_PREFIX + schema.type.agency):
            return set()
        quarantine = Quarantine(self._reader, schema.type.agency)
        await quarantine.refresh()
        places = (entry.place for entry in quarantine.entries(state=None))
        return {(each.partition, each.offset) for each in places if isinstance(each, LogPlace) and each.topic == schema.type.topic}

    def nothing(self) -> str:
        """Why nothing was found."""
        if not self._batches:
            source = self._batch.rpartition("/")[0]
            return f"there is no event of this batch, nor of any other of source {source} ({self._done:,} records were looked at)"
        known = sorted(self._batches, key=lambda name: (len(name), name))  # by delivery number
        some = f"the newest {_NAMED} are" if len(known) > _NAMED else "they are"
        return f"there is no event of this batch; its source has {len(known):,}, {some}: {', '.join(known[-_NAMED:])}"

    async def _taken(self, schema: EventSchema, number: int) -> AsyncIterator[tuple[pl.DataFrame, Mapping[int, Record]]]:
        """The records of a partition that a fold takes, as columns and by offset. The log, its archive included, must begin at 0."""
        partition = TopicPartition(schema.type.topic, number)
        end = await self._reader.end(partition)
        self._total += end
        highest: dict[str, int] = {}
        if not end:
            return
        async for batch in self._reader.read(partition, 0, end):
            self._done += len(batch)
            self._progress(self._done, self._total)
            frame = _decoded(self._codec, schema.name, [record for record in batch if record.value is not None])
            fresh = [_rises(highest, *each) for each in zip(frame["source"], frame["sequence"], strict=True)]
            yield frame.filter(pl.Series(fresh, dtype=pl.Boolean)), {record.offset: record for record in batch}
            await asyncio.sleep(0)

    def _logged(self, schema: EventSchema, record: Record) -> Logged:
        assert record.value is not None
        envelope = envelope_of(schema.name, self._codec.decode(record.value, record.headers))
        headers = dict(record.headers)
        event_id = headers.get("ce_id", b"").decode() or envelope.id
        return Logged(envelope, event_id, record.partition, record.offset, headers.get(UNDOES, b"").decode())

    def _message(self, compensation: Compensation) -> Message:
        envelope = compensation.envelope
        value, headers = self._codec.encode(envelope)
        *first, last = headers  # readers on the hot path look for the schema's fingerprint in the last place
        topic = self._codec.catalogue[envelope.event.type].type.topic
        undoes = (UNDOES, compensation.undoes.encode())
        return Message(topic, compensation.partition, envelope.event.subject.encode(), value, (*first, undoes, last))


def _decoded(codec: Codec, name: str, records: Sequence[Record]) -> pl.DataFrame:
    """The records as columns; those that no schema reads, which folds leave out too, are left out."""
    offsets = [record.offset for record in records]
    fingerprints = [next((value for key, value in record.headers if key == _FINGERPRINT), b"") for record in records]
    known = fingerprints if all(fingerprints) else None
    try:
        return codec.decode_batch(name, [record.value or b"" for record in records], offsets, fingerprints=known)
    except UndecodableRecords as error:
        bad = set(error.indices)
        return _decoded(codec, name, [record for index, record in enumerate(records) if index not in bad])


def _rises(highest: dict[str, int], source: str, sequence: int) -> bool:
    """R6: whether the sequence is above the highest of its source in this partition."""
    if sequence <= highest.get(source, -1):
        return False
    highest[source] = sequence
    return True


def _final(batch: str, schema: EventSchema, hits: _Hits) -> Problem:
    return Problem(
        batch,
        f"holds {hits.events:,} events of {schema.name}, whose facts are final (`correctable` is false in its schema): they cannot be taken"
        " back, and nothing was written. An indicator can leave them out by a condition on their subjects in `where`, with a higher version",
    )


def _unseen(done: int, total: int) -> None:
    """Nobody looks."""

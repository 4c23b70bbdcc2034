"""What a delivery means: each record compared with the state after the delivery before it (ADR 0014 R6). Pure; no file, no log, no clock.

The same state and the same records give the same events with the same sequences, so a delivery that was interrupted is simply derived
again. A record is accepted or refused as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bus.errors import BusError, RecordError
from bus.events.codec import Codec
from bus.events.envelope import MAX_EVENT, Envelope, Event, Op, sequence_of
from bus.ingest.manifest import Meaning
from bus.ingest.rows import Key, Row, Rows, content_of, event_of, identities
from bus.ingest.source import BadRecord, RawRecord, Reason
from bus.kafka.ports import Headers

#: How far a fact may lie after the moment at which its delivery was claimed.
_WRONG_CLOCKS = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Stamp:
    """How the events of a delivery are numbered.

    A delivery's own events: source as it is, sequence = position and event number. What is replayed from quarantine is a source by
    itself, `<source>#<delivery>.<line>` (line 0: the whole file); its version stays the original position, so that it never covers
    what later deliveries have said. `at` is when the delivery was claimed: a fact cannot be later, but for a day of wrong clocks.
    """

    source: str
    delivery: int
    at: datetime
    replayed_line: int | None = None

    def envelope(self, event: Event, op: Op, *, line: int, number: int) -> Envelope:
        version = sequence_of(self.delivery, line)
        batch = f"{self.source}/{self.delivery}"
        if self.replayed_line is None:
            return Envelope(event, self.source, sequence_of(self.delivery, line, number), version, op, batch)
        sequence = sequence_of(0, 0 if self.replayed_line else line, number) + 1
        return Envelope(event, f"{self.source}#{self.delivery}.{self.replayed_line}", sequence, version, op, batch)


@dataclass(frozen=True, slots=True)
class Encoded:
    """An event ready to be sent."""

    envelope: Envelope
    value: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Derived:
    """What one record came to: its events (none when nothing changed), or why it was refused, with its text for the quarantine."""

    line: int
    events: tuple[Encoded, ...] = ()
    reason: Reason | None = None
    raw: str = ""
    doubts: tuple[str, ...] = ()


class Derivation:
    """Derives one delivery, record by record in the order of the file; then `finish`, then `rows_after`."""

    def __init__(
        self, *, stamp: Stamp, meaning: Meaning, codec: Codec, declared: Collection[str], key: Sequence[str], table: bool, rows: Rows
    ) -> None:
        self._stamp = stamp
        self._meaning = meaning
        self._codec = codec
        self._declared = declared
        self._key_columns = tuple(key)
        self._table = table
        self._rows = rows
        self._changes: dict[Key, Row | None] = {}
        self._accepted: dict[Key, tuple[int, tuple[str, ...]]] = {}
        self._refused: set[Key] = set()
        self._unkeyed = False
        self._any_refused = False

    def record(self, record: RawRecord | BadRecord) -> Derived:
        """One record. Never raises for a record's fault, and takes any fault of the mapping for that record's."""
        if isinstance(record, BadRecord):
            self._any_refused = self._unkeyed = True
            return Derived(record.line, reason=record.reason, raw=record.raw)
        key = self._key(record)
        try:
            events, contents = self._mapped(record)
            outgoing = self._compared(key, events, contents, record.line)
            encoded = tuple(self._encode(event, op, record.line, number) for number, (op, event) in enumerate(outgoing))
            doubts = tuple(self._meaning.doubts_of(record.values)) if self._meaning.doubts_of else ()
        except RecordError as error:
            return self._refuse(record, key, Reason.of(error))
        except BusError:
            raise
        except Exception as error:  # noqa: BLE001  a fault of the mapping: its type is all that may be said, its text may quote the record
            return self._refuse(record, key, Reason("mapping_failed", shape=type(error).__name__))
        if key is not None:
            self._accept(key, contents, record.line, changed=bool(outgoing))
        return Derived(record.line, encoded, doubts=doubts)

    def finish(self, last_line: int) -> Iterator[Derived]:
        """What a whole table no longer holds is cancelled, in the order of keys, at positions after the last line.

        Nothing is when any record was refused without a readable key, for it may be the one that seems to be missing.
        """
        if not self._table or self._unkeyed:
            return
        gone = sorted(key for key in self._rows.rows if key not in self._accepted and key not in self._refused)
        for line, key in enumerate(gone, last_line + 1):
            try:
                events = [event_of(content) for content in self._rows.rows[key].events]
                yield Derived(line, tuple(self._encode(event, Op.CANCEL, line, number) for number, event in enumerate(events)))
            except RecordError as error:
                yield Derived(line, reason=Reason.of(error))
            else:
                self._changes[key] = None

    def rows_after(self) -> Rows:
        """The state after this delivery. Call it once, at the end."""
        return self._rows.after(self._stamp.delivery, self._changes, refused=self._any_refused, keyless=self._unkeyed)

    def _key(self, record: RawRecord) -> Key | None:
        """The record's key; None when the source has none. One that cannot be read makes the delivery incomplete."""
        if not self._key_columns:
            return None
        try:
            if self._meaning.key_of is not None:
                key = tuple(self._meaning.key_of(record.values))
            else:
                key = tuple(record.values[column].strip() for column in self._key_columns)
        except Exception:  # noqa: BLE001  whatever the reason, the key cannot be read
            key = ()
        if key and all(key):
            return key
        self._unkeyed = True
        return None

    def _mapped(self, record: RawRecord) -> tuple[list[Event], tuple[str, ...]]:
        events = list(self._meaning.to_events(record.values))
        if len(events) > MAX_EVENT + 1:
            raise RecordError("too many events", rule="too_many_events", received=str(len(events)), allowed=f"<= {MAX_EVENT + 1}")
        subjects: set[tuple[str, str]] = set()
        for event in events:
            if event.type not in self._declared:
                raise RecordError(
                    "undeclared type", rule="undeclared_event", received=event.type, allowed=", ".join(sorted(self._declared))
                )
            if self._codec.catalogue[event.type].correctable and (event.type, event.subject) in subjects:
                raise RecordError(
                    "two facts with one subject", rule="duplicate_subject", allowed="satu fakta per subjek/one fact per subject"
                )
            subjects.add((event.type, event.subject))
            if event.occurred_at.utcoffset() is None:
                raise ValueError("occurred_at has no zone")
            if event.occurred_at > self._stamp.at + _WRONG_CLOCKS:
                # it would also end windows that have only begun
                when, latest = event.occurred_at.date().isoformat(), self._stamp.at.date().isoformat()
                raise RecordError("in the future", field="occurred_at", rule="in_future", received=when, allowed=f"<= {latest}")
        return events, tuple(content_of(event) for event in events)

    def _compared(self, key: Key | None, events: Sequence[Event], contents: tuple[str, ...], line: int) -> list[tuple[Op, Event]]:
        """The events that this record adds to what the source has said, with their operations."""
        if key is None:
            return [(Op.CREATE, event) for event in events]
        if key in self._accepted:
            first, before = self._accepted[key]
            if before == contents:
                return []
            raise RecordError(
                "key twice", rule="duplicate_key", received=f"baris/line {first}", allowed="satu baris per kunci/one record per key"
            )
        row = self._rows.rows.get(key)
        if row is None:
            return [(Op.CREATE, event) for event in events]
        doubtful = self._rows.doubtful(row) or key in self._refused
        if row.events == contents and not doubtful:
            return []
        old, new = identities(row.events), identities(contents)
        outgoing: list[tuple[Op, Event]] = []
        for (identity, content), event in zip(new.items(), events, strict=True):
            if identity not in old:
                outgoing.append((Op.CREATE, event))
            elif old[identity] != content or (doubtful and self._codec.catalogue[event.type].correctable):
                outgoing.append((Op.CORRECT, event))
        outgoing += [(Op.CANCEL, event_of(content)) for identity, content in old.items() if identity not in new]
        if len(outgoing) > MAX_EVENT + 1:
            raise RecordError("too many events", rule="too_many_events", received=str(len(outgoing)), allowed=f"<= {MAX_EVENT + 1}")
        return outgoing

    def _encode(self, event: Event, op: Op, line: int, number: int) -> Encoded:
        envelope = self._stamp.envelope(event, op, line=line, number=number)
        value, headers = self._codec.encode(envelope)
        return Encoded(envelope, value, headers)

    def _accept(self, key: Key, contents: tuple[str, ...], line: int, *, changed: bool) -> None:
        if key in self._accepted:
            return
        self._accepted[key] = (line, contents)
        known = self._rows.rows.get(key)
        if changed or known is None:
            self._changes[key] = Row(self._stamp.delivery, contents)

    def _refuse(self, record: RawRecord, key: Key | None, reason: Reason) -> Derived:
        self._any_refused = True
        if key is None:
            self._unkeyed = True
        else:
            self._refused.add(key)
            known = self._changes.get(key) or self._rows.rows.get(key)
            if known is not None:
                self._changes[key] = Row(known.delivery, known.events, doubtful=True)
        return Derived(record.line, reason=reason, raw=record.raw)

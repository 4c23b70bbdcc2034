"""What a delivery means: each record compared with the state after the delivery before it (ADR 0014 R6). Pure; no file, no log, no clock.

The same state and the same records give the same events with the same sequences, so a delivery that was interrupted is simply derived
again. A record is accepted or refused as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bus.errors import BusError, ConfigurationError, RecordError
from bus.events.codec import Codec
from bus.events.envelope import MAX_EVENT, Envelope, Event, Op
from bus.ingest.facts import check_facts
from bus.ingest.manifest import Meaning
from bus.ingest.privacy.door import Door, NoKeys
from bus.ingest.privacy.models import hidden_places
from bus.ingest.rows import Key, Row, Rows, content_of, event_of, identities
from bus.ingest.source import BadRecord, RawRecord, Reason
from bus.ingest.stamp import Stamp
from bus.ingest.subjects import Subjects
from bus.kafka.ports import Headers


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


@dataclass(frozen=True, slots=True)
class _Say:
    """An event to be published, and the key for whose record it speaks; None for a CANCEL and where there are no keys."""

    op: Op
    event: Event
    key: Key | None = None


class Derivation:
    """Derives one delivery, record by record in the order of the file; then `finish`, then `rows_after`."""

    def __init__(
        self, *, stamp: Stamp, meaning: Meaning, codec: Codec, declared: Collection[str], key: Sequence[str], table: bool, rows: Rows,
        door: Door | None = None,
    ) -> None:  # fmt: skip
        """Without a `door` no event may hold personal data to be replaced."""
        self._stamp = stamp
        self._meaning = meaning
        self._codec = codec
        self._declared = declared
        self._key_columns = tuple(key)
        self._door = door or Door(NoKeys())
        self._table = table
        self._rows = rows
        self._sharing: Callable[[], Mapping[Key, Row]] = lambda: rows.rows
        self._shared: Mapping[Key, Row] = {}
        self._changes: dict[Key, Row | None] = {}
        self._subjects = Subjects(self._standing, self._all_standing)
        self._accepted: dict[Key, tuple[int, tuple[str, ...]]] = {}
        self._refused: set[Key] = set()
        self._unkeyed = False
        self._any_refused = False
        self._whole = False
        #: Sequences of what earlier deliveries said and these records say again.
        self._repeated: set[int] = set()
        #: Event type -> the newest `occurred_at` of the facts in the accepted records, the unchanged among them.
        self.newest: dict[str, datetime] = {}

    def record(self, record: RawRecord | BadRecord) -> Derived:
        """One record. Never raises for a record's fault, and takes any fault of the mapping for that record's."""
        if isinstance(record, BadRecord):
            self._any_refused = self._unkeyed = True
            return Derived(record.line, reason=record.reason, raw=record.raw)
        key = self.key(record)
        self._unkeyed = self._unkeyed or (key is None and bool(self._key_columns))
        try:
            events, contents = self._mapped(record)
            outgoing = self._compared(key, events, contents, record.line)
            encoded = self._encoded(outgoing, record.line)
            doubts = tuple(self._meaning.doubts_of(record.values)) if self._meaning.doubts_of else ()
        except RecordError as error:
            return self._refuse(record, key, Reason.of(error))
        except BusError:
            raise
        except Exception as error:  # noqa: BLE001  a fault of the mapping: its type is all that may be said, its text may quote the record
            return self._refuse(record, key, Reason("mapping_failed", shape=type(error).__name__))
        for event in events:
            self.newest[event.type] = max(event.occurred_at, self.newest.get(event.type, event.occurred_at))
        if key is not None:
            self._accept(key, events, contents, record.line, outgoing, encoded)
        return Derived(record.line, encoded, doubts=doubts)

    def finish(self, last_line: int) -> Iterator[Derived]:
        """What a whole table no longer holds is cancelled, in the order of keys, at positions after the last line.

        Nothing is when any record was refused without a readable key, for it may be the one that seems to be missing.
        """
        if not self._table or self._unkeyed:
            return
        gone = sorted(key for key in self._rows.rows if key not in self._accepted and key not in self._refused)
        self._subjects.leaving.update(gone)
        self._whole = not self._any_refused
        for line, key in enumerate(gone, last_line + 1):
            derived = self.cancelled(key, line)
            self._whole = self._whole and derived.reason is None
            yield derived

    @property
    def changes(self) -> Mapping[Key, Row | None]:
        """What keys stand for after the records so far, where that is something else than before; None: nothing any more."""
        return self._changes

    def compare_with(self, rows: Mapping[Key, Row], sharing: Callable[[], Mapping[Key, Row]], leaving: set[Key] | None = None) -> None:
        """What these keys stood for, for records that come one by one; `sharing` gives all others that tell of the same subjects, and is
        asked when that matters. Those in `leaving` are about to be cancelled, one derivation after another."""
        self._rows.rows.update(rows)
        self._sharing = sharing
        if leaving is not None:
            self._subjects.leaving = leaving

    def cancelled(self, key: Key, line: int) -> Derived:
        """What the key stood for is no more, but for what other records tell of the same subjects."""
        known = self._rows.rows.get(key)
        if known is None:
            return Derived(line)
        self._subjects.leaving.discard(key)
        try:
            outgoing = self._withdrawn(key, known.events)
            encoded = self._encoded(outgoing, line)
        except RecordError as error:
            return Derived(line, reason=Reason.of(error))
        self._change(key, None, outgoing, encoded)
        return Derived(line, encoded)

    def rows_after(self) -> Rows:
        """The state after this delivery. Call it once, at the end."""
        return self._rows.after(
            self._stamp.delivery,
            self._changes,
            refused=self._any_refused,
            keyless=self._unkeyed,
            repeated=self._repeated,
            whole=self._whole,
        )

    def key(self, record: RawRecord) -> Key | None:
        """The record's key; None when the source has none, or it cannot be read."""
        if not self._key_columns:
            return None
        try:
            if self._meaning.key_of is not None:
                parts: Sequence[object] = tuple(self._meaning.key_of(record.values))
            else:
                parts = tuple(record.values[column] for column in self._key_columns)
            key = self._door.key(parts, hidden_places(self._meaning.to_events, self._meaning.key_of, self._key_columns, len(parts)))
        except ConfigurationError:
            raise
        except Exception:  # noqa: BLE001  whatever the reason, the key cannot be read
            key = ()
        return key if key and all(key) else None

    def _mapped(self, record: RawRecord) -> tuple[list[Event], tuple[str, ...]]:
        events = [self._door(event) for event in self._meaning.to_events(record.values)]
        check_facts(events, self._codec.catalogue, self._declared, claimed=self._stamp.at)
        return events, tuple(content_of(event) for event in events)

    def _compared(self, key: Key | None, events: Sequence[Event], contents: tuple[str, ...], line: int) -> list[_Say]:
        """The events that this record adds to what the source has said, with their operations."""
        if key is None:
            return [_Say(Op.CREATE, event) for event in events]
        if key in self._accepted:
            first, before = self._accepted[key]
            if before == contents:
                return []
            raise RecordError(
                "key twice", rule="duplicate_key", received=f"baris/line {first}", allowed="satu baris per kunci/one record per key"
            )
        row = self._rows.rows.get(key)
        if row is None:
            return [_Say(Op.CREATE, event, key) for event in events]
        doubtful = self._rows.doubtful(row) or key in self._refused
        if row.events == contents and not doubtful:
            return []
        old, new = identities(row.events), identities(contents)
        outgoing: list[_Say] = []
        for (identity, content), event in zip(new.items(), events, strict=True):
            if identity not in old:
                outgoing.append(_Say(Op.CREATE, event, key))
            elif old[identity] != content or (doubtful and self._codec.catalogue[event.type].correctable):
                outgoing.append(_Say(Op.CORRECT, event, key))
        outgoing += self._withdrawn(key, (content for identity, content in old.items() if identity not in new))
        if len(outgoing) > MAX_EVENT + 1:
            raise RecordError("too many events", rule="too_many_events", received=str(len(outgoing)), allowed=f"<= {MAX_EVENT + 1}")
        return outgoing

    def _withdrawn(self, key: Key, contents: Iterable[str]) -> list[_Say]:
        """What is said when a key's record tells these things no more."""
        outgoing = []
        for content in contents:
            event = event_of(content)
            if not self._codec.catalogue[event.type].correctable:
                outgoing.append(_Say(Op.CANCEL, event))  # and is refused, for such a fact is final
            elif said := self._subjects.without(key, (event.type, event.subject), content):
                op, standing, speaker = said
                outgoing.append(_Say(op, event_of(standing), None if op is Op.CANCEL else speaker))
        return outgoing

    def _encoded(self, outgoing: Sequence[_Say], line: int) -> tuple[Encoded, ...]:
        return tuple(self._encode(each.event, each.op, line, number) for number, each in enumerate(outgoing))

    def _encode(self, event: Event, op: Op, line: int, number: int) -> Encoded:
        envelope = self._stamp.envelope(event, op, line=line, number=number)
        value, headers = self._codec.encode(envelope)
        return Encoded(envelope, value, headers)

    def _accept(
        self, key: Key, events: Sequence[Event], contents: tuple[str, ...], line: int, outgoing: Sequence[_Say], encoded: Sequence[Encoded]
    ) -> None:
        if key in self._accepted:
            return
        self._accepted[key] = (line, contents)
        known = self._rows.rows.get(key)
        # also where nothing is said, because what it told before is another's word now
        if outgoing or known is None or known.events != contents:
            now = {id(say.event): each.envelope.sequence for say, each in zip(outgoing, encoded, strict=True)}
            before, told = _said(self._standing(key)), identities(contents)
            said = [now.get(id(event)) or before[identity] for event, identity in zip(events, told, strict=True)]
            dropped = [each for each in (known.dropped if known else ()) if (*each[:2], 0) not in told]
            self._repeated.update({*said, *(sequence for *_, sequence in dropped)} - set(now.values()))
            dropped += [(say.event.type, say.event.subject, now[id(say.event)]) for say in outgoing if say.op is Op.CANCEL]
            self._change(key, Row(self._stamp.delivery, contents, said=tuple(said), dropped=tuple(dropped)), outgoing, encoded)
        else:
            self._repeated.update((self._standing(key) or known).said)
            self._repeated.update(sequence for *_, sequence in known.dropped)
        self._repeated.discard(0)

    def _change(self, key: Key, row: Row | None, outgoing: Sequence[_Say], encoded: Sequence[Encoded]) -> None:
        """What was said for this key's record counts from here on."""
        self._subjects.changed(key, self._standing(key), row)
        self._changes[key] = row
        for say, each in zip(outgoing, encoded, strict=True):
            if say.key is None:
                continue
            subject = say.event.type, say.event.subject
            self._subjects.said(say.key, subject)
            if say.key != key and (heir := self._standing(say.key)) is not None and heir.said:
                sequences = _said(heir) | {(*subject, 0): each.envelope.sequence}
                self._changes[say.key] = replace(heir, said=tuple(sequences.values()))

    def _standing(self, key: Key) -> Row | None:
        """What a key stands for after the records so far."""
        if key in self._changes:
            return self._changes[key]
        return self._rows.rows.get(key) or self._shared.get(key)

    def _all_standing(self) -> Mapping[Key, Row]:
        self._shared = self._sharing()
        return {key: row for key in {*self._shared, *self._rows.rows, *self._changes} if (row := self._standing(key)) is not None}

    def _refuse(self, record: RawRecord, key: Key | None, reason: Reason) -> Derived:
        self._any_refused = True
        if key is None:
            self._unkeyed = True
        else:
            self._refused.add(key)
            known = self._changes.get(key) or self._rows.rows.get(key)
            if known is not None:
                self._changes[key] = replace(known, doubtful=True)
        return Derived(record.line, reason=reason, raw=record.raw)


def _said(row: Row | None) -> dict[tuple[str, str, int], int]:
    """The sequences under which the row's events were said, in their order; 0 where that is not known."""
    return dict(zip(identities(row.events), row.said or (0,) * len(row.events), strict=True)) if row is not None else {}

"""What a reading becomes in the journal: each record compared with what its key stood for, then events or a refusal. In one transaction.

The meaning is the same as of a line of a file (`bus.ingest.delivery`): unchanged is no event, changed is CORRECT, deleted is CANCEL.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial

from bus import metrics
from bus.events.envelope import EventType
from bus.ingest.context import SourceContext
from bus.ingest.delivery import Derivation, Derived
from bus.ingest.journal import Journal
from bus.ingest.quarantine import Place, RawText, refusal
from bus.ingest.rows import Key, Row, Rows
from bus.ingest.source import BadRecord, RawRecord, Reason
from bus.ingest.stamp import Stamp
from bus.ingest.stream import Outcome, Reading, Receipt, Received

#: So long a sender's own ids are told apart; older ones are forgotten every so many readings.
IDS_REMEMBERED = timedelta(days=90)
_FORGET_EVERY = 1_000


class Intake:
    """Takes the readings of one source into its journal."""

    def __init__(self, context: SourceContext, journal: Journal) -> None:
        self._context = context
        self._journal = journal

    def take(self, readings: Iterable[Reading]) -> list[Receipt]:
        """All of them in one transaction: durable when this returns, or nothing of them is there."""
        with self._journal.transaction():
            return [self._reading(reading) for reading in readings]

    def _reading(self, reading: Reading) -> Receipt:
        context, journal = self._context, self._journal
        at = context.clock.now()
        batch = journal.next_reading()
        times: dict[str, datetime] = {}
        outcomes = [self._record(record, reading, batch, at, times) for record in reading.records]
        if reading.whole and not any(outcome.reason for outcome in outcomes):
            self._cancel_missing(reading, batch, at)
        if reading.cursor is not None:
            journal.set_cursor(reading.cursor)
        if reading.upto is not None:
            times |= {name: max(reading.upto, times.get(name, reading.upto)) for name in context.agency.manifest.events}
        journal.set_times(times)
        if batch % _FORGET_EVERY == 0:
            journal.forget_ids(IDS_REMEMBERED)
        metrics.records_read.labels(context.agency.id, context.source_id).inc(len(reading.records))
        return Receipt(outcomes)

    def _record(self, received: Received, reading: Reading, batch: int, at: datetime, times: dict[str, datetime]) -> Outcome:
        journal = self._journal
        if received.id and journal.knows(received.id):
            return Outcome(0, known=True)
        number = journal.next_number()
        raw = received.raw or _text(received.values)
        if received.problem is not None:
            journal.doubt_all()
            return self._refused(Derived(number, reason=received.problem, raw=raw), reading)
        derivation, key = self._derivation(RawRecord(number, raw, received.values), batch, at)
        if received.deleted:
            derived = derivation.cancelled(key, number) if key is not None else Derived(number, reason=Reason("no_key"), raw=raw)
        else:
            derived = derivation.record(RawRecord(number, raw, received.values))
        self._put(derived)
        for changed, row in derivation.changes.items():
            journal.set_row(changed, None if row is None else Row(number, row.events, row.doubtful))
        if derived.reason is not None:
            if key is None:
                journal.doubt_all()
            return self._refused(derived, reading)
        if received.id:
            journal.remember(received.id)
        for name, newest in derivation.newest.items():
            times[name] = max(newest, times.get(name, newest))
        for doubt in derived.doubts:
            metrics.records_doubted.labels(self._context.agency.id, doubt).inc()
        return Outcome(number, len(derived.events))

    def _derivation(self, record: RawRecord, batch: int, at: datetime) -> tuple[Derivation, Key | None]:
        journal = self._journal
        derivation = self._context.derivation(Stamp(journal.source, journal.epoch, at, batch=batch), Rows())
        key = derivation.key(record)
        known = None if key is None else journal.row(key)
        if key is not None and known is not None:
            derivation.compare_with({key: known}, partial(journal.sharing, known))
        return derivation, key

    def _cancel_missing(self, reading: Reading, batch: int, at: datetime) -> None:
        """What a whole reading does not hold is gone."""
        journal = self._journal
        stamp = Stamp(journal.source, journal.epoch, at, batch=batch)
        reader = self._context.derivation(stamp, Rows())
        held = {reader.key(RawRecord(0, "", received.values)) for received in reading.records}
        gone = [key for key in journal.all_keys() if key not in held]
        leaving = set(gone)
        for key in gone:
            row = journal.row(key)
            if row is not None:
                derivation = self._context.derivation(stamp, Rows())
                derivation.compare_with({key: row}, partial(journal.sharing, row), leaving=leaving)
                derived = derivation.cancelled(key, journal.next_number())
                self._put(derived)
                if derived.reason is None:
                    journal.set_row(key, None)
                else:
                    self._refused(derived, reading)

    def _put(self, derived: Derived) -> None:
        for event in derived.events:
            subject = event.envelope.event.subject
            self._journal.put(derived.line, EventType.parse(event.envelope.event.type).topic, subject, event.value, event.headers)

    def _refused(self, derived: Derived, reading: Reading) -> Outcome:
        context, journal = self._context, self._journal
        assert derived.reason is not None
        place = Place(journal.source, journal.epoch, derived.line)
        raw = RawText((), "", derived.raw).encode()
        at = context.clock.now().isoformat()
        for message in refusal(
            context.agency.id, place, derived.reason, file=reading.name or context.name, line=derived.line, raw=raw,
            sealer=context.sealer, at=at,
        ):  # fmt: skip
            journal.put(derived.line, message.topic, (message.key or b"").decode(), message.value)
        metrics.records_quarantined.labels(context.agency.id, derived.reason.rule).inc()
        return Outcome(derived.line, reason=derived.reason)


def read_again(raw: str, line: int) -> RawRecord | BadRecord:
    """A record as it was sealed: how one from quarantine is read again."""
    try:
        values = json.loads(raw)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        return BadRecord(line, raw, Reason("invalid_value", allowed="objek JSON/a JSON object"))
    return RawRecord(line, raw, values)


def _text(values: Mapping[str, object]) -> str:
    return json.dumps(values, ensure_ascii=False, default=str)

"""One delivery from its claim to its checkpoint: events, then quarantine, batch by batch; then heartbeats, the rows, the checkpoint (ADR 0014 R6),
and after it the acknowledgement. What that says is in a checkpoint before the rows are, so that no crash can lose it.

Whatever effect it is stopped after, delivering again from (rows after the delivery before, file content) says the same again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import structlog

from bus import metrics
from bus.ingest.acknowledgement import Receipt, Tally
from bus.ingest.checkpoint import Checkpoint, Checkpoints
from bus.ingest.claims import Claim
from bus.ingest.context import SourceContext
from bus.ingest.delivery import Derived, Encoded
from bus.ingest.files import Facts, check_unchanged, opened, vanished
from bus.ingest.formats.opening import open_records, shown
from bus.ingest.formats.records import RecordFile
from bus.ingest.publisher import EventPublisher
from bus.ingest.quarantine import LARGEST_SEALED, Place, refusal
from bus.ingest.receipts import Receipts
from bus.ingest.rows import Rows
from bus.ingest.source import FileRefused, Reason
from bus.ingest.stamp import Stamp
from bus.kafka.packing import numbered
from bus.kafka.ports import Message

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a source is, for people. `state`: waiting (for the lease), idle, reading."""

    source: str
    state: str = "idle"
    file: str = ""
    delivery: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    deliveries: int = 0
    records: int = 0
    events: int = 0
    quarantined: int = 0


@dataclass(slots=True)
class _Batch:
    """Records on their way; cut between records only."""

    records: int = 0
    line: int = 0
    events: list[Encoded] = field(default_factory=list)
    refused: list[Message] = field(default_factory=list)
    refusals: int = 0


class Deliverer:
    """Delivers the files of one source, one after another."""

    def __init__(
        self,
        context: SourceContext,
        events: EventPublisher,
        checkpoints: Checkpoints,
        receipts: Receipts,
        *,
        batch_records: int,
        before_effects: Callable[[], Awaitable[None]],
        after_records: Callable[[int], Awaitable[None]],
        report: Callable[[Progress], None],
    ) -> None:
        """`before_effects` renews the lease (or raises); `after_records` keeps the pace."""
        self._context = context
        self._events = events
        self._checkpoints = checkpoints
        self._receipts = receipts
        self._tally = Tally()
        #: Everything up to here of the delivery is published.
        self._line = 0
        self._batch_records = batch_records
        self._before_effects = before_effects
        self._after_records = after_records
        self._report = report
        self.progress = Progress(context.name)

    async def deliver(self, claim: Claim, facts: Facts | None, rows: Rows) -> Rows:
        """Publish what the file changes and return the state after it. `facts` is None when the claimed file is not there any more.

        Raises `TransientError` when it has to be done again from the last state, which then must be loaded anew.
        """
        newest = await self._checkpoints.newest()
        self._tally = Tally()
        self._show(state="reading", file=claim.name, delivery=claim.delivery, bytes_done=0, bytes_total=claim.size)
        if claim.duplicate_of:
            self._count("duplicate", claim)
            receipt = newest.receipt if newest.delivery == claim.delivery else self._receipt("duplicate")
            if newest < Checkpoint(claim.delivery):
                await self._checkpoints.save(Checkpoint(claim.delivery, receipt=receipt))
            if newest.delivery <= claim.delivery:
                await self._acknowledge(claim, receipt)
            return rows
        start = self._line = newest.line if newest.delivery == claim.delivery and not newest.done else 0
        try:
            if facts is None or facts.sha256 != claim.sha256:
                raise vanished()
            if facts.problem is not None:
                raise FileRefused(facts.problem)
            with opened(facts) as stream:
                after = await self._stream(claim, facts, stream, rows, start)
            outcome = "delivered"
        except FileRefused as refused:
            await self._refuse(claim, facts, refused)
            unread = (facts is None or facts.problem is None) and refused.rule in {"file_vanished", "file_changed", "unreadable"}
            after, outcome = rows.after_refused_file(claim.delivery, unread=unread), "refused"
        await self._before_effects()
        receipt = self._receipt(outcome)
        if receipt is not None:
            await self._checkpoints.save(Checkpoint(claim.delivery, done=False, line=self._line, receipt=receipt))
        await self._context.snapshots.save(self._context.rows_unit, claim.delivery, numbered(after.dump()))
        await self._checkpoints.save(Checkpoint(claim.delivery, receipt=receipt))
        self._count(outcome, claim)
        await self._acknowledge(claim, receipt)
        return after

    def _receipt(self, outcome: str) -> Receipt | None:
        """What the acknowledgement will say; None when none is wanted."""
        return self._tally.receipt(outcome, self._context.clock.now().isoformat()) if self._receipts.wanted else None

    async def _acknowledge(self, claim: Claim, receipt: Receipt | None) -> None:
        if receipt is not None:
            await self._receipts.write(claim, receipt, self._tally)

    async def _stream(self, claim: Claim, facts: Facts, stream: BinaryIO, rows: Rows, start: int) -> Rows:
        # what is packed is unpacked here: other sources go on meanwhile
        file = await asyncio.to_thread(open_records, stream, self._context.files, name=claim.name, encoding=facts.encoding)
        with contextlib.closing(file):
            return await self._records(claim, facts, stream, file, rows, start)

    async def _records(self, claim: Claim, facts: Facts, stream: BinaryIO, file: RecordFile, rows: Rows, start: int) -> Rows:
        derivation = self._context.derivation(Stamp(claim.source, claim.delivery, claim.at), rows)
        spec = self._context.files
        batch = _Batch()
        for record in file:
            derived = derivation.record(record)
            self._add(batch, derived, claim, file, published=derived.line <= start)
            if batch.records >= self._batch_records or len(batch.events) >= self._batch_records:
                check_unchanged(stream, facts)
                batch = await self._flush(batch, claim, file.bytes_done())
        if spec.kind == "table" and not spec.may_be_empty and rows.rows and not (batch.records or batch.line):
            # a header alone would withdraw everything there is: far more often a failed export than the truth
            raise FileRefused(Reason("empty_file", allowed="paling sedikit satu baris data/at least one record"), line=file.header_line)
        for derived in derivation.finish(file.last_line):
            self._add(batch, derived, claim, file, published=derived.line <= start)
            if len(batch.events) >= self._batch_records:
                batch = await self._flush(batch, claim, facts.seen.size)
        check_unchanged(stream, facts)
        await self._flush(batch, claim, facts.seen.size)
        # Only now: every line is published, by this process or, up to the checkpoint, by one before it. Before the rows, for once those
        # are durable nobody delivers this file again.
        await self._before_effects()
        await self._events.beat(claim.source, derivation.newest)
        return derivation.rows_after()

    def _add(self, batch: _Batch, derived: Derived, claim: Claim, file: RecordFile, *, published: bool) -> None:
        batch.records += 1
        batch.line = derived.line
        if self._receipts.wanted:
            where, line = shown(claim.name, file.part), derived.line - file.base
            self._tally.add(derived, gone=derived.line > file.last_line, file=where, line=line)
        if published:
            return
        batch.events += derived.events
        for doubt in derived.doubts:
            metrics.records_doubted.labels(self._context.agency.id, doubt).inc()
        if derived.reason is not None:
            batch.refused += self._context.refusal(claim.delivery, derived, file=claim.name, read=file)
            batch.refusals += 1
            metrics.records_quarantined.labels(self._context.agency.id, derived.reason.rule).inc()

    async def _flush(self, batch: _Batch, claim: Claim, bytes_done: int) -> _Batch:
        """Perform a batch's effects in their order; a new, empty batch."""
        await self._before_effects()
        if batch.events or batch.refused:
            await self._events.publish(batch.events)
            if batch.refused:
                await self._context.publisher.send(batch.refused)
            await self._checkpoints.save(Checkpoint(claim.delivery, done=False, line=batch.line))
            self._line = batch.line
        else:
            await asyncio.sleep(0)  # a long file in which nothing changed must not hold up the other sources
        metrics.records_read.labels(self._context.agency.id, self._context.source_id).inc(batch.records)
        now = self.progress
        self._show(
            bytes_done=bytes_done, records=now.records + batch.records, events=now.events + len(batch.events),
            quarantined=now.quarantined + batch.refusals,
        )  # fmt: skip
        await self._after_records(batch.records)
        return _Batch(line=batch.line)

    async def _refuse(self, claim: Claim, facts: Facts | None, refused: FileRefused) -> None:
        await self._before_effects()
        raw = _whole(facts, claim) if facts is not None else None
        context = self._context
        file = shown(claim.name, refused.part)
        self._tally = Tally()  # what was read before counts no more
        self._tally.refuse(refused.reason, file=file, line=refused.line)
        messages = refusal(
            context.agency.id, Place(claim.source, claim.delivery, 0), refused.reason, file=file, line=refused.line, raw=raw,
            sealer=context.sealer, at=context.clock.now().isoformat(),
        )  # fmt: skip
        await context.publisher.send(messages)
        metrics.records_quarantined.labels(context.agency.id, refused.reason.rule).inc()
        _log.warning("a file was refused", source=claim.source, delivery=claim.delivery, file=claim.name, rule=refused.reason.rule)
        self._show(quarantined=self.progress.quarantined + 1)

    def _count(self, outcome: str, claim: Claim) -> None:
        metrics.deliveries.labels(self._context.agency.id, self._context.source_id, outcome).inc()
        self._show(deliveries=self.progress.deliveries + 1, bytes_done=claim.size)
        _log.info("delivery done", source=claim.source, delivery=claim.delivery, file=claim.name, outcome=outcome)

    def _show(self, **changes: str | int) -> None:
        self.progress = replace(self.progress, **changes)  # type: ignore[arg-type]  # names and types are those of Progress
        self._report(self.progress)


def _whole(facts: Facts, claim: Claim) -> bytes | None:
    """The claimed file's bytes, to be sealed; None when they cannot be had or are too many."""
    if facts.seen.size > LARGEST_SEALED or facts.sha256 != claim.sha256 or not facts.seen.regular:
        return None
    try:
        with opened(facts) as stream:
            return stream.read() or None
    except (FileRefused, OSError):
        return None

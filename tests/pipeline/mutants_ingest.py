"""The connector with one clause of R6 broken at a time. Each entry quotes the clause and names the scenarios that must all notice."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

import pytest

from bus.errors import TransientError
from bus.events.envelope import Envelope, Event, Op, sequence_of
from bus.ingest.checkpoint import Checkpoint, Checkpoints
from bus.ingest.claims import Claim, Claims
from bus.ingest.deliver import Deliverer
from bus.ingest.delivery import Encoded
from bus.ingest.files import Facts
from bus.ingest.lease import Holder, Lease, _Held
from bus.ingest.publisher import EventPublisher
from bus.ingest.rows import Rows
from bus.ingest.stamp import Stamp
from bus.ingest.tail import json_message
from bus.kafka.ports import Message
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import CLAIMS

Break = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`clause` quotes R6, or the order of effects that stands for it; `scenarios` are those in which its absence shows."""

    clause: str
    break_it: Break
    scenarios: tuple[str, ...]


MUTANTS: dict[str, Mutant] = {}


def mutant(clause: str, *scenarios: str) -> Callable[[Break], Break]:
    """Register a way to break a clause under the function's name."""

    def register(break_it: Break) -> Break:
        MUTANTS[break_it.__name__] = Mutant(clause, break_it, scenarios)
        return break_it

    return register


# sequences


@mutant("`sequence` follows the order of publication", "three_events")
def publishes_backwards(patch: pytest.MonkeyPatch) -> None:
    publish = EventPublisher.publish

    async def backwards(self: EventPublisher, events: Sequence[Encoded]) -> None:
        await publish(self, events[::-1])

    patch.setattr(EventPublisher, "publish", backwards)


@mutant("`sequence` … is durable before the first send (claim before events)", "an_older_file_appears", "order_of_effects")
def claims_when_it_is_done(patch: pytest.MonkeyPatch) -> None:
    pending: dict[int, Message] = {}
    deliver = Deliverer.deliver

    async def promised(self: Claims, facts: Facts, *, unread: Collection[int] = (), newest_refused: bool = False) -> Claim | None:
        await self.refresh()
        number, newest = max(self._claims, default=0) + 1, self.newest()
        same = newest is not None and newest.sha256 == facts.sha256 and not newest_refused
        duplicate_of = newest.delivery if newest is not None and same else 0
        seen, at = facts.seen, self._clock.now()
        claim = Claim(self._source, number, seen.name, seen.name_id, facts.sha256, seen.size, at, duplicate_of)
        self._claims[number] = self._newest_of_name[seen.name_id] = claim
        pending[number] = json_message(CLAIMS, self._source, self._record(facts, number, duplicate_of, ""))
        return claim

    async def delivered(self: Deliverer, claim: Claim, facts: Facts | None, rows: Rows) -> Rows:
        after = await deliver(self, claim, facts, rows)
        await self._context.publisher.send([pending.pop(claim.delivery)] if claim.delivery in pending else [])
        return after

    patch.setattr(Claims, "claim", promised)
    patch.setattr(Deliverer, "deliver", delivered)


def _numbered(patch: pytest.MonkeyPatch, sequence: Callable[[Stamp, int, int], int]) -> None:
    envelope = Stamp.envelope

    def other(self: Stamp, event: Event, op: Op, *, line: int, number: int) -> Envelope:
        found = envelope(self, event, op, line=line, number=number)
        return found if self.replayed_line is not None else replace(found, sequence=sequence(self, line, number))

    patch.setattr(Stamp, "envelope", other)


@mutant("uses its position … and the event's number within its record", "three_events")
def forgets_the_number_within_a_record(patch: pytest.MonkeyPatch) -> None:
    _numbered(patch, lambda stamp, line, number: sequence_of(stamp.delivery, line))


@mutant("delivery + record number", "three_events", "changed_missing_unchanged")
def forgets_the_record_number(patch: pytest.MonkeyPatch) -> None:
    _numbered(patch, lambda stamp, line, number: sequence_of(stamp.delivery, 0, number))


@mutant("delivery + record number", "back_to_the_first")
def forgets_the_delivery_number(patch: pytest.MonkeyPatch) -> None:
    _numbered(patch, lambda stamp, line, number: sequence_of(1, line, number))


@mutant("a source that can be re-read in exactly the same order uses its position", "crashes", "failing_sends")
def counts_instead_of_using_the_position(patch: pytest.MonkeyPatch) -> None:
    numbers = count(1)
    _numbered(patch, lambda stamp, line, number: next(numbers))


# sends that fail, checkpoints


@mutant("a publisher stops at the first send that fails for good", "failing_sends")
def goes_on_after_a_failed_send(patch: pytest.MonkeyPatch) -> None:
    publish = EventPublisher.publish

    async def careless(self: EventPublisher, events: Sequence[Encoded]) -> None:
        try:
            await publish(self, events)
        except TransientError:
            return

    patch.setattr(EventPublisher, "publish", careless)


@mutant("resumes from its checkpoint (which says only what is acknowledged)", "crashes", "failing_sends", "order_of_effects")
def checkpoints_before_events(patch: pytest.MonkeyPatch) -> None:
    flush = Deliverer._flush

    async def hasty(self: Deliverer, batch: Any, claim: Claim, bytes_done: int) -> Any:
        if batch.events or batch.refused:
            await self._checkpoints.save(Checkpoint(claim.delivery, done=False, line=batch.line))
        return await flush(self, batch, claim, bytes_done)

    patch.setattr(Deliverer, "_flush", hasty)


@mutant("resumes from its checkpoint (not from where it was)", "failing_sends")
def resumes_where_it_was(patch: pytest.MonkeyPatch) -> None:
    flush = Deliverer._flush

    async def remembered(self: Deliverer, batch: Any, claim: Claim, bytes_done: int) -> Any:
        self._checkpoints._newest = max(self._checkpoints._newest, Checkpoint(claim.delivery, done=False, line=batch.line))
        return await flush(self, batch, claim, bytes_done)

    patch.setattr(Deliverer, "_flush", remembered)


# lease: that nothing is lost or doubled does not rest on it, so these are killed by tests of the lease itself


@mutant("one live publisher per source, by lease", "two_connectors", "who_holds_the_lease")
def publishes_without_lease(patch: pytest.MonkeyPatch) -> None:
    async def always(self: Lease) -> bool:
        return True

    patch.setattr(Lease, "try_acquire", always)
    overlooks_a_lost_lease(patch)


@mutant("one live publisher: who lost the lease stops", "who_holds_the_lease")
def overlooks_a_lost_lease(patch: pytest.MonkeyPatch) -> None:
    async def never_looks(self: Lease, *, now: bool = False) -> None:
        await self._refresh()
        if self._mine():
            await self._write(released=False)

    patch.setattr(Lease, "hold", never_looks)


@mutant("one live publisher: who renews the lease keeps it", "who_holds_the_lease")
def takes_it_from_the_living(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Lease, "_free", lambda self: True)


@mutant("one live publisher: of two who take the lease the first has it", "who_holds_the_lease")
def the_last_to_take_it_has_it(patch: pytest.MonkeyPatch) -> None:
    def mine(self: Lease) -> bool:
        held: _Held | None = self._current
        return held is not None and not held.released and (held.holder == self._me or taken.get(self._me) == held.epoch)

    async def write(self: Lease, *, released: bool, epoch: int | None = None) -> None:
        if epoch is not None:
            taken[self._me] = epoch
        await original(self, released=released, epoch=epoch)

    original = Lease._write
    taken: dict[Holder, int] = {}
    patch.setattr(Lease, "_mine", mine)
    patch.setattr(Lease, "_write", write)


# the order of effects: claim, events, quarantine, rows, checkpoint (claim and events: see sequences)


@mutant("events before quarantine", "order_of_effects")
def quarantine_before_events(patch: pytest.MonkeyPatch) -> None:
    """Nothing is lost by it: a delivery that is not done says both again. The order is kept so that what is in quarantine can be relied on."""
    flush = Deliverer._flush

    async def swapped(self: Deliverer, batch: Any, claim: Claim, bytes_done: int) -> Any:
        await self._context.publisher.send(batch.refused)
        batch.refused = []
        return await flush(self, batch, claim, bytes_done)

    patch.setattr(Deliverer, "_flush", swapped)


def _after_rows(patch: pytest.MonkeyPatch, late: list[Callable[[], Any]]) -> None:
    save = KafkaSnapshotStore.save

    async def then(self: KafkaSnapshotStore, unit: str, offset: int, blocks: Mapping[str, bytes | None], **options: Any) -> None:
        await save(self, unit, offset, blocks, **options)
        while late:
            await late.pop(0)()

    patch.setattr(KafkaSnapshotStore, "save", then)


@mutant("quarantine before the rows", "crashes", "order_of_effects")
def rows_before_quarantine(patch: pytest.MonkeyPatch) -> None:
    flush = Deliverer._flush
    late: list[Callable[[], Any]] = []

    async def put_off(self: Deliverer, batch: Any, claim: Claim, bytes_done: int) -> Any:
        if batch.refused:
            late.append(partial(self._context.publisher.send, batch.refused))
            batch.refused = []
        return await flush(self, batch, claim, bytes_done)

    patch.setattr(Deliverer, "_flush", put_off)
    _after_rows(patch, late)


@mutant("events before the rows (which say that a delivery is complete)", "crashes", "order_of_effects")
def rows_before_events(patch: pytest.MonkeyPatch) -> None:
    publish = EventPublisher.publish
    late: list[Callable[[], Any]] = []

    async def put_off(self: EventPublisher, events: Sequence[Encoded]) -> None:
        late.append(partial(publish, self, events))

    patch.setattr(EventPublisher, "publish", put_off)
    _after_rows(patch, late)


@mutant("the rows before the checkpoint that says done", "order_of_effects")
def checkpoint_before_rows(patch: pytest.MonkeyPatch) -> None:
    """Nothing is lost by it: the rows' snapshot alone tells what is complete. But a checkpoint must never say more than is durable."""
    deliver, save = Deliverer.deliver, KafkaSnapshotStore.save
    now: list[tuple[Checkpoints, int]] = []

    async def noting(self: Deliverer, claim: Claim, facts: Facts | None, rows: Rows) -> Rows:
        now[:] = [(self._checkpoints, claim.delivery)]
        return await deliver(self, claim, facts, rows)

    async def swapped(self: KafkaSnapshotStore, unit: str, offset: int, blocks: Mapping[str, bytes | None], **options: Any) -> None:
        checkpoints, delivery = now[0]
        await checkpoints.save(Checkpoint(delivery))
        await save(self, unit, offset, blocks, **options)

    patch.setattr(Deliverer, "deliver", noting)
    patch.setattr(KafkaSnapshotStore, "save", swapped)

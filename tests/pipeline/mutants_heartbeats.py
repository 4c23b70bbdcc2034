"""The connector with what it says of its progress broken, one way at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from bus.events.envelope import Event
from bus.ingest.claims import Claim
from bus.ingest.csvfile import CsvFile
from bus.ingest.deliver import Deliverer
from bus.ingest.delivery import Derivation, Derived, Encoded
from bus.ingest.publisher import EventPublisher
from bus.ingest.source import BadRecord, RawRecord
from bus.kafka.ports import Message
from tests.pipeline.mutants_ingest import _after_rows, mutant


@mutant("heartbeats after the events are acknowledged", "heartbeats", "order_of_effects")
def heartbeats_before_events(patch: pytest.MonkeyPatch) -> None:
    publish, beat = EventPublisher.publish, EventPublisher.beat
    late: list[Callable[[], Any]] = []

    async def put_off(self: EventPublisher, events: Sequence[Encoded]) -> None:
        late.append(partial(publish, self, events))

    async def hasty(self: EventPublisher, source: str, newest: Mapping[str, datetime]) -> None:
        await beat(self, source, newest)
        while late:
            await late.pop(0)()

    patch.setattr(EventPublisher, "publish", put_off)
    patch.setattr(EventPublisher, "beat", hasty)


@mutant("heartbeats before the rows (which say that a delivery is complete)", "heartbeats", "order_of_effects")
def rows_before_heartbeats(patch: pytest.MonkeyPatch) -> None:
    beat = EventPublisher.beat
    late: list[Callable[[], Any]] = []

    async def put_off(self: EventPublisher, source: str, newest: Mapping[str, datetime]) -> None:
        late.append(partial(beat, self, source, newest))

    patch.setattr(EventPublisher, "beat", put_off)
    _after_rows(patch, late)


def _said(patch: pytest.MonkeyPatch, change: Callable[[Message], Message | None]) -> None:
    beat = EventPublisher.beat

    async def other(self: EventPublisher, source: str, newest: Mapping[str, datetime]) -> None:
        send = self._publisher.send

        async def changed(messages: Sequence[Message]) -> Sequence[int]:
            return await send([each for message in messages if (each := change(message)) is not None])

        self._publisher, before = _Sender(changed), self._publisher
        try:
            await beat(self, source, newest)
        finally:
            self._publisher = before

    patch.setattr(EventPublisher, "beat", other)


class _Sender:
    def __init__(self, send: Any) -> None:
        self.send = send


@mutant("heartbeats to every partition", "heartbeats")
def heartbeats_to_one_partition(patch: pytest.MonkeyPatch) -> None:
    _said(patch, lambda message: message if message.partition == 0 else None)


@mutant("heartbeats under the source's name", "heartbeats")
def heartbeats_of_the_agency(patch: pytest.MonkeyPatch) -> None:
    beat = EventPublisher.beat
    patch.setattr(EventPublisher, "beat", lambda self, source, newest: beat(self, source.split("/")[0], newest))


@mutant("a heartbeat never says more than was published", "heartbeats")
def heartbeats_of_tomorrow(patch: pytest.MonkeyPatch) -> None:
    beat = EventPublisher.beat

    async def later(self: EventPublisher, source: str, newest: Mapping[str, datetime]) -> None:
        await beat(self, source, {name: at + timedelta(days=1) for name, at in newest.items()})

    patch.setattr(EventPublisher, "beat", later)


@mutant("a heartbeat never says more than was published (what was refused was not)", "heartbeats")
def vouches_for_what_was_refused(patch: pytest.MonkeyPatch) -> None:
    mapped = Derivation._mapped

    def noted(self: Derivation, record: RawRecord) -> tuple[list[Event], tuple[str, ...]]:
        events, contents = mapped(self, record)
        for event in events:
            self.newest[event.type] = max(event.occurred_at, self.newest.get(event.type, event.occurred_at))
        return events, contents

    patch.setattr(Derivation, "_mapped", noted)


@mutant("of which the delivery holds facts, also unchanged ones", "heartbeats")
def forgets_the_unchanged(patch: pytest.MonkeyPatch) -> None:
    record = Derivation.record

    def only_news(self: Derivation, raw: RawRecord | BadRecord) -> Derived:
        before = dict(self.newest)
        derived = record(self, raw)
        self.newest = self.newest if derived.events else before
        return derived

    patch.setattr(Derivation, "record", only_news)


@mutant("of which the delivery holds facts, also those that a process before this one published", "heartbeats")
def forgets_what_its_predecessor_sent(patch: pytest.MonkeyPatch) -> None:
    record, add = Derivation.record, Deliverer._add
    now: list[tuple[Derivation, dict[str, datetime]]] = []

    def noting(self: Derivation, raw: RawRecord | BadRecord) -> Derived:
        now[:] = [(self, dict(self.newest))]
        return record(self, raw)

    def only_own(self: Deliverer, batch: Any, derived: Derived, claim: Claim, file: CsvFile, *, published: bool) -> None:
        derivation, before = now[0]
        derivation.newest = before if published else derivation.newest
        add(self, batch, derived, claim, file, published=published)

    patch.setattr(Derivation, "record", noting)
    patch.setattr(Deliverer, "_add", only_own)

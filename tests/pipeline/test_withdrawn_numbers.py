"""Fold, merge and history over a withdrawal: the numbers of a bus that never heard of the batch, and the withdrawals as the reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from bus.events.codec import Codec
from bus.events.envelope import Envelope, Event, Op, sequence_of
from bus.events.withdrawal import source_of
from bus.indicators.changes import WITHDRAWALS
from bus.indicators.history import Why
from bus.kafka.ports import Message
from bus.kafka.topics import AUDIT, partition_of
from bus.ops.audit import Audit
from bus.ops.history import read_history
from bus.ops.values import read_values
from bus.ops.withdrawal import plan_withdrawal, withdraw
from bus.testing.clock import ManualClock
from bus.testing.faults import Cluster
from tests.pipeline.histories import SAMPLE, TYPES, installation

CATALOGUE, INDICATORS = installation()
CODEC = Codec(CATALOGUE)
SECOND = "lab/a/2"
START = datetime(2026, 2, 28, 17, tzinfo=UTC)


def fact(delivery: int, line: int, subject: str, amount: int, op: Op = Op.CREATE) -> Message:
    place = sequence_of(delivery, line)
    event = Event(SAMPLE, subject, START, {"place": "utara", "amount": amount})
    value, headers = CODEC.encode(Envelope(event, "lab/a", place, place, op, f"lab/a/{delivery}"))
    return Message(f"events.{SAMPLE}", partition_of(subject, 2), subject.encode(), value, headers)


FACTS = [
    fact(1, 1, "s1", 10),
    fact(1, 2, "s2", 20),
    fact(2, 1, "s1", 99, Op.CORRECT),
    fact(2, 2, "s3", 70),
    fact(3, 1, "s4", 5),
]


async def numbers(cluster: Cluster) -> list[tuple[str, object, object, int]]:
    found: list[tuple[str, object, object, int]] = []
    for name in sorted(INDICATORS):
        values = await read_values(cluster.log, CODEC, name)
        found += [(name, value.window_start_us, value.value, value.n) for value in values if value.n]
    return found


async def bus_after(said: Sequence[Message]) -> Cluster:
    cluster = Cluster(CATALOGUE, INDICATORS, event_types=TYPES)
    for message in said:
        cluster.log.append(message)
        await cluster.drain()
    return cluster


async def test_the_numbers_are_those_without_the_batch_and_the_history_says_why() -> None:
    cluster = await bus_after(FACTS)
    never = await bus_after([message for number, message in enumerate(FACTS) if number not in (2, 3)])
    assert await numbers(cluster) != await numbers(never)
    cluster.log.create(AUDIT)
    plan = await plan_withdrawal(CODEC.catalogue.types.values(), cluster.log, CODEC, SECOND)
    clock = ManualClock()
    assert await withdraw(plan, cluster.log, Audit(cluster.log, cluster.log, clock, who="sari"), reason="sent by mistake") == 2
    await cluster.drain()
    assert await numbers(cluster) == await numbers(never)
    last = (await read_history(cluster.log, CODEC, "lab.sample_mean")).changes[-1]
    assert {reason.why for reason in last.reasons} == {Why.WITHDRAWN}
    assert last.output.withdrawn == 2
    assert last.output.revision == sum(
        reason.count for change in (await read_history(cluster.log, CODEC, "lab.sample_mean")).changes for reason in change.reasons
    )


def test_the_engine_knows_a_withdrawal_by_its_source() -> None:
    assert source_of(SECOND).startswith(WITHDRAWALS)

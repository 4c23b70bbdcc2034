"""What is gathered between the consumer and a stage: nothing lost, nothing out of order, and a bound on what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from bus.clock import SystemClock
from bus.kafka.ports import Record, TopicPartition
from bus.streams.gather import Gatherer

P0, P1 = TopicPartition("events.t", 0), TopicPartition("events.t", 1)


def records(partition: TopicPartition, first: int, count: int) -> list[Record]:
    return [Record(partition.topic, partition.partition, offset, None, b"") for offset in range(first, first + count)]


class Stage:
    """Remembers what it was handed."""

    def __init__(self) -> None:
        self.batches: list[tuple[TopicPartition, int, list[int]]] = []

    async def apply(self, partition: TopicPartition, generation: int, batch: Sequence[Record]) -> None:
        self.batches.append((partition, generation, [record.offset for record in batch]))


@given(st.lists(st.tuples(st.sampled_from([P0, P1]), st.integers(1, 4)), max_size=20), st.integers(1, 5))
def test_every_record_is_handed_over_once_and_in_order(fetches: list[tuple[TopicPartition, int]], every: int) -> None:
    async def play() -> Stage:
        stage = Stage()
        gatherer = Gatherer(stage.apply, SystemClock(), limit=1_000)
        ends = {P0: 0, P1: 0}
        for number, (partition, count) in enumerate(fetches):
            await gatherer.put(partition, 1, records(partition, ends[partition], count))
            ends[partition] += count
            if number % every == 0:
                await gatherer.round()
        await gatherer.round()
        for partition, end in ends.items():
            assert [offset for tp, _, offsets in stage.batches if tp == partition for offset in offsets] == list(range(end))
        return stage

    asyncio.run(play())


async def test_what_is_fetched_during_a_round_becomes_one_batch() -> None:
    stage = Stage()
    gatherer = Gatherer(stage.apply, SystemClock(), limit=1_000)
    for first in (0, 5, 10):
        await gatherer.put(P0, 1, records(P0, first, 5))
    await gatherer.round()
    assert stage.batches == [(P0, 1, list(range(15)))]


async def test_a_new_generation_forgets_what_an_older_one_had_fetched() -> None:
    stage = Stage()
    gatherer = Gatherer(stage.apply, SystemClock(), limit=1_000)
    await gatherer.put(P0, 1, records(P0, 0, 5))
    await gatherer.put(P0, 2, records(P0, 3, 2))
    await gatherer.round()
    assert stage.batches == [(P0, 2, [3, 4])]


async def test_after_a_seek_back_the_repetition_is_a_batch_of_its_own() -> None:
    stage = Stage()
    gatherer = Gatherer(stage.apply, SystemClock(), limit=1_000)
    await gatherer.put(P0, 1, records(P0, 7, 2))
    await gatherer.put(P0, 1, records(P0, 4, 5))
    await gatherer.round()
    assert stage.batches == [(P0, 1, [7, 8]), (P0, 1, [4, 5, 6, 7, 8])]


async def test_the_consumer_waits_while_there_is_no_room() -> None:
    stage = Stage()
    gatherer = Gatherer(stage.apply, SystemClock(), limit=5)
    await gatherer.put(P0, 1, records(P0, 0, 5))
    waiting = asyncio.create_task(gatherer.put(P0, 1, records(P0, 5, 1)))
    await asyncio.sleep(0)
    assert not waiting.done()
    await gatherer.round()
    await waiting
    await gatherer.round()
    assert [offsets for _, _, offsets in stage.batches] == [[0, 1, 2, 3, 4], [5]]

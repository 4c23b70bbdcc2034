"""`bus verify` over every kind of indicator and thousands of places where evidence ends: what it says, and how often it reads."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.errors import ConfigurationError, OffsetGap
from bus.events.envelope import Op
from bus.indicators.batch import Batch
from bus.indicators.fold import FoldUnit
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output
from bus.indicators.partial import encode
from bus.kafka.ports import Message, Record, TopicPartition
from bus.ops.decoded import DecodedLog
from bus.ops.installation import Installation
from bus.ops.values import cell_name
from bus.ops.verification import verify
from bus.settings import KafkaSettings, Settings
from bus.streams.folding import FoldWork
from bus.streams.outputs import encode_output, topic_of
from bus.testing.memory import MemoryLog
from tests.conftest import examples
from tests.model.engine import log_of
from tests.model.histories import CROWDED, INSTANTS, Fact, history, seeded
from tests.model.worlds import CODEC, OVERLAY, PARTITIONS, TYPES

NAMES = (
    "uji.now_mean",
    "uji.region_daily",
    "uji.permit_time",
    "uji.total",
    "uji.top_places",
    "uji.change",
    "uji.reconciled",
    "uji.case_sum",
)
PLACE = TopicPartition("events.uji.case.recorded.v1", 0)

Change = Callable[[Output], Output]


@cache
def installation() -> Installation:
    return Installation.load(Settings(overlay=(OVERLAY,), kafka=KafkaSettings(event_partitions=PARTITIONS)))


class Counting:
    """A reader that counts how often event topics are read."""

    def __init__(self, log: MemoryLog) -> None:
        self.log, self.reads = log, 0

    async def partitions(self, topic: str) -> int:
        return await self.log.partitions(topic)

    async def beginning(self, partition: TopicPartition) -> int:
        return await self.log.beginning(partition)

    async def end(self, partition: TopicPartition) -> int:
        return await self.log.end(partition)

    async def ends(self, partitions: Sequence[TopicPartition]) -> list[int]:
        return [await self.end(partition) for partition in partitions]

    def read(self, partition: TopicPartition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        self.reads += partition.topic.startswith("events.")
        return self.log.read(partition, start, stop)


def work() -> FoldWork:
    return FoldWork(installation().catalogue, {}, event_partitions=PARTITIONS, partials_partitions=4)


def _permit(number: int, status: str) -> Fact:
    """A step of a permit that is granted in the end."""
    data = {"agency": "dinkes", "status": status, "days": 3, "kode_wilayah": "33.09.01.2001"}
    return Fact("uji.permit.moved.v1", "uji/z", number, "granted", 256 * (1 + number), Op.CREATE, INSTANTS[number], data)


async def said(log: MemoryLog, name: str) -> list[Output]:
    """All rows of an indicator that a merge gives out while its folds take two records at a time."""
    folding, merge = work(), MergeUnit.new(0)
    units = [
        FoldUnit.new(leaf, leaf.topic, number, PARTITIONS)
        for leaf in installation().leaves_of(installation().indicators[name])
        for number in range(PARTITIONS)
    ]
    outputs: list[Output] = []

    def take(parts: Sequence[bytes]) -> None:
        outputs.extend(merge.apply([(merge.offset + 1 + number, part) for number, part in enumerate(parts)]))

    take([part for unit in units for part in encode(unit.full_partial())])
    choose = random.Random(name)
    while waiting := [unit for unit in units if unit.offset + 1 < len(log.records(unit.topic, unit.partition))]:
        unit = choose.choice(waiting)
        records = log.records(unit.topic, unit.partition)[unit.offset + 1 : unit.offset + 3]
        partial = unit.apply(folding.prepare(TopicPartition(unit.topic, unit.partition), records).batch)
        take([] if partial is None else encode(partial))
    return [output for output in outputs if output.indicator == name]


async def published(names: Iterable[str], change: Change | None = None) -> MemoryLog:
    """A log with a history and what is said of it, the newest row that has a value changed."""
    told = history(random.Random(4).choice, TYPES, size=[150], instants=CROWDED, subjects=8)
    log = log_of([*told, *(_permit(number, status) for number, status in enumerate(("10", "50")))])
    for name in names:
        log.create(topic_of(name), compacted=True)
        outputs = await said(log, name)
        if change is not None:
            last = max(number for number, output in enumerate(outputs) if output.n)
            outputs = [*outputs, change(replace(outputs[last], revision=outputs[last].revision + 100))]
        for output in outputs:
            key, value, headers = encode_output(CODEC, output)
            log.append(Message(topic_of(name), 0, key, value, headers))
    return log


async def test_every_kind_is_proven_and_each_block_of_the_log_is_read_once() -> None:
    log = Counting(await published(NAMES))
    reports = await verify(installation(), log, NAMES)
    assert {report.indicator: report.mismatches for report in reports} == dict.fromkeys(NAMES, ())
    assert all(report.cells for report in reports)
    assert {report.indicator: report.made_of for report in reports if report.made_of} == {
        "uji.total": ("uji.part_in", "uji.part_out"),
        "uji.top_places": ("uji.part_in",),
        "uji.change": ("uji.part_in",),
        "uji.reconciled": ("uji.register_siak", "uji.register_mcd"),
    }
    assert log.reads <= len(TYPES) * PARTITIONS


@pytest.mark.parametrize("name", NAMES)
async def test_a_wrong_row_of_any_kind_is_found_and_named(name: str) -> None:
    wrong: list[Output] = []

    def change(output: Output) -> Output:
        wrong.append(replace(output, value="12345", label="X"))
        return wrong[-1]

    (report,) = await verify(installation(), await published([name], change), [name])
    assert {mismatch.cell for mismatch in report.mismatches} == {cell_name(wrong[0])}
    assert {"value", "label", "revision"} == {mismatch.field for mismatch in report.mismatches}
    assert cell_name(wrong[0]).startswith("now") == (name in ("uji.now_mean", "uji.reconciled"))


async def test_rows_of_the_current_state_are_asked_for_by_name() -> None:
    log = await published(["uji.reconciled"])
    values = {cell_name(output) for output in await said(log, "uji.reconciled")}
    name = min(values)
    assert name.startswith("now/")
    (report,) = await verify(installation(), log, ["uji.reconciled"], cells=[name])
    assert (report.ok, report.cells) == (True, 1)
    with pytest.raises(ConfigurationError, match=r"no such cell; there are \d+, such as: now/"):
        await verify(installation(), log, ["uji.reconciled"], cells=["now/nobody"])


async def test_a_register_has_nothing_to_verify_but_what_compares_it() -> None:
    with pytest.raises(ConfigurationError, match=r"is a register.*compared by uji\.reconciled"):
        await verify(installation(), MemoryLog(), ["uji.register_siak"])


# the log in blocks


def decoded(log: MemoryLog, block: int, kept: int = 1_000) -> DecodedLog:
    ends = {PLACE: len(log.records(PLACE.topic, PLACE.partition)) - 1}
    folding = work()
    return DecodedLog(log, lambda place, records: folding.prepare(place, records).batch, ends, block=block, kept=kept)


def whole(batches: Sequence[Batch]) -> tuple[pl.DataFrame, list[tuple[int, str, int]]]:
    return pl.concat([batch.frame for batch in batches]), [beat for batch in batches for beat in batch.heartbeats]


@settings(max_examples=examples(25))
@given(data=st.data())
async def test_pieces_of_blocks_are_the_log(data: st.DataObject) -> None:
    log = log_of(seeded(data.draw(st.integers(0, 5)), ["uji.case.recorded.v1"]))
    records = log.records(PLACE.topic, PLACE.partition)
    reader = decoded(log, data.draw(st.sampled_from([1, 2, 3, 7, 100])), kept=data.draw(st.sampled_from([1, 20, 1_000])))
    for _ in range(3):
        first = data.draw(st.integers(0, len(records) - 1))
        last = data.draw(st.integers(first, len(records) - 1))
        batches = [batch async for batch in reader.batches(PLACE, first, last)]
        assert [batches[0].first, *(batch.last for batch in batches)] == [first, *(batch.first - 1 for batch in batches[1:]), last]
        wanted = work().prepare(PLACE, records[first : last + 1]).batch
        frame, beats = whole(batches)
        assert frame.equals(wanted.frame)
        assert beats == list(wanted.heartbeats)


async def test_pieces_asked_for_twice_are_the_same_so_that_folds_share_them() -> None:
    reader = decoded(log_of(seeded(1, ["uji.case.recorded.v1"])), 4)
    once, again = [[batch async for batch in reader.batches(PLACE, 1, 6)] for _ in range(2)]
    assert all(one is other for one, other in zip(once, again, strict=True))


class Holed(Counting):
    """A log in which a record's offset is empty, as that of a control record is."""

    async def read(self, partition: TopicPartition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        async for records in self.log.read(partition, start, stop):
            yield [record for record in records if record.offset not in (0, 3, 4)]


async def test_an_offset_without_a_record_is_no_gap_and_a_log_that_begins_later_is() -> None:
    log = log_of(seeded(1, ["uji.case.recorded.v1"]))
    holed = DecodedLog(Holed(log), lambda place, records: work().prepare(place, records).batch, {PLACE: 7}, block=4)
    batches = [batch async for batch in holed.batches(PLACE, 0, 7)]
    assert [(batch.first, batch.last) for batch in batches] == [(0, 3), (4, 7)]
    empty = DecodedLog(Holed(log), lambda place, records: work().prepare(place, records).batch, {PLACE: 0}, block=4)
    with pytest.raises(OffsetGap, match="there is no record from offset 0 to 0"):
        [batch async for batch in empty.batches(PLACE, 0, 0)]
    log.trim(PLACE, 3)
    with pytest.raises(OffsetGap):
        [batch async for batch in decoded(log, 10).batches(PLACE, 0, 5)]

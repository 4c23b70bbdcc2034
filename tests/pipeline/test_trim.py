"""`bus archive trim`: only what is old, archived as it is, and counted durably leaves a topic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from bus.errors import BusError
from bus.kafka.archive import Archive
from bus.kafka.archive_file import day_of
from bus.kafka.archived_log import ArchivedLog
from bus.kafka.ports import TopicPartition
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.ops.archive import Cut, cut, held, plan_cuts
from bus.testing.memory import MemoryLog
from tests.pipeline.test_archive import put_away
from tests.pipeline.test_proofs import installation, published


async def settled(root: Path) -> tuple[MemoryLog, Archive, KafkaSnapshotStore]:
    """A log whose events are archived, and durable snapshots of all units but those of one indicator, which has counted five records."""
    log = await published([])
    archive = put_away(log, root)
    log.create("bus.snapshots", 4, compacted=True)
    store = KafkaSnapshotStore(log, log)
    for duty in installation().fold_duties():
        if duty.partition.topic.startswith("events.uji."):
            end = await log.end(duty.partition)
            await store.save(duty.unit, min(end, 5) - 1 if "/uji.case_sum/" in duty.unit else end - 1, {})
    return log, archive, store


CASES = "events.uji.case.recorded.v1"


def tomorrow_of(log: MemoryLog, place: TopicPartition) -> date:
    return day_of(log.records(place.topic, place.partition)[-1]) + timedelta(days=1)


async def test_only_what_is_old_archived_and_counted_goes(tmp_path: Path) -> None:
    log, archive, store = await settled(tmp_path)
    place, other = TopicPartition(CASES, 0), TopicPartition("events.uji.permit.moved.v1", 0)
    names = [place.topic, other.topic]
    cuts = await plan_cuts(installation(), archive, log, store, before=tomorrow_of(log, place), names=names)
    by_place: Mapping[TopicPartition, Cut] = {each.place: each for each in cuts}
    assert (by_place[place].upto, by_place[place].why_not_more) == (5, "not counted durably by uji.case_sum")
    assert (by_place[other].upto, by_place[other].why_not_more) == (await log.end(other), "not archived")
    young = await plan_cuts(installation(), archive, log, store, before=tomorrow_of(log, place) - timedelta(days=1), names=names)
    assert {each.records for each in young} == {0}

    async def delete(at: TopicPartition, before: int) -> None:
        log.trim(at, before)

    for each in cuts:
        await cut(archive, log, each, delete)
    assert await log.beginning(place) == 5
    whole = ArchivedLog(log, archive)
    for one in await held(archive, log, names):
        assert one.lost == 0
        assert len([record async for some in whole.read(one.place, 0, one.end) for record in some]) == one.end
    again = await plan_cuts(installation(), archive, log, store, before=tomorrow_of(log, place), names=names)
    assert {each.records for each in again} == {0}


@pytest.mark.parametrize("harm", ["another value", "a damaged file", "another log"])
async def test_nothing_goes_that_the_archive_does_not_hold_as_it_is(tmp_path: Path, harm: str) -> None:
    log, archive, store = await settled(tmp_path)
    place = TopicPartition("events.uji.permit.moved.v1", 0)
    records = log._partition(place).records
    if harm == "another value":
        records[1] = replace(records[1], value=b"other")
    elif harm == "another log":
        records[-1] = replace(records[-1], timestamp_ms=1)
    else:
        path = archive.holding(place).files[0].path
        path.write_bytes(path.read_bytes()[:-1])
    archive = Archive(tmp_path)
    cuts = await plan_cuts(installation(), archive, log, store, before=tomorrow_of(log, place) + timedelta(days=9_999), names=[place.topic])
    gone: list[TopicPartition] = []

    async def delete(at: TopicPartition, before: int) -> None:
        gone.append(at)

    with pytest.raises(BusError, match="is damaged" if harm == "a damaged file" else "is another record than in the topic"):
        await cut(archive, log, next(each for each in cuts if each.place == place), delete)
    assert gone == []

"""Events as columns beside their records: for every declared type, and never in the way of the records themselves."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from bus.events.catalogue import Catalogue
from bus.kafka.archive import Archive
from bus.kafka.ports import Record, TopicPartition
from bus.settings import Settings
from bus.testing.memory import MemoryLog
from consumers.archive.columns import columns
from tests.unit.archive.logs import everything, records
from tests.unit.streams.world import EVENTS, World, history

HEARTBEAT = (("ce_type", b"bus.heartbeat"),)


@pytest.fixture
def log(tmp_path: Path) -> list[Record]:
    """Fifty events, a heartbeat and a record that nobody can read."""
    world = World(tmp_path)
    facts = MemoryLog({EVENTS: 2})
    world.log = facts
    import asyncio

    asyncio.run(world.publish(history(1, 100)))
    held = list(facts.records(EVENTS, 0))
    first = held[-1]
    held.append(Record(EVENTS, 0, first.offset + 1, b"k", None, HEARTBEAT, 5))
    held.append(Record(EVENTS, 0, first.offset + 2, b"k", (first.value or b"")[:9], (), 6))
    return held


def test_what_can_be_decoded_is_and_the_rest_is_kept(tmp_path: Path, log: list[Record]) -> None:
    decode = columns(Catalogue.load([tmp_path / "schemas"]))
    Archive(tmp_path / "archive").write(log, decode(log))
    assert everything(Archive(tmp_path / "archive"), TopicPartition(EVENTS, 0)) == log
    frame = pl.read_parquet(tmp_path / "archive" / "*" / "*" / "*.parquet")
    assert frame.height == len(log)
    assert {"source", "sequence", "subject", "occurred_at", "op", "place", "amount"} <= set(frame.columns)
    assert frame["place"].null_count() == frame["amount"].null_count() == 2
    assert frame["place"].tail(2).to_list() == [None, None]
    assert set(frame["op"].drop_nulls()) <= {"CREATE", "CORRECT", "CANCEL"}
    assert frame.filter(pl.col("subject").is_not_null())["subject"].to_list() == [(each.key or b"").decode() for each in log[:-2]]


def test_an_unknown_type_is_archived_without_columns(tmp_path: Path, log: list[Record]) -> None:
    assert columns(Catalogue.load(Settings().schemas_roots()))(log) is None
    assert columns(Catalogue.load([tmp_path / "schemas"]))(records(3, partition=0)) is not None


def test_the_columns_of_every_declared_type_fit_into_a_file(tmp_path: Path) -> None:
    catalogue = Catalogue.load(Settings().schemas_roots())
    decode = columns(catalogue)
    for number, name in enumerate(catalogue.types):
        beat = [Record(f"events.{name}", 0, 0, b"k", None, HEARTBEAT, number)]
        table = decode(beat)
        assert table is not None
        Archive(tmp_path).write(beat, table)
        assert everything(Archive(tmp_path), TopicPartition(f"events.{name}", 0)) == beat
    assert len(Archive(tmp_path).topics()) == len(catalogue.types)

"""Which time a delivery vouches for, by type, and where it is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest

from bus.errors import FatalError, RecordError
from bus.events.envelope import Event
from bus.events.heartbeat import heartbeat_of
from bus.ingest.delivery import Derivation
from bus.ingest.manifest import Meaning
from bus.ingest.publisher import EventPublisher
from bus.ingest.rows import Rows
from bus.ingest.source import BadRecord, RawRecord, Reason
from bus.ingest.stamp import Stamp
from bus.testing.memory import MemoryLog
from tests.unit.ingest.test_delivery import PAYLOAD, TYPE, codec


def _day(day: int) -> datetime:
    return datetime(2024, 1, day, tzinfo=UTC)


def _to_events(record: Mapping[str, object], /) -> Iterator[Event]:
    for day in str(record["days"]).split():
        if day == "?":
            raise RecordError("?", field="days", rule="invalid_value")
        yield Event(TYPE, f"{record['key']}/{day}", _day(int(day)), {**PAYLOAD, "station": "s"})


def _derive(rows: Rows, number: int, *records: tuple[str, str] | None) -> tuple[Mapping[str, datetime], Rows]:
    stamp = Stamp("lab/x", number, _day(20))
    derivation = Derivation(stamp=stamp, meaning=Meaning(_to_events), codec=codec(), declared={TYPE}, key=("key",), table=True, rows=rows)
    for line, record in enumerate(records, 2):
        bad = BadRecord(line, "?", Reason("field_count"))
        derivation.record(bad if record is None else RawRecord(line, "", {"key": record[0], "days": record[1]}))
    list(derivation.finish(len(records) + 1))
    return dict(derivation.newest), derivation.rows_after()


def test_a_delivery_vouches_for_the_newest_fact_that_it_holds() -> None:
    newest, rows = _derive(Rows(), 1, ("a", "3 9 5"), ("b", "4"), ("c", "12"))
    assert newest == {TYPE: _day(12)}
    # `c` is cancelled: the file does not hold it. Nothing else is new.
    newest, rows = _derive(rows, 2, ("b", "4"), ("a", "3 9 5"))
    assert newest == {TYPE: _day(9)}
    # Refused: as a record, by the mapping after its first event, for its key, for the future.
    newest, _ = _derive(rows, 3, None, ("b", "4"), ("d", "15 ?"), ("b", "16"), ("e", "6 25"))
    assert newest == {TYPE: _day(4)}


def test_a_delivery_without_facts_vouches_for_nothing() -> None:
    _, rows = _derive(Rows(), 1, ("a", "3"))
    assert _derive(rows, 2, None, ("b", ""))[0] == {}


async def test_every_partition_of_every_type_is_told() -> None:
    log = MemoryLog({"events.lab.a.made.v1": 3, "events.lab.b.made.v1": 2, "events.lab.c.made.v1": 2})
    publisher = EventPublisher("lab", log, log)
    await publisher.beat("lab/x", {"lab.a.made.v1": _day(3), "lab.b.made.v1": _day(5)})
    said = {
        (topic, partition): [(record.value, heartbeat_of(record.headers)) for record in log.records(topic, partition)]
        for topic, partitions in log.topics.items()
        for partition in range(partitions)
    }
    first, second = _micros(_day(3)), _micros(_day(5))
    assert said == {
        **{("events.lab.a.made.v1", partition): [(None, ("lab/x", first))] for partition in range(3)},
        **{("events.lab.b.made.v1", partition): [(None, ("lab/x", second))] for partition in range(2)},
        **{("events.lab.c.made.v1", partition): [] for partition in range(2)},
    }
    with pytest.raises(FatalError, match="does not exist"):
        await publisher.beat("lab/x", {"lab.d.made.v1": _day(3)})


def _micros(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000

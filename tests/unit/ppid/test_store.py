"""The store keeps every vintage, once, on both databases, whatever dies."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
import sqlalchemy as sa
from hypothesis import given, settings

from bus.errors import ConfigurationError, TransientError
from bus.indicators.windows import to_micros
from bus.kafka.ports import Message, TopicPartition
from bus.testing.memory import MemoryLog
from consumers.ppid import tables
from consumers.ppid.database import Database
from consumers.ppid.ledger import Row, changes_of
from consumers.ppid.store import Store, Table
from tests.conftest import examples
from tests.unit.ppid.feed import DECODE, PM10, follower_of, local, public, released, tombstone

TOPIC = f"public.{PM10}"
FEBRUARY = (local(2026, 2), local(2026, 3))


def said(table: Table | None) -> dict[str, str | None]:
    return (
        {} if table is None else {f"{row.said.window_start_us}/{row.said.dimensions.get('station')}": row.said.value for row in table.rows}
    )


def values(table: Table | None) -> list[str | None]:
    return list(said(table).values())


def us(moment: datetime) -> int:
    return to_micros(moment)


async def test_what_did_this_table_say_on_that_day(log: MemoryLog, database: Database) -> None:
    await log.send(
        [
            public("60", at=released(1)),
            public("12", at=released(1), window=FEBRUARY),
            public("61", at=released(8), revision=2),
            public(None, at=released(15), window=FEBRUARY),
            public("61", at=released(22), revision=2, dimensions={"station": "SLO1"}),
        ]
    )
    await follower_of(log, database).round(log)
    store = Store(database)
    assert values(store.as_of(PM10, us(released(1)) - 1)) == []
    assert values(store.as_of(PM10, us(released(1)))) == ["60", "12"]
    assert values(store.as_of(PM10, us(released(14)))) == ["61", "12"]
    assert values(store.as_of(PM10, us(released(15)))) == ["61", None]
    assert values(store.as_of(PM10)) == ["61", "61", None]
    assert [(each.moment_us, each.changed, each.complete) for each in store.vintages(PM10)] == [
        (us(released(22)), 1, False),
        (us(released(15)), 1, True),
        (us(released(8)), 1, True),
        (us(released(1)), 2, True),
    ]
    table = store.as_of(PM10)
    assert table is not None
    withheld = table.rows[-1].said
    assert withheld.suppressed
    assert (withheld.n, withheld.numerator, list(withheld.evidence)) == (None, None, [])


async def test_the_numbers_of_a_withheld_cell_are_kept_nowhere(log: MemoryLog, database: Database) -> None:
    await log.send([public("3", at=released(1), more={"suppressed": True, "value": "33309", "numerator": "33309"})])
    await follower_of(log, database).round(log)
    assert values(Store(database).as_of(PM10)) == [None]
    everything = database.read(lambda connection: str(connection.execute(sa.select(tables.observation)).all()))
    assert "33309" not in everything


async def test_old_and_repeated_records_change_nothing(log: MemoryLog, database: Database) -> None:
    first, second = public("60", at=released(1)), public("61", at=released(8), revision=2)
    await log.send([first, second, first, second, public("60", at=released(9)), public("61", at=released(10), revision=2)])
    await follower_of(log, database).round(log)
    assert values(Store(database).as_of(PM10)) == ["61"]
    assert [each.moment_us for each in Store(database).vintages(PM10)] == [us(released(8)), us(released(1))]


async def test_an_old_number_does_not_come_back_behind_a_withheld_one(log: MemoryLog, database: Database) -> None:
    await log.send([public("4", at=released(1), revision=7), public(None, at=released(8)), public("3", at=released(9), revision=6)])
    await follower_of(log, database).round(log)
    assert values(Store(database).as_of(PM10)) == [None]
    await log.send([public("12", at=released(10), revision=9)])
    await follower_of(log, database).round(log)
    assert values(Store(database).as_of(PM10)) == ["12"]


async def test_another_version_of_the_definition_begins_the_table_anew(log: MemoryLog, database: Database) -> None:
    await log.send([public("60", at=released(1)), public("12", at=released(1), window=FEBRUARY)])
    await follower_of(log, database).round(log)
    await log.send([public("6.0", at=released(8), version=2), public("77", at=released(9), revision=9, window=FEBRUARY)])
    await follower_of(log, database).round(log)
    store = Store(database)
    assert values(store.as_of(PM10)) == ["6.0"]
    assert values(store.as_of(PM10, us(released(7)))) == ["60", "12"]


async def test_a_cell_that_is_taken_away_has_no_row(log: MemoryLog, database: Database) -> None:
    first = public("60", at=released(1))
    await log.send([first, public("0", at=released(2), revision=2, more={"n": 0, "value": None}), public("7", at=released(3), revision=3)])
    await log.send([tombstone(first), public("8", at=released(9), window=FEBRUARY)])
    await follower_of(log, database).round(log)
    store = Store(database)
    assert [values(store.as_of(PM10, us(released(day)))) for day in (1, 2, 9)] == [["60"], [], ["8"]]


async def test_a_release_that_is_told_late_does_not_change_what_was_said(log: MemoryLog, database: Database) -> None:
    await log.send([public("60", at=released(8)), public("12", at=released(1), window=FEBRUARY)])
    await follower_of(log, database).round(log)
    assert values(Store(database).as_of(PM10, us(released(7)))) == []
    assert values(Store(database).as_of(PM10, us(released(8)))) == ["60", "12"]


async def test_a_shorter_log_is_another_log(log: MemoryLog, database: Database) -> None:
    await log.send([public("60", at=released(1)), public("61", at=released(2), revision=2)])
    follower = follower_of(log, database)
    await follower.round(log)
    other = MemoryLog({TOPIC: 1})
    await other.send([public("7", at=released(1))])
    await follower.round(other)
    store = Store(database)
    assert values(store.as_of(PM10)) == ["7"]
    assert store.logs()[PM10].generation == 2
    kept = database.read(lambda connection: connection.execute(sa.select(sa.func.count()).select_from(tables.observation)).scalar())
    assert kept == 3


async def test_a_log_of_the_same_length_with_other_records_is_another_log(log: MemoryLog, database: Database) -> None:
    await log.send([public("60", at=released(1))])
    await follower_of(log, database).round(log)
    other = MemoryLog({TOPIC: 1})
    await other.send([public("61", at=released(1)), public("9", at=released(2), window=FEBRUARY)])
    await follower_of(other, database).round(other)
    assert values(Store(database).as_of(PM10)) == ["61", "9"]
    assert Store(database).logs()[PM10].generation == 2


async def test_compaction_of_what_was_read_is_no_other_log(log: MemoryLog, database: Database) -> None:
    first = public("60", at=released(1))
    await log.send([first])
    await follower_of(log, database).round(log)
    await log.send([public("61", at=released(8), revision=2), public("5", at=released(8), window=FEBRUARY)])
    log.compact(TOPIC)
    await follower_of(log, database).round(log)
    assert Store(database).logs()[PM10].generation == 1
    assert values(Store(database).as_of(PM10, us(released(1)))) == ["60"]


async def test_a_record_that_cannot_be_read_is_named_and_the_log_goes_on(log: MemoryLog, database: Database) -> None:
    await log.send([Message(TOPIC, 0, b"[0,[]]", b"\x00\x00\x00\x00\x00nonsense"), public("60", at=released(1))])
    await follower_of(log, database).round(log)
    count, first = Store(database).refusals()
    assert count == 1
    assert first.startswith(f"{TOPIC} at offset 0: ")
    assert values(Store(database).as_of(PM10)) == ["60"]


async def test_two_processes_on_one_database_double_nothing(log: MemoryLog, make_database: Any) -> None:
    await log.send([public("60", at=released(1))])
    one, other = make_database(), make_database()
    await follower_of(log, one).round(log)
    state = Store(one).logs()[PM10]
    await log.send([public("61", at=released(8), revision=2)])
    entries = [DECODE(record) for record in log.records(TOPIC)[1:]]
    Store(other).apply(state, entries, {}, upto=2, digest="x")
    with pytest.raises(TransientError, match="another process"):
        Store(one).apply(state, entries, {}, upto=2, digest="x")
    assert len(Store(one).vintages(PM10)) == 2


def test_a_newer_form_of_the_database_is_refused(make_database: Any) -> None:
    make_database().write(lambda connection: connection.execute(sa.update(tables.form).values(version=99)))
    with pytest.raises(ConfigurationError, match="install the newer version"):
        make_database().prepare()


_STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 4), st.integers(0, 5), st.sampled_from(["value", "withheld", "tombstone", "version"])),
    max_size=12,
)


@settings(max_examples=examples(60))
@given(_STEPS, st.lists(st.integers(1, 5), min_size=12, max_size=12))
def test_however_the_log_is_cut_the_rows_are_the_same(steps: list[tuple[int, int, int, str]], cuts: list[int]) -> None:
    log = MemoryLog({TOPIC: 1})
    version = 1
    for station, revision, day, kind in steps:
        version += kind == "version"
        at = released(1) + timedelta(days=day)
        place = {"station": f"S{station}"}
        message = public(None if kind == "withheld" else str(revision), at=at, dimensions=place, revision=revision, version=version)
        log.append(tombstone(message) if kind == "tombstone" else message)
    entries = [DECODE(record) for record in log.records(TOPIC)]

    def folded(sizes: list[int]) -> list[Row]:
        rows: dict[int, Row] = {}
        moment = number = position = 0
        for size in sizes:
            standing = {row.said.cell: row for row in rows.values() if row.until_us is None}
            changes = changes_of(entries[position : position + size], standing, moment_us=moment, version=number)
            for retired in changes.retired:
                for row in rows.values():
                    if row.until_us is None and row.said.version < retired.version:
                        row.end(retired.moment_us, retired.offset)
            rows |= {row.offset: row for row in changes.rows}
            moment, number, position = changes.moment_us, changes.version, position + size
        return [rows[offset] for offset in sorted(rows)]

    whole = folded([len(entries)])
    assert folded([1] * len(entries)) == whole
    assert folded([*cuts[: len(entries)], len(entries)]) == whole
    standing = [row.said.cell for row in whole if row.until_us is None]
    assert len(standing) == len(set(standing))


async def test_a_log_that_lost_its_beginning_is_read_from_where_it_begins(database: Database) -> None:
    log = MemoryLog({TOPIC: 1})
    await log.send([public("60", at=released(1)), public("61", at=released(8), revision=2)])
    log.trim(TopicPartition(TOPIC, 0), 1)
    await follower_of(log, database).round(log)
    assert values(Store(database).as_of(PM10)) == ["61"]


async def test_a_log_that_lost_what_was_not_read_stands_still_and_the_others_go_on(database: Database) -> None:
    log = MemoryLog({TOPIC: 1, "public.dlh.pm10_mean": 1})
    await log.send([public("60", at=released(1))])
    follower = follower_of(log, database)
    await follower.round(log)
    await log.send([public(str(number), at=released(8), revision=number) for number in (2, 3)])
    await log.send([public("5", at=released(8), indicator="dlh.pm10_mean")])
    log.trim(TopicPartition(TOPIC, 0), 2)
    await follower.round(log)
    assert values(Store(database).as_of(PM10)) == ["60"]
    assert values(Store(database).as_of("dlh.pm10_mean")) == ["5"]
    assert "1 table(s) stand still" in follower.health().reason

"""The `postgres-cdc` source against a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.pipeline.ingest_world import World, quarantined
from tests.sources.cdc_world import BOTH, SOURCE, TABLE, put
from tests.sources.world import database_world, said


async def test_tables_are_read_and_then_followed(world: World, db: psycopg.Connection) -> None:
    for no in "123":
        put(db, no)
    await world.run()
    assert said(world) == [("CREATE", "1", "a"), ("CREATE", "2", "a"), ("CREATE", "3", "a")]
    with db.transaction():
        put(db, "4")
        put(db, "1", "b")
        put(db, "1", "c")
    db.execute("DELETE FROM samples WHERE no = '2'")
    db.execute("UPDATE samples SET no = '30' WHERE no = '3'")
    put(db, "5", "buruk")
    with db.transaction(force_rollback=True):
        put(db, "6", "rolled back")
    await world.run()
    expected = [
        ("CREATE", "4", "a"), ("CORRECT", "1", "b"), ("CORRECT", "1", "c"), ("CANCEL", "2", "a"), ("CANCEL", "3", "a"), ("CREATE", "30", "a"),
    ]  # fmt: skip
    assert said(world)[3:] == expected
    assert [rule for _, _, rule in await quarantined(world)] == ["out_of_range"]
    await world.run()
    assert len(said(world)) == 9
    assert len(await quarantined(world)) == 1


async def test_nothing_is_missing_or_double_between_snapshot_and_stream(
    tmp_path: Path, postgres: Callable[..., str], db: psycopg.Connection
) -> None:
    """Writers do not pause while the tables are read: every row and every change of it, once."""
    world = database_world(tmp_path, postgres(), SOURCE)
    stop = threading.Event()
    written: list[list[str]] = [[], []]

    def write(worker: int) -> None:
        with psycopg.connect(postgres(), autocommit=True) as connection:
            # not for ever: a reader who is slower than they are would never be done
            while not stop.is_set() and len(written[worker]) < 2_000:
                no = f"{worker}-{len(written[worker])}"
                with connection.transaction():
                    put(connection, no, "a")
                written[worker].append(no)
                put(connection, no, "b")

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(2)]
    for thread in threads:
        thread.start()
    try:
        while min(map(len, written)) < 50:
            stop.wait(0.01)
        await world.run()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    await world.run()
    rows = {no for each in written for no in each}
    events = said(world)
    assert {subject for op, subject, _ in events if op == "CREATE"} == rows
    assert sum(op == "CREATE" for op, _, _ in events) == len(rows)
    first = {subject: value for op, subject, value in events if op == "CREATE"}
    corrected = {subject for op, subject, value in events if (op, value) == ("CORRECT", "b")}
    assert corrected == {no for no, value in first.items() if value == "a"}
    assert len(events) == len(rows) + len(corrected)


async def test_several_tables_are_told_apart(tmp_path: Path, postgres: Callable[..., str], db: psycopg.Connection) -> None:
    db.execute("CREATE SCHEMA lain")
    db.execute(TABLE.format("lain."))
    db.execute("ALTER PUBLICATION bus ADD TABLE lain.samples")
    world = database_world(tmp_path, postgres(), BOTH)
    put(db, "1")
    put(db, "1", "b", "lain.samples")
    await world.run()
    db.execute("DELETE FROM samples")
    put(db, "1", "c", "lain.samples")
    await world.run()
    one, other = "public.samples-1", "lain.samples-1"
    assert said(world) == [("CREATE", one, "a"), ("CREATE", other, "b"), ("CANCEL", one, "a"), ("CORRECT", other, "c")]


async def test_a_kill_between_journal_and_slot_doubles_nothing(
    world: World, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    await world.run()
    put(db, "1")
    put(db, "2", "buruk")

    def dies(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("bus.ingest.kinds.cdc_database.CdcDatabase.advance", dies)
        with pytest.raises(BaseException):  # noqa: B017, PT011  a kill is no exception of ours
            await world.run()
    put(db, "3")
    await world.run()
    assert said(world) == [("CREATE", "1", "a"), ("CREATE", "3", "a")]
    assert len(await quarantined(world)) == 1


async def test_a_kill_while_the_tables_are_read_begins_again(world: World, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    put(db, "1")
    put(db, "2", "buruk")

    def dies(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("bus.ingest.kinds.cdc.received", dies)
        with pytest.raises(BaseException):  # noqa: B017, PT011  a kill is no exception of ours
            await world.run()
    db.execute("DELETE FROM samples WHERE no = '1'")
    put(db, "3")
    await world.run()
    assert said(world) == [("CREATE", "3", "a")]
    assert len(await quarantined(world)) == 1

"""`kill -9` of the follower and of PostgreSQL: nothing is lost, nothing is doubled, and it catches up."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bus.errors import TransientError
from bus.kafka.ports import Message
from bus.settings import ROOT
from bus.simulation.servers import PostgresServer
from bus.testing.memory import MemoryLog
from consumers.ppid import tables
from consumers.ppid.database import Database
from consumers.ppid.store import Store
from tests.unit.ppid.feed import PM10, follower_of, public, released
from tests.unit.ppid.following import RECORDS, long_log

TOPIC = f"public.{PM10}"


def everything(database: Database) -> list[tuple[Any, ...]]:
    query = sa.select(tables.observation).order_by(tables.observation.c.log_offset)
    return [tuple(row) for row in database.read(lambda connection: connection.execute(query).all())]


async def catch_up(log: MemoryLog, database: Database) -> None:
    await follower_of(log, database).round(log)


def position(database: Database) -> int:
    state = Store(database).logs().get(PM10)
    return state.position if state else 0


def test_a_follower_that_is_killed_again_and_again(database_url: str, make_database: Any, tmp_path: Path) -> None:
    watcher = make_database()
    watcher.prepare()
    reached = 0
    for _ in range(2):
        command = [sys.executable, "-m", "tests.unit.ppid.following", database_url]
        child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "POLARS_MAX_THREADS": "1"}, stderr=subprocess.DEVNULL)
        goal, deadline = reached + 40, time.monotonic() + 60
        while position(watcher) < goal:
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        child.kill()
        child.wait()
        reached = position(watcher)
    assert 80 <= reached < RECORDS
    log = long_log()
    log.batch_records = 100
    asyncio.run(catch_up(log, watcher))
    plain = Database(f"sqlite:///{tmp_path / 'plain.db'}", fallback=tmp_path)
    asyncio.run(catch_up(log, plain))
    assert position(watcher) == position(plain) == RECORDS
    assert everything(watcher) == everything(plain)


async def test_postgresql_is_killed_and_stays_away(postgres_server: PostgresServer, postgres_url: str, tmp_path: Path) -> None:
    log = long_log()
    database = Database(postgres_url, fallback=tmp_path)
    follower = follower_of(log, database)
    task = asyncio.create_task(follower.run())
    try:
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(position, database):
                await asyncio.sleep(0)
        postgres_server.kill()
        async with asyncio.timeout(60):
            while "does not answer" not in follower.health().reason:
                await asyncio.sleep(0.02)
        log.append(public("999999", at=released(30), revision=RECORDS, version=2, dimensions={"station": "AKHIR"}))
        assert not follower.health().ok
        postgres_server.start()
        async with asyncio.timeout(60):
            while not follower.health().ok:
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if not postgres_server.ready():
            postgres_server.restart()
    plain = Database(f"sqlite:///{tmp_path / 'plain.db'}", fallback=tmp_path)
    await follower_of(log, plain).round(log)
    assert position(database) == RECORDS + 1
    assert everything(database) == everything(plain)
    database.close()


async def test_a_connection_that_dies_at_any_statement(tmp_path: Path, make_database: Any) -> None:
    """Each attempt dies one statement later than the one before, also in place of the commit."""
    log = MemoryLog({TOPIC: 1}, batch_records=16)
    for record in long_log().records(TOPIC)[:16]:
        log.append(Message(TOPIC, 0, record.key, record.value, record.headers))
    plain = Database(f"sqlite:///{tmp_path / 'plain.db'}", fallback=tmp_path)
    await follower_of(log, plain).round(log)
    database = make_database()
    left = -1
    deaths = 0

    def step(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise TransientError("the connection is gone")

    database.prepare()
    sa.event.listen(database._engine, "before_cursor_execute", step)
    sa.event.listen(database._engine, "commit", step)
    for life in range(1, 30):
        left = life
        try:
            await follower_of(log, database).round(log)
        except TransientError:
            deaths += 1
    left = -1
    assert deaths >= 6
    assert everything(database) == everything(plain)
    assert position(database) == 16

"""The `postgres-cdc` source where the stream cannot simply go on: gaps, limits, long values, faults of the set-up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from bus.errors import ConfigurationError
from bus.ingest.kinds.sql_ddl import ddl
from bus.simulation.servers import PostgresServer
from tests.pipeline.ingest_world import World, quarantined
from tests.sources.cdc_world import SOURCE, put, slots
from tests.sources.world import database_world, said


async def test_a_slot_that_cannot_continue_means_the_tables_are_compared_anew(world: World, db: psycopg.Connection) -> None:
    for no in "123":
        put(db, no)
    await world.run()
    ((name, _),) = slots(db)
    for harm in (
        "SELECT pg_drop_replication_slot(%s)",
        "SELECT pg_replication_slot_advance(%s, pg_current_wal_flush_lsn())",
        "SELECT pg_drop_replication_slot(%s)::text UNION ALL SELECT pg_create_logical_replication_slot(%s, 'test_decoding')::text",
    ):
        told = len(said(world))
        db.execute("DELETE FROM samples WHERE no = '2'")
        put(db, "1", harm[-5:])
        db.execute(harm, (name,) * harm.count("%s"))
        await world.run()
        assert sorted(said(world)[told:]) == [("CANCEL", "2", "a"), ("CORRECT", "1", harm[-5:])]
        put(db, "2")
        await world.run()
        assert said(world)[told + 2 :] == [("CREATE", "2", "a")]


async def test_truncate_empties_what_the_table_stood_for(world: World, db: psycopg.Connection) -> None:
    put(db, "1")
    put(db, "2")
    await world.run()
    put(db, "3")
    with db.transaction():
        db.execute("TRUNCATE samples")
        put(db, "2")
    put(db, "4")
    await world.run()
    assert said(world)[2] == ("CREATE", "3", "a")
    assert sorted(said(world)[3:]) == [("CANCEL", "1", "a"), ("CANCEL", "3", "a"), ("CREATE", "4", "a")]


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL"])
async def test_a_long_value_that_was_not_touched_is_never_null(world: World, db: psycopg.Connection, identity: str) -> None:
    mapping = world.agency.folder / "mapping.py"
    mapping.write_text(
        mapping.read_text()
        .replace('"changed"', '"changed", "note"')
        .replace('{"value": record["value"]}', '{"value": record["note"][:3] + record["value"]}')
    )
    db.execute("ALTER TABLE samples ADD note text")
    db.execute("ALTER TABLE samples ALTER note SET STORAGE EXTERNAL")
    db.execute(f"ALTER TABLE samples REPLICA IDENTITY {identity}")
    db.execute("INSERT INTO samples VALUES ('1', 'a', repeat('x', 20000))")
    await world.run()
    db.execute("UPDATE samples SET value = 'b'")
    await world.run()
    if identity == "FULL":
        assert said(world) == [("CREATE", "1", "xxxa"), ("CORRECT", "1", "xxxb")]
        return
    assert said(world) == [("CREATE", "1", "xxxa")]
    (entry,) = await world.quarantine()
    assert (entry.reason["rule"], entry.reason["field"], entry.reason["allowed"]) == (
        "unchanged_toast", "note", "ALTER TABLE public.samples REPLICA IDENTITY FULL",
    )  # fmt: skip


async def test_the_slot_is_given_up_before_the_disk_is_full(
    tmp_path: Path, postgres: Callable[..., str], db: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    world = database_world(tmp_path, postgres(), SOURCE + f"max_lag_bytes = {32 << 20}\n")
    put(db, "1")
    await world.run()
    db.execute("CREATE TABLE other AS SELECT repeat('x', 1000) FROM generate_series(1, 50000)")
    put(db, "2")
    put(db, "2", "b")
    await world.run()
    assert "the slot is given up" in capsys.readouterr().out
    assert said(world) == [("CREATE", "1", "a"), ("CREATE", "2", "b")]
    put(db, "3")
    await world.run()
    assert said(world)[2:] == [("CREATE", "3", "a")]


async def test_log_of_other_tables_is_not_kept_for_us(world: World, db: psycopg.Connection) -> None:
    await world.run()
    ((_, before),) = slots(db)
    db.execute("CREATE TABLE other AS SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
    await world.run()
    ((_, after),) = slots(db)
    assert after > before


@pytest.mark.parametrize(
    ("statement", "source", "expected"),
    [
        ("DROP PUBLICATION bus", SOURCE, "publication 'bus' does not publish public.samples"),
        ("ALTER TABLE samples DROP CONSTRAINT samples_pkey", SOURCE, "public.samples has no primary key: a deleted row could not be told"),
        ("SELECT 1", SOURCE.replace('["no"]', '["no", "value"]'), "key 'value' is not in the replica identity of public.samples"),
    ],
)
async def test_what_the_administrator_has_to_mend_is_said(
    tmp_path: Path, postgres: Callable[..., str], db: psycopg.Connection, statement: str, source: str, expected: str
) -> None:
    db.execute(statement)
    with pytest.raises(ConfigurationError) as error:
        await database_world(tmp_path, postgres(), source).run()
    assert expected in str(error.value)
    assert "rahasia" not in str(error.value)


async def test_what_the_administrator_runs_is_enough(tmp_path: Path, postgres: Callable[..., str], db: psycopg.Connection) -> None:
    """The text of `bus ddl postgres-cdc`, and the role that it makes, which may do nothing else."""
    db.execute("DROP PUBLICATION bus")
    told = (
        ddl("postgres-cdc", "public.samples")
        .replace("ROLE simpul", f"ROLE simpul_{tmp_path.name}")
        .replace("TO simpul", f"TO simpul_{tmp_path.name}")
    )
    role = f"simpul_{tmp_path.name}"
    try:
        db.execute(told.replace("…", "kunci"))
        put(db, "1")
        world = database_world(tmp_path, postgres(user=role, password="kunci"), SOURCE)
        await world.run()
        put(db, "2")
        await world.run()
        assert said(world) == [("CREATE", "1", "a"), ("CREATE", "2", "a")]
        with pytest.raises(ConfigurationError, match="BUS_LAB__URL: the database refuses this user, password or database name"):
            await database_world(tmp_path / "wrong", postgres(user=role, password="salah"), SOURCE).run()
    finally:
        db.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_snapshot_and_stream_say_the_same_of_every_type(
    tmp_path: Path, postgres: Callable[..., str], postgres_server: PostgresServer
) -> None:
    mapping = (
        "import json\nfrom datetime import UTC, datetime\nfrom bus.events.envelope import Event\ndef to_events(record):\n"
        "    yield Event('lab.sample.recorded.v1', record['no'], datetime(2024, 1, 1, tzinfo=UTC), {'value': json.dumps(dict(record, no=''))})\n"
    )
    with psycopg.connect(postgres(), autocommit=True) as db:
        db.execute(
            "CREATE TABLE samples (no text PRIMARY KEY, i bigint, n numeric(20,4), f float8, b boolean, t timestamp, z timestamptz, d date, j jsonb,"
            " u uuid, a int[], photo bytea, twice bigint GENERATED ALWAYS AS (i * 2) STORED, nothing text)"
        )
        db.execute("CREATE PUBLICATION bus FOR TABLE samples")
        values = (
            "9000000000, 12345678901234.5, 0.1, true, '2024-05-06 07:08:09.5', '2024-05-06 07:08:09+00', '2024-05-06', '{\"a\": [1, null]}',"
            " 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{1,2}', '\\xff')"
        )
        insert = "INSERT INTO samples (no, i, n, f, b, t, z, d, j, u, a, photo) VALUES ('NO', " + values
        world = database_world(tmp_path, postgres(), SOURCE + 'ignore = ["photo"]\n', mapping=mapping)
        db.execute(insert.replace("NO", "1"))
        await world.run()
        db.execute(insert.replace("NO", "2"))
        await world.run()
    (_, _, first), (_, _, second) = said(world)
    assert first == second
    assert json.loads(str(first)) == {
        "no": "", "i": 9000000000, "n": "12345678901234.5000", "f": 0.1, "b": True, "t": "2024-05-06T07:08:09.500000+07:00",
        "z": "2024-05-06T14:08:09+07:00", "d": "2024-05-06", "j": {"a": [1, None]}, "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a": "{1,2}",
        "nothing": None,
    }  # fmt: skip


async def test_a_server_that_was_killed_gives_nothing_twice(
    world: World, db: psycopg.Connection, postgres: Callable[..., str], postgres_server: PostgresServer
) -> None:
    """The slot goes back to its last checkpoint: the journal knows better."""
    await world.run()
    put(db, "1")
    put(db, "2", "buruk")
    await world.run()
    postgres_server.restart()
    with psycopg.connect(postgres(), autocommit=True) as again:
        put(again, "3")
        await world.run()
    assert said(world) == [("CREATE", "1", "a"), ("CREATE", "3", "a")]
    assert len(await quarantined(world)) == 1

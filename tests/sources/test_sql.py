"""The `sql` source against real servers: PostgreSQL, MariaDB and SQLite."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from bus.errors import ConfigurationError, TransientError
from bus.ingest.kinds.sql_ddl import ddl
from tests.pipeline.ingest_world import World, quarantined
from tests.sources.agency import Agency
from tests.sources.world import database_world, said

OUTBOX = 'type = "sql"\nmode = "outbox"\nkey = ["no"]\n'
QUERY = 'type = "sql"\nmode = "query"\nkey = ["no"]\ntable = "samples"\nwatermark = "changed"\nlook_back_seconds = 60\n'


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def agency(request: pytest.FixtureRequest, tmp_path: Path) -> Agency:
    if request.param == "sqlite":
        path = tmp_path / "agency.db"
        with sqlite3.connect(path) as made:
            made.execute("PRAGMA journal_mode = WAL")
        made.close()
        return Agency(f"sqlite:///{path}", "sqlite")
    make: Callable[..., str] = request.getfixturevalue("postgres" if request.param == "postgresql" else "maria")
    return Agency(make(), request.param)


@pytest.fixture
def outbox(agency: Agency) -> Agency:
    agency.script(ddl(agency.dialect))
    return agency


@pytest.mark.parametrize("after", ["mark", "delete"])
async def test_an_outbox_is_read_once_and_marked(outbox: Agency, tmp_path: Path, after: str) -> None:
    world = database_world(tmp_path, outbox.url, OUTBOX + f'after = "{after}"\nlimit = 2\n')
    for no in "123":
        outbox.put("CREATE", no=no, value="a")
    outbox.put("CORRECT", no="1", value="b")
    outbox.put("CANCEL", no="2")
    outbox.put("CREATE", no="4", value="buruk")
    outbox.put("CREATE", no="5", nilai="x")
    outbox.do("INSERT INTO bus_outbox (op, payload) VALUES ('CREATE', :payload)", {"payload": "[1]"})
    await world.run()
    expected = [("CREATE", "1", "a"), ("CREATE", "2", "a"), ("CREATE", "3", "a"), ("CORRECT", "1", "b"), ("CANCEL", "2", "a")]
    assert said(world) == expected
    assert [rule for _, _, rule in await quarantined(world)] == ["out_of_range", "unknown_field", "invalid_value"]
    left = outbox.ask("SELECT count(*), count(taken_at) FROM bus_outbox")
    assert left == ([(8, 8)] if after == "mark" else [(0, 0)])
    await world.run()
    assert said(world) == expected
    assert len(await quarantined(world)) == 3


# SQLite has one writer at a time: ids are in the order of commits
@pytest.mark.parametrize("agency", ["postgresql", "mariadb"], indirect=True)
async def test_a_transaction_that_commits_late_is_not_missed(outbox: Agency, tmp_path: Path) -> None:
    world = database_world(tmp_path, outbox.url, OUTBOX)
    with outbox.engine.connect() as late:
        late.execute(sa.text("INSERT INTO bus_outbox (payload) VALUES (:payload)"), {"payload": '{"no": "1", "value": "late"}'})
        outbox.put("CREATE", no="2", value="a")
        await world.run()
        assert said(world) == [("CREATE", "2", "a")]
        late.commit()
    await world.run()
    assert said(world) == [("CREATE", "2", "a"), ("CREATE", "1", "late")]


@pytest.mark.parametrize("after", ["mark", "delete"])
async def test_a_kill_between_journal_and_mark_doubles_nothing_and_refuses_nothing_twice(
    outbox: Agency, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    world = database_world(tmp_path, outbox.url, OUTBOX + f'after = "{after}"\n')
    outbox.put("CREATE", no="1", value="a")
    outbox.put("CREATE", no="2", value="buruk")
    await killed_before_the_mark(world, monkeypatch)
    assert outbox.ask("SELECT count(*) FROM bus_outbox WHERE taken_at IS NULL") == [(2,)]
    outbox.put("CREATE", no="3", value="a")
    await world.run()
    assert said(world) == [("CREATE", "1", "a"), ("CREATE", "3", "a")]
    assert len(await quarantined(world)) == 1
    assert outbox.ask("SELECT count(*) FROM bus_outbox WHERE taken_at IS NULL") == [(0,)]


async def test_a_number_that_is_used_again_is_another_row(outbox: Agency, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = database_world(tmp_path, outbox.url, OUTBOX)
    outbox.put("CREATE", no="1", value="a")
    await killed_before_the_mark(world, monkeypatch)
    outbox.do(
        "UPDATE bus_outbox SET payload = :payload, made_at = :at", {"payload": '{"no": "2", "value": "b"}', "at": "2030-01-01 00:00:00"}
    )
    await world.run()
    assert said(world) == [("CREATE", "1", "a"), ("CREATE", "2", "b")]


async def killed_before_the_mark(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("bus.ingest.kinds.sql_outbox.Outbox._mark", dies)
        with pytest.raises(BaseException):  # noqa: B017, PT011  a kill is no exception of ours
            await world.run()


async def test_a_query_takes_what_is_newer_and_what_committed_late(agency: Agency, tmp_path: Path) -> None:
    agency.with_samples()
    world = database_world(tmp_path, agency.url, QUERY + "limit = 2\n")
    rows = [{"no": str(n), "value": "a", "changed": f"2024-01-01 10:00:{n:02}"} for n in range(5)]
    insert = "INSERT INTO samples VALUES (:no, :value, :changed)"
    agency.do(insert, *rows)
    agency.do(insert, *({"no": f"x{n}", "value": "a", "changed": "2024-01-01 10:00:04"} for n in range(7)))
    await world.run()
    told = [("CREATE", str(n), "a") for n in range(5)] + [("CREATE", f"x{n}", "a") for n in range(7)]
    assert sorted(said(world)) == sorted(told)
    agency.do("UPDATE samples SET value = 'b', changed = '2024-01-01 10:00:30' WHERE no = '1'")
    agency.do(insert, {"no": "late", "value": "a", "changed": "2024-01-01 09:59:40"})
    agency.do(insert, {"no": "too late", "value": "a", "changed": "2024-01-01 09:59:00"})
    agency.do(insert, {"no": "never", "value": "a", "changed": None})
    await world.run()
    assert sorted(said(world)[12:]) == [("CORRECT", "1", "b"), ("CREATE", "late", "a")]
    await world.run()
    assert len(said(world)) == 14


async def test_what_was_refused_in_the_window_is_refused_once(agency: Agency, tmp_path: Path) -> None:
    agency.with_samples()
    world = database_world(tmp_path, agency.url, QUERY)
    insert = "INSERT INTO samples VALUES (:no, :value, :changed)"
    agency.do(
        insert, {"no": "1", "value": "buruk", "changed": "2024-01-01 10:00:00"}, {"no": "2", "value": "a", "changed": "2024-01-01 10:00:01"}
    )
    for _ in range(3):
        await world.run()
    agency.do("UPDATE samples SET value = 'baik', changed = '2024-01-01 10:00:02' WHERE no = '1'")
    await world.run()
    agency.do("UPDATE samples SET value = 'buruk', changed = '2024-01-01 10:00:03' WHERE no = '1'")
    for _ in range(3):
        await world.run()
    assert said(world) == [("CREATE", "2", "a"), ("CREATE", "1", "baik")]
    assert [rule for _, _, rule in await quarantined(world)] == ["out_of_range", "out_of_range"]


async def test_a_key_that_two_rows_have_is_refused_and_does_not_flap(agency: Agency, tmp_path: Path) -> None:
    agency.script("CREATE TABLE twice (no varchar(20), value varchar(20), changed integer)")
    agency.do("INSERT INTO twice VALUES ('1', 'a', 5), ('1', 'b', 6), ('2', 'c', 7)")
    source = QUERY.replace(
        'table = "samples"', "query = \"SELECT no, value, changed FROM twice WHERE value <> ':x' AND value LIKE '%' -- all\\n\""
    )
    world = database_world(tmp_path, agency.url, source)
    for _ in range(3):
        await world.run()
    assert said(world) == [("CREATE", "1", "a"), ("CREATE", "2", "c")]
    assert [rule for _, _, rule in await quarantined(world)] == ["duplicate_key"]


@pytest.mark.parametrize(
    ("source", "said_of_it"),
    [
        (OUTBOX, "BUS_LAB__URL: the database refuses the statement"),
        (QUERY, "BUS_LAB__URL: the database refuses the statement"),
        (QUERY.replace('table = "samples"', 'query = "SELECT 1 AS no, 2 AS ubah"').replace('"changed"', '"ubah"'), ""),
        (QUERY.replace('table = "samples"', 'query = "SELECT 1 AS no, 1.5 AS changed"'), "watermark: is "),
        (
            QUERY.replace('table = "samples"', 'query = "SELECT 1 AS nomor, 2 AS changed"'),
            "key: 'no' is no column of the result; allowed: nomor, changed",
        ),
    ],
)
async def test_what_waiting_does_not_mend_is_said(agency: Agency, tmp_path: Path, source: str, said_of_it: str) -> None:
    world = database_world(tmp_path, agency.url, source)
    if not said_of_it:
        await world.run()
        assert [rule for _, _, rule in await quarantined(world)] == ["unknown_field"]
        return
    with pytest.raises(ConfigurationError) as error:
        await world.run()
    assert said_of_it in str(error.value)
    assert "rahasia" not in str(error.value)


async def test_a_wrong_password_and_a_server_that_is_away(agency: Agency, tmp_path: Path) -> None:
    wrong = agency.url.replace("rahasia", "tidakbenar")
    if agency.dialect != "sqlite":
        with pytest.raises(ConfigurationError) as error:
            await database_world(tmp_path, wrong, OUTBOX).run()
        assert str(error.value) == "BUS_LAB__URL: the database refuses this user, password or database name"
    parsed = sa.make_url(agency.url)
    away = parsed.set(port=1) if agency.dialect != "sqlite" else parsed.set(database=str(tmp_path / "gone.db"))
    world = database_world(tmp_path, away.render_as_string(hide_password=False), OUTBOX)
    world.environ["BUS_KAFKA__RETRY_SECONDS"] = "1"
    with pytest.raises(TransientError, match="BUS_LAB__URL: the database does not answer"):
        await world.run()
    assert not (tmp_path / "gone.db").exists()


async def test_values_of_every_type_come_as_json_knows_them(agency: Agency, tmp_path: Path) -> None:
    kinds = {
        "postgresql": "no text, d numeric(20,4), t timestamp, z timestamptz, day date, flag boolean, j jsonb, changed bigint",
        "mariadb": "no varchar(9), d decimal(20,4), t datetime, z timestamp, day date, flag tinyint, j json, changed bigint",
        "sqlite": "no text, d text, t text, z text, day text, flag integer, j text, changed integer",
    }
    agency.script(f"CREATE TABLE kinds ({kinds[agency.dialect]})")
    row = {
        "no": "1",
        "d": "12345678901234.5000",
        "t": "2024-05-06 07:08:09",
        "z": "2024-05-06 07:08:09",
        "day": "2024-05-06",
        "j": '{"a": [1]}',
    }
    zone = {"postgresql": "SET TIME ZONE 'UTC'", "mariadb": "SET time_zone = '+00:00'", "sqlite": "SELECT 1"}[agency.dialect]
    flag = "true" if agency.dialect == "postgresql" else "1"
    with agency.engine.begin() as connection:
        connection.execute(sa.text(zone))
        connection.execute(sa.text(f"INSERT INTO kinds VALUES (:no, :d, :t, :z, :day, {flag}, :j, 9000000000)"), row)
    mapping = (
        "import json\nfrom datetime import UTC, datetime\nfrom bus.events.envelope import Event\ndef to_events(record):\n"
        "    yield Event('lab.sample.recorded.v1', '1', datetime(2024, 1, 1, tzinfo=UTC), {'value': json.dumps(dict(record))})\n"
    )
    source = 'type = "sql"\nmode = "query"\nkey = ["no"]\ntable = "kinds"\nwatermark = "changed"\n'
    world = database_world(tmp_path, agency.url, source, mapping=mapping)
    await world.run()
    ((_, _, value),) = said(world)
    record = json.loads(str(value))
    expected = {
        "postgresql": {"t": "2024-05-06T07:08:09+07:00", "z": "2024-05-06T14:08:09+07:00", "flag": True, "j": {"a": [1]}},
        "mariadb": {"t": "2024-05-06T07:08:09+07:00", "z": "2024-05-06T14:08:09+07:00", "flag": 1, "j": '{"a": [1]}'},
        "sqlite": {"t": "2024-05-06 07:08:09", "z": "2024-05-06 07:08:09", "flag": 1, "j": '{"a": [1]}'},
    }[agency.dialect]
    assert record == {"no": "1", "d": "12345678901234.5000", "day": "2024-05-06", "changed": 9000000000, **expected}


async def test_bytes_are_refused_with_their_column(agency: Agency, tmp_path: Path) -> None:
    binary = {"postgresql": "bytea", "mariadb": "blob", "sqlite": "blob"}[agency.dialect]
    agency.script(f"CREATE TABLE files (no varchar(9), value {binary}, changed integer)")
    agency.do("INSERT INTO files VALUES ('1', :content, 1)", {"content": b"\xff\xfe"})
    world = database_world(tmp_path, agency.url, QUERY.replace("samples", "files"))
    await world.run()
    (entry,) = await world.quarantine()
    assert (entry.reason["rule"], entry.reason["field"]) == ("invalid_value", "value")

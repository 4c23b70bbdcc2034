"""The catalogue of a neighbouring regency's mall: its database, from a real dump into a real server, read by an agency of an overlay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pymysql
import pytest
import sqlalchemy as sa
from pymysql.constants import CLIENT

from bus.events.envelope import Envelope, Op
from bus.settings import Settings
from bus.testing.kit import check
from tests.connectors.agency_site import numbers
from tests.pipeline.ingest_world import World
from tests.sources.agency import Agency
from tests.sources.files_world import reference
from tests.sources.overlay_mpp.connectors.mpp_tetangga.mapping import LICENCE_TYPE, STEP, duration_of

OVERLAY = Path(__file__).parent / "overlay_mpp"
NEIGHBOUR = "mpp_tetangga"
#: What the neighbour's own numbers are about, and the column by which each is told apart.
SHOWN = {"tenants_now": None, "licence_types_now": "state", "durations_now": "duration_unit", "steps_now": None}


@pytest.fixture
def mall(maria: Callable[..., str], bus_test_data: Path) -> Agency:
    """The neighbour's website: its database as it was dumped, without the keys, which the dump's end had."""
    agency = Agency(maria(), "mariadb")
    url = sa.make_url(agency.url)
    address = {"host": url.host, "port": url.port, "user": url.username, "password": url.password, "database": url.database}
    with pymysql.connect(**address, client_flag=CLIENT.MULTI_STATEMENTS) as connection, connection.cursor() as cursor:
        cursor.execute((bus_test_data / "layanan_mpp" / "mpp.sql").read_text(encoding="utf-8"))
        while cursor.nextset():
            pass
        connection.commit()
    return agency


@pytest.fixture
def world(mall: Agency, tmp_path: Path) -> World:
    """The neighbour beside the agencies of this repository, as `--overlay` adds it."""
    settings = Settings(overlay=(OVERLAY,))
    world = World(tmp_path, roots=settings.connector_roots(), schemas=settings.schemas_roots(), agency=NEIGHBOUR)
    world.environ |= {f"BUS_{NEIGHBOUR}__URL".upper(): mall.url, "BUS_INGEST__BATCH_RECORDS": "500"}
    return world


def values(world: World) -> dict[str, dict[str, str]]:
    """Per indicator, what it says now by the column that tells its rows apart."""
    found = {name: numbers(f"{NEIGHBOUR}.{name}", world, schemas=[OVERLAY / "schemas"]) for name in SHOWN}
    return {name: {row[by] if by else "": row["value"] for row in found[name]} for name, by in SHOWN.items()}


def told(world: World, kind: str) -> dict[str, Envelope]:
    """The newest event of each subject."""
    return {envelope.event.subject: envelope for envelope in world.folded() if envelope.event.type == kind}


async def test_the_catalogue_is_what_others_counted(world: World, mall: Agency, bus_test_data: Path) -> None:
    answers = {row["what"]: row["n"] for row in reference(bus_test_data, "mpp_rows.csv")}
    await world.run()
    assert not await world.quarantine(state=None)
    found = values(world)
    assert found["tenants_now"] == {"": answers["table instansi"]} == {"": "24"}
    states = {state: answers[f"jenis_izin status {state}"] for state in ("Aktif", "Tidak Aktif")}
    assert found["licence_types_now"] == states == {"Aktif": "17", "Tidak Aktif": "66"}
    assert sum(map(int, states.values())) == int(answers["table jenis_izin"]) == 83
    assert found["steps_now"] == {"": answers["table prosedure"]} == {"": "581"}
    assert len(world.envelopes()) == 24 + 83 + 581
    # the dump's times are those of UTC, the server's session and the source's zone are others
    entered = {str(number): int(seconds) for number, seconds in mall.ask("SELECT id, UNIX_TIMESTAMP(created_at) FROM prosedure")}
    assert {subject: envelope.event.occurred_at.timestamp() for subject, envelope in told(world, STEP).items()} == entered


async def test_every_duration_that_was_typed_in_is_read(world: World, mall: Agency) -> None:
    """All 83 of them, in eight spellings. Whether seven days are working days is kept where it is said, and not supposed where it is not."""
    await world.run()
    typed = {str(number): text for number, text in mall.ask("SELECT id_izin, durasi FROM jenis_izin")}
    found = {subject: envelope.event.data for subject, envelope in told(world, LICENCE_TYPE).items()}
    assert {subject: data["duration_text"] for subject, data in found.items()} == typed
    read = {str(data["duration_text"]): (data["duration"], data["duration_unit"]) for data in found.values()}
    assert read == {
        "30 Menit": (30, "MENIT"), "1 hari": (1, "HARI"), "7 Hari": (7, "HARI"), "7 hari": (7, "HARI"), "Maksimal 7 (tujuh) hari": (7, "HARI"),
        "Maksimal 20 (dua puluh) hari": (20, "HARI"), "7 hari kerja": (7, "HARI_KERJA"), "Maksimal 7 Hari Kerja": (7, "HARI_KERJA"),
    }  # fmt: skip
    counted = "SELECT SUM(durasi LIKE '%menit%'), SUM(durasi LIKE '%hari%' AND durasi NOT LIKE '%kerja%'), SUM(durasi LIKE '%kerja%')"
    ((minutes, days, working_days),) = mall.ask(f"{counted} FROM jenis_izin")
    assert values(world)["durations_now"] == {"MENIT": str(minutes), "HARI": str(days), "HARI_KERJA": str(working_days)}
    assert minutes + days + working_days == len(found) == 83


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("MAKSIMAL  14 (empat belas) Hari Kerja", (14, "HARI_KERJA")),
        ("25 (dua puluh lima) menit ", (25, "MENIT")),
        ("11 (sebelas) jam", (11, "JAM")),
    ],
)
def test_number_words_are_held_against_their_number(text: str, duration: tuple[int, str]) -> None:
    assert duration_of(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        "", "-", "7", "hari", "tujuh hari", "0 hari", "7,5 hari", "3 - 5 hari", "3 x 24 jam", "1 bulan 3 hari", "Minimal 7 hari", "7 (tujuh hari",
        "20 (dua belas) hari", "20 (kalender) hari", "20 (dua puluh sepuluh) hari", "٧ hari", "sesuai Perda",
    ],
)  # fmt: skip
def test_no_duration_is_guessed(text: str) -> None:
    assert duration_of(text) is None


async def test_what_is_read_again_is_no_event_and_a_change_is_one(world: World, mall: Agency) -> None:
    await world.run()
    before, events = values(world), len(world.envelopes())
    await world.run()
    assert len(world.envelopes()) == events
    mall.do("UPDATE jenis_izin SET status = 'Aktif' WHERE id_izin = 5")
    await world.run()
    [corrected] = [envelope for envelope in world.envelopes() if envelope.op is Op.CORRECT]
    assert (len(world.envelopes()), corrected.event.type, corrected.event.subject) == (events + 1, LICENCE_TYPE, "5")
    after = values(world)
    assert after == before | {"licence_types_now": {"Aktif": "18", "Tidak Aktif": "65"}}
    mall.do("UPDATE jenis_izin SET durasi = '3 - 5 hari' WHERE id_izin = 1")
    await world.run()
    unclear = told(world, LICENCE_TYPE)["1"].event.data
    assert (unclear["duration_text"], unclear["duration"], unclear["duration_unit"]) == ("3 - 5 hari", None, None)
    days = {unit: number for unit, number in before["durations_now"].items() if unit != "MENIT"}
    now = values(world)
    assert {unit: number for unit, number in now["durations_now"].items() if number != "0"} == days
    assert {**now, "durations_now": before["durations_now"]} == after
    assert not await world.quarantine(state=None)


async def test_a_new_step_is_seen_and_what_raises_no_watermark_is_not(world: World, mall: Agency) -> None:
    """As the manifest says of these tables; who needs more asks the neighbour for an outbox."""
    await world.run()
    before, events = values(world), len(world.envelopes())
    mall.do("INSERT INTO prosedure VALUES (9001, 92, 'Langkah baru', '2020-06-30 08:00:00')")
    mall.do("UPDATE prosedure SET id_izin = 1 WHERE id = 7")
    mall.do("DELETE FROM instansi WHERE kd_dinas = '001'")
    await world.run()
    assert len(world.envelopes()) == events + 1
    assert values(world) == before | {"steps_now": {"": "582"}}


def test_the_neighbour_keeps_every_rule_of_the_kit() -> None:
    report = check(Settings(overlay=(OVERLAY,)), NEIGHBOUR)
    assert report.ok, report.problems

"""What the gateway tells of the kinds of values and indicators: the current state, labels, completeness, composites, regions, registers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from bus.errors import SchemaViolation
from bus.kafka.ports import Message, Record
from bus.settings import ROOT
from bus.testing.memory import MemoryLog
from consumers.dashboard.definitions import Definitions
from consumers.dashboard.regions import Region, named, read_regions, region_files
from consumers.dashboard.state import State
from tests.unit.gateway.feed import DECODE, NOW, Client, gateway_over, listening, month, serving, until_ready, value

OVERLAY = ROOT / "tests" / "model" / "overlay"
EVIDENCE = [
    {"topic": f"events.{name}", "partition": number, "offset": 5 + number} for name in ("a.x.y.v1", "b.x.y.v1") for number in (0, 1)
]
COMPOSITE: Mapping[str, object] = {
    "evidence": EVIDENCE,
    "leaves": [{"indicator": "uji.part_in", "version": 2, "partitions": 2}, {"indicator": "uji.part_out", "version": 1, "partitions": 2}],
}


def topic(name: str) -> str:
    return f"indicators.{name}"


@asynccontextmanager
async def served(*messages: Message, overlay: Path = OVERLAY) -> AsyncIterator[httpx.AsyncClient]:
    log = MemoryLog()
    for name in {message.topic for message in messages}:
        log.create(name, compacted=True)
    await log.send(messages)
    async with serving(gateway_over(log, overlay=overlay)) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        yield http


async def test_the_current_state_has_no_window_and_is_asked_for_as_now() -> None:
    stock = value("uji.now_mean", "2.5", window=NOW, dimensions={}, numerator="5", denominator="2", n=2)
    async with served(stock, value("uji.now_mean", "1", dimensions={"old": "x"})) as http:
        body = (await http.get("/v1/indicators/uji.now_mean?window=now")).json()
        (cell,) = body["cells"]
        assert (cell["window_start"], cell["window_end"], cell["value"]) == (None, None, "2.5")
        assert cell["key"] == "[0,[]]"
        for other in ("1970", "1970-01-01", "1970-01-01T00:00:00Z", "9998"):
            assert (await http.get(f"/v1/indicators/uji.now_mean?window={other}")).json()["total"] == 0, other
        refused = (await http.get("/v1/indicators/uji.now_mean?window=Now")).json()
        assert "or now (the current state)" in refused["allowed"]


async def test_pages_go_on_behind_rows_of_the_current_state() -> None:
    rows = [value("uji.region_now", str(number), window=NOW, dimensions={"place": f"p{number}"}) for number in range(5)]
    async with served(*rows) as http:
        found: list[str] = []
        further: dict[str, str] | None = {}
        while further is not None:
            page = (await http.get("/v1/indicators/uji.region_now", params={"limit": 2, **further})).json()
            found += [cell["value"] for cell in page["cells"]]
            further = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
        assert found == ["0", "1", "2", "3", "4"]


async def test_a_value_tells_of_grade_completeness_reasons_estimate_and_age() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    told = {"late": 1, "corrected": 2, "withdrawn": 3, "heard": 26, "expected": 27, "error": "0.01", "as_of": at}
    async with served(value("uji.survey_ikm", "81.25", dimensions={"service": "ktp"}, label="B", revision=9, more=told)) as http:
        (cell,) = (await http.get("/v1/indicators/uji.survey_ikm")).json()["cells"]
        assert (cell["label"], cell["heard"], cell["expected"], cell["error"]) == ("B", 26, 27, "0.01")
        assert (cell["late"], cell["corrected"], cell["withdrawn"], cell["revision"]) == (1, 2, 3, 9)
        assert cell["as_of"] == "2026-03-01T07:00:00+07:00"
        assert cell["leaves"] == []
        async with listening(http, client := Client(), indicator="uji.survey_ikm", detail="brief"):
            async with asyncio.timeout(5):
                while not client.cells:
                    await asyncio.sleep(0.01)
        (brief,) = client.cells.values()
        assert {"label", "heard", "expected", "error", "as_of"} <= brief.keys()
        assert not {"late", "leaves", "evidence"} & brief.keys()


async def test_the_evidence_of_a_composite_says_whose_it_is() -> None:
    async with served(value("uji.total", "8.5", dimensions={"place": "selo"}, more=COMPOSITE)) as http:
        (cell,) = (await http.get("/v1/indicators/uji.total")).json()["cells"]
        assert cell["leaves"] == [{"indicator": "uji.part_in", "version": 2}, {"indicator": "uji.part_out", "version": 1}]
        assert [place["indicator"] for place in cell["evidence"]] == ["uji.part_in", "uji.part_in", "uji.part_out", "uji.part_out"]
        assert cell["evidence"][3] == {**EVIDENCE[3], "indicator": "uji.part_out"}


def test_evidence_that_is_not_shared_out_is_no_value() -> None:
    leaves = [{"indicator": "uji.part_in", "version": 2, "partitions": 3}]
    message = value("uji.total", "8.5", more={"evidence": EVIDENCE, "leaves": leaves})
    with pytest.raises(SchemaViolation, match="leaves of 3 partitions do not share out evidence of 4"):
        DECODE(Record(message.topic, 0, 0, message.key, message.value, message.headers))


async def test_definitions_say_what_an_indicator_is_made_of() -> None:
    async with served(value("uji.total", "1", dimensions={"place": "selo"}, more=COMPOSITE)) as http:
        found = {each["id"]: each for each in (await http.get("/v1/indicators")).json()["indicators"]}
    assert (found["uji.total"]["kind"], found["uji.total"]["parts"]) == ("sum", ["uji.part_in", "uji.part_out"])
    assert (found["uji.case_mean"]["kind"], found["uji.case_mean"]["parts"]) == ("mean", [])
    assert {name: found[name]["stock"] for name in ("uji.now_mean", "uji.region_daily", "uji.reconciled", "uji.total")} == {
        "uji.now_mean": True, "uji.region_daily": True, "uji.reconciled": True, "uji.total": False,
    }  # fmt: skip
    assert found["uji.permit_time"]["clock"]["finish"] == ["50", "90"]
    assert found["uji.now_mean"]["clock"] is None
    dimensions = {name: found[name]["dimensions"] for name in ("uji.region_now", "uji.top_places", "uji.reconciled", "uji.share")}
    assert dimensions == {
        "uji.region_now": ["place", "region"], "uji.top_places": ["rank"], "uji.reconciled": ["match", "region"], "uji.share": ["place"],
    }  # fmt: skip


async def test_regions_are_named_beside_their_codes() -> None:
    codes = ("33.09", "33.09.01", "33.09.01.2001.003.002", "99.99", None)
    rows = [value("uji.region_now", "1", window=NOW, dimensions={"place": "x", "region": code}) for code in codes]
    top = value("uji.top_places", "9", dimensions={"rank": "1"}, label="33.09.02")
    async with served(*rows, top) as http:
        body = (await http.get("/v1/indicators/uji.region_now")).json()
        assert body["regions"] == {
            "33.09": {"name": "Boyolali", "level": "kabupaten"},
            "33.09.01": {"name": "Selo", "level": "kecamatan"},
            "33.09.01.2001.003.002": {"name": "RT 002", "level": "rt"},
        }
        assert (await http.get("/v1/indicators/uji.top_places")).json()["regions"] == {"33.09.02": {"name": "Ampel", "level": "kecamatan"}}
        assert (await http.get("/v1/indicators")).json()["regions"]["33.09.01"] == {"name": "Selo", "level": "kecamatan"}


def test_a_table_with_a_fault_costs_the_names_and_nothing_else(tmp_path: Path) -> None:
    assert read_regions(region_files([tmp_path])) == {}
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "wilayah.toml").write_text("title = ")
    (tmp_path / "reference" / "wilayah.csv").write_text("kode\n33.09\n")
    assert read_regions(region_files([tmp_path])) == {}
    definitions = Definitions([tmp_path])
    assert definitions.refresh()
    assert not definitions.regions


def test_below_the_table_numbers_are_names() -> None:
    known = {"33.09.01.2001": Region("Lencoh", "desa")}
    assert named(["33.09.01.2001.001", "33.09.01.2001.001.004", "33.09.01.2001.1", "", None], known) == {
        "33.09.01.2001.001": Region("RW 001", "rw"),
        "33.09.01.2001.001.004": Region("RT 004", "rt"),
    }


async def test_registers_and_lists_are_served_to_nobody() -> None:
    secret = value("uji.register_siak", "1", window=NOW, dimensions={"subject": "s1"})
    listed = Message("lists.uji.reconciled", 0, b"s1", b'{"subject":"s1"}')
    async with served(secret, listed, value("uji.reconciled", "1", window=NOW, dimensions={"match": "matched", "region": "33.09"})) as http:
        ids = {each["id"] for each in (await http.get("/v1/indicators")).json()["indicators"]}
        assert "uji.reconciled" in ids
        assert not {"uji.register_siak", "uji.register_mcd"} & ids
        for name in ("uji.register_siak", "uji.register_mcd", "lists.uji.reconciled"):
            assert (await http.get(f"/v1/indicators/{name}")).status_code == 404
            assert (await http.get(f"/v1/stream?indicator={name}")).status_code == 404
        async with listening(http, client := Client()):
            async with asyncio.timeout(5):
                while not client.token:
                    await asyncio.sleep(0.01)
        assert {name for name, _ in client.cells} == {"uji.reconciled"}
        assert (await http.get("/healthz")).json()["cells"] == 1


async def test_an_indicator_that_becomes_a_register_is_shown_no_more(tmp_path: Path) -> None:
    folder = tmp_path / "schemas" / "indicators"
    folder.mkdir(parents=True)
    (folder / "x.people.toml").write_text('event = "x.y.z.v1"\nwindow = "now"\nmeasure = { kind = "count" }\n')
    async with served(value("x.people", "1", window=NOW, dimensions={}), value("x.other", "2"), overlay=tmp_path) as http:
        async with listening(http, client := Client()):
            async with asyncio.timeout(10):
                while len(client.cells) < 2:
                    await asyncio.sleep(0.01)
                (folder / "x.people.toml").write_text(
                    'event = "x.y.z.v1"\nwindow = "now"\nmeasure = { kind = "register", fields = ["a"] }\n'
                )
                while len(client.cells) > 1:
                    await asyncio.sleep(0.01)
        assert client.kinds[-1] == "snapshot"
        assert (await http.get("/v1/indicators/x.people")).status_code == 404


def test_hiding_what_nobody_has_seen_disturbs_no_client() -> None:
    state = State(DECODE)
    state.add(topic("x.seen"))
    assert not state.hide(["x.unseen"])
    assert (state.change, state.generation) == (0, 0)
    assert state.hide(["x.unseen", "x.seen"])
    assert list(state.visible) == []


async def test_openapi_knows_every_field_of_a_value() -> None:
    async with served(value("uji.total", "8.5", window=month(1), dimensions={"place": "selo"}, more=COMPOSITE)) as http:
        schemas = (await http.get("/openapi.json")).json()["components"]["schemas"]
        body = (await http.get("/v1/indicators/uji.total")).json()
        listed = (await http.get("/v1/indicators")).json()
    assert body["cells"][0].keys() == schemas["CellModel"]["properties"].keys()
    assert body.keys() == schemas["ValuesModel"]["properties"].keys()
    assert body["indicator"].keys() == schemas["IndicatorModel"]["properties"].keys()
    assert listed.keys() == schemas["ListModel"]["properties"].keys()
    assert body["cells"][0]["evidence"][0].keys() == schemas["Evidence"]["properties"].keys()

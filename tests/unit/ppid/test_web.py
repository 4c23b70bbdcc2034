"""The portal over real HTTP: files, catalogue, CKAN, lists; read by those who will read them."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import queue
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from frictionless import validate
from pyshacl import validate as shacl
from rdflib import DCAT, DCTERMS, RDF, Graph, URIRef

from bus.testing.memory import MemoryLog
from tests.unit.ppid import mqa
from tests.unit.ppid.feed import PM10, local, portal_over, public, released, serving, until_ready

SECRET = "bapenda.arrears_paid_day"
FEBRUARY = (local(2026, 2), local(2026, 3))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a portal with two datasets, which the tests of this file only read."""
    ready: queue.Queue[str] = queue.Queue()
    stop = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(tmp_path_factory.mktemp("portal"), ready, stop)))
    thread.start()
    try:
        yield ready.get(timeout=60)
    finally:
        stop.set()
        thread.join()


async def _serve(folder: Path, ready: queue.Queue[str], stop: threading.Event) -> None:
    log = MemoryLog({f"public.{PM10}": 1, "public.dlh.pm10_mean": 1, f"public.{SECRET}": 1})
    await log.send(
        [
            public("60", at=released(1)),
            public("5", at=released(1), indicator="dlh.pm10_mean", dimensions={"station": "SLO1"}),
            public("61", at=released(8), revision=2),
            public("12", at=released(8), window=FEBRUARY),
            public(None, at=released(8), dimensions={"station": "SLO1"}),
            public("777333", at=released(8), indicator=SECRET, dimensions={"assessment_year": "2025", "region": "33.09"}),
        ]
    )
    async with serving(portal_over(log, f"sqlite:///{folder / 'ppid.db'}", folder)) as url, httpx.AsyncClient(base_url=url) as client:
        await until_ready(client, 2)
        ready.put(url)
        await asyncio.to_thread(stop.wait)


@pytest.fixture
async def http(address: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        yield client


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


async def test_the_files_of_a_dataset(http: httpx.AsyncClient) -> None:
    answer = await http.get(f"/dataset/{PM10}/latest/{PM10}.csv")
    assert answer.status_code == 200
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
    assert "20260307T170000Z" in answer.headers["link"]
    assert [row["value"] for row in rows(answer.content)] == ["61", "", "12"]
    again = await http.get(f"/dataset/{PM10}/latest/{PM10}.csv", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = await http.head(f"/dataset/{PM10}/latest/{PM10}.csv")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(answer.content)))
    sums = (await http.get(f"/dataset/{PM10}/latest/SHA256SUMS")).text
    assert f"{hashlib.sha256(answer.content).hexdigest()}  {PM10}.csv" in sums
    for ending in ("json", "parquet", "xlsx", "sdmx.csv"):
        assert (await http.get(f"/dataset/{PM10}/latest/{PM10}.{ending}")).status_code == 200


async def test_what_the_table_said_then(http: httpx.AsyncClient) -> None:
    then = await http.get(f"/dataset/{PM10}/vintage/2026-03-02/{PM10}.csv")
    assert [row["value"] for row in rows(then.content)] == ["60"]
    assert then.headers["cache-control"] == "no-cache"
    named = await http.get(f"/dataset/{PM10}/vintage/20260228T170000Z/{PM10}.csv")
    assert named.content == then.content
    assert "immutable" in named.headers["cache-control"]
    newest = await http.get(f"/dataset/{PM10}/vintage/20260307T170000Z/{PM10}.csv")
    assert newest.headers["cache-control"] == "no-cache"  # more rows may still come with the newest release
    assert (await http.get(f"/dataset/{PM10}/vintage/2026-02-01/{PM10}.csv")).status_code == 404


async def test_an_excluded_dataset_is_nowhere(http: httpx.AsyncClient) -> None:
    for path in (f"/dataset/{SECRET}/latest/{SECRET}.csv", f"/api/datasets/{SECRET}", f"/dataset/{SECRET}/dcat.ttl"):
        assert (await http.get(path)).status_code == 404
    for path in ("/api/datasets", "/catalog.ttl", "/api/dip", "/api/changes", "/changelog.csv", "/api/3/action/package_search"):
        answer = await http.get(path)
        assert answer.status_code == 200
        assert SECRET.encode() not in answer.content
        assert b"777333" not in answer.content


async def test_refusals_say_what_is_allowed(http: httpx.AsyncClient) -> None:
    for path, status in (
        ("/dataset/dlh.none/latest/x.csv", 404),
        (f"/dataset/{PM10}/latest/other.csv", 404),
        (f"/dataset/{PM10}/vintage/kemarin/{PM10}.csv", 400),
        ("/catalog.xml", 404),
        ("/nowhere/at/all", 404),
    ):
        answer = await http.get(path)
        assert (path, answer.status_code, answer.headers["content-type"]) == (path, status, "application/problem+json")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert (await http.post("/api/datasets")).status_code == 405
    assert (await http.get("/dataset/dlh.pm10/latest/x.csv")).json()["near"] == ["dlh.pm10_max", "dlh.pm10_mean"]


async def test_the_package_validates_from_the_web(http: httpx.AsyncClient, tmp_path: Path) -> None:
    for folder in ("latest", "vintage/20260228T170000Z"):
        place = tmp_path / folder.replace("/", "-")
        place.mkdir()
        package = (await http.get(f"/dataset/{PM10}/{folder}/datapackage.json")).content
        (place / "datapackage.json").write_bytes(package)
        for resource in json.loads(package)["resources"]:
            content = (await http.get(f"/dataset/{PM10}/{folder}/{resource['path']}")).content
            assert resource["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
            (place / resource["path"]).write_bytes(content)
        report = validate(str(place / "datapackage.json"))
        assert report.valid, report.flatten(["type", "message"])


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")  # rdflib's own parser of JSON-LD
@pytest.mark.parametrize(("form", "parser"), [("ttl", "turtle"), ("jsonld", "json-ld")])
async def test_the_catalogue_passes_the_shapes(http: httpx.AsyncClient, form: str, parser: str) -> None:
    graph = Graph().parse(data=(await http.get(f"/catalog.{form}")).content, format=parser)
    datasets = set(graph.subjects(RDF.type, DCAT.Dataset))
    assert datasets == {URIRef(f"{http.base_url}/dataset/{PM10}"), URIRef(f"{http.base_url}/dataset/dlh.pm10_mean")}
    assert len(set(graph.subjects(RDF.type, DCAT.Distribution))) == 10
    shapes = Graph().parse(Path(__file__).parent / "dcat_ap.shapes.ttl")
    conforms, _, text = shacl(graph, shacl_graph=shapes)
    assert conforms, text
    graph.remove((None, DCTERMS.publisher, None))
    assert not shacl(graph, shacl_graph=shapes)[0]


async def test_the_metadata_quality_is_excellent(http: httpx.AsyncClient) -> None:
    graph = Graph().parse(data=(await http.get("/catalog.ttl")).content, format="turtle")

    async def status(address: str) -> int:
        return (await http.head(address)).status_code

    for dataset in graph.subjects(RDF.type, DCAT.Dataset):
        score = await mqa.score(graph, dataset, status)
        assert score.points >= mqa.EXCELLENT, score.lost
        assert score.points == mqa.MOST, score.lost


async def test_ckan_clients_find_datasets_and_rows(http: httpx.AsyncClient) -> None:
    async def call(action: str, **parameters: Any) -> Any:
        answer = (await http.post(f"/api/action/{action}", json=parameters)).json()
        assert answer["success"], answer
        assert answer == (await http.post(f"/api/action/{action}", json=parameters)).json()
        return answer["result"]

    assert await call("package_list") == ["dlh-pm10_max", "dlh-pm10_mean"]
    package = await call("package_show", id="dlh-pm10_max")
    assert package == await call("package_show", id=package["id"])
    assert package["organization"]["title"] == "Dinas Lingkungan Hidup"
    assert {extra["key"] for extra in package["extras"]} >= {"Konsep", "Definisi", "Rumus Perhitungan", "Satuan", "Sumber Data"}
    (table,) = [each for each in package["resources"] if each["datastore_active"]]
    assert await call("resource_show", id=table["id"]) == table
    content = (await http.get(table["url"])).content
    assert (table["hash"], table["size"]) == (f"sha256:{hashlib.sha256(content).hexdigest()}", len(content))
    found = await call(
        "datastore_search", resource_id=table["id"], filters={"station": "BYL1"}, fields=["value", "period"], sort="value desc"
    )
    assert found["records"] == [{"_id": 1, "value": "61", "period": "2026-01"}, {"_id": 3, "value": "12", "period": "2026-02"}]
    assert (found["total"], [field["type"] for field in found["fields"]]) == (2, ["int", "numeric", "text"])
    assert await call("organization_list") == ["dlh"]
    assert (await call("organization_list", all_fields=True))[0]["package_count"] == 2
    assert (await call("organization_show", id="dlh", include_datasets=True))["packages"][0]["name"].startswith("dlh-")


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({}, 2),
        ({"q": "tertinggi PM10"}, 1),
        ({"q": "tidak-ada"}, 0),
        ({"fq": "organization:dlh"}, 2),
        ({"fq": "-organization:dlh"}, 0),
        ({"fq": '+organization:("dlh" OR "rsud") +name:dlh-pm10_max'}, 1),
        ({"fq": "metadata_modified:[2026-03-01T00:00:00Z TO *]"}, 2),
        ({"fq": "metadata_modified:[* TO 2020-01-01T00:00:00Z]"}, 0),
        ({"rows": 1, "start": 1, "sort": "name asc"}, 2),
        ({"fq_list": ["state:active", "name:dlh-pm10_max"]}, 1),
    ],
)
async def test_harvesters_searches(http: httpx.AsyncClient, parameters: dict[str, Any], count: int) -> None:
    answer = (await http.post("/api/3/action/package_search", json=parameters)).json()
    assert answer["result"]["count"] == count
    assert len(answer["result"]["results"]) == min(count, parameters.get("rows", 10))


async def test_ckan_refusals_have_ckans_form(http: httpx.AsyncClient) -> None:
    async def status(action: str, content: bytes) -> tuple[int, str]:
        answer = await http.post(f"/api/3/action/{action}", content=content, headers={"content-type": "application/json"})
        assert answer.json()["success"] is False
        return answer.status_code, answer.json()["error"]["__type"]

    assert await status("package_show", b'{"id": "none"}') == (404, "Not Found Error")
    assert await status("package_show", b"{}") == (409, "Validation Error")
    assert await status("package_show", b"{") == (409, "Validation Error")
    assert await status("package_search", b'{"fq": "salary:1"}') == (409, "Validation Error")
    assert await status("package_create", b"{}") == (400, "Bad request - Action name not known")
    assert await status("package_list", b'{"a": "' + b"x" * 70_000 + b'"}') == (409, "Validation Error")


async def test_the_list_of_public_information_and_the_change_log(http: httpx.AsyncClient) -> None:
    dip = (await http.get("/api/dip")).json()
    assert list(dip["columns"].values())[1] == "Judul informasi"
    assert [(row["nomor"], row["unit_menguasai"], row["kategori"]) for row in dip["rows"]] == [
        ("1", "Dinas Lingkungan Hidup", "Informasi berkala"),
        ("2", "Dinas Lingkungan Hidup", "Informasi berkala"),
    ]
    assert all(all(row.values()) for row in dip["rows"])
    listed = rows((await http.get("/dip.csv")).content)
    assert [row["Judul informasi"] for row in listed] == [row["judul"] for row in dip["rows"]]
    changes = (await http.get("/api/changes")).json()["changes"]
    assert [each["to"] for each in changes if each["dataset"] == PM10] == ["published", "checked", "draft"]
    assert len(rows((await http.get("/changelog.csv")).content)) == len(changes)


async def test_indah_has_the_fields_that_are_exchanged(http: httpx.AsyncClient) -> None:
    told = (await http.get(f"/dataset/{PM10}/indah.json")).json()
    assert told["data"]["nama"] == "Nilai tertinggi indeks PM10 per bulan"
    assert set(told["data"]) >= {
        "konsep", "definisi", "interpretasi", "metode_perhitungan", "rumus", "ukuran", "satuan", "variabel_disaggregasi",
        "apakah_indikator_komposit", "indikator_pembangun", "variabel_pembangun", "level_estimasi", "apakah_indikator_bisa_diakses_umum",
    }  # fmt: skip
    assert (told["status"], told["version"]) == ("SUBMITTED", 1)


async def test_the_database_goes_away_and_comes_back(tmp_path: Path, postgres_server: Any, postgres_url: str) -> None:
    log = MemoryLog({f"public.{PM10}": 1})
    await log.send([public("60", at=released(1))])
    portal = portal_over(log, postgres_url, tmp_path)
    async with serving(portal) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        await until_ready(client)
        postgres_server.kill()
        try:
            answer = await client.get(f"/dataset/{PM10}/latest/{PM10}.csv")
            assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
            assert answer.headers["retry-after"]
            assert "postgresql://" not in answer.text
            await log.send([public("61", at=released(8), revision=2)])
        finally:
            postgres_server.start()
        await until_ready(client)
        assert [row["value"] for row in rows((await client.get(f"/dataset/{PM10}/latest/{PM10}.csv")).content)] == ["61"]

"""The embedded registry answers as Confluent's does, for reading, and refuses everything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastavro
import httpx
import pytest
from fastapi import FastAPI

from bus.events.catalogue import Catalogue, build
from bus.events.registry import create_registry_app, registry_router
from bus.events.schema import full_name
from bus.events.subjects import schema_name_of
from tests.unit.events.generated import SCHEMAS, TYPE, event_avro

SUBJECT = f"events.{TYPE}-value"
INDICATOR = "indicators.dlh.pm10_mean-value"
#: Ids that no schema of the repository has.
OLD, NEW = 9_008, 9_009


@pytest.fixture
def app() -> FastAPI:
    old, new = event_avro([]), event_avro([{"name": "n", "type": "int", "default": 1}])
    real = Catalogue.load([SCHEMAS])
    catalogue = Catalogue([build(TYPE, new, NEW, 2), *real.types.values(), *real.internal.values()], [build(TYPE, old, OLD, 1)])
    return create_registry_app(catalogue, lambda: ["indicators.dlh.pm10_mean", "bus.partials"])


async def get(app: FastAPI, path: str, method: str = "GET", **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://registry") as client:
        return await client.request(method, path, **options)


async def test_subjects_versions_and_schemas(app: FastAPI) -> None:
    assert (await get(app, "/subjects")).json() == sorted(
        [SUBJECT, *(f"events.{name}-value" for name in Catalogue.load([SCHEMAS]).types), INDICATOR]
    )
    assert (await get(app, f"/subjects/{SUBJECT}/versions")).json() == [1, 2]
    latest = await get(app, f"/subjects/{SUBJECT}/versions/latest")
    assert latest.headers["content-type"] == "application/vnd.schemaregistry.v1+json"
    assert {**latest.json(), "schema": None} == {"subject": SUBJECT, "version": 2, "id": NEW, "schema": None}
    assert full_name(json.loads(latest.json()["schema"])) == TYPE
    fastavro.parse_schema(json.loads(latest.json()["schema"]))
    assert (await get(app, f"/subjects/{SUBJECT}/versions/1")).json()["id"] == OLD
    assert (await get(app, f"/subjects/{SUBJECT}/versions/2/schema")).json() == json.loads(latest.json()["schema"])
    assert (await get(app, f"/subjects/{INDICATOR}/versions/latest")).json()["version"] == 3


async def test_schemas_by_id(app: FastAPI) -> None:
    by_id = (await get(app, f"/schemas/ids/{OLD}")).json()
    assert list(by_id) == ["schema"]
    assert len(json.loads(by_id["schema"])["fields"]) == 7
    assert (await get(app, f"/schemas/ids/{OLD}/schema")).json() == json.loads(by_id["schema"])
    assert (await get(app, f"/schemas/ids/{OLD}/versions")).json() == [{"subject": SUBJECT, "version": 1}]
    assert (await get(app, f"/schemas/ids/{NEW}/subjects")).json() == [SUBJECT]
    assert (await get(app, "/schemas/types")).json() == ["AVRO"]


async def test_settings(app: FastAPI) -> None:
    assert (await get(app, "/config")).json() == {"compatibilityLevel": "FULL_TRANSITIVE"}
    assert (await get(app, f"/config/{SUBJECT}")).json() == {"compatibilityLevel": "FULL_TRANSITIVE"}
    assert (await get(app, "/mode")).json() == {"mode": "READONLY"}


@pytest.mark.parametrize(
    ("path", "status", "code", "message"),
    [
        ("/subjects/nope-value/versions", 404, 40401, "Subject 'nope-value' not found."),
        (f"/subjects/{SUBJECT.removesuffix('-value')}/versions", 404, 40401, f"Subject '{SUBJECT.removesuffix('-value')}' not found."),
        ("/subjects/events.a.b.c.v1-value/versions/1", 404, 40401, "Subject 'events.a.b.c.v1-value' not found."),
        (f"/subjects/{SUBJECT}/versions/3", 404, 40402, "Version 3 not found."),
        (f"/subjects/{SUBJECT}/versions/0", 422, 42202, "not a valid version id"),
        (f"/subjects/{SUBJECT}/versions/x", 422, 42202, "not a valid version id"),
        ("/schemas/ids/77", 404, 40403, "Schema 77 not found"),
        ("/schemas/ids/x", 404, 40403, "Schema x not found"),
        ("/nothing/here", 404, 404, "HTTP 404 Not Found"),
    ],
)
async def test_errors_are_confluents(app: FastAPI, path: str, status: int, code: int, message: str) -> None:
    response = await get(app, path)
    assert response.status_code == status
    assert list(response.json()) == ["error_code", "message"]
    assert response.json()["error_code"] == code
    assert message in response.json()["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/subjects/{SUBJECT}/versions"),
        ("POST", f"/subjects/{SUBJECT}"),
        ("DELETE", f"/subjects/{SUBJECT}"),
        ("DELETE", f"/subjects/{SUBJECT}/versions/1"),
        ("PUT", "/config"),
        ("PUT", f"/config/{SUBJECT}"),
        ("PUT", "/mode"),
        ("POST", f"/compatibility/subjects/{SUBJECT}/versions/latest"),
    ],
)
async def test_writes_are_refused(app: FastAPI, method: str, path: str) -> None:
    response = await get(app, path, method, json={"schema": "{}"})
    assert response.status_code == 405
    assert response.json()["error_code"] == 40301
    assert "read-only" in response.json()["message"]


def test_topics_know_their_schema() -> None:
    assert schema_name_of(f"events.{TYPE}") == TYPE
    assert schema_name_of("indicators.dlh.pm10_mean") == schema_name_of("history.dlh.pm10_mean") == "bus.indicator_value.v1"
    assert schema_name_of("bus.partials") is None


async def test_a_reloaded_catalogue_shows(tmp_path: Path) -> None:
    catalogues = [Catalogue([])]
    app = FastAPI()
    app.include_router(registry_router(lambda: catalogues[-1]), prefix="/registry")
    assert (await get(app, "/registry/subjects")).json() == []
    catalogues.append(Catalogue([build(TYPE, event_avro([]), 3)]))
    assert (await get(app, "/registry/subjects")).json() == [SUBJECT]

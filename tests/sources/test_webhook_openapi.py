"""The ingress against its own description: whatever is posted, it answers as it says, and never with a fault of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from tests.conftest import examples
from tests.sources.webhook_world import KEY, posting, webhook_world

_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
_POST = "/v1/events/{agency}/{source}"


@pytest.fixture(scope="module")
def ingress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A connector in a thread; the address of its ingress."""
    world = webhook_world(tmp_path_factory.mktemp("openapi"), BUS_INGEST__INGRESS_BODY_BYTES="65536", BUS_INGEST__INGRESS_RECORDS="50")
    ready, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with posting(world):
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    yield f"http://127.0.0.1:{world.environ['BUS_INGEST__INGRESS_PORT']}"
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()


@pytest.mark.soak
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("source", ["samples", "notes", "any"])
def test_whatever_is_posted_is_answered_as_described(ingress: str, mode: GenerationMode, source: str) -> None:
    schema = schemathesis.openapi.from_url(f"{ingress}/openapi.json")
    operation, seen = schema[_POST]["POST"], set[int]()

    @settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers(case: Case[Any]) -> None:
        if source != "any":
            case.path_parameters = {"agency": "lab", "source": source}
            case.headers.pop("X-Simpul-Signature", None)
            case.headers["X-Api-Key"] = KEY
        response = case.call(base_url=ingress, timeout=30)
        seen.add(response.status_code)
        case.validate_response(response, checks=_CHECKS)

    answers()
    assert seen & ({404} if source == "any" else {202, 422}), seen
    assert httpx.get(f"{ingress}/healthz").json() == {"status": "ok", "sources": 3}


def test_the_description(ingress: str) -> None:
    found = httpx.get(f"{ingress}/openapi.json").json()
    operation = found["paths"][_POST]["post"]
    assert set(operation["responses"]) == {"202", "400", "401", "404", "408", "413", "415", "422", "429", "503"}
    assert all(media["examples"] for media in operation["requestBody"]["content"].values())
    assert "50 records" in operation["requestBody"]["description"]
    assert set(found["components"]["securitySchemes"]) == {"bearer", "key", "signature"}
    assert httpx.get(f"{ingress}/docs").status_code == 404
    wrong = httpx.put(f"{ingress}/v1/events/lab/samples")
    assert (wrong.status_code, wrong.headers["allow"], wrong.headers["content-type"]) == (405, "POST", "application/problem+json")

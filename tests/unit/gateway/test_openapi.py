"""The description against the gateway: complete in two languages, and true of whatever is asked."""

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

from bus.testing.memory import MemoryLog
from tests.conftest import examples
from tests.unit.gateway.feed import gateway_over, month, serving, until_ready, value

_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
#: The stream has no end, and recomputing needs a broker.
_ASKED = [
    "/v1/indicators",
    "/v1/indicators/{indicator}",
    "/v1/indicators/{indicator}/definition",
    "/v1/indicators/{indicator}/series",
    "/v1/indicators/{indicator}/revisions",
    "/v1/board",
    "/v1/alerts",
    "/healthz",
]

#: Those whose query may be wrong.
_WITH_QUERY = [path for path in _ASKED if "{" in path and not path.endswith("/definition")]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A gateway in a thread."""
    ready, over, found = threading.Event(), asyncio.Event(), list[str]()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        log = MemoryLog({"indicators.dlh.pm10_mean": 1, "history.dlh.pm10_mean": 1})
        await log.send([value("dlh.pm10_mean", str(number), window=month(number)) for number in range(1, 13)])
        gateway = gateway_over(log, requests_per_second=100_000.0, burst=100_000, public_url="https://simpul.boyolali.go.id")
        async with serving(gateway) as url, httpx.AsyncClient(base_url=url) as http:
            await until_ready(http)
            found.append(url)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    yield found[0]
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()


@pytest.mark.parametrize(
    ("path", "mode"),
    [*((path, GenerationMode.POSITIVE) for path in _ASKED), *((path, GenerationMode.NEGATIVE) for path in _WITH_QUERY)],
)
def test_whatever_is_asked_is_answered_as_described(url: str, path: str, mode: GenerationMode) -> None:
    operation = schemathesis.openapi.from_url(f"{url}/v1/openapi.json")[path]["GET"]

    @settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers(case: Case[Any]) -> None:
        if "indicator" in case.path_parameters and len(case.query) % 2 == 0:
            case.path_parameters = {"indicator": "dlh.pm10_mean"}
        case.headers.pop("Authorization", None)
        case.headers.pop("X-API-Key", None)
        response = case.call(base_url=url, timeout=30)
        case.validate_response(response, checks=_CHECKS)

    answers()


def test_the_description_is_complete_and_in_two_languages(url: str) -> None:
    found = httpx.get(f"{url}/v1/openapi.json").json()
    assert found == httpx.get(f"{url}/openapi.json").json()
    assert found["openapi"].startswith("3.1")
    assert found["servers"][0]["url"] == "https://simpul.boyolali.go.id"
    assert set(found["components"]["securitySchemes"]) == {"bearer", "key", "ticket"}
    verbs = {(path, verb): said for path, each in found["paths"].items() for verb, said in each.items()}
    assert {verb for _, verb in verbs} - {"get"} == {"post"}
    assert [path for path, verb in verbs if verb == "post"] == ["/v1/tickets"]
    for (path, _), said in verbs.items():
        assert " / " in said["summary"], path
        for text in (said["description"], *(each["description"] for each in (*said.get("parameters", ()), *said["responses"].values()))):
            assert "\n\n" in text, (path, text)
        assert "422" not in said["responses"], path
        assert {"401"} < set(said["responses"]), path
    text = str(found)
    for reference in {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}:
        assert reference in found["components"]["schemas"], reference

"""The OpenAPI description as it is served: the routes', with the keys that open them, the server, and what any route may answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from consumers.dashboard.describe import DESCRIPTION, TITLE, both, problems
from consumers.dashboard.models import ProblemModel

_SCHEMES: Mapping[str, object] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": both("Kunci API: `Authorization: Bearer …`.", "An API key: `Authorization: Bearer …`."),
    },
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": both("Kunci API.", "An API key.")},
    "ticket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": both("Tiket berumur satu menit, untuk aliran saja.", "A ticket of one minute, for streams only."),
    },
}
_TAGS = (
    {"name": "indicators", "description": both("Indikator, nilainya, dan masa lalunya.", "Indicators, their values and their past.")},
    {"name": "live", "description": both("Nilai saat berubah.", "Values as they change.")},
    {"name": "operation", "description": both("Untuk yang menjalankannya.", "For whoever runs it.")},
)
_EXAMPLES = {
    "indicator": {"name": "indicator", "example": "dlh.pm10_mean", "description": both("Id indikator.", "Id of the indicator.")},
}


def openapi(routes: Sequence[BaseRoute], version: str, *, url: str = "") -> Mapping[str, object]:
    """The description of these routes; `url` is where clients reach them."""
    servers = [{"url": url or "/", "description": both("Gateway ini.", "This gateway.")}]
    found: dict[str, Any] = get_openapi(
        title=TITLE, version=version, description=DESCRIPTION, routes=routes, servers=servers, tags=[dict(tag) for tag in _TAGS]
    )
    components = found.setdefault("components", {})
    components["securitySchemes"] = dict(_SCHEMES)
    components.setdefault("schemas", {})["ProblemModel"] = ProblemModel.model_json_schema()
    found["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    for path, verbs in found["paths"].items():
        for operation in verbs.values():
            _complete(path, operation)
    return found


def _complete(path: str, operation: dict[str, Any]) -> None:
    everywhere = problems(401) if path == "/healthz" else problems(401, 429)
    operation["responses"] |= {str(code): said for code, said in everywhere.items() if str(code) not in operation["responses"]}
    # FastAPI says of each route with a parameter that it may answer 422; ours answer 400.
    operation["responses"].pop("422", None)
    tickets: list[dict[str, object]] = [{"ticket": []}] if path in {"/v1/stream", "/v1/alerts/stream"} else []
    operation["security"] = [{"bearer": []}, {"key": []}, *tickets] + ([] if path == "/v1/tickets" else [{}])
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter.update(_EXAMPLES.get(parameter["name"], {}))

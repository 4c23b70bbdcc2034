"""The embedded schema registry: the catalogue at Confluent's REST paths, read-only, so that ordinary tools decode our topics.

Answers, error codes and messages are those of Confluent's API, version 7; what it would write is refused: schemas are released by
`bus schemas lock` and a commit, nowhere else. Subjects are topic names with "-value".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.middleware.base import RequestResponseEndpoint

from bus.events.catalogue import Catalogue
from bus.events.schema import EventSchema, Schema
from bus.events.subjects import schema_name_of

_SUFFIX = "-value"
_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_WRITES = ["POST", "PUT", "DELETE", "PATCH"]


class Registry:
    """What the registry answers, without HTTP. `topics` names the topics beside those of the event types (indicators come and go)."""

    def __init__(self, catalogue: Callable[[], Catalogue], topics: Callable[[], Iterable[str]] = tuple) -> None:
        self._catalogue = catalogue
        self._topics = topics

    def subjects(self) -> list[str]:
        topics = {schema.type.topic for schema in self._catalogue().schemas if isinstance(schema, EventSchema)}
        return sorted(topic + _SUFFIX for topic in topics | {topic for topic in self._topics() if schema_name_of(topic)})

    def releases(self, subject: str) -> Sequence[Schema]:
        """The releases under a subject, oldest first; none when there is no such subject."""
        name = schema_name_of(subject.removesuffix(_SUFFIX)) if subject.endswith(_SUFFIX) else None
        return self._catalogue().releases(name) if name else []

    def schema(self, schema_id: int) -> Schema | None:
        return self._catalogue().by_id(schema_id)

    def places(self, schema: Schema) -> list[tuple[str, int]]:
        return [(subject, schema.version) for subject in self.subjects() if any(r is schema for r in self.releases(subject))]


def text_of(schema: Schema) -> str:
    """The schema as registries hand it out: JSON in one string."""
    return json.dumps(schema.avro, separators=(",", ":"), ensure_ascii=False)


def _answer(content: object, status: int = 200) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), status_code=status, media_type=_MEDIA_TYPE)


def _error(code: int, message: str, status: int | None = None) -> Response:
    return _answer({"error_code": code, "message": message}, status or code // 100)


def _no_subject(subject: str) -> Response:
    return _error(40401, f"Subject '{subject}' not found.")


def registry_router(catalogue: Catalogue | Callable[[], Catalogue], topics: Callable[[], Iterable[str]] = tuple) -> APIRouter:
    """The read-only routes. A callable catalogue is asked at each request, so that a reload shows."""
    registry = Registry(catalogue if callable(catalogue) else lambda: catalogue, topics)
    router = APIRouter()
    _subject_routes(router, registry)
    _schema_routes(router, registry)
    _other_routes(router)
    return router


def _find(registry: Registry, subject: str, version: str) -> Schema | Response:
    releases = registry.releases(subject)
    if not releases:
        return _no_subject(subject)
    if version in {"latest", "-1"}:
        return releases[-1]
    if not version.isascii() or not version.isdecimal() or not 1 <= int(version) < 1 << 31:
        allowed = 'Allowed values are between [1, 2^31-1] and the string "latest"'
        return _error(42202, f"The specified version '{version}' is not a valid version id. {allowed}")
    found = next((schema for schema in releases if schema.version == int(version)), None)
    return found or _error(40402, f"Version {version} not found.")


def _subject_routes(router: APIRouter, registry: Registry) -> None:
    @router.get("/subjects")
    def subjects() -> Response:
        return _answer(registry.subjects())

    @router.get("/subjects/{subject}/versions")
    def versions(subject: str) -> Response:
        releases = registry.releases(subject)
        return _answer([schema.version for schema in releases]) if releases else _no_subject(subject)

    @router.get("/subjects/{subject}/versions/{version}")
    def version(subject: str, version: str) -> Response:
        found = _find(registry, subject, version)
        if isinstance(found, Response):
            return found
        return _answer({"subject": subject, "version": found.version, "id": found.schema_id, "schema": text_of(found)})

    @router.get("/subjects/{subject}/versions/{version}/schema")
    def version_schema(subject: str, version: str) -> Response:
        found = _find(registry, subject, version)
        return found if isinstance(found, Response) else Response(text_of(found), media_type=_MEDIA_TYPE)


def _schema_routes(router: APIRouter, registry: Registry) -> None:
    def by_id(schema_id: str, make: Callable[[Schema], object]) -> Response:
        found = registry.schema(int(schema_id)) if schema_id.isascii() and schema_id.isdecimal() else None
        return _answer(make(found)) if found else _error(40403, f"Schema {schema_id} not found")

    @router.get("/schemas/types")
    def types() -> Response:
        return _answer(["AVRO"])

    @router.get("/schemas/ids/{schema_id}")
    def schema(schema_id: str) -> Response:
        return by_id(schema_id, lambda found: {"schema": text_of(found)})

    @router.get("/schemas/ids/{schema_id}/schema")
    def schema_only(schema_id: str) -> Response:
        return by_id(schema_id, lambda found: found.avro)

    @router.get("/schemas/ids/{schema_id}/subjects")
    def schema_subjects(schema_id: str) -> Response:
        return by_id(schema_id, lambda found: [subject for subject, _ in registry.places(found)])

    @router.get("/schemas/ids/{schema_id}/versions")
    def schema_versions(schema_id: str) -> Response:
        return by_id(schema_id, lambda found: [{"subject": subject, "version": version} for subject, version in registry.places(found)])


def _other_routes(router: APIRouter) -> None:
    @router.get("/config")
    @router.get("/config/{subject}")
    def config() -> Response:
        return _answer({"compatibilityLevel": "FULL_TRANSITIVE"})

    @router.get("/mode")
    @router.get("/mode/{subject}")
    def mode() -> Response:
        return _answer({"mode": "READONLY"})

    for path in ("/subjects", "/schemas", "/config", "/mode", "/compatibility"):
        router.add_api_route(path, _read_only, methods=_WRITES, include_in_schema=False)
        router.add_api_route(path + "/{rest:path}", _read_only, methods=_WRITES, include_in_schema=False)


def _read_only() -> Response:
    refused = _error(40301, "The registry is read-only: a schema is released by `bus schemas lock` and a commit", status=405)
    refused.headers["Allow"] = "GET"
    return refused


def create_registry_app(catalogue: Catalogue | Callable[[], Catalogue], topics: Callable[[], Iterable[str]] = tuple) -> FastAPI:
    """The registry as an application of its own; unknown paths answer as Confluent's does (404, error code 404)."""
    app = FastAPI(title="Simpul schema registry", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(registry_router(catalogue, topics))

    @app.middleware("http")
    async def not_found(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        return (
            _error(404, "HTTP 404 Not Found", 404)
            if response.status_code == 404 and response.headers.get("content-type") != _MEDIA_TYPE
            else response
        )

    return app

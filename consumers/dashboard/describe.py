"""What OpenAPI says of the routes: this is what a platform such as SPLP registers, and what a stranger reads first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Literal, TypedDict

from pydantic import BaseModel, Field

from consumers.dashboard.cells import local
from consumers.dashboard.query import DEFAULT_LIMIT, MAX_LIMIT, WINDOW_FORMS


class Evidence(BaseModel):
    """How far one partition of an event topic had been read: the value accounts for everything up to this offset.

    Of a composite, `indicator` is the one that was computed from these events.
    """

    topic: str
    partition: int
    offset: int
    indicator: str | None = None


class Leaf(BaseModel):
    """One of the indicators that a composite is computed from."""

    indicator: str
    version: int


class CellModel(BaseModel):
    """One number: exact decimals as text, what it is about, and what proves it."""

    key: str
    indicator: str
    version: int
    window_start: datetime | None = Field(description="Begin of the window; null for the current state.")
    window_end: datetime | None = Field(description="End of the window, excluded; null for the current state.")
    dimensions: dict[str, str | None]
    value: str | None = Field(description="Null where there is no number: of a closing that nobody is left in, a mean for instance.")
    label: str | None = Field(description="The grade of an index, or what stands on a rank.")
    error: str | None = Field(
        description="How far an estimate may be off (0: it is exact): as a part of the value, of a quantile of ages in seconds."
    )
    as_of: datetime | None = Field(description="The moment to which ages were counted.")
    n: int = Field(description="How many events, or subjects, are in the value.")
    revision: int = Field(description="How many events have changed the value.")
    status: Literal["provisional", "final"] = Field(
        description="final: every partition is past the window's end and `late`, and `n` is enough."
    )
    heard: int = Field(description="How many reporters have sent anything in the window.")
    expected: int = Field(description="How many are expected to; 0 when nobody has declared it.")
    numerator: str
    denominator: str
    fingerprint: str
    late: int = Field(description="Of the changes, those by events that came after the window had closed.")
    corrected: int = Field(description="Of the changes, those by corrections and cancellations.")
    withdrawn: int = Field(description="Of the changes, those that took a wrongly sent batch back.")
    leaves: list[Leaf] = Field(description="Of a composite, the indicators whose evidence it carries.")
    evidence: list[Evidence]
    watermarks: dict[str, datetime]


class IndicatorModel(BaseModel):
    """An indicator without its values."""

    id: str
    agency: str
    title: dict[str, str]
    unit: str
    window: str
    late: str
    minimum_n: int | None = Field(description="A row of fewer is provisional, whatever the time; null where any number is enough.")
    kind: str = Field(description="Kind of the measure, or of the composite.")
    parts: list[str] = Field(description="Of a composite, the indicators that it is made of.")
    stock: bool = Field(description="Whether it is about states, not about what happened in a window.")
    clock: dict[str, str | list[str]] | None = Field(description="Which states start, stop and finish the service clock it measures.")
    decimals: int | None
    dimensions: list[str]
    event: str
    publish_class: str | None
    version: int | None
    cells: int
    updated_at: datetime | None


class RegionModel(BaseModel):
    """What a region is called, and its level: kabupaten, kota, kecamatan, desa, kelurahan, rw, rt."""

    name: str
    level: str


class ListModel(BaseModel):
    """All indicators, and what the agencies and regions are called."""

    agencies: dict[str, str]
    regions: dict[str, RegionModel]
    indicators: list[IndicatorModel]


class ValuesModel(BaseModel):
    """A page of an indicator's values, by window and dimensions."""

    indicator: IndicatorModel
    total: int
    next_cursor: str | None
    regions: dict[str, RegionModel] = Field(description="The names of the region codes in these cells, as far as they are known.")
    cells: list[CellModel]


class ProblemModel(BaseModel):
    """Why there is no answer (RFC 9457): what was received and what is allowed."""

    type: str
    title: str
    status: int
    detail: str
    received: str | None = None
    allowed: list[str] | str | None = None
    near: list[str] | None = None


class Route(TypedDict, total=False):
    """What is said of one route."""

    summary: str
    description: str
    tags: list[str | Enum]
    responses: dict[int | str, dict[str, object]]
    openapi_extra: dict[str, object]


def moment(milliseconds: int) -> str | None:
    """A record's time as ISO 8601 in civil time; nothing for none."""
    return local(datetime.fromtimestamp(milliseconds / 1000, tz=UTC)) if milliseconds else None


def _parameter(name: str, text: str, *, where: str = "query", schema: Mapping[str, object] | None = None) -> dict[str, object]:
    return {"name": name, "in": where, "required": False, "description": text, "schema": dict(schema or {"type": "string"})}


def _problems(*codes: int) -> dict[int | str, dict[str, object]]:
    words = {
        400: "A parameter that is not understood.",
        404: "No such indicator; `near` has similar ids.",
        503: "Not ready; see Retry-After.",
    }
    schema = {"schema": ProblemModel.model_json_schema(ref_template="#/components/schemas/{model}")}
    return {code: {"description": words[code], "content": {"application/problem+json": schema}} for code in codes}


_NONE_MATCH = _parameter("If-None-Match", "ETag of an earlier answer: 304 when it is still the same.", where="header")

ROUTES: Mapping[str, Route] = {
    "list": Route(
        summary="All indicators",
        description="Id, titles, unit, window, kind, parts, dimensions, event, publish class, number of cells and last update of each. "
        "Registers, which are about single subjects, are not among them.",
        tags=["indicators"],
        responses={200: {"model": ListModel}, 304: {"description": "Unchanged."}, **_problems(400, 503)},
        openapi_extra={"parameters": [_NONE_MATCH]},
    ),
    "values": Route(
        summary="An indicator's values",
        description="Every value with its evidence, revision, status, completeness (`heard` of `expected`) and watermarks. Each dimension "
        "of the indicator is a parameter too; given twice it means either value, given empty it means the cells without one.",
        tags=["indicators"],
        responses={200: {"model": ValuesModel}, 304: {"description": "Unchanged."}, **_problems(400, 404, 503)},
        openapi_extra={
            "parameters": [
                _parameter("window", f"Windows within a period, or the one that starts then: {WINDOW_FORMS}; in Asia/Jakarta."),
                _parameter(
                    "limit",
                    "Cells in one answer.",
                    schema={"type": "integer", "default": DEFAULT_LIMIT, "minimum": 1, "maximum": MAX_LIMIT},
                ),
                _parameter("cursor", "`next_cursor` of the answer before."),
                _parameter("station", "An example of a dimension: the cells with this value."),
                _NONE_MATCH,
            ]
        },
    ),
    "stream": Route(
        summary="Live values",
        description="Server-sent events. `snapshot` (in parts of at most 500 cells, the last one has `complete: true`; replaces all a client "
        "has), then `change` (newest state of changed cells; `removed: true` takes one away), and `status`. A client keeps the cell with the "
        "highest (version, revision) and drops an indicator's cells of a lower version. The `id` of a message resumes without a gap, also at "
        "another gateway. Comments come at least every 15 s.",
        tags=["live"],
        responses={
            200: {"description": "The stream.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            **_problems(400, 404, 503),
        },
        openapi_extra={
            "parameters": [
                _parameter("indicator", "Only these indicators, separated by commas."),
                _parameter(
                    "detail",
                    "`brief` leaves out evidence, watermarks and the exact fraction.",
                    schema={"type": "string", "enum": ["full", "brief"]},
                ),
                _parameter("last_event_id", "The same as the header, for clients that cannot set one."),
                _parameter("Last-Event-ID", "Id of the last message received.", where="header"),
            ]
        },
    ),
    "health": Route(
        summary="Readiness", description="503 with the reason while the log's end is not known or not reached.", tags=["operation"]
    ),
    "metrics": Route(
        summary="Prometheus metrics",
        tags=["operation"],
        responses={200: {"description": "Text.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
    ),
}

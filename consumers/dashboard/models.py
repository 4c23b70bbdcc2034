"""The bodies of the gateway's answers, as OpenAPI describes them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


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


class ReleasedModel(BaseModel):
    """One number as it was released to the public. Of a suppressed cell there are window and dimensions, and that it is suppressed."""

    key: str
    indicator: str
    version: int
    window_start: datetime | None
    window_end: datetime | None
    dimensions: dict[str, str | None]
    suppressed: bool
    value: str | None
    label: str | None = None
    error: str | None = None
    n: int | None = None
    revision: int | None = None
    status: Literal["provisional", "final"] | None = None
    heard: int | None = None
    expected: int | None = None
    numerator: str | None = None
    denominator: str | None = None
    evidence: list[Evidence] | None = None
    released: datetime | None = Field(default=None, description="End of the release window with which it was let out.")


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


class DefinitionModel(BaseModel):
    """What an indicator means (metadata of Satu Data, Perpres 39/2019), how it is published, and whose events it is made of."""

    indicator: IndicatorModel
    satu_data: dict[str, str]
    publish: dict[str, str] = Field(description="Class (berkala, serta_merta, setiap_saat, dikecualikan), basis, licence, …")
    agencies: dict[str, str] = Field(description="Ids and titles; of a composite those of all its parts.")


class ValuesModel(BaseModel):
    """A page of an indicator's values, by window and dimensions."""

    indicator: IndicatorModel
    total: int
    next_cursor: str | None
    regions: dict[str, RegionModel] = Field(description="The names of the region codes in these cells, as far as they are known.")
    cells: list[CellModel | ReleasedModel]


class ProblemModel(BaseModel):
    """Why there is no answer (RFC 9457): what was received and what is allowed."""

    type: str
    title: str
    status: int
    detail: str
    received: str | None = None
    allowed: list[str] | str | None = None
    near: list[str] | None = None


class PointModel(BaseModel):
    """The newest value of one window; of a suppressed one nothing but that it is."""

    version: int
    window_start: datetime
    window_end: datetime
    value: str | None
    suppressed: bool | None = None
    label: str | None = None
    error: str | None = None
    as_of: datetime | None = None
    n: int | None = None
    revision: int | None = None
    status: Literal["provisional", "final"] | None = None
    heard: int | None = None
    expected: int | None = None


class LineModel(BaseModel):
    """One series: the newest windows, oldest first; `windows` is how many there are in that time."""

    dimensions: dict[str, str | None]
    windows: int
    points: list[PointModel]


class SeriesModel(BaseModel):
    """The series of an indicator."""

    indicator: IndicatorModel
    series: list[LineModel]


class ReasonModel(BaseModel):
    """Why a row was published anew; `count` events did it, 0 where it was not events."""

    why: Literal["new", "late", "corrected", "withdrawn", "definition", "status", "reporters", "time"]
    count: int


class RevisionModel(BaseModel):
    """A cell as it was published, or to the public released, at a time."""

    published_at: datetime | None
    version: int
    revision: int
    status: Literal["provisional", "final"]
    value: str | None
    label: str | None
    numerator: str
    denominator: str
    n: int
    reasons: list[ReasonModel]


class RevisionsModel(BaseModel):
    """A cell's past, oldest first: the newest thousand of `total`."""

    cell: dict[str, object]
    total: int
    revisions: list[RevisionModel]


class DifferenceModel(BaseModel):
    """A field that is not what the log says; the values for those who may see every cell."""

    field: str
    published: str | None = None
    recomputed: str | None = None


class ProofModel(BaseModel):
    """What became of a recomputation."""

    agrees: bool
    indicator: str
    made_of: list[str] = Field(description="Of a composite, the indicators whose events were read.")
    records_read: int
    differences: list[DifferenceModel]
    seconds: float


class TicketModel(BaseModel):
    """Opens streams for so many seconds."""

    ticket: str
    seconds: int


class HealthModel(BaseModel):
    """Whether the numbers served are those at the end of the log."""

    status: Literal["ok", "degraded", "unready"]
    reason: str
    silent_seconds: float
    role: Literal["public", "internal", "restricted"]
    indicators: int
    cells: int
    clients: int

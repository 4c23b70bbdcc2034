"""The bodies of the board and of alerts passed on, as OpenAPI describes them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class TileModel(BaseModel):
    """One headline. `where` fixes dimensions, `newest` takes the greatest value that there is of others."""

    indicator: str
    where: dict[str, str]
    newest: list[str]
    title: dict[str, str] | None
    better: Literal["more", "less"] | None


class SectorModel(BaseModel):
    """Headlines that belong together."""

    id: str
    title: dict[str, str]
    tiles: list[TileModel]


class PlaceModel(BaseModel):
    """Where a region stands in the tile map; row 1 is the northernmost, column 1 the westernmost."""

    code: str
    row: int
    column: int


class TileMapModel(BaseModel):
    """A regency as a grid of equal tiles."""

    root: str
    indicator: str | None = Field(description="What is drawn until a reader chooses.")
    rows: int
    columns: int
    tiles: list[PlaceModel]


class BoardModel(BaseModel):
    """What a page shows first."""

    role: Literal["public", "internal", "restricted"]
    portal_url: str | None = Field(description="The PPID portal, for feedback on an indicator.")
    alerts: bool = Field(description="Whether /v1/alerts is there.")
    sectors: list[SectorModel]
    map: TileMapModel | None


class AlertsModel(BaseModel):
    """Alerts about what the role may see, as `bus run alerts` tells them: serta merta first. `connected`: whether that is there now."""

    connected: bool
    alerts: list[dict[str, object]]

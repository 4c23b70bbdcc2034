"""`board.toml` as data: what may be written. Whether its indicators are there is checked by `bus.board.loader`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from bus.indicators.section import Section
from bus.indicators.spec import Text, Title

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$")]
#: A region's code, or nothing: an empty place in the grid.
_Place = Annotated[str, StringConstraints(pattern=r"^(\d{2}(\.\d{2}(\.\d{2}(\.\d{4})?)?)?)?$")]


class Tile(Section):
    """One headline: an indicator with every one of its dimensions fixed.

    `where` fixes a dimension to a value, `newest` to the greatest one that there is (a year that goes on), `title` is shorter than the
    indicator's own. `better` says which way is good news; left out, neither is.
    """

    indicator: Text
    where: dict[str, Text] = Field(default_factory=dict)
    newest: list[Text] = Field(default_factory=list)
    title: Title | None = None
    better: Literal["more", "less"] | None = None


class Sector(Section):
    """Headlines that belong together."""

    id: _Name
    title: Title
    tiles: list[Tile] = Field(min_length=1)


class TileMap(Section):
    """A regency as a grid of equal tiles, roughly where its parts lie.

    Rows go from north to south, codes from west to east, "" where nothing is.

    `indicator`: what is drawn until a reader chooses; it has regions.
    """

    root: _Place
    indicator: Text | None = None
    rows: list[list[_Place]] = Field(min_length=1)

    @model_validator(mode="after")
    def _once(self) -> TileMap:
        codes = [code for row in self.rows for code in row if code]
        if twice := sorted({code for code in codes if codes.count(code) > 1}):
            raise ValueError(f"a region is drawn twice: {', '.join(twice)}")
        if outside := sorted(code for code in codes if not code.startswith(f"{self.root}.")):
            raise ValueError(f"not below root {self.root}: {', '.join(outside)}")
        return self


class Board(Section):
    """All of it. Of several files, sectors with a known id replace the ones before, and the last map holds."""

    sector: list[Sector] = Field(default_factory=list)
    map: TileMap | None = None

    @model_validator(mode="after")
    def _named(self) -> Board:
        ids = [each.id for each in self.sector]
        if twice := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
            raise ValueError(f"sector id used twice: {', '.join(twice)}")
        return self

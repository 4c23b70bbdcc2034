"""Everything that the kit's subjects are made of, loaded once and only when a rule asks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from bus.events.catalogue import Catalogue
from bus.indicators.indicator import Indicator, load_indicators
from bus.settings import Settings


class Workspace:
    """The checkout and its overlays, as the kit sees them.

    With `agency`, subjects are only what belongs to that agency; with `only`, what lies in that folder. The rest is still loaded, since
    a schema may collide with any other.
    """

    def __init__(self, settings: Settings, agency: str | None = None, only: Path | None = None) -> None:
        self.settings = settings
        self.agency = agency
        self.only = only

    @cached_property
    def catalogue(self) -> Catalogue:
        """All schemas. Raises `ConfigurationError` with everything that is wrong with any."""
        return Catalogue.load(self.settings.schemas_roots())

    @cached_property
    def indicators(self) -> Mapping[str, Indicator]:
        """All indicators. Raises `ConfigurationError` with everything that is wrong with any."""
        return load_indicators(self.settings.schemas_roots(), self.catalogue)

    def concerns(self, path: Path, agency: str = "") -> bool:
        """Whether what lies at `path` and belongs to `agency` is among the subjects."""
        return (self.agency is None or agency == self.agency) and (self.only is None or path.resolve().is_relative_to(self.only.resolve()))

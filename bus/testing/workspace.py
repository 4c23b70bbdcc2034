"""Everything that the kit's subjects are made of, loaded once and only when a rule asks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from bus.errors import ConfigurationError
from bus.events.catalogue import Catalogue
from bus.indicators.compose import AnyIndicator
from bus.indicators.loader import load_indicators
from bus.indicators.reference import References
from bus.indicators.reference_files import load_references
from bus.settings import Settings
from bus.testing.rule import Unloadable


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
        """All schemas. Raises `Unloadable` with everything that is wrong with any."""
        try:
            return Catalogue.load(self.settings.schemas_roots())
        except ConfigurationError as error:
            raise Unloadable(error.problems) from error

    @cached_property
    def references(self) -> References:
        """All reference tables. Raises `Unloadable` with everything that is wrong with any."""
        try:
            return load_references(self.settings.schemas_roots())
        except ConfigurationError as error:
            raise Unloadable(error.problems) from error

    @cached_property
    def indicators(self) -> Mapping[str, AnyIndicator]:
        """All indicators. Raises `Unloadable` with everything that is wrong with any."""
        try:
            return load_indicators(self.settings.schemas_roots(), self.catalogue, self.references)
        except ConfigurationError as error:
            raise Unloadable(error.problems) from error

    def concerns(self, path: Path, agency: str = "") -> bool:
        """Whether what lies at `path` and belongs to `agency` is among the subjects."""
        return (self.agency is None or agency == self.agency) and (self.only is None or path.resolve().is_relative_to(self.only.resolve()))

"""Notices new, changed and removed indicator files, and refuses those that would let numbers change under the same version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import structlog

from bus.errors import ConfigurationError
from bus.events.catalogue import Catalogue
from bus.indicators.compose import AnyIndicator
from bus.indicators.loader import changed_without_version, load_indicators

_log = structlog.get_logger(__name__)


class IndicatorFolders:
    """The indicator files of the schemas folders. A set of files with any error in it is reported once and not taken over.

    Until `stands` has been called, nothing is known of what was computed before this process.
    """

    def __init__(self, roots: Sequence[Path], catalogue: Catalogue, reporters: Mapping[str, int] | None = None) -> None:
        self._roots = roots
        self._reporters = reporters
        self._catalogue = catalogue
        self._seen = self._look()
        #: The set in force. Raises `ConfigurationError` when the files are wrong at the start.
        self.current: Mapping[str, AnyIndicator] = {}
        self._known: dict[str, tuple[int, str]] = {}
        self._take(load_indicators(roots, catalogue, reporters=reporters))

    def stands(self, units: Iterable[str]) -> None:
        """Take note of the definitions that states exist of, from the names of fold units.

        Raises `ConfigurationError` when a file says something else under the same version, or an older version.
        """
        earlier: dict[str, tuple[int, str]] = {}
        for unit in units:
            _, name, version, fingerprint, *_ = unit.split("/")
            earlier[name] = max(earlier.get(name, (0, "")), (int(version), fingerprint))
        if problems := changed_without_version(earlier, self.current):
            raise ConfigurationError(problems)
        self._known = earlier | self._known

    def kind(self, name: str) -> str:
        """The kind of a wanted indicator; "" for others."""
        return self.current[name].kind if name in self.current else ""

    def changed(self) -> Mapping[str, AnyIndicator] | None:
        """The new set when files have changed and all are right; otherwise None."""
        seen = self._look()
        if seen == self._seen:
            return None
        self._seen = seen
        try:
            indicators = load_indicators(self._roots, self._catalogue, reporters=self._reporters)
            self._take(indicators)
        except ConfigurationError as error:
            for problem in error.problems:
                _log.error("indicator_refused", problem=str(problem))
            _log.error("indicators_unchanged", problems=len(error.problems), reason="the set before stays in force")
            return None
        return indicators

    def _take(self, indicators: Mapping[str, AnyIndicator]) -> None:
        """A definition that was ever in force is known from then on, also while its file is away."""
        if problems := changed_without_version(self._known, indicators):
            raise ConfigurationError(problems)
        self._known |= {name: (indicator.version, indicator.fingerprint) for name, indicator in indicators.items()}
        self.current = indicators

    def _look(self) -> dict[str, tuple[int, int]]:
        files = [path for root in self._roots for folder in ("indicators", "reference") for path in (root / folder).glob("*")]
        seen: dict[str, tuple[int, int]] = {}
        for path in files:
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            seen[str(path)] = (stat.st_mtime_ns, stat.st_size)
        return seen

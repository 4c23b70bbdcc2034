"""Notices new, changed and removed indicator files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from bus.errors import ConfigurationError, Problem
from bus.events.catalogue import Catalogue
from bus.indicators.indicator import Indicator
from bus.indicators.loader import load_indicators

_log = structlog.get_logger(__name__)


class IndicatorFolders:
    """The indicator files of the schemas folders. A set of files with any error in it is reported once and not taken over."""

    def __init__(self, roots: Sequence[Path], catalogue: Catalogue) -> None:
        self._roots = roots
        self._catalogue = catalogue
        self._seen = self._look()
        #: The set in force. Raises `ConfigurationError` when the files are wrong at the start.
        self.current: Mapping[str, Indicator] = load_indicators(roots, catalogue)

    def changed(self) -> Mapping[str, Indicator] | None:
        """The new set when files have changed and all are right; otherwise None."""
        seen = self._look()
        if seen == self._seen:
            return None
        self._seen = seen
        try:
            indicators = load_indicators(self._roots, self._catalogue)
            self._refuse_silent_changes(indicators)
        except ConfigurationError as error:
            for problem in error.problems:
                _log.error("indicator_refused", problem=str(problem))
            _log.error("indicators_unchanged", problems=len(error.problems), reason="the set before stays in force")
            return None
        self.current = indicators
        return indicators

    def _refuse_silent_changes(self, indicators: Mapping[str, Indicator]) -> None:
        """A definition that changes numbers needs a new version, or readers could not tell old values from new ones."""
        problems = [
            Problem(f"{name}.toml: version", f"the definition changed but the version is still {indicator.spec.version}; raise it")
            for name, indicator in indicators.items()
            if name in self.current
            and self.current[name].spec.version >= indicator.spec.version
            and self.current[name].fingerprint != indicator.fingerprint
        ]
        if problems:
            raise ConfigurationError(problems)

    def _look(self) -> dict[str, tuple[int, int]]:
        files = [path for root in self._roots for path in (root / "indicators").glob("*.toml")]
        seen: dict[str, tuple[int, int]] = {}
        for path in files:
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            seen[str(path)] = (stat.st_mtime_ns, stat.st_size)
        return seen

"""What the indicators are called and measured in, from their TOML files, read again when a file changes.

Only what a screen needs. Whether a definition is right is for the streams and `bus check` to say: here a file that cannot be read
costs its own title, and never the others' numbers.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Definition:
    """One indicator in words. `decimals` is how many places a screen shows; `None`: as many as there are."""

    id: str
    title: Mapping[str, str] = field(default_factory=dict)
    event: str = ""
    unit: str = ""
    window: str = ""
    late: str = ""
    kind: str = ""
    decimals: int | None = None
    dimensions: tuple[str, ...] = ()
    publish_class: str = ""

    @property
    def agency(self) -> str:
        return self.id.partition(".")[0]


class Definitions:
    """All definitions of some schemas folders, and the agencies' titles of some connectors folders."""

    def __init__(self, schemas: Sequence[Path], connectors: Sequence[Path] = ()) -> None:
        self._schemas = schemas
        self._connectors = connectors
        self._seen: dict[Path, tuple[int, int]] = {}
        self.by_id: Mapping[str, Definition] = {}
        self.agencies: Mapping[str, str] = {}
        self.digest = ""

    def refresh(self) -> bool:
        """Read the files again if one is new, gone or changed; whether so."""
        indicator_files = [path for root in self._schemas for path in sorted((root / "indicators").glob("*.toml"))]
        agency_files = [path for root in self._connectors for path in sorted(root.glob("*/agency.toml"))]
        seen = {path: mark for path in (*indicator_files, *agency_files) if (mark := _mark(path)) is not None}
        if seen == self._seen:
            return False
        self._seen = seen
        self.by_id = {path.stem: _definition(path) for path in indicator_files if path in seen}
        self.agencies = {path.parent.name: _title(_read(path), path.parent.name) for path in agency_files if path in seen}
        self.digest = hashlib.blake2b(repr((sorted(self.by_id.items()), sorted(self.agencies.items()))).encode(), digest_size=6).hexdigest()
        return True

    def of(self, id_: str) -> Definition:
        """The definition, or one that knows the id only."""
        return self.by_id.get(id_) or Definition(id_)


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size)


def _read(path: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        _log.warning("gateway.definition_unreadable", file=str(path), error=str(error))
        return {}


def _definition(path: Path) -> Definition:
    data = _read(path)
    title = data.get("title")
    by = data.get("by")
    decimals = data.get("decimals")
    return Definition(
        id=path.stem,
        title={str(key): str(text) for key, text in title.items()} if isinstance(title, Mapping) else {},
        event=_text(data.get("event")),
        unit=_text(data.get("unit")),
        window=_text(data.get("window")),
        late=_text(data.get("late")) or "7d",
        kind=_text(_inner(data.get("measure"), "kind")),
        decimals=decimals if isinstance(decimals, int) else None,
        dimensions=tuple(map(str, by)) if isinstance(by, list | Mapping) else (),
        publish_class=_text(_inner(data.get("publish"), "class")),
    )


def _inner(table: object, key: str) -> object:
    return table.get(key) if isinstance(table, Mapping) else None


def _title(data: Mapping[str, object], fallback: str) -> str:
    title = data.get("title")
    return _text(title.get("id") if isinstance(title, Mapping) else title) or fallback


def _text(item: object) -> str:
    return item if isinstance(item, str) else ""

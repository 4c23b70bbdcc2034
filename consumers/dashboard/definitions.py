"""What the indicators are called and measured in, from their TOML files, read again when a file changes.

Only what a screen needs. Whether a definition is right is for the streams and `bus check` to say: here a file that cannot be read
costs its own title, and never the others' numbers.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from bus.board.loader import board_files, load_board
from bus.board.spec import Board
from bus.indicators.windows import NOW
from consumers.dashboard.regions import Region, read_regions, region_files

_log = structlog.get_logger(__name__)

#: The measure of indicators whose rows are about single subjects: they feed a comparison, and nobody is shown them.
_REGISTER = "register"
#: How deep composites of composites are followed.
_DEEP = 8


@dataclass(frozen=True, slots=True)
class Definition:
    """One indicator in words. `decimals` is how many places a screen shows; `None`: as many as there are.

    `kind` is that of its measure, or of the composite that it is, whose `parts` are indicators. `stock`: it is about states, not about what
    happened. `clock`: the section that says which states of a subject start, stop and finish its service clock. `meaning` and `publish` are
    the sections [satu_data] and [publish] as text.
    """

    id: str
    title: Mapping[str, str] = field(default_factory=dict)
    event: str = ""
    unit: str = ""
    window: str = ""
    late: str = ""
    minimum_n: int | None = None
    kind: str = ""
    decimals: int | None = None
    dimensions: tuple[str, ...] = ()
    publish_class: str = ""
    parts: tuple[str, ...] = ()
    stock: bool = False
    region: bool = False
    clock: Mapping[str, str | list[str]] | None = None
    item: str = ""
    meaning: Mapping[str, str] = field(default_factory=dict)
    publish: Mapping[str, str] = field(default_factory=dict)

    @property
    def agency(self) -> str:
        return self.id.partition(".")[0]


class Definitions:
    """All definitions of some schemas folders, the region tree beside them, and the agencies' titles of some connectors folders.

    `only`: the agencies that are served, all when it is empty; what is made of others' events is left out.
    """

    def __init__(self, schemas: Sequence[Path], connectors: Sequence[Path] = (), only: Collection[str] = ()) -> None:
        self._schemas = schemas
        self._connectors = connectors
        self._only = only
        self._seen: dict[Path, tuple[int, int]] = {}
        self.by_id: Mapping[str, Definition] = {}
        self.hidden: frozenset[str] = frozenset()
        self.agencies: Mapping[str, str] = {}
        self.regions: Mapping[str, Region] = {}
        self.board = Board()
        self.digest = ""

    def refresh(self) -> bool:
        """Read the files again if one is new, gone or changed; whether so."""
        indicator_files = [path for root in self._schemas for path in sorted((root / "indicators").glob("*.toml"))]
        agency_files = [path for root in self._connectors for path in sorted(root.glob("*/agency.toml"))]
        tables = region_files(self._schemas)
        boards = board_files(self._schemas)
        seen = {path: mark for path in (*indicator_files, *agency_files, *tables, *boards) if (mark := _mark(path)) is not None}
        if seen == self._seen:
            return False
        self._seen = seen
        found = {path.stem: _definition(path) for path in indicator_files if path in seen}
        self.hidden = frozenset(id_ for id_, each in found.items() if each.kind == _REGISTER or not self._serves(each, found))
        self.by_id = {id_: _composed(each, found) for id_, each in found.items() if id_ not in self.hidden}
        self.agencies = {path.parent.name: _title(_read(path), path.parent.name) for path in agency_files if path in seen}
        self.regions = read_regions(tables)
        board, problems = load_board(self._schemas)
        # A slip of the pen in one file does not empty the walls: what was read before stays.
        self.board = board if not problems or not self.board.sector else self.board
        for problem in problems:
            _log.warning("gateway.board_unreadable", problem=str(problem))
        known = (sorted(self.by_id.items()), sorted(self.agencies.items()), sorted(self.regions.items()), self.board)
        self.digest = hashlib.blake2b(repr(known).encode(), digest_size=6).hexdigest()
        return True

    def _serves(self, definition: Definition, known: Mapping[str, Definition], depth: int = 0) -> bool:
        """Whether everything that it is made of, however indirectly, is of agencies that are served."""
        if not self._only or depth == _DEEP:
            return True
        if definition.event:
            return definition.event.partition(".")[0] in self._only
        return all(self._serves(known[part], known, depth + 1) for part in definition.parts if part in known)

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
    composite = data.get("composite")
    parts = _inner(composite, "of")
    region = isinstance(data.get("region"), str)
    clock = data.get("clock")
    return Definition(
        id=path.stem,
        title={str(key): str(text) for key, text in title.items()} if isinstance(title, Mapping) else {},
        event=_text(data.get("event")),
        unit=_text(data.get("unit")),
        window=_text(data.get("window")),
        late=_text(data.get("late")) or "7d",
        minimum_n=minimum if isinstance(minimum := data.get("minimum_n"), int) else None,
        kind=_text(_inner(data.get("measure"), "kind")) or _text(_inner(composite, "kind")),
        decimals=decimals if isinstance(decimals, int) else None,
        dimensions=(*(map(str, by) if isinstance(by, list | Mapping) else ()), *(("region",) if region else ())),
        publish_class=_text(_inner(data.get("publish"), "class")),
        parts=tuple(map(str, parts)) if isinstance(parts, list) else (),
        stock=data.get("stock") is True or data.get("window") == NOW,
        region=region,
        clock={str(key): each for key, each in clock.items() if isinstance(each, str | list)} if isinstance(clock, Mapping) else None,
        item=_text(_inner(composite, "item")),
        meaning=_texts(data.get("satu_data")),
        publish=_texts(data.get("publish")),
    )


def _composed(definition: Definition, known: Mapping[str, Definition], depth: int = 0) -> Definition:
    """A composite has the dimensions of its parts, or what its kind makes of them."""
    parts = [known[part] for part in definition.parts if part in known]
    if not parts or depth == _DEEP:
        return definition
    first = _composed(parts[0], known, depth + 1)
    dimensions = first.dimensions
    if definition.kind == "top":
        dimensions = (*(name for name in dimensions if name != definition.item), "rank")
    elif definition.kind == "reconcile":
        dimensions = ("match", *(("region",) if first.region else ()))
    return replace(definition, dimensions=dimensions, region="region" in dimensions, stock=first.stock)


def _inner(table: object, key: str) -> object:
    return table.get(key) if isinstance(table, Mapping) else None


def _title(data: Mapping[str, object], fallback: str) -> str:
    title = data.get("title")
    return _text(title.get("id") if isinstance(title, Mapping) else title) or fallback


def _texts(table: object) -> Mapping[str, str]:
    """What a section says, as text."""
    return {str(key): str(item) for key, item in table.items()} if isinstance(table, Mapping) else {}


def _text(item: object) -> str:
    return item if isinstance(item, str) else ""

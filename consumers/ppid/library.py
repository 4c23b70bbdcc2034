"""All that the public may see now, as every surface (pages, catalogue, CKAN, downloads) reads it: published datasets and their vintages."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from bus import metrics
from bus.clock import Clock
from bus.errors import ConfigurationError, Problem
from bus.events.catalogue import Catalogue
from bus.indicators.windows import NOW_START, to_micros
from bus.settings import Settings
from consumers.ppid.checks import data_findings
from consumers.ppid.database import Database
from consumers.ppid.gate import STATES, Gate, Judgement, Standing, judge
from consumers.ppid.metadata import EXCLUDED, Directory, Metadata, read_directory
from consumers.ppid.package import Made, vintage_name
from consumers.ppid.shelf import Shelf, Volume
from consumers.ppid.store import LogState, Store

_log = structlog.get_logger(__name__)

#: Newest tables that are kept in memory: those that are asked for row by row.
_VOLUMES = 8


@dataclass(frozen=True, slots=True)
class Card:
    """A published dataset as it is listed: metadata, its newest vintage, and the files of that. Moments are microseconds since 1970."""

    metadata: Metadata
    moment_us: int
    issued_us: int
    rows: int
    withheld: int
    first_us: int | None
    last_us: int | None
    made: Mapping[str, Made]
    columns: Sequence[str]

    @property
    def id(self) -> str:
        return self.metadata.id

    @property
    def vintage(self) -> str:
        return vintage_name(self.moment_us)


class Library:
    """The store, the gate and the shelf as one. All calls block; safe for any number of threads."""

    def __init__(self, settings: Settings, database: Database, clock: Clock, catalogue: Catalogue | None = None) -> None:
        self.settings = settings
        self.database = database
        self.store = Store(database)
        self.gate = Gate(database)
        self.shelf = Shelf(self.store, settings.ppid)
        self.directory = Directory()
        self._clock = clock
        self._catalogue = catalogue
        self._seen: Mapping[Path, tuple[int, int]] = {}
        self._cards: dict[str, tuple[tuple[object, ...], Card | None]] = {}
        self._lock = threading.Lock()
        self._checking = threading.Lock()
        self._making = threading.Lock()
        self._volumes: OrderedDict[tuple[object, ...], Volume] = OrderedDict()

    @property
    def now_us(self) -> int:
        return to_micros(self._clock.now())

    # what is declared, and the gate

    def refresh(self) -> bool:
        """Read the definitions again when a file is new, gone or changed; whether so."""
        schemas, connectors = self.settings.schemas_roots(), self.settings.connector_roots()
        files = [path for root in schemas for path in (*(root / "indicators").glob("*.toml"), *(root / "reference").glob("wilayah.*"))]
        files += [path for root in connectors for path in root.glob("*/agency.toml")]
        seen = {path: (stat.st_mtime_ns, stat.st_size) for path in files if (stat := _stat(path)) is not None}
        if seen == self._seen and self.directory.datasets:
            return False
        self.directory = read_directory(schemas, connectors, self._catalogue, self.settings.only_agencies)
        self._seen = seen
        return True

    def followed(self, topics: Iterable[str], prefix: str) -> Sequence[str]:
        """Of these topics those whose indicator is known and may be published at all."""
        return [
            topic
            for topic in topics
            if (known := self.directory.datasets.get(topic.removeprefix(prefix))) and known.publish_class != EXCLUDED
        ]

    def judgement(self, indicator: str) -> Judgement:
        """The check of a dataset as it is declared and filled now. Raises `ConfigurationError` when it is not declared."""
        metadata = self.directory.datasets.get(indicator)
        if metadata is None:
            raise ConfigurationError([Problem(indicator, "is no indicator; `bus indicators list` shows those there are")])
        table = self.store.as_of(indicator)
        return judge(metadata, data_findings(table.rows, self.directory) if table else ["belum ada data yang dirilis"])

    def examine(self, changed: Collection[str] | None = None) -> None:
        """Check the datasets that have data (None: all of them, else those named) and let the gate move them."""
        with self._checking:
            self._examine(changed)

    def _examine(self, changed: Collection[str] | None) -> None:
        for indicator, state in sorted(self.store.logs().items()):
            metadata = self.directory.datasets.get(indicator)
            if metadata is None or not state.moment_us or (changed is not None and indicator not in changed):
                continue
            after = self.gate.examine(self.judgement(indicator), auto=self.settings.ppid.auto_publish, now_us=self.now_us)
            if after is not None:
                _log.info("ppid.dataset", dataset=indicator, state=after.state)
        found = [standing.state for standing in self.gate.standings().values()]
        for name in STATES:
            metrics.ppid_datasets.labels(outcome=name).set(found.count(name))

    # what the public sees

    def published(self) -> Mapping[str, Standing]:
        """The datasets that the public sees, by id. An excluded class is never among them, whatever was approved once."""
        return {id_: each for id_, each in self.gate.standings().items() if each.approved is not None and not self.excluded(id_)}

    def cards(self) -> list[Card]:
        """All published datasets that have a vintage, by id."""
        logs = self.store.logs()
        found = (self._card(standing, logs.get(id_)) for id_, standing in self.published().items())
        return [card for card in found if card is not None]

    def card(self, indicator: str) -> Card | None:
        """One published dataset."""
        standing = self.published().get(indicator)
        return None if standing is None else self._card(standing, self.store.logs().get(indicator))

    def volume(self, indicator: str, moment_us: int | None = None) -> Volume | None:
        """A published dataset as it was at a moment (None: as it is)."""
        standing = self.published().get(indicator)
        if standing is None or standing.approved is None:
            return None
        state = self.store.logs().get(indicator) if moment_us is None else None
        if state is None:
            return self.shelf.volume(standing.approved, self.directory.regions, moment_us)
        key = (indicator, state.generation, state.position, standing.approved.digest())
        with self._lock:
            if key in self._volumes:
                self._volumes.move_to_end(key)
                return self._volumes[key]
        volume = self.shelf.volume(standing.approved, self.directory.regions)
        # a table that has got rows meanwhile is remembered under no older place in the log
        if volume is not None and volume.table.position == state.position:
            with self._lock:
                self._volumes[key] = volume
                while len(self._volumes) > _VOLUMES:
                    self._volumes.popitem(last=False)
        return volume

    def excluded(self, indicator: str) -> bool:
        """Whether the dataset is declared as one that nobody publishes."""
        declared = self.directory.datasets.get(indicator)
        return declared is not None and declared.publish_class == EXCLUDED

    def _card(self, standing: Standing, state: LogState | None) -> Card | None:
        metadata = standing.approved
        if state is None or metadata is None:
            return None
        key = (state.generation, state.position, metadata.digest(), standing.first_published_us)
        with self._lock:
            known = self._cards.get(metadata.id)
        if known is not None and known[0] == key:
            return known[1]
        with self._making:  # what many ask for at once is made once
            with self._lock:
                known = self._cards.get(metadata.id)
            if known is not None and known[0] == key:
                return known[1]
            card = self._made(standing, metadata)
            with self._lock:
                self._cards[metadata.id] = (key, card)
        return card

    def _made(self, standing: Standing, metadata: Metadata) -> Card | None:
        volume = self.shelf.volume(metadata, self.directory.regions)
        if volume is None:
            return None
        rows = volume.table.rows
        windows = [row.said for row in rows if row.said.window_start_us != NOW_START]
        return Card(
            metadata=metadata,
            moment_us=volume.table.moment_us,
            issued_us=standing.first_published_us or standing.changed_us,
            rows=len(rows),
            withheld=sum(row.said.suppressed for row in rows),
            first_us=min((said.window_start_us for said in windows), default=None),
            last_us=max((said.window_end_us for said in windows), default=None),
            made=self.shelf.made(volume),
            columns=[column.name for column in volume.sheet.columns],
        )


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None

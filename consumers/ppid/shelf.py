"""Files on demand: made from the store's rows when they are asked for, kept in memory while there is room, their hashes in the database.

A finished vintage never changes, so its files have the same bytes whenever, and by whichever process, they are made.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from bus.settings import PpidSettings
from consumers.ppid import files, package, tables
from consumers.ppid.metadata import Metadata
from consumers.ppid.package import FORMATS, Made
from consumers.ppid.store import Store, Table
from consumers.ppid.table import Sheet, sheet

_ROOM_BYTES = 64 << 20
_A = tables.artefact.c

#: Beside the formats, what every vintage has.
PACKAGE, PROVENANCE, SUMS, ARCHIVE = "datapackage.json", "provenance.json", "SHA256SUMS", "package.zip"


@dataclass(frozen=True, slots=True)
class Volume:
    """One vintage of one dataset: its rows as a sheet, with the metadata under which they are read."""

    metadata: Metadata
    table: Table
    sheet: Sheet

    @property
    def vintage(self) -> str:
        return package.vintage_name(self.table.moment_us)

    @property
    def key(self) -> tuple[str, int, int, int]:
        """Names its rows: of a finished vintage they are given by its moment, of one that still grows by the place in the log too."""
        table = self.table
        return table.indicator, table.generation, table.moment_us, 0 if table.complete else table.position


class Shelf:
    """Makes and remembers files. Safe for any number of threads."""

    def __init__(self, store: Store, settings: PpidSettings) -> None:
        self._store = store
        self._settings = settings
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._room = _ROOM_BYTES

    def volume(self, metadata: Metadata, regions: Mapping[str, str], moment_us: int | None = None) -> Volume | None:
        """The dataset as it was at a moment (None: as it is); nothing when it has said nothing by then."""
        table = self._store.as_of(metadata.id, moment_us)
        return None if table is None else Volume(metadata, table, sheet(table, metadata, regions))

    def file(self, volume: Volume, ending: str) -> bytes:
        """A data file of one of `FORMATS`."""
        key = (*volume.key, ending, volume.metadata.digest())
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        content = _make(volume, ending)
        self._note(volume, ending, content)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = content
                self._room -= len(content)
                while self._room < 0 and len(self._kept) > 1:
                    self._room += len(self._kept.popitem(last=False)[1])
        return content

    def made(self, volume: Volume) -> Mapping[str, Made]:
        """Hash and size of each data file, by ending; what is not known yet is made."""
        known = self._known(volume)
        found = {}
        for ending in FORMATS:
            if ending not in known:
                content = self.file(volume, ending)
                known[ending] = Made(hashlib.sha256(content).hexdigest(), len(content))
            found[ending] = known[ending]
        return found

    def beside(self, volume: Volume, name: str, address: str) -> bytes:
        """The data package, the provenance, the sums, or everything as one archive."""
        metadata, made = volume.metadata, self.made(volume)
        if name == PROVENANCE:
            return package.provenance(metadata, volume.table, made)
        if name == SUMS:
            return "".join(f"{made[ending].sha256}  {metadata.id}.{ending}\n" for ending in FORMATS).encode()
        described = package.data_package(
            metadata, volume.table, volume.sheet, made, address=address, publisher=self._settings.publisher, contact=self._settings.contact
        )
        if name == PACKAGE:
            return described
        members = {PACKAGE: described, PROVENANCE: package.provenance(metadata, volume.table, made)}
        return files.zipped(members | {f"{metadata.id}.{ending}": self.file(volume, ending) for ending in FORMATS})

    def _known(self, volume: Volume) -> dict[str, Made]:
        query = sa.select(_A.name, _A.sha256, _A.size).where(*_place(volume))
        found = self._store.database.read(lambda connection: connection.execute(query).all())
        return {name: Made(sha256, size) for name, sha256, size in found}

    def _note(self, volume: Volume, ending: str, content: bytes) -> None:
        indicator, generation, moment, position = volume.key
        row = {"indicator": indicator, "generation": generation, "moment_us": moment, "position": position, "name": ending}
        row |= {"maker": _maker(volume), "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}

        def work(connection: sa.Connection) -> None:
            # of a vintage that grows only the newest state is remembered
            grown = sa.and_(_A.position != 0, _A.position < position) if position else _A.position != 0
            here = (_A.indicator == indicator, _A.generation == generation, _A.moment_us == moment, _A.name == ending)
            connection.execute(sa.delete(tables.artefact).where(*here, grown))
            # several threads and processes may make the same file at once, with the same bytes
            insert = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
            connection.execute(insert(tables.artefact).values(**row).on_conflict_do_nothing())

        self._store.database.write(work)


def _place(volume: Volume) -> tuple[sa.ColumnElement[bool], ...]:
    indicator, generation, moment, position = volume.key
    return (
        _A.indicator == indicator, _A.generation == generation, _A.moment_us == moment, _A.position == position, _A.maker == _maker(volume),
    )  # fmt: skip


def _maker(volume: Volume) -> str:
    """What the bytes depend on besides the rows: the libraries, and the metadata of which some stand in the files."""
    return f"{files.MAKER}/{volume.metadata.digest()[:16]}"


def _make(volume: Volume, ending: str) -> bytes:
    if ending == "csv":
        return files.csv_file(volume.sheet)
    if ending == "sdmx.csv":
        return files.sdmx_file(volume.sheet, volume.metadata)
    if ending == "json":
        return files.json_file(volume.sheet, volume.metadata, volume.vintage)
    return files.parquet_file(volume.sheet) if ending == "parquet" else files.xlsx_file(volume.sheet)

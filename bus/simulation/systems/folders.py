"""Agencies' folders of exports: each delivery a file, put there in one step; tables repeat the whole of themselves each time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path

from bus.ingest.kinds import FilesSpec
from bus.simulation.story import Telling
from bus.simulation.systems.form import FileForm

_Record = Mapping[str, object]


class FolderOfFiles:
    """The folder of one agency's sources."""

    def __init__(self, folder: Path, sources: Mapping[str, FilesSpec], form_of: Callable[[str], FileForm]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._sources = sources
        self._form_of = form_of
        #: Of sources that deliver their whole table: what is in it.
        self._tables: dict[str, dict[tuple[object, ...], _Record]] = {name: {} for name in sources}

    async def tell(self, source: str, tellings: Sequence[Telling]) -> None:
        """A file for each moment at which something is told, and each name that the records ask for; what has a key again is in the next."""
        form, key = self._form_of(source), self._sources[source].key
        deliveries: dict[tuple[object, str, int], list[Telling]] = {}
        met: Counter[object] = Counter()
        for telling in tellings:
            place = (telling.at, form.name_of(telling.at, telling.record))
            # a file has one line for a key: what an office without a line has changed meanwhile is another file
            line = (place, *(telling.record[name] for name in key)) if key else None
            deliveries.setdefault((*place, met[line]), []).append(telling)
            met[line] += line is not None
        for (_, name, _), delivered in deliveries.items():
            records = self._records(source, delivered)
            await asyncio.to_thread(self._put, name, form.content(records))

    def _records(self, source: str, delivered: Sequence[Telling]) -> Sequence[_Record]:
        spec = self._sources[source]
        if spec.kind != "table":
            return [telling.record for telling in delivered]
        table = self._tables[source]
        for telling in delivered:
            key = tuple(telling.record[name] for name in spec.key)
            if telling.gone:
                table.pop(key, None)
            else:
                table[key] = telling.record
        return list(table.values())

    def _put(self, name: str, content: bytes) -> None:
        stem, dot, suffix = name.rpartition(".")
        names = (f"{stem}-{number}{dot}{suffix}" if number > 1 else name for number in count(1))
        path = next(self._folder / each for each in names if not (self._folder / each).exists())
        half = path.with_name(f".{path.name}.part")
        half.write_bytes(content)
        half.replace(path)

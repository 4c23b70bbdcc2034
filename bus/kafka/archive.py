"""The archive: event topics as files, which stay when the topics are cut short.

    <folder>/<event type>/day=2026-11-28/p3-<first offset>-<last offset>-<SHA-256>.parquet

The names are all the state there is: what a partition has begins at offset 0 and goes as far as its files follow on one another. A file is
written under another name, made durable and renamed, so kill -9 at any moment leaves it whole or not there. Files that overlap (two
archivers that did not know of one another) do no harm, for each holds the log as it is.
"""

from __future__ import annotations

import os
import secrets
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from bus.errors import ConfigurationError, OffsetGap, Problem
from bus.kafka import archive_file
from bus.kafka.archive_file import DAY_PREFIX, ArchiveFile, day_of, encode, file_name
from bus.kafka.ports import Record, TopicPartition
from bus.kafka.topics import EVENTS_PREFIX

#: Who may read the topics may read their files; nobody else may.
_FILE_MODE, _FOLDER_MODE = 0o640, 0o750
_PART_SUFFIX = ".part"


class Disk:
    """The effects of writing, each by itself, so that a test can stop between any two."""

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=_FOLDER_MODE)

    def write(self, path: Path, content: bytes) -> None:
        """Write a new file and make it durable."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def rename(self, path: Path, to: Path) -> None:
        path.replace(to)

    def sync_folder(self, folder: Path) -> None:
        """Make durable which names there are in a folder."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Holding:
    """What there is of one partition. `files` follow on one another from offset 0 up to `end`; `beyond` lie behind a hole that begins there."""

    files: tuple[ArchiveFile, ...] = ()
    end: int = 0
    beyond: tuple[ArchiveFile, ...] = ()

    @classmethod
    def of(cls, files: Sequence[ArchiveFile]) -> Holding:
        """Of all the files of a partition; one that others hold completely is left out."""
        chain: list[ArchiveFile] = []
        beyond: list[ArchiveFile] = []
        end = 0
        for each in sorted(files, key=lambda file: (file.first, -file.last)):
            if each.last < end:
                continue
            if each.first > end or beyond:
                beyond.append(each)
                continue
            chain.append(each)
            end = each.last + 1
        return cls(tuple(chain), end, tuple(beyond))

    @property
    def resumes(self) -> int | None:
        """Where the files go on after the hole; None when there is none."""
        return self.beyond[0].first if self.beyond else None

    def file_at(self, offset: int) -> ArchiveFile | None:
        """The file that holds a record below `end`."""
        index = bisect_right(self.files, offset, key=lambda file: file.first) - 1
        return self.files[index] if 0 <= offset < self.end else None


class Archive:
    """The files below one folder. What it says is as of the last look (`refresh`); what it writes it knows. Every call may wait for the disk."""

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self.root = root
        self.disk = disk or Disk()
        self._known: dict[str, Mapping[int, Holding]] = {}
        self._checked: dict[ArchiveFile, tuple[int, int]] = {}

    def topics(self) -> list[str]:
        """The event topics of which there is anything. Raises `ConfigurationError` when there is no such folder."""
        try:
            return sorted(
                EVENTS_PREFIX + entry.name for entry in os.scandir(self.root) if entry.is_dir() and not entry.name.startswith(".")
            )
        except OSError as error:
            raise ConfigurationError([Problem(f"archive {self.root}", f"cannot be read: {error.strerror}")]) from error

    def holdings(self, topic: str) -> Mapping[int, Holding]:
        """Partition -> what there is of it."""
        if topic not in self._known:
            self.refresh(topic)
        return self._known[topic]

    def holding(self, place: TopicPartition) -> Holding:
        return self.holdings(place.topic).get(place.partition, Holding())

    def refresh(self, topic: str) -> None:
        """Look again which files there are."""
        found: dict[int, list[ArchiveFile]] = defaultdict(list)
        for path in self._paths(topic):
            if (each := ArchiveFile.of(path)) is not None:
                found[each.partition].append(each)
        self._known[topic] = {partition: Holding.of(files) for partition, files in found.items()}

    def check(self, held: ArchiveFile) -> None:
        """Compare a file with its hash, unless this object has done so and it has not changed since. Raises as `archive_file.check` does."""
        try:
            status = held.path.stat()
        except OSError as error:
            raise archive_file.unreadable(held.path, error) from error
        mark = (status.st_mtime_ns, status.st_size)
        if self._checked.get(held) != mark:
            archive_file.check(held)
            self._checked[held] = mark

    def read(self, place: TopicPartition, start: int, stop: int) -> Iterator[list[Record]]:
        """The records with start <= offset < stop, in order and without a gap. Files are compared with their hashes first.

        Raises `OffsetGap` naming what no file holds, and as `archive_file.read` does.
        """
        position = start
        while position < stop:
            held = self._file_at(place, position, stop)
            self.check(held)
            upto = min(stop, held.last + 1)
            yield from archive_file.read(held, place, position, upto)
            position = upto

    def _file_at(self, place: TopicPartition, offset: int, stop: int) -> ArchiveFile:
        held = self.holding(place).file_at(offset)
        if held is None or not held.path.exists():
            self.refresh(place.topic)
            held = self.holding(place).file_at(offset)
        if held is None:
            holding = self.holding(place)
            missing = f"offsets {holding.end} to {(holding.resumes or stop) - 1}"
            raise OffsetGap(
                f"archive {self.root}: no file holds {missing} of {place.topic}/{place.partition}; put a copy of it in its place"
            )
        return held

    def write(self, records: Sequence[Record], decoded: pa.Table | None = None) -> Path:
        """Keep records of one partition that follow on one another; durable, and seen whole by everybody, when it returns.

        Raises `OSError` when the disk does not take it; nothing is kept then.
        """
        first, last = records[0], records[-1]
        content = encode(records, decoded)
        folder = self.root / first.topic.removeprefix(EVENTS_PREFIX) / f"{DAY_PREFIX}{day_of(first).isoformat()}"
        self._make(folder)
        path = folder / file_name(first.partition, first.offset, last.offset, content)
        half = folder / f".{secrets.token_hex(8)}{_PART_SUFFIX}"
        try:
            self.disk.write(half, content)
            self.disk.rename(half, path)
        except OSError:
            self.disk.remove(half)
            raise
        self.disk.sync_folder(folder)
        self._add(first.topic, path)
        return path

    def sweep(self, topic: str) -> None:
        """Remove what killed writers left behind; for the one who writes alone."""
        for path in self._paths(topic):
            if path.name.endswith(_PART_SUFFIX):
                self.disk.remove(path)

    def _add(self, topic: str, path: Path) -> None:
        held = ArchiveFile.of(path)
        assert held is not None
        holding = self.holding(TopicPartition(topic, held.partition))
        grown = Holding.of([*holding.files, held, *holding.beyond]) if holding.beyond or held.first != holding.end else None
        if grown is None:
            grown = Holding((*holding.files, held), held.last + 1)
        self._known[topic] = {**self._known[topic], held.partition: grown}

    def _make(self, folder: Path) -> None:
        """The folder and those above it, durably."""
        if folder.is_dir():
            return
        self._make(folder.parent)
        try:
            self.disk.make_folder(folder)
        except FileExistsError:
            return
        self.disk.sync_folder(folder.parent)

    def _paths(self, topic: str) -> Iterator[Path]:
        """Every file in the days of a topic."""
        folder = self.root / topic.removeprefix(EVENTS_PREFIX)
        try:
            days = [Path(entry.path) for entry in os.scandir(folder) if entry.name.startswith(DAY_PREFIX)]
            for day in sorted(days):
                yield from (day / entry.name for entry in os.scandir(day))
        except FileNotFoundError:
            return
        except OSError as error:
            raise archive_file.unreadable(folder, error) from error

"""One file of the archive: a stretch of one partition as Parquet, from which its records come back as they were, bit for bit.

Its name says what it holds (partition, first and last offset) and is sealed by the SHA-256 of its bytes, so that one rename makes it whole,
named and provable at once (ADR 0027). The columns `_offset` to `_headers` are the records; what follows is the decoded event, for those
who analyse, and nothing of ours ever reads it.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from bus.clock import LOCAL_ZONE
from bus.errors import FatalError, TransientError
from bus.kafka.ports import Headers, Record, TopicPartition

#: Rows in a row group: as much as is taken apart and kept in memory at a time.
GROUP_ROWS = 16_384

_FIELDS = (
    pa.field("_offset", pa.int64(), nullable=False),
    pa.field("_time", pa.timestamp("ms", tz="UTC"), nullable=False),
    pa.field("_key", pa.binary()),
    pa.field("_value", pa.binary()),
    pa.field("_headers", pa.list_(pa.struct([pa.field("name", pa.string()), pa.field("value", pa.binary())])), nullable=False),
)
RAW = tuple(each.name for each in _FIELDS)
_NAME = re.compile(r"p(\d{1,5})-(\d{20})-(\d{20})-([0-9a-f]{64})\.parquet")
#: Whose records a file holds, in its metadata: topic/partition.
_PLACE = b"simpul.place"
#: Of the folders that hold a day's files, by Hive's custom, so that readers of Parquet take the day for a column.
DAY_PREFIX = "day="


@dataclass(frozen=True, slots=True, order=True)
class ArchiveFile:
    """What a file's name says. `first` and `last` are offsets, both included; between them there is no gap."""

    partition: int
    first: int
    last: int
    digest: str
    path: Path

    @classmethod
    def of(cls, path: Path) -> ArchiveFile | None:
        """What the file with that name holds; None when it is none of ours."""
        found = _NAME.fullmatch(path.name)
        if found is None:
            return None
        partition, first, last, digest = found.groups()
        return cls(int(partition), int(first), int(last), digest, path) if int(first) <= int(last) else None

    @property
    def records(self) -> int:
        return self.last + 1 - self.first

    @property
    def day(self) -> date:
        """The day (Asia/Jakarta) on which its first record was published; none of its records is of a later one."""
        return date.fromisoformat(self.path.parent.name.removeprefix(DAY_PREFIX))


def day_of(record: Record) -> date:
    """The local day on which a record was published."""
    return datetime.fromtimestamp(record.timestamp_ms / 1000, LOCAL_ZONE).date()


def file_name(partition: int, first: int, last: int, content: bytes) -> str:
    """The name under which that content is kept."""
    return f"p{partition}-{first:020}-{last:020}-{hashlib.sha256(content).hexdigest()}.parquet"


def encode(records: Sequence[Record], decoded: pa.Table | None = None) -> bytes:
    """The file of these records, which follow on one another without a gap; `decoded` has further columns, a row for each record.

    Raises `FatalError` where an offset is missing: event topics have no holes, unless somebody compacts them.
    """
    first = records[0].offset
    for index, record in enumerate(records):
        if record.offset != first + index:
            place = f"{record.topic}/{record.partition}"
            raise FatalError(f"{place}: offset {record.offset} follows {records[index - 1].offset}: is the topic compacted?")
    columns = [
        pa.array([record.offset for record in records], pa.int64()),
        pa.array([record.timestamp_ms for record in records], pa.int64()).cast(_FIELDS[1].type),
        pa.array([record.key for record in records], pa.binary()),
        pa.array([record.value for record in records], pa.binary()),
        _headers([record.headers for record in records]),
    ]
    fields = list(_FIELDS)
    if decoded is not None:
        for field, column in zip(decoded.schema, decoded.columns, strict=True):
            if field.name not in RAW:
                fields.append(field)
                columns.append(column)
    schema = pa.schema(fields, metadata={_PLACE: f"{records[0].topic}/{records[0].partition}".encode()})
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True) as writer:
        writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=GROUP_ROWS)
    return sink.getvalue()


def _headers(headers: Sequence[Sequence[tuple[str, bytes]]]) -> pa.Array:
    ends, names, values = [0], [], []
    for each in headers:
        for name, value in each:
            names.append(name)
            values.append(value)
        ends.append(len(names))
    pairs = pa.StructArray.from_arrays([pa.array(names, pa.string()), pa.array(values, pa.binary())], ["name", "value"])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pairs)


def check(held: ArchiveFile) -> None:
    """Raises `FatalError`, naming the file, when its bytes are not those that its name was made of; `TransientError` when it cannot be read."""
    try:
        with held.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(held.path, error) from error
    if found != held.digest:
        raise damaged(held.path, f"its SHA-256 is {found}, its name says {held.digest}")


def check_place(held: ArchiveFile, place: TopicPartition) -> None:
    """Raises as `read` does when the file is of another partition, or has not as many records as its name says."""
    with _opened(held, place):
        pass


def read(held: ArchiveFile, place: TopicPartition, start: int, stop: int) -> Iterator[list[Record]]:
    """The records with start <= offset < stop, a row group at a time.

    Raises `FatalError`, naming the file, when it does not hold what its name and folder say; `TransientError` when it cannot be read.
    """
    with _opened(held, place) as file:
        first = held.first
        for number in range(file.num_row_groups):
            rows = file.metadata.row_group(number).num_rows
            if first < stop and first + rows > start:
                table = file.read_row_group(number, columns=list(RAW))
                low, high = max(start - first, 0), min(stop - first, rows)
                yield _records(held, place, first + low, table.slice(low, high - low))
            first += rows


@contextmanager
def _opened(held: ArchiveFile, place: TopicPartition) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(held.path, page_checksum_verification=True) as file:
            _check_place(held, place, file)
            yield file
    except pa.ArrowException as error:
        raise damaged(held.path, str(error)) from error
    except OSError as error:
        # Arrow says of broken pages that it cannot read them; of the disk it says why.
        if error.errno is None:
            raise damaged(held.path, str(error)) from error
        raise unreadable(held.path, error) from error


def _check_place(held: ArchiveFile, place: TopicPartition, file: pq.ParquetFile) -> None:
    said = (file.schema_arrow.metadata or {}).get(_PLACE, b"").decode(errors="replace")
    if said != f"{place.topic}/{place.partition}":
        raise damaged(held.path, f"it holds records of {said or 'nobody'}, and lies where those of {place.topic}/{place.partition} belong")
    if file.metadata.num_rows != held.records:
        raise damaged(held.path, f"it holds {file.metadata.num_rows} records, its name says {held.records}")


def _records(held: ArchiveFile, place: TopicPartition, first: int, table: pa.Table) -> list[Record]:
    offsets = _listed(table["_offset"])
    if offsets != list(range(first, first + len(offsets))):
        raise damaged(held.path, f"its offsets from {first} on are not one after the other")
    columns = (_listed(table["_time"].cast(pa.int64())), _listed(table["_key"]), _listed(table["_value"]), _headers_of(table["_headers"]))
    return [
        Record(place.topic, place.partition, offset, key, value, headers, at)
        for offset, at, key, value, headers in zip(offsets, *columns, strict=True)
    ]


def _headers_of(column: pa.ChunkedArray) -> Iterator[Headers]:
    """Taken apart as a whole: a list of structs a record would cost as much as all the rest."""
    for chunk in column.chunks:
        pairs, ends = chunk.flatten(), chunk.offsets.to_pylist()
        held = list(zip(_listed(pairs.field("name")), _listed(pairs.field("value")), strict=True))
        for begin, end in pairwise(ends):
            yield tuple(held[begin - ends[0] : end - ends[0]])


def _listed(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    """As Python's own values; Arrow itself makes them one by one, which takes five times as long."""
    return cast("pl.Series", pl.from_arrow(column)).to_list()


def damaged(path: Path, why: str) -> FatalError:
    """The error for a file that does not hold what it should."""
    return FatalError(f"{path}: this file of the archive is damaged ({why}); put a copy of it in its place")


def unreadable(path: Path, error: OSError) -> TransientError:
    """The error for a file that the disk does not give."""
    return TransientError(f"{path}: this file of the archive cannot be read: {error.strerror or error}")

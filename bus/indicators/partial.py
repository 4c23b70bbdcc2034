"""What a fold tells merge: the cumulative values of the cells that a batch touched, in one partition, up to an offset.

Values are cumulative, never differences, so saying the same again changes nothing. A large partial travels as parts i/n which merge
applies together. Everything that merge needs of the indicator is in `definition`: it reads no files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from bus.errors import FatalError
from bus.indicators.accumulators import Summary

#: (window start in UTC microseconds, dimension values)
CellKey = tuple[int, tuple[str | None, ...]]

#: A Kafka record stays below a megabyte, with room for its headers.
MAX_BYTES = 700_000


class Definition(TypedDict):
    """The part of an indicator that merge and the readers of its outputs need. All of it is under the fingerprint."""

    id: str
    version: int
    fingerprint: str
    kind: str
    window: str
    late_seconds: int
    scale: int
    denominator_scale: int
    decimals: int
    dims: list[str]


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that this indicator cannot use, and why: for quarantine. The row was not applied. Never holds the received value."""

    offset: int
    field: str
    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Partial:
    """Cells of one source partition, as of `offset`, that changed at `first` … `offset` (all its cells when `full`).

    `offset` is -1 when nothing was read yet. `watermarks` (source -> newest `occurred_at`, UTC microseconds) are cumulative too. `faults`
    stay with the worker: they are not encoded. Of a decoded part, `cells` and `watermarks` are only those of the part.
    """

    definition: Definition
    topic: str
    partition: int
    partitions: int
    first: int
    offset: int
    cells: Mapping[CellKey, tuple[Summary, int]]
    watermarks: Mapping[str, int]
    full: bool = False
    part: int = 0
    parts: int = 1
    split: int = MAX_BYTES
    faults: tuple[RowFault, ...] = field(default=(), compare=False)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


def canonical(value: object) -> str:
    """JSON in the one form that equal values have in common."""
    return _ENCODER.encode(value)


def sort_key(key: CellKey) -> tuple[int, tuple[tuple[bool, str], ...]]:
    """Order of cells: by window, then by dimension values, null first."""
    return key[0], tuple((value is not None, value or "") for value in key[1])


def in_order(keys: Iterable[CellKey]) -> list[CellKey]:
    """The cells in the order of `sort_key`."""
    listed = list(keys)
    try:
        return sorted(listed)
    except TypeError:  # a null dimension met a text; as long as none does, both orders are the same and this one is quicker
        return sorted(listed, key=sort_key)


def encode(partial: Partial, max_bytes: int = MAX_BYTES) -> list[bytes]:
    """The records that carry the partial, each at most `max_bytes` (unless a single cell is larger), in canonical JSON.

    The same partial gives the same bytes.
    """
    head = {
        "definition": partial.definition,
        "first": partial.first,
        "full": partial.full,
        "offset": partial.offset,
        "partition": partial.partition,
        "partitions": partial.partitions,
        "split": max_bytes,
        "topic": partial.topic,
    }
    fixed = canonical(head)[:-1]
    room = max_bytes - len(fixed.encode()) - 80
    cells = partial.cells
    marks = _packed(sorted(partial.watermarks.items()), room)
    packed = _packed([(*key, *cells[key]) for key in in_order(cells)], room)
    bodies = [("[]", text) for text in marks] + [(text, "[]") for text in packed]
    if len(marks) == len(packed) == 1 and len(marks[0].encode()) + len(packed[0].encode()) <= room:
        bodies = [(packed[0], marks[0])]
    parts = len(bodies)
    return [
        f'{fixed},"cells":{text},"watermarks":{mark},"part":{part},"parts":{parts}}}'.encode() for part, (text, mark) in enumerate(bodies)
    ]


def _packed(items: Sequence[object], room: int) -> list[str]:
    text = canonical(items)
    if len(items) < 2 or len(text) <= room // 4 or len(text.encode()) <= room:
        return [text]
    middle = len(items) // 2
    return _packed(items[:middle], room) + _packed(items[middle:], room)


def decode(value: bytes) -> Partial:
    """The part that a record carries. Raises `FatalError` for what this version of the bus cannot have written."""
    try:
        raw = json.loads(value)
        return Partial(
            definition=raw["definition"],
            topic=raw["topic"],
            partition=raw["partition"],
            partitions=raw["partitions"],
            first=raw["first"],
            offset=raw["offset"],
            cells={(start, tuple(dims)): (acc, revision) for start, dims, acc, revision in raw["cells"]},
            watermarks=dict(raw["watermarks"]),
            full=raw["full"],
            part=raw["part"],
            parts=raw["parts"],
            split=raw["split"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise FatalError(f"a record of bus.partials is not a partial ({len(value)} bytes): {type(error).__name__}") from error

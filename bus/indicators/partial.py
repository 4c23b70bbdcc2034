"""What a fold tells merge: the cumulative values of the cells that a batch touched, in one partition, up to an offset.

Values are cumulative, never differences, so saying the same again changes nothing. A large partial travels as parts i/n which merge
applies together. Everything that merge needs of the indicator is in `definition`: it reads no files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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


def canonical(value: object) -> str:
    """JSON in the one form that equal values have in common."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


def sort_key(key: CellKey) -> tuple[int, tuple[tuple[bool, str], ...]]:
    """Order of cells: by window, then by dimension values, null first."""
    return key[0], tuple((value is not None, value or "") for value in key[1])


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
    lists = _packed(partial, max_bytes - len(fixed.encode()) - 80)
    parts = len(lists)
    return [
        f'{fixed},"cells":[{",".join(cells)}],"watermarks":{{{",".join(marks)}}},"part":{part},"parts":{parts}}}'.encode()
        for part, (cells, marks) in enumerate(lists)
    ]


def _packed(partial: Partial, room: int) -> list[tuple[list[str], list[str]]]:
    lists: list[tuple[list[str], list[str]]] = [([], [])]
    used = 0
    texts = [(0, f"{canonical(source)}:{mark}") for source, mark in sorted(partial.watermarks.items())]
    texts += [(1, canonical([key[0], key[1], *partial.cells[key]])) for key in sorted(partial.cells, key=sort_key)]
    for kind, text in texts:
        size = len(text.encode()) + 1
        if used and used + size > room:
            lists.append(([], []))
            used = 0
        lists[-1][1 - kind].append(text)
        used += size
    return lists


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
            watermarks=raw["watermarks"],
            full=raw["full"],
            part=raw["part"],
            parts=raw["parts"],
            split=raw["split"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise FatalError(f"a record of bus.partials is not a partial ({len(value)} bytes): {type(error).__name__}") from error

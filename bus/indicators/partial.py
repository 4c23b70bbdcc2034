"""What a fold tells merge: the cumulative values of the cells that a batch touched, in one partition, up to an offset.

Values are cumulative, never differences, so saying the same again changes nothing. A large partial travels as parts i/n which merge
applies together. Everything that merge needs of the indicator is in `definition`: it reads no files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from bus.errors import FatalError
from bus.indicators.accumulators import Form, Summary
from bus.indicators.changes import Changes, loaded
from bus.indicators.windows import NOW

#: (window start in UTC microseconds, dimension values)
CellKey = tuple[int, tuple[str | None, ...]]

#: A composite indicator as it travels: see `bus.indicators.composite`.
Feed = Mapping[str, Any]

#: A Kafka record stays below a megabyte, with room for its headers.
MAX_BYTES = 700_000


#: (summary, how often and why it changed)
Cell = tuple[Summary, Changes]


class Definition(TypedDict):
    """The part of an indicator that merge and the readers of its outputs need. All of it but `expected` is under the fingerprint.

    `stock`: cells hold changes of current states, and a row is their sum up to its window's end. `region`: the last dimension is a code of
    the region tree, and rows are rolled up along it. `expected`: how many reporters the agency has declared, 0 for none.
    `minimum_n`: a row of fewer is never final; not there where any number is enough.
    """

    id: str
    version: int
    fingerprint: str
    measure: Form
    window: str
    late_seconds: int
    decimals: int
    dims: list[str]
    stock: bool
    region: bool
    expected: int
    minimum_n: NotRequired[int]


def is_closing(definition: Definition) -> bool:
    """Whether its rows tell what was so at the end of their windows, so that each stands until the next one."""
    return definition["stock"] and definition["window"] != NOW


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

    `offset` is -1 when nothing was read yet. `watermarks` (source -> newest time, UTC microseconds) are cumulative too; `heard` (start of a
    window -> reporters that were heard of in it) only ever grows, so what is new in it is enough. `feeds` are the composites that this
    indicator is a part of; only full partials carry them. `faults` stay with the worker: they are not encoded. A decoded part holds
    only what is in the part.
    """

    definition: Definition
    topic: str
    partition: int
    partitions: int
    first: int
    offset: int
    cells: Mapping[CellKey, Cell]
    watermarks: Mapping[str, int]
    heard: Mapping[int, Sequence[str]] = field(default_factory=dict)
    feeds: Sequence[Feed] = ()
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


def sharing() -> Callable[[CellKey], CellKey]:
    """The same key, in which what it has in common with others of a state is one object with theirs: a million keys take a third of the
    memory, and most of what a look-up compares is near at hand."""
    starts: dict[int, int] = {}
    known: dict[tuple[str | None, ...], tuple[str | None, ...]] = {}

    def shared(key: CellKey) -> CellKey:
        start, dims = key
        values = known.get(dims)
        if values is None:
            values = tuple([None if value is None else sys.intern(value) for value in dims])
            known[values] = values
        return starts.setdefault(start, start), values

    return shared


def keeping(window: str, shared: Callable[[CellKey], CellKey]) -> Callable[[CellKey], CellKey]:
    """How the keys of a window's cells are kept: by `shared`, but as they are where it is `now`, for no two then have the same values."""
    return (lambda key: key) if window == NOW else shared


def encode(partial: Partial, max_bytes: int = MAX_BYTES) -> list[bytes]:
    """The records that carry the partial, each at most `max_bytes` (unless a single cell is larger), in canonical JSON.

    The same partial gives the same bytes.
    """
    head: dict[str, object] = {
        "definition": partial.definition,
        "first": partial.first,
        "full": partial.full,
        "offset": partial.offset,
        "partition": partial.partition,
        "partitions": partial.partitions,
        "split": max_bytes,
        "topic": partial.topic,
    }
    if partial.feeds:
        head["feeds"] = list(partial.feeds)
    fixed = canonical(head)[:-1]
    room = max_bytes - len(fixed.encode()) - 80
    cells = partial.cells
    sections: dict[str, list[Any]] = {
        "cells": [(*key, *cells[key]) for key in in_order(cells)],
        "heard": sorted((start, sorted(reporters)) for start, reporters in partial.heard.items()),
        "watermarks": sorted(partial.watermarks.items()),
    }
    texts = [(name, text) for name, items in sections.items() if items for text in _packed(items, room)]
    bodies = [",".join(f'"{name}":{text}' for name, text in texts)]
    if len(texts) > 1 and len(bodies[0].encode()) > room:
        bodies = [f'"{name}":{text}' for name, text in texts]
    parts = len(bodies)
    return [f'{fixed}{"," if body else ""}{body},"part":{part},"parts":{parts}}}'.encode() for part, body in enumerate(bodies)]


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
            cells={(start, tuple(dims)): (acc, loaded(changes)) for start, dims, acc, changes in raw.get("cells", ())},
            watermarks=dict(raw.get("watermarks", ())),
            heard=dict(raw.get("heard", ())),
            feeds=raw.get("feeds", ()),
            full=raw["full"],
            part=raw["part"],
            parts=raw["parts"],
            split=raw["split"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise FatalError(f"a record of bus.partials is not a partial ({len(value)} bytes): {type(error).__name__}") from error

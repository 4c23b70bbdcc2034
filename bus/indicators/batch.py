"""Decoded records of one partition, with the work that all units of a lane share: what is fresh, watermarks, windows, what is late.

Units of one lane have read the same log, so they hold equal ledgers; what follows from batch and ledger is computed once and kept in
the batch's memo.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import polars as pl

from bus.indicators.windows import window_ends, window_starts

T = TypeVar("T")

#: Column of each row's offset, beside the event's own columns.
OFFSET = "_offset"

#: (offset, source, UTC microseconds): everything of that source up to that time has been sent.
Heartbeat = tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class Fresh:
    """The rows of a batch that a lane has not seen, and what the lane knows after them. Never changed, so that units can share it."""

    frame: pl.DataFrame
    ledger: Mapping[str, int]
    watermarks: Mapping[str, int]
    #: The time that the partition had reached before these rows: the newest of any source, None before any.
    reached: int | None = None
    heartbeats: tuple[Heartbeat, ...] = ()
    #: Those that the rows are of.
    sources: tuple[str, ...] = ()
    memo: dict[object, Any] = field(default_factory=dict)

    def window(self, window: str) -> pl.Series:
        """Start of each row's window, UTC microseconds."""
        return self.once(("window", window), lambda: window_starts(self.frame["occurred_at"], window))

    def late(self, window: str, late_us: int) -> pl.Series | None:
        """Whether each row came after its partition had passed the closing time of its window (end + `late_us`); None: no row did.

        Asked row by row, never batch by batch, so that the answer does not depend on where batches end (R1).
        """
        return self.once(("late", window, late_us), lambda: self._late(window, late_us))

    def _late(self, window: str, late_us: int) -> pl.Series | None:
        occurred = self.frame["occurred_at"].to_physical()
        earliest, newest = occurred.min(), max(self.watermarks.values(), default=None)
        if not isinstance(earliest, int) or newest is None or newest < earliest + late_us:
            return None
        late = (self._before() >= window_ends(self.window(window), window) + late_us).fill_null(False)
        return late if late.any() else None

    def _before(self) -> pl.Series:
        """The time that the partition had reached before each row."""
        return self.once("before", self._reached_before)

    def _reached_before(self) -> pl.Series:
        moments = self.frame.select(OFFSET, at=pl.col("occurred_at").to_physical())
        if self.heartbeats:
            beats = pl.DataFrame([(offset, at) for offset, _, at in self.heartbeats], schema=moments.schema, orient="row")
            moments = pl.concat([moments, beats]).sort(OFFSET, maintain_order=True)
        before = moments.with_columns(at=pl.max_horizontal(pl.col("at").cum_max().shift(1), pl.lit(self.reached, dtype=pl.Int64)))
        return before.filter(pl.col(OFFSET).is_in(self.frame[OFFSET].implode()))["at"] if self.heartbeats else before["at"]

    def once(self, key: object, make: Callable[[], T]) -> T:
        """What `make` returned the first time it was asked for under that key."""
        if key not in self.memo:
            self.memo[key] = make()
        found: T = self.memo[key]
        return found


@dataclass(slots=True)
class Batch:
    """Decoded records of one partition: event columns and `_offset`, ascending; `first` … `last` is the range of offsets it covers.

    Offsets inside the range may be missing (control records, quarantined ones).
    """

    frame: pl.DataFrame
    first: int
    last: int
    heartbeats: tuple[Heartbeat, ...] = ()
    memo: dict[object, Any] = field(default_factory=dict)

    def between(self, first: int, last: int) -> Batch:
        """The same records, those before `first` and after `last` left out."""
        if first <= self.first and last >= self.last:
            return self
        offsets = self.frame[OFFSET]
        begin = int(offsets.search_sorted(first, side="left"))
        count = int(offsets.search_sorted(last, side="right")) - begin
        beats = tuple(beat for beat in self.heartbeats if first <= beat[0] <= last)
        return Batch(self.frame.slice(begin, count), max(first, self.first), min(last, self.last), beats)

    def fresh(self, offset: int, ledger: Mapping[str, int], watermarks: Mapping[str, int]) -> Fresh:
        """The rows after `offset` whose sequence is above all that the ledger, or an earlier row, has of their source."""
        cut = max(offset, self.first - 1)
        known: list[tuple[Mapping[str, int], Mapping[str, int], Fresh]] = self.memo.setdefault(cut, [])
        for held, marks, fresh in known:
            if (held is ledger or held == ledger) and (marks is watermarks or marks == watermarks):
                return fresh
        frame = self.frame if cut < self.first else self.frame.filter(pl.col(OFFSET) > cut)
        fresh = _fresh(frame, ledger, watermarks, tuple(beat for beat in self.heartbeats if beat[0] > cut))
        known.append((ledger, watermarks, fresh))
        return fresh


def base_source(source: str) -> str:
    """The source that a record belongs to: a replay from quarantine (`<source>#<position>`) counts for its original source."""
    return source.partition("#")[0]


def _fresh(frame: pl.DataFrame, ledger: Mapping[str, int], watermarks: Mapping[str, int], heartbeats: tuple[Heartbeat, ...]) -> Fresh:
    kept = frame if frame.is_empty() else _unseen(frame, ledger)
    if kept.is_empty() and not heartbeats:
        return Fresh(kept, ledger, watermarks)
    new_ledger, new_marks = dict(ledger), dict(watermarks)
    heard = [(base_source(source), at) for _, source, at in heartbeats]
    newest = _newest(kept)
    for source, sequence, occurred in newest:
        new_ledger[source] = sequence
        heard.append((base_source(source), occurred))
    for source, at in heard:
        new_marks[source] = max(at, new_marks.get(source, at))
    marks = watermarks if new_marks == watermarks else new_marks
    sources = tuple(source for source, _, _ in newest)
    return Fresh(kept, new_ledger, marks, max(watermarks.values(), default=None), heartbeats, sources)


def _of_one_source(frame: pl.DataFrame) -> bool:
    sources = frame["source"]
    return bool((sources == sources[0]).all())


def _newest(frame: pl.DataFrame) -> Sequence[tuple[str, int, int]]:
    """(source, highest sequence, newest time) of each source of the rows."""
    if frame.is_empty():
        return ()
    if _of_one_source(frame):
        return ((frame["source"][0], cast("int", frame["sequence"].max()), cast("int", frame["occurred_at"].to_physical().max())),)
    return frame.group_by("source").agg(pl.col("sequence").max(), pl.col("occurred_at").max().to_physical()).rows()


def _unseen(frame: pl.DataFrame, ledger: Mapping[str, int]) -> pl.DataFrame:
    """The rows whose sequence is above all earlier ones of their source (R6)."""
    if _continues(frame, ledger):
        return frame
    held = {source: ledger[source] for source in frame["source"].unique().to_list() if source in ledger}
    earlier = pl.col("sequence").cum_max().shift(1).over("source")
    above = (earlier.is_null()) | (pl.col("sequence") > earlier)
    if held:
        floor = pl.col("source").replace_strict(held, default=None, return_dtype=pl.Int64)
        above = above & (floor.is_null() | (pl.col("sequence") > floor))
    return frame.filter(above)


def _continues(frame: pl.DataFrame, ledger: Mapping[str, int]) -> bool:
    """Whether all rows are of one source and go on, one after the other, where the ledger ends: as they nearly always do, and quickly seen."""
    if not _of_one_source(frame):
        return False
    sequences = frame["sequence"]
    known = ledger.get(frame["source"][0])
    return (known is None or sequences[0] > known) and bool((sequences[1:] > sequences[:-1]).all())

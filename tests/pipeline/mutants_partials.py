"""The bus with one clause of R4, R5, or fold's share of R6, broken at a time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

import bus.indicators.fold
import bus.indicators.rows
import bus.streams.worker
from bus.indicators.batch import Batch, Fresh
from bus.indicators.changes import NONE, loaded, parted, total
from bus.indicators.edition import Edition
from bus.indicators.fold import FoldUnit
from bus.indicators.outputs import Output
from bus.streams.output_watch import OutputWatch
from bus.streams.stage import Stage
from bus.testing.faults import Fault
from tests.pipeline.mutants import mutant

# R4


@mutant(
    "R4",
    "partials up to an offset are acknowledged before the end record of the snapshot at that offset",
    at="bus.partials",
    faults=[Fault.CRASH],
)
def snapshots_before_partials(patch: pytest.MonkeyPatch) -> None:
    publish = Stage._publish

    async def late(self: Stage[Any, Any], messages: Any) -> None:
        for lane in self.lanes.values():
            lane.acknowledged = lane.position
            await self._save_lane(lane)
        await publish(self, messages)

    patch.setattr(Stage, "_publish", late)


@mutant("R4", "cumulative values with the partition's offset, never differences")
def sends_differences(patch: pytest.MonkeyPatch) -> None:
    partial, settle = FoldUnit._partial, Edition.settle

    def difference(self: FoldUnit, first: int, keys: Any, heard: Any, **options: Any) -> Any:
        whole = partial(self, first, keys, heard, **options)
        before: dict[Any, Any] = self.__dict__.setdefault("said", {})
        cells = {}
        for key, (summary, counted) in whole.cells.items():
            cells[key] = (summary, loaded([now - once for now, once in zip(parted(counted), parted(before.get(key, NONE)), strict=True)]))
            before[key] = counted
        return replace(whole, cells=cells)

    def adding(self: Edition) -> None:
        if self._pending is not None:
            source, _, news = self._pending
            held = self.blocks.cells.entries
            known = {key: dict(enumerate(held.get(key, ()))).get(source.number) for key in news.cells}
            news.cells = {key: (acc, total([counted, (known[key] or (acc, NONE))[1]])) for key, (acc, counted) in news.cells.items()}
        settle(self)

    patch.setattr(FoldUnit, "_partial", difference)
    patch.setattr(Edition, "settle", adding)


@mutant("R4", "a failed send ends that fold", at="bus.partials", faults=[Fault.FAIL])
def goes_on_after_a_failed_send(patch: pytest.MonkeyPatch) -> None:
    async def careless(self: Stage[Any, Any], messages: Any) -> None:
        if not messages:
            return
        try:
            offsets = await self.publisher.send(messages)
        except Exception:  # noqa: BLE001
            return
        self.work.sent(messages, offsets)

    patch.setattr(Stage, "effect", careless)


@mutant("R4", "a large batch travels as parts i/n that are applied together", "crumbs")
def applies_parts_one_by_one(patch: pytest.MonkeyPatch) -> None:
    news = Edition.news

    def each(self: Edition, partial: Any) -> Any:
        return news(self, replace(partial, part=0, parts=1))

    patch.setattr(Edition, "news", each)


@mutant("R4", "sent when only the watermarks changed", "watermarks")
def keeps_quiet_about_watermarks(patch: pytest.MonkeyPatch) -> None:
    apply = FoldUnit.apply

    def quiet(self: FoldUnit, batch: Batch) -> Any:
        partial = apply(self, batch)
        return partial if partial is not None and (partial.cells or partial.faults) else None

    patch.setattr(FoldUnit, "apply", quiet)


# R5


@mutant("R5", "the highest offset, and ignores older or equal ones", at="bus.partials", faults=[Fault.STOP])
def takes_older_partials(patch: pytest.MonkeyPatch) -> None:
    news = Edition.news

    def gullible(self: Edition, partial: Any) -> Any:
        source = self._sources.get(partial.partition)
        if source is not None and source.offset > -2:
            source.offset = min(source.offset, partial.offset - 1)
        return news(self, partial)

    patch.setattr(Edition, "news", gullible)


@mutant("R5", "an empty one too")
def forgets_empty_partials(patch: pytest.MonkeyPatch) -> None:
    news = Edition.news

    def only_full(self: Edition, partial: Any) -> Any:
        cells = {key: cell for key, cell in partial.cells.items() if cell[0][0]}
        return news(self, replace(partial, cells=cells)) if cells or not partial.cells else ()

    patch.setattr(Edition, "news", only_full)


@mutant("R5", "readers ignore a lower one", at="indicators.")
def readers_take_the_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Output, "order", property(lambda self: (0, 0, 0)))


@mutant("R5", "the owner reads its own output topic and repeats its record when a lower one appears after it", at="indicators.")
def leaves_lower_records_standing(patch: pytest.MonkeyPatch) -> None:
    async def idle(self: OutputWatch) -> int:
        return 0

    patch.setattr(OutputWatch, "step", idle)
    patch.setattr(OutputWatch, "start", idle)


@mutant("R5", "kept and recovered by R1–R4: outputs before the merge's snapshot", at="indicators.")
def merge_snapshots_before_outputs(patch: pytest.MonkeyPatch) -> None:
    publish = Stage._publish

    async def late(self: Stage[Any, Any], messages: Any) -> None:
        if self.work.name == "merge":
            for lane in self.lanes.values():
                lane.acknowledged = lane.position
                await self._save_lane(lane)
        await publish(self, messages)

    async def idle(self: OutputWatch) -> int:
        return 0

    patch.setattr(Stage, "_publish", late)
    patch.setattr(OutputWatch, "start", idle)


@mutant("R5", "a merge without a snapshot asks the folds to repeat all cells", "forgetful")
def never_asks(patch: pytest.MonkeyPatch) -> None:
    async def silent(publisher: Any, partitions: Any) -> None:
        return None

    patch.setattr(bus.streams.worker, "ask_for_repeats", silent)


# R6, the part that fold answers for


@mutant("R6", "fold drops an event whose sequence is not above the highest of that source in that partition")
def folds_repetitions_again(patch: pytest.MonkeyPatch) -> None:
    fresh = Batch.fresh

    def all_rows(self: Batch, offset: int, ledger: Mapping[str, int], watermarks: Mapping[str, int]) -> Fresh:
        found = fresh(self, offset, {}, watermarks)
        return replace(found, frame=self.frame.filter(pl.col("_offset") > offset))

    patch.setattr(Batch, "fresh", all_rows)


@mutant("R6", "state per subject is ordered by the fact's own version, not by arrival")
def orders_by_arrival(patch: pytest.MonkeyPatch) -> None:
    contributions = bus.indicators.rows.contributions

    arrivals = itertools.count()

    def arrival(indicator: Any, fresh: Fresh, share: Any) -> Any:
        for row in contributions(indicator, fresh, share):
            yield row._replace(version=next(arrivals))

    patch.setattr(bus.indicators.fold, "contributions", arrival)

"""The bus with one clause broken of what it says about revised facts (ADR 0019): late ones, states, closings, regions, composites, registers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

import bus.indicators.edition
import bus.indicators.fold
import bus.indicators.journal
import bus.indicators.merge_state
import bus.indicators.rows
from bus.indicators.batch import Fresh
from bus.indicators.composite import Composite
from bus.indicators.edition import Edition, _News
from bus.indicators.entity import Timeline
from bus.indicators.family import Family
from bus.indicators.journal import Journal
from bus.indicators.line import Line
from bus.indicators.outputs import FINAL, Output
from bus.indicators.partial import CellKey
from bus.indicators.reconcile import Reconcile
from bus.indicators.rollup import Rows, _Closings, above
from bus.indicators.windows import window_start
from bus.streams.folding import FoldWork
from bus.streams.lists import ListWatch
from bus.streams.outputs import Mark
from bus.streams.strays import Strays
from tests.pipeline.mutants import mutant

# late facts, heartbeats, reporters


@mutant("late", "asked row by row, never batch by batch", "stocks/soon")
def judges_batches_as_a_whole(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Fresh, "_reached_before", lambda self: pl.Series("at", [self.reached] * self.frame.height, dtype=pl.Int64))


@mutant("late", "against the time before the row: what it tells itself makes no row late", "stocks/soon")
def judges_by_the_time_after(patch: pytest.MonkeyPatch) -> None:
    def after(self: Fresh) -> pl.Series:
        newest = max([*self.watermarks.values()], default=None)
        return pl.Series("at", [newest] * self.frame.height, dtype=pl.Int64)

    patch.setattr(Fresh, "_reached_before", after)


@mutant("late", "each event counts as one kind: withdrawn before corrected", "stocks/soon")
def withdrawals_count_as_corrections(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(bus.indicators.rows, "WITHDRAWALS", "nobody/")


@mutant("heartbeats", "they move watermarks only", "composites/ordinary")
def heartbeats_count_as_events(patch: pytest.MonkeyPatch) -> None:
    reporters = bus.indicators.rows.reporters

    def with_beats(indicator: Any, fresh: Fresh) -> Sequence[tuple[int, str]]:
        return [*reporters(indicator, fresh), *((window_start(at, indicator.window), source) for _, source, at in fresh.heartbeats)]

    patch.setattr(bus.indicators.fold, "reporters", with_beats)


@mutant("heartbeats", "they make windows final", "composites/ordinary")
def nobody_hears_heartbeats(patch: pytest.MonkeyPatch) -> None:
    prepare = FoldWork.prepare

    def deaf(self: FoldWork, partition: Any, records: Any) -> Any:
        prepared = prepare(self, partition, records)
        prepared.batch.heartbeats = ()
        return prepared

    patch.setattr(FoldWork, "prepare", deaf)


@mutant("final", "every partition of the topic is past it", "stocks/soon")
def one_partition_finishes_for_all(patch: pytest.MonkeyPatch) -> None:
    def foremost(watermarks: Any, partitions: int) -> int | None:
        return max((max(marks.values()) for marks in watermarks if marks), default=None)

    patch.setattr(bus.indicators.edition, "finished", foremost)


@mutant("heard", "the reporters of all parts of a partial", "composites/crumbs")
def hears_the_last_part_only(patch: pytest.MonkeyPatch) -> None:
    take = _News.take

    def drop(self: _News, other: Any) -> None:
        take(self, other)
        self.heard = dict(other.heard)

    patch.setattr(_News, "take", drop)


@mutant("heard", "a reporter who is heard of in two partitions is one", "composites/ordinary")
def counts_reporters_by_partition(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Edition, "_heard", lambda self, start: sum(len(source.heard.get(start, ())) for source in self._sources.values()))


@mutant("heard", "readers are told of a reporter even if no cell has changed", "composites/ordinary")
def is_silent_about_reporters(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(bus.indicators.edition, "SMALL_WINDOW", -1)


# states and closings


@mutant("closings", "what a higher version covers is remembered by its version", "stocks/soon")
def forgets_covered_versions(patch: pytest.MonkeyPatch) -> None:
    admit = Timeline.admit

    def forgetful(self: Timeline, state: Any, row: Any) -> Any:
        return admit(self, state and (state[0], ()), row)

    patch.setattr(Timeline, "admit", forgetful)


@mutant("closings", "a late change revises every later closing", "stocks/soon")
def closings_stay_as_they_were_said(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rows, "_after", lambda self, start, dims: ())


@mutant("closings", "a late change revises every later closing: sums made before it are not used", "stocks/soon")
def closings_keep_their_sums(patch: pytest.MonkeyPatch) -> None:
    touch = _Closings.touch

    def lazy(self: _Closings, start: int) -> None:
        kept = self._sums[:] if start in self._starts else None
        touch(self, start)
        if kept is not None:
            self._sums = kept

    patch.setattr(_Closings, "touch", lazy)


# regions


@mutant("regions", "the leaf and every ancestor down to the kabupaten are said", "stocks/soon")
def the_kabupaten_is_not_refreshed(patch: pytest.MonkeyPatch) -> None:
    names = Rows.names

    def lower(self: Rows, touched: Any) -> set[CellKey]:
        return {key for key in names(self, touched) if self.row(key) is None or not key[1] or above(key) is not None}

    patch.setattr(Rows, "names", lower)


@mutant("regions", "every ancestor's row is made anew", "stocks/soon")
def the_kabupaten_is_not_made_anew(patch: pytest.MonkeyPatch) -> None:
    make = Rows._make

    def once(self: Rows, key: CellKey, up: CellKey | None) -> None:
        if up is not None or key not in self._nodes:
            make(self, key, up)

    patch.setattr(Rows, "_make", once)


# composites


@mutant("composites", "rows are computed when the state is the new one", "registers/ordinary")
def compares_registers_before_they_have_settled(patch: pytest.MonkeyPatch) -> None:
    settle, settled, follow = Edition.settle, Family.settled, Family.follow
    waiting: list[Edition] = []

    def put_off(self: Edition) -> None:
        if self.hidden and self.complete:
            waiting.append(self)
        else:
            settle(self)

    def catch_up() -> None:
        while waiting:
            settle(waiting.pop())

    def early(self: Family, leaf: str, keys: Any) -> None:
        settled(self, leaf, keys)
        catch_up()

    def before_following(self: Family) -> None:
        catch_up()
        follow(self)

    patch.setattr(Edition, "settle", put_off)
    patch.setattr(Family, "settled", early)
    patch.setattr(Family, "follow", before_following)


@mutant("composites", "they stand on parts of exactly the versions that they were compiled with", "new part/redefined")
def stays_on_an_old_edition(patch: pytest.MonkeyPatch) -> None:
    def any_version(self: Family, feed: Any) -> bool:
        return all((line := self.line(name)) is not None and line.published is not None for name, _, _ in feed["of"])

    patch.setattr(Family, "_fits", any_version)


@mutant("composites", "a feed travels again whenever a worker starts or the files change", "new composites/redeployed")
def greets_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FoldWork, "greet", lambda self, unit: [])


@mutant("composites", "… also by a leaf that has not joined yet when the files change", "new parts/redefined")
def announces_what_was_declared_once(patch: pytest.MonkeyPatch) -> None:
    announce = FoldWork.announce

    def stale(self: FoldWork, unit: Any) -> Any:
        by_topic, self._by_topic = self._by_topic, {}
        try:
            return announce(self, unit)
        finally:
            self._by_topic = by_topic

    patch.setattr(FoldWork, "announce", stale)


@mutant("composites", "final is what all parts are past", "composites/ordinary")
def one_part_finishes_for_all(patch: pytest.MonkeyPatch) -> None:
    make = Composite.make

    def hasty(self: Composite, key: CellKey, outputs: Any, value: Any, there: Any, **options: Any) -> Output:
        row = make(self, key, outputs, value, there, **options)
        return replace(row, status=FINAL) if any(self._final(edition, key) for edition in self.editions) else row

    patch.setattr(Composite, "make", hasty)


@mutant("composites", "readers are told when a row becomes final with the same numbers", "composites/crumbs")
def readers_are_not_told_what_time_does(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Journal, "_reclassified", lambda self: {})


@mutant("composites", "readers are told of whatever they can see", "merges/stocks")
def compares_values_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(bus.indicators.journal, "seen", lambda output: (output.value, output.n))


@mutant("composites", "a part is what stands of it, whether or not it has a row there", "closings/ordinary")
def joins_rows_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Edition, "stands", Edition.output)


@mutant("composites", "a change of a part reaches all later rows", "merges/closings")
def changes_end_with_their_window(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Composite, "later", lambda self, groups: set())


@mutant("closings", "one that nobody is left in is a row", "closings/ordinary")
def hides_empty_closings(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Output, "is_row", property(lambda self: self.n > 0))


@mutant("composites", "rows that only an earlier version had are withdrawn", "new part/redefined")
def leaves_retired_rows_standing(patch: pytest.MonkeyPatch) -> None:
    def known(self: Line[Any]) -> Iterator[Output]:
        held = self.published
        if held is not None:
            yield from filter(None, map(held.output, sorted(held.row_names(), key=str)))

    patch.setattr(Line, "all", known)


@mutant("composites", "retired rows are in the snapshot", "merges/new parts")
def forgets_retired_rows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(bus.indicators.merge_state, "_retired", lambda lines, family: ())


# registers


@mutant("registers", "a row that nobody is in any more says so, also after a restart", "merges/registers")
def forgets_empty_rows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reconcile, "memory", lambda self: None)


@mutant("registers", "the list is what the registers say: whom a new definition does not know is taken off", "new register/redefined")
def leaves_old_lines_on_the_list(patch: pytest.MonkeyPatch) -> None:
    async def idle(self: ListWatch) -> int:
        return 0

    patch.setattr(ListWatch, "step", idle)


@mutant("registers", "the list is what the registers say, whoever wrote to it last", "registers/ordinary", at="lists.")
def leaves_late_lines_on_the_list(patch: pytest.MonkeyPatch) -> None:
    leaves_old_lines_on_the_list(patch)


@mutant("R5", "rows that only a lost merge knew are said to be empty", "registers/forgetful")
def leaves_strays_standing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Strays, "empty", lambda self, units, known: [])


@mutant("R5", "the owner repeats its record when one appears that says something older", "composites/ordinary", at="indicators.")
def sees_only_revisions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Mark, "stands_below", lambda self, other: (self.version, self.revision) < (other.version, other.revision))

"""The bus with one clause of R1–R5 broken at a time. Each entry says which words it breaks and how; the tests must notice every one."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest

import bus.indicators.fold
import bus.streams.replay
import bus.streams.worker
import bus.testing.faults
from bus.indicators import columns
from bus.indicators.batch import Batch
from bus.indicators.changes import entered
from bus.indicators.fold import FoldUnit
from bus.indicators.fold_state import HEAD, FoldState
from bus.kafka.ports import Message, Snapshot, TopicPartition
from bus.kafka.snapshot_log import END, STATE, Listing, UnitLog
from bus.kafka.topics import SNAPSHOTS
from bus.streams.lane import Lane
from bus.streams.loading import LaneLoader
from bus.streams.stage import Stage
from bus.testing.faults import Fault

Break = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`clause` quotes the rule; `lives` (or laws) are those in which its absence shows, under faults of these kinds at writes
    to topics `at…`."""

    rule: str
    clause: str
    break_it: Break
    lives: tuple[str, ...]
    at: str
    faults: tuple[Fault, ...]


MUTANTS: dict[str, Mutant] = {}


def mutant(rule: str, clause: str, *lives: str, at: str = "", faults: Sequence[Fault] = tuple(Fault)) -> Callable[[Break], Break]:
    """Register a way to break a clause under the function's name."""

    def register(break_it: Break) -> Break:
        MUTANTS[break_it.__name__] = Mutant(rule, clause, break_it, lives or ("ordinary",), at, tuple(faults))
        return break_it

    return register


# R1


@mutant("R1", "a unit never continues another fingerprint's snapshot", "redefined")
def continues_another_definition(patch: pytest.MonkeyPatch) -> None:
    choose = LaneLoader._choose_snapshot

    async def any_version(self: LaneLoader[Any, Any], name: str) -> Any:
        found = await choose(self, name)
        parts = name.split("/")
        if found is None and parts[0] == "fold":
            for other in await self.store.newest("/".join(parts[:2])):
                if other.split("/")[-2:] == parts[-2:]:
                    found = await self.store.load(other)
        return found

    def load(self: FoldState, unit_id: str, offset: int, blocks: Mapping[str, bytes], elsewhere: Any = ()) -> None:
        (head,) = columns.decode(blocks[HEAD])
        original(self, unit_id, offset, {**blocks, HEAD: columns.encode([{**head, "unit": unit_id}])}, elsewhere)

    async def every_name(self: LaneLoader[Any, Any], partition: Any, generation: int, known: Any, **options: Any) -> Any:
        return await load_lane(self, partition, generation, {*known, *self.work.unit_ids(partition)}, **options)

    original, load_lane = FoldState.load, LaneLoader.load_lane
    patch.setattr(LaneLoader, "load_lane", every_name)
    patch.setattr(LaneLoader, "_choose_snapshot", any_version)
    patch.setattr(FoldState, "load", load)


@mutant("R1", "a new or changed definition is folded from offset 0", "redefined")
def begins_where_the_live_fold_stands(patch: pytest.MonkeyPatch) -> None:
    arrange = LaneLoader._arrange

    async def late(self: LaneLoader[Any, Any], lane: Lane[Any], units: dict[str, Any], silent: dict[str, Any]) -> None:
        end = await self.reader.end(lane.partition)
        for name, unit in list(silent.items()):
            if unit.offset < 0 and self.work.name == "fold":
                silent[name] = self.work.fresh(lane.partition, name, end - 1)
        await arrange(self, lane, units, silent)

    patch.setattr(LaneLoader, "_arrange", late)


@mutant("R1", "joins the live fold at exactly its offset", "redefined")
def joins_before_it_has_caught_up(patch: pytest.MonkeyPatch) -> None:
    async def hasty(stage: Stage[Any, Any], lane: Lane[Any], group: list[Any]) -> None:
        async with stage.turn:
            for replay in group:
                replay.unit.offset = lane.position - 1
                await bus.streams.replay._join(stage, lane, replay)

    patch.setattr(bus.streams.replay, "_step", hasty)


@mutant("R1", "neither batch boundaries … change a bit")
def counts_batches_as_revisions(patch: pytest.MonkeyPatch) -> None:
    partial = FoldUnit._partial

    def counted(self: FoldUnit, first: int, keys: Any, heard: Any, **options: Any) -> Any:
        for key in keys:
            cell = self._state.cells.entries[key]
            cell[1] = entered(cell[1], 1, 0)
        return partial(self, first, keys, heard, **options)

    patch.setattr(FoldUnit, "_partial", counted)


@mutant("R1", "sums in Int128 (Polars' Int32/Int64 sums wrap silently)", "arithmetic")
def sums_in_32_bits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pl, "Int128", pl.Int32)


# R2


@mutant("R2", "chunk keys are never reused (unit, offset, chunk, hash)", "crumbs", at="bus.snapshots", faults=[Fault.CRASH])
def reuses_chunk_keys(patch: pytest.MonkeyPatch) -> None:
    use_store(patch, reuse=True)


@mutant("R2", "an end record lists them", "crumbs", at="bus.snapshots")
def writes_the_end_record_first(patch: pytest.MonkeyPatch) -> None:
    use_store(patch, end_first=True)


@mutant("R2", "older ones are tombstoned only after the newer end record", "snapshots")
def removes_before_it_has_written(patch: pytest.MonkeyPatch) -> None:
    use_store(patch, tombstones_first=True)


# R3


@mutant("R3", "the complete snapshot with the highest offset (not the last written)", "snapshots")
def takes_the_last_written(patch: pytest.MonkeyPatch) -> None:
    complete = UnitLog.complete

    def last_written(self: UnitLog) -> Iterator[Listing]:
        ends = {key.offset: place for key, place in self.places.items() if key.kind in {STATE, END}}
        yield from sorted(complete(self), key=lambda listing: ends[listing.offset], reverse=True)[:1]

    patch.setattr(UnitLog, "complete", last_written)


@mutant("R3", "seeks to that offset + 1", at="bus.snapshots", faults=[Fault.CRASH])
def continues_one_too_far(patch: pytest.MonkeyPatch) -> None:
    position = LaneLoader._position_after_load

    def beyond(self: LaneLoader[Any, Any], units: dict[str, Any]) -> int:
        found = position(self, units)
        if found:
            for unit in units.values():
                unit.offset += unit.offset + 1 == found
        return found + (1 if found else 0)

    patch.setattr(LaneLoader, "_position_after_load", beyond)


@mutant("R3", "a jump is never applied: seek back", "astray")
def applies_jumps(patch: pytest.MonkeyPatch) -> None:
    apply = FoldUnit.apply

    def bridged(self: FoldUnit, batch: Batch) -> Any:
        return apply(self, Batch(batch.frame, min(batch.first, self.offset + 1), batch.last, batch.heartbeats))

    patch.setattr(Stage, "_jumps", lambda self, lane, first: False)
    patch.setattr(FoldUnit, "apply", bridged)


@mutant("R3", "applies a batch only if it is of the current generation", "ownership")
def accepts_any_generation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Stage, "_accepts", lambda self, partition, generation: self.lanes.get(partition))


@mutant("R3", "… and its partition is assigned", "ownership")
def accepts_what_it_gave_away(patch: pytest.MonkeyPatch) -> None:
    revoke = Stage.revoke

    async def hold_on(self: Stage[Any, Any], partitions: Any) -> None:
        lanes, generations = dict(self.lanes), {tp: lane.generation for tp, lane in self.lanes.items()}
        await revoke(self, partitions)
        self.lanes.update(lanes)
        for tp, lane in lanes.items():
            lane.generation = generations[tp]

    patch.setattr(Stage, "revoke", hold_on)


@mutant("R3", "an older event is skipped", "ownership")
def takes_older_batches(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Stage, "_skip_older", lambda self, lane, records: records)


@mutant("R3", "after every await the agent checks again that it owns the state", "ownership_again")
def trusts_what_it_once_owned(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Stage, "owns", lambda self, lane: True)


@mutant("R3", "if the log begins later than offset + 1 … stop", "gaps")
def goes_on_over_gaps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LaneLoader, "_refuse_gap", lambda self, partition, unit, beginning: None)


def use_store(patch: pytest.MonkeyPatch, *, reuse: bool = False, end_first: bool = False, tombstones_first: bool = False) -> None:
    """Replace the snapshot store by a plain one over the same topic, right but for what is asked to be wrong in it."""

    class Plain:
        def __init__(self, publisher: Any, reader: Any) -> None:
            self.publisher, self.reader = publisher, reader
            self.known: dict[tuple[str, int | None], Mapping[str, bytes]] = {}

        async def save(self, unit: str, offset: int, blocks: Mapping[str, bytes | None], *, base: int | None = None) -> None:
            whole = {name: self.known[unit, base][name] if block is None else block for name, block in blocks.items()}
            self.known[unit, offset] = whole
            before = await self._records(unit)
            names = list(whole)
            keys = [json.dumps(["chunk", unit, 0 if reuse else offset, name]).encode() for name in names]
            end = json.dumps(["end", unit, offset]).encode()
            if tombstones_first:
                await self._write([(key, None) for key in before])
            listed = (end, json.dumps([key.decode() for key in keys]).encode())
            written = list(zip(keys, whole.values(), strict=True))
            await self._write([listed, *written] if end_first else [*written, listed])

        async def _write(self, entries: Sequence[tuple[bytes, bytes | None]]) -> None:
            for key, value in entries:
                await self.publisher.send([Message(SNAPSHOTS, 0, key, value)])

        async def _records(self, unit: str = "") -> dict[bytes, bytes]:
            found: dict[bytes, bytes | None] = {}
            place = TopicPartition(SNAPSHOTS, 0)
            async for batch in self.reader.read(place, 0, await self.reader.end(place)):
                found |= {record.key: record.value for record in batch if not unit or json.loads(record.key)[1] == unit}
            return {key: value for key, value in found.items() if value is not None}

        async def load(self, unit: str, wanted: Callable[[str], bool] | None = None) -> Snapshot | None:
            records = await self._records(unit)
            ends = {json.loads(key)[2]: json.loads(value) for key, value in records.items() if json.loads(key)[0] == "end"}
            for offset in sorted(ends, reverse=True):
                blocks = {json.loads(key)[3]: records.get(key.encode()) for key in ends[offset]}
                if end_first or None not in blocks.values():
                    self.known[unit, offset] = whole = {name: block or b"" for name, block in blocks.items()}
                    asked = {name: block for name, block in whole.items() if wanted is None or wanted(name)}
                    return Snapshot(unit, offset, asked, frozenset(whole.keys() - asked.keys()))
            return None

        async def read(self, unit: str, names: Collection[str], *, base: int | None = None) -> Mapping[str, bytes]:
            return {name: self.known[unit, base][name] for name in names}

        async def newest(self, prefix: str = "") -> dict[str, int]:
            units = {json.loads(key)[1] for key in await self._records()}
            found = {unit: await self.load(unit) for unit in units if unit.startswith(prefix)}
            return {unit: snapshot.offset for unit, snapshot in found.items() if snapshot is not None}

    patch.setattr(bus.testing.faults, "KafkaSnapshotStore", Plain)

"""What merge promises along any log of partials that workers have written, faults and late writes included: after each record, and whatever
the batches. Each law yields what is wrong."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output
from bus.indicators.reconcile import Entry
from bus.kafka.topics import PARTIALS
from bus.testing.faults import Fault
from tests.pipeline.families import WORLDS
from tests.pipeline.lives import LIVES
from tests.pipeline.scenes import revision_of

#: (offset, partial), in order.
Log = Sequence[tuple[int, bytes]]

LIFE_OF = {
    "stocks": "astray", "closings": "crumbs", "composites": "crumbs", "registers": "astray", "new part": "redefined", "new parts": "redeployed",
    "new composites": "redefined", "new register": "redefined",
}  # fmt: skip

#: So many ways to cut a log into batches are tried: what one partial changes and another in the same batch touches again is rare.
_WAYS = 12

#: What readers see of a row.
_SEEN = (
    "value", "numerator", "denominator", "n", "late", "corrected", "withdrawn", "heard", "expected", "label", "error", "status", "closing",
)  # fmt: skip


def logs(name: str, seed: int | None = None) -> tuple[Log, ...]:
    """Every partition of bus.partials after a life of that world (with the history told by hand, or a generated one) with stopped processes
    that went on."""
    world = WORLDS[name]
    chance = random.Random(seed or 0)
    published = world.told if seed is None else world.seeded(seed)
    plan = {chance.randrange(20, 200): chance.choice((Fault.STOP, Fault.STOP, Fault.CRASH)) for _ in range(4)}
    _, cluster = asyncio.run(LIVES[LIFE_OF[name]](published, plan, world.scene))
    records = [cluster.log.records(PARTIALS, number) for number in range(len(cluster.partials))]
    return tuple([(record.offset, record.value) for record in each if record.value is not None] for each in records if each)


def _begin(log: Log) -> MergeUnit:
    merge = MergeUnit.new(0)
    merge.offset = log[0][0] - 1
    return merge


class _Reader:
    """Who reads everything that a merge says."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, bytes], Output] = {}
        self._lines: dict[tuple[str, str], Entry] = {}

    def read(self, outputs: Iterable[Output], entries: Iterable[Entry]) -> Iterator[str]:
        for output in outputs:
            before = self._rows.get((output.indicator, output.key()))
            if before is not None and before.order > output.order:
                yield f"a row went back: {before} to {output}"
            self._rows[output.indicator, output.key()] = output
        for entry in entries:
            self._lines[entry.list_id, entry.subject] = entry

    def misses(self, merge: MergeUnit) -> Iterator[str]:
        """Rows whose composite waits for its parts' new versions stay as they are; all others are what the merge says. Lines of an earlier
        definition are taken off by the owner's watch."""
        told = {(output.indicator, output.key()): output for output in merge.full_outputs()}
        waiting = {name for name, _ in self._rows} - {name for name, _ in told}
        for place in sorted(told.keys() | self._rows.keys(), key=str):
            mine, right = self._rows.get(place), told.get(place)
            if place[0] not in waiting and (mine is None or right is None or _seen(mine) != _seen(right)):
                yield f"readers have {mine}, the merge has {right}"
        for each in merge.lists():
            lines = [line for line in self._lines.values() if (line.list_id, line.version) == (each.id, each.mark[0])]
            if _content(lines) != _content(each.entries()):
                yield f"readers have the list {_content(lines)}, the merge {_content(each.entries())}"


def _seen(output: Output) -> tuple[object, ...]:
    return (revision_of(output), *(getattr(output, name) for name in _SEEN))


def _content(entries: Iterable[Entry]) -> Mapping[str, object]:
    return {each.subject: (each.status, each.region, each.left, each.right) for each in entries if each.status is not None}


def readers_know(log: Log) -> Iterator[str]:
    """Readers hold at any moment what the merge says, and no row goes back."""
    merge, reader = _begin(log), _Reader()
    for record in log:
        yield from reader.read(merge.apply([record]), merge.listed())
        yield from reader.misses(merge)


def snapshots_tell_all(log: Log) -> Iterator[str]:
    """A merge from its snapshot goes on as if it had never stopped."""
    merge = _begin(log)
    for record in log:
        restored = MergeUnit.load(0, merge.offset, merge.dump())
        for what, here, there in (
            ("dump", merge.dump(), restored.dump()),
            ("rows", merge.full_outputs(), restored.full_outputs()),
            ("lists", merge.listed(all_of_it=True), restored.listed(all_of_it=True)),
            ("changes", (merge.apply([record]), merge.listed()), (restored.apply([record]), restored.listed())),
        ):
            if here != there:
                yield f"{what} before offset {record[0]}: {here}, from the snapshot {there}"


def snapshots_of_what_was_touched_tell_all(log: Log) -> Iterator[str]:
    """Blocks that a snapshot does not write again are as they were: with those of the snapshots before it is the whole state."""
    merge, held = _begin(log), dict[str, bytes]()
    for place, record in enumerate(log):
        merge.apply([record])
        if place % 3 == 0:
            given = merge.frozen(whole=False).encode()
            held = {name: held.get(name, b"") if content is None else content for name, content in given.items()}
            merge.saved()
            if held != merge.dump():
                yield f"the touched blocks at offset {record[0]} leave out something"


def batches_do_not_matter(log: Log, seed: int | None = None) -> Iterator[str]:
    """Whatever the batches, the state is the same in the end, and readers miss nothing."""
    whole = _begin(log)
    whole.apply(log)
    for way in range(_WAYS):
        chance = random.Random(f"{seed} {way}")
        merge, reader, rest = _begin(log), _Reader(), list(log)
        while rest:
            size = chance.choice((1, 2, 5, 9, 30))
            batch, rest = rest[:size], rest[size:]
            yield from reader.read(merge.apply(batch), merge.listed())
            yield from reader.misses(merge)
        if merge.dump() != whole.dump() or merge.full_outputs() != whole.full_outputs():
            yield "another state than in one batch"


def merges(*worlds: str) -> Iterator[str]:
    """All of them, in these worlds or in all: for mutants."""
    for name in worlds or WORLDS:
        for log in logs(name):
            yield from readers_know(log)
            yield from snapshots_tell_all(log)
            yield from snapshots_of_what_was_touched_tell_all(log)
            yield from batches_do_not_matter(log)

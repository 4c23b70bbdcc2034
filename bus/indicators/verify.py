"""Recomputing published numbers from their own evidence, with the worker's functions: the proof behind the promise in the README.

Pure: the caller reads the log and hands it in. The fold of each source partition is taken to exactly the offset that a number names, what
it has to say goes to a merge of its own, and that merge says the number again: composites, roll-ups and closings included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bus.errors import OffsetGap
from bus.indicators.batch import Batch
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output
from bus.indicators.partial import CellKey, in_order

#: (leaf indicator, topic, partition) -> offset of the last record.
Vector = Mapping[tuple[str, str, int], int]


@dataclass(frozen=True, slots=True)
class Difference:
    """A published cell that its evidence does not give: `recomputed` is None when the evidence has no such cell."""

    published: Output
    recomputed: Output | None
    fields: tuple[str, ...]


def vector_of(output: Output) -> Vector:
    """The positions that a number is made of, each with the leaf indicator that it is of."""
    owners = [leaf.indicator for leaf in output.leaves for _ in range(leaf.partitions)] or [output.indicator] * len(output.evidence)
    return {(owner, topic, partition): offset for owner, (topic, partition, offset) in zip(owners, output.evidence, strict=True)}


def chains(outputs: Iterable[Output]) -> list[list[tuple[Vector, list[Output]]]]:
    """The outputs by their evidence, in chains along which no position ever goes back: so each chain is one pass over the log.

    One merge publishes along one chain. A second one comes about when a merge lost its state and began anew further back.
    """
    grouped: dict[tuple[tuple[tuple[str, str, int], int], ...], list[Output]] = {}
    for output in outputs:
        grouped.setdefault(tuple(sorted(vector_of(output).items())), []).append(output)
    found: list[list[tuple[Vector, list[Output]]]] = []
    for key, held in sorted(grouped.items(), key=lambda item: (sum(offset for _, offset in item[0]), item[0])):
        vector = dict(key)
        chain = next((each for each in found if _follows(vector, each[-1][0])), None)
        if chain is None:
            found.append(chain := [])
        chain.append((vector, held))
    return found


def _follows(later: Vector, earlier: Vector) -> bool:
    return all(later.get(place, -2) >= offset for place, offset in earlier.items())


class Recomputation:
    """The numbers of one family of leaf indicators as of a vector that only goes forward: say `wanted`, `feed` all of it, ask `output`."""

    def __init__(self, leaves: Iterable[Indicator]) -> None:
        self._leaves = {leaf.id: leaf for leaf in leaves}
        self._units: dict[tuple[str, str, int], FoldUnit] = {}
        self._merge = MergeUnit.new(0)
        self._vector: dict[tuple[str, str, int], int] = {}

    def advance(self, vector: Vector) -> None:
        """From now on the numbers of this vector are wanted."""
        partitions: dict[str, int] = {}
        for name, _, partition in vector:
            partitions[name] = max(partition + 1, partitions.get(name, 0))
        for place in sorted(vector):
            if place not in self._units:
                name, topic, partition = place
                unit = self._units[place] = FoldUnit.new(self._leaves[name], topic, partition, partitions[name])
                self._merge.take(unit.full_partial())
        self._vector.update(vector)

    def wanted(self) -> Iterator[tuple[str, int, int, int]]:
        """What has to be fed now: (topic, partition, first offset, last offset), each once."""
        spans: dict[tuple[str, int], tuple[int, int]] = {}
        for (_, topic, partition), (first, last) in self._behind():
            known = spans.get((topic, partition), (first, last))
            spans[topic, partition] = min(first, known[0]), max(last, known[1])
        for (topic, partition), (first, last) in sorted(spans.items()):
            yield topic, partition, first, last

    def feed(self, topic: str, partition: int, batch: Batch) -> None:
        """Records of a partition, in order and without a gap (`OffsetGap` otherwise). What lies beyond what is wanted is ignored."""
        for place, (first, last) in list(self._behind()):
            if place[1:] == (topic, partition) and first <= batch.last:
                partial = self._units[place].apply(batch.between(batch.first, last))
                if partial is not None:
                    self._merge.take(partial)
                elif self._units[place].offset >= last:
                    self._merge.take(self._units[place].mark())

    def output(self, indicator: str, key: CellKey) -> Output | None:
        """A row as of the vector; None where the evidence has no such row. Raises `OffsetGap` when the log ended before the evidence."""
        self._complete()
        return self._merge.output(indicator, key)

    def outputs(self, indicator: str) -> list[Output]:
        """Every row of an indicator as of the vector."""
        self._complete()
        return self._merge.outputs(indicator)

    def _behind(self) -> Iterator[tuple[tuple[str, str, int], tuple[int, int]]]:
        for place, last in self._vector.items():
            if self._units[place].offset < last:
                yield place, (self._units[place].offset + 1, last)

    def _complete(self) -> None:
        for (_, topic, partition), (first, last) in self._behind():
            raise OffsetGap(f"{topic}/{partition}: the log ended before offset {first}; the evidence names {last}")


def recompute(indicator: Indicator, batches: Mapping[tuple[str, int], Sequence[Batch]], vector: Vector) -> list[Output]:
    """Every cell of a leaf indicator as of the vector, sorted by window and dimensions."""
    again = Recomputation([indicator])
    again.advance(vector)
    for (topic, partition), held in batches.items():
        for batch in held:
            again.feed(topic, partition, batch)
    rows = {(output.window_start_us, tuple(output.dimensions.values())): output for output in again.outputs(indicator.id)}
    return [rows[key] for key in in_order(rows)]


#: What of a row its evidence decides. `expected` is what an agency declares, and no result of the log.
_DECIDED = (
    "version", "fingerprint", "value", "numerator", "denominator", "n", "revision", "status", "window_end_us", "dimensions", "watermarks",
    "late", "corrected", "withdrawn", "heard", "label", "error", "as_of_us", "closing",
)  # fmt: skip


def difference(published: Output, recomputed: Output | None) -> Difference | None:
    """In what a published cell differs from what its evidence gives; None: in nothing. What is no row needs no counterpart."""
    if recomputed is None:
        return Difference(published, None, ()) if published.is_row else None
    # a composite shows the part of which the fewest were heard; which one that is depends on what was declared when it was published
    declared = {"heard"} if published.leaves and published.expected != recomputed.expected else set()
    fields = tuple(name for name in _DECIDED if name not in declared and getattr(published, name) != getattr(recomputed, name))
    return Difference(published, recomputed, fields) if fields else None

"""`bus verify`: recompute published numbers from the log, from the very positions that each names as its evidence, and compare exactly.

Nothing of what the workers keep is used: no snapshot, no partial. The events are read from their first one on and folded by the same pure
functions (R1); wherever some number's evidence ends, its cell is compared there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from bus.errors import BusError, ConfigurationError, Problem
from bus.indicators.compose import AnyIndicator, CompositeIndicator
from bus.indicators.outputs import Output
from bus.indicators.partial import CellKey
from bus.indicators.verify import Difference, Recomputation, chains, difference
from bus.kafka.ports import LogReader, TopicPartition
from bus.ops.decoded import DecodedLog
from bus.ops.installation import Installation
from bus.ops.values import cell_name, read_values
from bus.streams.folding import FoldWork

#: How often a cell that is not there yet is looked for again, one second apart: the merge may be writing just now.
_LOOKS = 5

Progressed = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A field of a published cell that is not what the log says; the whole cell is missing when `published` is empty."""

    cell: str
    field: str
    published: str
    recomputed: str


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one indicator: cells compared, and records of the log that they were recomputed from.

    `made_of`: of a composite the indicators that its rows are computed from, whose events were read; empty for others.
    """

    indicator: str
    cells: int
    events: int
    mismatches: tuple[Mismatch, ...]
    made_of: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.mismatches


async def verify(
    installation: Installation,
    reader: LogReader,
    names: Collection[str] | None = None,
    *,
    cells: Collection[str] = (),
    progress: Progressed | None = None,
) -> list[Report]:
    """Verify these indicators (default: all), or only some cells of one; `progress` is told the records read and those to read.

    Raises `ConfigurationError` for an indicator or cell that is not there, `OffsetGap` when the log no longer holds the evidence.
    """
    chosen = [installation.indicator(name) for name in (installation.published if names is None else names)]
    tell = progress or _unseen
    proofs = []
    for each in chosen:
        published = await read_values(reader, installation.codec, each.id, version=each.version)
        proofs.append(_Proof(installation, each, _only(each.id, published, cells) if cells else published))
    total, done = sum(proof.records for proof in proofs), 0
    tell(done, total)
    log = _decoded(installation, reader, proofs)
    reports = []
    for proof in proofs:
        found = await proof.run(log, partial(_further, tell, done, total), missing=None if cells else reader)
        done += proof.records
        tell(done, total)
        reports.append(Report(proof.indicator.id, len(proof.published), proof.records, tuple(found), proof.made_of))
    return reports


def _decoded(installation: Installation, reader: LogReader, proofs: Sequence[_Proof]) -> DecodedLog:
    """The log as all of these proofs read it."""
    kafka = installation.settings.kafka
    work = FoldWork(installation.catalogue, {}, event_partitions=kafka.event_partitions, partials_partitions=kafka.partials_partitions)
    ends: dict[TopicPartition, int] = {}
    for proof in proofs:
        for place, offset in proof.ends:
            ends[place] = max(offset, ends.get(place, offset))
    return DecodedLog(reader, lambda partition, records: work.prepare(partition, records).batch, ends)


class _Proof:
    """What is published of an indicator, and the recomputation of it: one pass over the log for each chain of evidence."""

    def __init__(self, installation: Installation, indicator: AnyIndicator, published: Sequence[Output]) -> None:
        self._installation = installation
        self._leaves = installation.leaves_of(indicator)
        self.indicator = indicator
        self.made_of = tuple(indicator.parts) if isinstance(indicator, CompositeIndicator) else ()
        self.published = published
        self._chains = chains(published)

    @property
    def ends(self) -> Iterator[tuple[TopicPartition, int]]:
        """Partitions with the last offset that each chain needs of them."""
        for chain in self._chains:
            for (_, topic, partition), offset in chain[-1][0].items():
                yield TopicPartition(topic, partition), offset

    @property
    def records(self) -> int:
        """How many records are read."""
        found = 0
        for chain in self._chains:
            last = {place[1:]: 0 for place in chain[-1][0]}
            for (_, topic, partition), offset in chain[-1][0].items():
                last[topic, partition] = max(last[topic, partition], offset + 1)
            found += sum(last.values())
        return found

    async def run(self, log: DecodedLog, tell: Callable[[int], None], *, missing: LogReader | None) -> list[Mismatch]:
        """What is published and differs from what the log says; given a reader, also what the log says and nobody published."""
        found: list[Mismatch] = []
        read = 0
        for chain in self._chains:
            again = Recomputation(self._leaves)
            for vector, outputs in chain:
                again.advance(vector)
                read += await self._feed(log, again)
                tell(read)
                for output in outputs:
                    wrong = difference(output, again.output(self.indicator.id, _key(output)))
                    found += [] if wrong is None else _mismatches(wrong)
                await asyncio.sleep(0)
            if missing is not None and chain is self._chains[-1]:
                found += await self._missing(missing, again.outputs(self.indicator.id))
        return found

    async def _feed(self, log: DecodedLog, again: Recomputation) -> int:
        read = 0
        for topic, partition, first, last in list(again.wanted()):
            async for batch in log.batches(TopicPartition(topic, partition), first, last):
                again.feed(topic, partition, batch)
            read += last + 1 - first
        return read

    async def _missing(self, reader: LogReader, expected: Sequence[Output]) -> list[Mismatch]:
        """Cells that the log says there are and that nobody published."""
        wanted = {_key(output): output for output in expected if output.is_row}
        known = {_key(value) for value in self.published}
        for _ in range(_LOOKS):
            if wanted.keys() <= known:
                return []
            await asyncio.sleep(1)
            values = await read_values(reader, self._installation.codec, self.indicator.id, version=self.indicator.version)
            known = {_key(value) for value in values}
        return [Mismatch(cell_name(output), "cell", "", f"n = {output.n}") for key, output in wanted.items() if key not in known]


def _mismatches(difference: Difference) -> Iterator[Mismatch]:
    cell = cell_name(difference.published)
    if difference.recomputed is None:
        yield Mismatch(cell, "cell", f"n = {difference.published.n}", "nothing")
    for name in difference.fields:
        yield Mismatch(cell, name, str(getattr(difference.published, name)), str(getattr(difference.recomputed, name)))


def _further(tell: Progressed, done: int, total: int, read: int) -> None:
    tell(min(total, done + read), total)


def _unseen(_done: int, _total: int) -> None:
    """Nobody looks."""


def _only(name: str, values: Sequence[Output], cells: Collection[str]) -> list[Output]:
    known = {cell_name(value): value for value in values}
    unknown = [cell for cell in cells if cell not in known]
    if unknown:
        some = ", ".join(list(known)[:5]) or "none"
        raise ConfigurationError(
            [Problem(f"{name} {cell}", f"there is no such cell; there are {len(known)}, such as: {some}") for cell in unknown]
        )
    return [known[cell] for cell in cells]


def _key(value: Output) -> CellKey:
    return value.window_start_us, tuple(value.dimensions.values())


def require_ok(reports: Sequence[Report]) -> None:
    """Raises `BusError` when any number differs."""
    wrong = [report.indicator for report in reports if not report.ok]
    if wrong:
        raise BusError(f"published numbers differ from what the log says: {', '.join(wrong)}")

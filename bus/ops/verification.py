"""`bus verify`: recompute published numbers from the log, from the very positions that each names as its evidence, and compare exactly.

Nothing of what the workers keep is used: no snapshot, no partial. The events are read from their first one on and folded by the same pure
functions (R1), each event decoded once for all indicators; wherever some number's evidence ends, its cell is compared there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from bus.errors import BusError, ConfigurationError, Problem
from bus.indicators.indicator import Indicator
from bus.indicators.outputs import Output
from bus.indicators.partial import CellKey
from bus.indicators.verify import Difference, Recomputation, differences
from bus.kafka.ports import LogReader, TopicPartition
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
    """What became of one indicator."""

    indicator: str
    cells: int
    events: int
    mismatches: tuple[Mismatch, ...]

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
    chosen = [installation.indicator(name) for name in (installation.indicators if names is None else names)]
    proofs = []
    for each in chosen:
        published = await read_values(reader, installation.codec, each.id, version=each.version)
        proofs.append(_Proof(each, _only(each.id, published, cells) if cells else published))
    await _read(installation, reader, proofs, progress or _unseen)
    reports = []
    for proof in proofs:
        found = [mismatch for difference in differences(proof.published, proof.again.rows()) for mismatch in _mismatches(difference)]
        if not cells:
            found += await _missing(installation, reader, proof)
        events = sum(last + 1 for last in proof.again.wanted().values())
        reports.append(Report(proof.indicator.id, len(proof.published), events, tuple(found)))
    return reports


class _Proof:
    """What is published of an indicator, and the recomputation of it."""

    def __init__(self, indicator: Indicator, published: Sequence[Output]) -> None:
        self.indicator = indicator
        self.published = published
        self.again = Recomputation(indicator, [(_key(value), value.evidence) for value in published])


def _mismatches(difference: Difference) -> Iterator[Mismatch]:
    cell = cell_name(difference.published)
    if difference.recomputed is None:
        yield Mismatch(cell, "cell", f"n = {difference.published.n}", "nothing")
    for name in difference.fields:
        yield Mismatch(cell, name, str(getattr(difference.published, name)), str(getattr(difference.recomputed, name)))


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


async def _read(installation: Installation, reader: LogReader, proofs: Sequence[_Proof], progress: Progressed) -> None:
    """Read every partition up to where the last evidence ends, each event once for all indicators."""
    kafka = installation.settings.kafka
    work = FoldWork(
        installation.catalogue,
        installation.indicators,
        event_partitions=kafka.event_partitions,
        partials_partitions=kafka.partials_partitions,
    )
    stops: dict[tuple[str, int], int] = {}
    for proof in proofs:
        for place, last in proof.again.wanted().items():
            stops[place] = max(last + 1, stops.get(place, 0))
    total, done = sum(stops.values()), 0
    progress(done, total)
    for place in sorted(stops):
        partition = TopicPartition(*place)
        async for records in reader.read(partition, 0, stops[place]):
            batch = work.prepare(partition, records).batch
            for proof in proofs:
                if place in proof.again.wanted():
                    proof.again.feed(*place, batch)
            done += len(records)
            progress(done, total)
            await asyncio.sleep(0)


async def _missing(installation: Installation, reader: LogReader, proof: _Proof) -> list[Mismatch]:
    """Cells that the log says there are and that nobody published."""
    indicator = proof.indicator
    expected = {_key(output): output for output in proof.again.everything() if output.n}
    known = {_key(value) for value in proof.published}
    for _ in range(_LOOKS):
        if expected.keys() <= known:
            return []
        await asyncio.sleep(1)
        known = {_key(value) for value in await read_values(reader, installation.codec, indicator.id, version=indicator.version)}
    return [Mismatch(cell_name(output), "cell", "", f"n = {output.n}") for key, output in expected.items() if key not in known]


def _key(value: Output) -> CellKey:
    return value.window_start_us, tuple(value.dimensions.values())


def require_ok(reports: Sequence[Report]) -> None:
    """Raises `BusError` when any number differs."""
    wrong = [report.indicator for report in reports if not report.ok]
    if wrong:
        raise BusError(f"published numbers differ from what the log says: {', '.join(wrong)}")

"""Generated histories of events, and what a right bus makes of them: an oracle that shares no code with the engine."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.events.envelope import Envelope, Event, Op
from bus.indicators.indicator import Indicator
from bus.indicators.loader import load_indicators
from bus.kafka.ports import Message
from bus.kafka.topics import partition_of
from bus.testing.memory import MemoryLog

OVERLAY = Path(__file__).parent / "overlay"
SAMPLE, READING = "lab.sample.recorded.v1", "lab.reading.recorded.v1"
TYPES = (SAMPLE, READING)
#: Midnight of 2026-03-01 in Asia/Jakarta.
_START = datetime(2026, 2, 28, 17, tzinfo=UTC)
_LOCAL = timedelta(hours=7)

#: Picks one of the options.
Choose = Callable[[Sequence[Any]], Any]

#: indicator -> (local start of the window, place) -> (n, exact value)
Expected = dict[str, dict[tuple[datetime, str], tuple[int, Fraction]]]


def installation() -> tuple[Catalogue, Mapping[str, Indicator]]:
    """The harness's own event types and indicators."""
    roots = [Path(__file__).parents[2] / "schemas", OVERLAY / "schemas"]
    catalogue = Catalogue.load(roots)
    found = load_indicators(roots, catalogue)
    return catalogue, {name: each for name, each in found.items() if name.startswith("lab.") and isinstance(each, Indicator)}


@dataclass(frozen=True, slots=True)
class Fact:
    """One event as a source publishes it; its sequence is its place in the source's list."""

    type: str
    source: str
    sequence: int
    subject: str
    version: int
    op: Op
    hours: int
    place: str
    amount: int | None


def history(
    choose: Choose,
    *,
    size: range = range(2, 11),
    sources: Sequence[str] = ("lab/a", "lab/b"),
    hours: Sequence[int] = (0, 5, 30, 100, 800),
    places: Sequence[str] = ("utara", "selatan"),
) -> list[Fact]:
    """A publication order with corrections, cancellations, stale versions and repeated stretches (a publisher that resumed)."""
    published: list[Fact] = []
    counters = dict.fromkeys(sources, 0)
    for _ in range(choose(size)):
        source = choose(sorted(counters))
        mine = [fact for fact in published if fact.source == source]
        if mine and choose(range(5)) == 0:
            newest = max(fact.sequence for fact in mine)
            once = {fact.sequence: fact for fact in mine}
            published += [once[number] for number in range(choose(range(1, newest + 1)), newest + 1)]
            continue
        counters[source] += 1
        kind = choose(TYPES)
        correctable = kind == SAMPLE
        published.append(
            Fact(
                type=kind,
                source=source,
                sequence=counters[source],
                subject=f"s{choose(range(4))}" if correctable else f"r{source}{counters[source]}",
                version=choose(range(1, 7)) if correctable else 1,
                op=choose(list(Op)) if correctable else Op.CREATE,
                hours=choose(hours),
                place=choose(places),
                amount=choose([None, -3, 0, 7, 7, 100]),
            )
        )
    return published


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    """Histories that hypothesis can shrink."""
    return history(lambda options: draw(st.sampled_from(options)))


def seeded(seed: int) -> list[Fact]:
    """The same history for the same seed; every other one crowded into few cells, every third of one source only."""
    choose = random.Random(seed).choice
    sources = ("lab/a",) if seed % 3 == 0 else ("lab/a", "lab/b")
    if seed % 2:
        return history(choose, size=range(8, 15), sources=sources)
    return history(choose, size=range(14, 19), sources=sources, hours=(0, 0, 0, 5, 800), places=("utara",))


def publish(log: MemoryLog, codec: Codec, published: Iterable[Fact], partitions: int) -> None:
    """Put the history into the event topics, in its order."""
    for fact in published:
        event = Event(fact.type, fact.subject, _START + timedelta(hours=fact.hours), {"place": fact.place, "amount": fact.amount})
        value, headers = codec.encode(Envelope(event, fact.source, fact.sequence, fact.version, fact.op, "lab/1"))
        partition = partition_of(fact.subject, partitions)
        log.append(Message(f"events.{fact.type}", partition, fact.subject.encode(), value, headers))


def expected(published: Sequence[Fact]) -> Expected:
    """The numbers, by brute force. A source's repeated stretch is dropped; of a subject the highest version stands."""
    seen: dict[tuple[str, str, int], int] = {}
    standing: dict[tuple[str, str], Fact] = {}
    for fact in published:
        # The ledger is kept per topic and partition; equal subjects share a partition, so per (type, source, partition) it is.
        lane = (fact.type, fact.source, partition_of(fact.subject, 2))
        if fact.sequence <= seen.get(lane, 0):
            continue
        seen[lane] = fact.sequence
        known = standing.get((fact.type, fact.subject))
        if known is None or fact.version > known.version:
            standing[fact.type, fact.subject] = fact
    alive = [fact for fact in standing.values() if fact.op is not Op.CANCEL]
    found: Expected = {}
    for name, kind, window, measure in (
        ("lab.sample_count", SAMPLE, "day", None),
        ("lab.sample_mean", SAMPLE, "month", "mean"),
        ("lab.sample_max", SAMPLE, "day", max),
        ("lab.reading_sum", READING, "day", sum),
        ("lab.reading_min", READING, "day", min),
    ):
        groups: dict[tuple[datetime, str], list[int]] = {}
        for fact in alive:
            if fact.type == kind and (measure is None or fact.amount is not None):
                local = (_START + timedelta(hours=fact.hours) + _LOCAL).replace(tzinfo=None)
                start = datetime(local.year, local.month, local.day if window == "day" else 1)
                groups.setdefault((start, fact.place), []).append(fact.amount or 0)
        found[name] = {
            key: (len(values), Fraction(len(values) if measure is None else measure(values) if callable(measure) else 0))
            if measure != "mean"
            else (len(values), Fraction(sum(values), len(values)))
            for key, values in groups.items()
        }
    return found

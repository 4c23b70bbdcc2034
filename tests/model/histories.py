"""Generated histories of the agency `uji`: what sources publish, in which order, with everything that goes wrong in the field."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from bus.events.envelope import Envelope, Event, Op
from bus.kafka.ports import Message
from bus.kafka.topics import partition_of
from bus.testing.memory import MemoryLog
from tests.model.events import Entry, Heartbeat
from tests.model.times import JAKARTA, micros
from tests.model.worlds import CODEC, MODEL, PARTITIONS, TYPES

#: Picks one of the options.
Choose = Callable[[Sequence[Any]], Any]

_CASE, _READING, _SURVEY = "uji.case.recorded.v1", "uji.reading.recorded.v1", "uji.survey.filled.v1"
_PERMIT, _SIAK, _MCD = "uji.permit.moved.v1", "uji.siak.recorded.v1", "uji.mcd.recorded.v1"

#: A replay from quarantine is a source by itself, and so is a withdrawal.
SOURCES = ("uji/a", "uji/a", "uji/b", "uji/a#1.7")
WITHDRAWAL = "bus/withdraw/uji-1"


def _at(*civil: int) -> datetime:
    return datetime(*civil, tzinfo=JAKARTA).astimezone(UTC)  # type: ignore[misc,arg-type]


_INSTANT = timedelta(microseconds=1)
#: Edges of windows and of what is known of regions; holidays and weekends; a year before; far beyond every `late`.
INSTANTS = (
    _at(2026, 3, 1), _at(2026, 3, 1, 9, 15) - _INSTANT, _at(2026, 3, 1, 9, 15), _at(2026, 3, 1, 9, 30), _at(2026, 3, 2) - _INSTANT,
    _at(2026, 3, 2), _at(2026, 3, 3, 12), _at(2026, 3, 4), _at(2026, 3, 5), _at(2026, 3, 6, 16), _at(2026, 3, 9, 8),
    _at(2026, 3, 10) - _INSTANT, _at(2026, 3, 10), _at(2026, 3, 20, 10), _at(2026, 4, 1), _at(2026, 6, 1), _at(2026, 12, 31, 23, 59, 59),
    _at(2027, 1, 5, 7), _at(2025, 3, 2, 5), _at(2025, 2, 28, 23),
)  # fmt: skip
#: Few cells, so that much meets in each.
CROWDED = (_at(2026, 3, 1), _at(2026, 3, 1, 9), _at(2026, 3, 2) - _INSTANT, _at(2026, 3, 2), _at(2026, 3, 4), _at(2026, 3, 9, 8))

REGIONS = (
    "33.09.01.2001", "33.09.01.2001", "33.09.01.2002", "33.09.01.2001.001.002", "33.09.01.2001.001", "33.09.01", "33.09",
    "33.09.02.2001", "33.09.02.2001.003.001", "33.09.02.2002", "33.09.02.2003", "33.09.02.2003.001", "33.09.02.2005", "33.09.20.2002",
    "99.99.99.9999", "3309012001", "", None,
)  # fmt: skip

Fields = Mapping[str, Sequence[Any]]
_ORDINARY: Fields = {
    "place": ("selo", "selo", "ampel", None),
    "person": ("ani", "budi", "citra", None),
    "post": ("p1", "p2", "p3", None),
    "amount": (None, -3, 0, 7, 7, 100),
    "money": (None, Decimal("-0.05"), Decimal(0), Decimal(1), Decimal("10.50"), Decimal(2**40)),
    "level": (None, 0.125, 0.135, 2.5, -1.5, 1e15 + 0.3, 1e30),
    "urgent": (True, False, None),
    "opened_at": (None, *INSTANTS[:6]),
    "kode_wilayah": REGIONS,
}
_ANSWERS = (1, 2, 3, 3, 4, 4, 4)
_ELEMENTS = ("persyaratan", "prosedur", "waktu", "biaya", "produk", "kompetensi", "perilaku", "pengaduan", "sarana")
_PERSON: Fields = {
    "person": ("ani", "budi", None),
    "born": (date(1990, 1, 1), date(1990, 1, 2), None),
    "alive": (True, True, False, None),
    "kode_wilayah": REGIONS,
}
FIELDS: Mapping[str, Fields] = {
    _CASE: _ORDINARY,
    _READING: _ORDINARY,
    _SURVEY: {
        "service": ("ktp", "kk", None), **dict.fromkeys(_ELEMENTS[1:], _ANSWERS), _ELEMENTS[0]: (*_ANSWERS, None),
    },
    _PERMIT: {
        "agency": ("dpmptsp", "dinkes"), "status": ("10", "10", "10", "41", "42", "42", "43", "44", "50", "50", "90", "60", None),
        "days": (None, 0, 1, 3, 5), "kode_wilayah": (*REGIONS[:4], "99.99.99.9999"),
    },
    _SIAK: _PERSON,
    _MCD: _PERSON,
}  # fmt: skip


@dataclass(frozen=True)
class Fact:
    """One event as a source publishes it."""

    type: str
    source: str
    sequence: int
    subject: str
    version: int
    op: Op
    at: datetime
    data: Mapping[str, Any]
    batch: str = "uji/1"

    @property
    def envelope(self) -> Envelope:
        """As it is published."""
        event = Event(self.type, self.subject, self.at, self.data)
        return Envelope(event, self.source, self.sequence, self.version, self.op, self.batch)

    @property
    def event(self) -> Mapping[str, Any]:
        """Its fields, as the model reads them."""
        named = {"subject": self.subject, "version": self.version, "op": str(self.op), "occurred_at": self.at}
        return {"source": self.source, "sequence": self.sequence, **named, **self.data}


@dataclass(frozen=True)
class Beat:
    """A heartbeat: everything of the source up to that time has been sent into that partition."""

    type: str
    source: str
    partition: int
    at: datetime


Published = Fact | Beat


class _Newsroom:
    """Sources at work."""

    def __init__(self, choose: Choose, types: Sequence[str], instants: Sequence[datetime], subjects: int) -> None:
        self.choose, self.types, self.instants, self.subjects = choose, types, instants, subjects
        self.published: list[Published] = []
        self.counters: dict[str, int] = {}

    def work(self) -> None:
        facts = [each for each in self.published if isinstance(each, Fact)]
        match self.choose(range(12)):
            case 0 if facts:
                self._resume(self.choose(facts))
            case 1:
                self.published.append(
                    Beat(self.choose(self.types), self._source(), self.choose(range(PARTITIONS)), self.choose(self.instants))
                )
            case 2 if any(MODEL.schemas[fact.type].correctable for fact in facts):
                self._withdraw(self.choose([fact for fact in facts if MODEL.schemas[fact.type].correctable]))
            case _:
                self._tell(self.choose(self.types))

    def _source(self) -> str:
        source: str = self.choose(SOURCES)
        return source

    def _next(self, source: str) -> int:
        self.counters[source] = self.counters.get(source, -1) + 1
        return self.counters[source]

    def _newest(self, type_name: str, subject: str) -> int:
        """The number of the newest version of a subject: most often it is the next one that is told."""
        facts = (each for each in self.published if isinstance(each, Fact) and (each.type, each.subject) == (type_name, subject))
        return max((fact.version // 256 for fact in facts), default=0)

    def _resume(self, fact: Fact) -> None:
        """A publisher that lost its place sends everything of its source again from some fact on."""
        mine = [each for each in self.published if isinstance(each, Fact) and each.source == fact.source]
        newest = {each.sequence: each for each in mine}
        self.published += [newest[number] for number in sorted(newest) if number >= fact.sequence]

    def _tell(self, type_name: str) -> None:
        source = self._source()
        number = self._next(source)
        correctable = MODEL.schemas[type_name].correctable
        ops = [Op.CREATE, Op.CREATE, Op.CREATE, Op.CORRECT, Op.CORRECT, Op.CANCEL] if correctable else [Op.CREATE]
        subject = f"s{self.choose(range(self.subjects))}" if correctable else f"r{self.choose(range(20))}"
        self.published.append(
            Fact(
                type=type_name,
                source=source,
                sequence=number,
                subject=subject,
                version=256 * (self.choose(range(1, 8)) if self.choose(range(3)) == 0 else self._newest(type_name, subject) + 1),
                op=self.choose(ops),
                at=self.choose(self.instants),
                data={name: self.choose(options) for name, options in FIELDS[type_name].items()},
            )
        )

    def _withdraw(self, fact: Fact) -> None:
        """An event is undone: by nothing, or by what some other event of its subject said."""
        others = [each for each in self.published if isinstance(each, Fact) and (each.type, each.subject) == (fact.type, fact.subject)]
        undone = replace(fact, source=WITHDRAWAL, sequence=self._next(WITHDRAWAL), version=fact.version + 1, op=Op.CANCEL)
        former: Fact = self.choose(others)
        again = replace(undone, op=Op.CORRECT, at=former.at, data=former.data)
        self.published.append(self.choose([undone, again]))


def history(
    choose: Choose,
    types: Sequence[str] = TYPES,
    *,
    size: Sequence[int] = range(1, 25),
    instants: Sequence[datetime] = INSTANTS,
    subjects: int = 4,
) -> list[Published]:
    """A publication order: corrections, cancellations, withdrawals, stale and equal versions, repeated stretches, heartbeats."""
    room = _Newsroom(choose, types, instants, subjects)
    for _ in range(choose(size)):
        room.work()
    return room.published


@st.composite
def histories(draw: st.DrawFn, types: Sequence[str]) -> list[Published]:
    """Histories that hypothesis can shrink."""
    return history(lambda options: draw(st.sampled_from(options)), types)


def seeded(seed: int, types: Sequence[str]) -> list[Published]:
    """The same history for the same seed: every other one crowded into few cells, two of three about few subjects."""
    choose = random.Random(seed).choice
    instants = CROWDED if seed % 2 else INSTANTS
    return history(choose, types, size=range(20, 70), instants=instants, subjects=3 if seed % 3 else 8)


def reordered(published: Iterable[Published], choose: Choose) -> list[Published]:
    """The same history in another order that keeps each source's own: what other interleavings of the network would have made of it."""
    lanes: dict[str, list[Published]] = {}
    for each in published:
        lanes.setdefault(each.source, []).append(each)
    mixed = []
    while lanes:
        source = choose(sorted(lanes))
        mixed.append(lanes[source].pop(0))
        if not lanes[source]:
            del lanes[source]
    return mixed


def partition(each: Published) -> int:
    """Where it is published."""
    return each.partition if isinstance(each, Beat) else partition_of(each.subject, PARTITIONS)


def entries(published: Iterable[Published]) -> list[Entry]:
    """The history as the model reads it."""
    ends: dict[tuple[str, int], int] = {}
    found: list[Entry] = []
    for each in published:
        place = (f"events.{each.type}", partition(each))
        offset = ends[place] = ends.get(place, -1) + 1
        found.append((*place, offset, Heartbeat(each.source, micros(each.at)) if isinstance(each, Beat) else each.event))
    return found


def publish(log: MemoryLog, published: Iterable[Published]) -> None:
    """Put the history into the event topics, in its order."""
    for each in published:
        log.append(message(each))


def message(each: Published) -> Message:
    """Its record."""
    topic = f"events.{each.type}"
    if isinstance(each, Beat):
        beat = (("ce_type", b"bus.heartbeat.v1"), ("ce_source", each.source.encode()), ("ce_time", each.at.isoformat().encode()))
        return Message(topic, each.partition, each.source.encode(), None, beat)
    value, headers = CODEC.encode(each.envelope)
    return Message(topic, partition(each), each.subject.encode(), value, headers)

"""What goes wrong on the way: late, twice, mended, taken back, with a mistake, or held back for days by an office without a line. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from random import Random

from bus.simulation.story import Story, Telling

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
#: For how many days a late story is late, at least and at most.
_LATE_DAYS = (1, 12)
#: How long the line of an office may be away.
_OFFLINE_DAYS = (2, 5)
#: How much faster what was held back is told: a second in a microsecond.
_HURRY = 1_000_000


@dataclass(frozen=True, slots=True)
class Rates:
    """Of a hundred stories, how many meet with a fault of a kind (as far as the story can); of a hundred agencies, how many are offline for
    some days."""

    late: float = 3
    twice: float = 3
    mended: float = 3
    taken_back: float = 2
    broken: float = 1
    offline: float = 25

    @classmethod
    def none(cls) -> Rates:
        """Everything goes well."""
        return cls(**dict.fromkeys((each.name for each in fields(cls)), 0.0))


@dataclass(frozen=True, slots=True)
class Outage:
    """An agency says nothing from a time on, and at the other all that it would have said."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """A telling of an agency at the time at which it is told."""

    agency: str
    telling: Telling

    @property
    def at(self) -> datetime:
        return self.telling.at


def drawn(stories: Iterable[Story], rates: Rates, chance: Random) -> Iterator[Telling]:
    """What is told of the stories, each with the faults that chance gives it; not in the order of time."""
    for story in stories:
        steps = list(_steps(story, rates, chance))
        if not story.punctual and _happens(rates.late, chance):
            by = _DAY * chance.randint(*_LATE_DAYS)
            steps = [step.later(by) for step in steps]
        if story.broken is not None and _happens(rates.broken, chance):
            # a mistake, and the good record when somebody has noticed, which for a punctual one is soon; where it was late, so is its mistake
            yield replace(story.broken, at=steps[0].at, facts=(), refused=True)
            steps = [step.later(_HOUR if story.punctual else _DAY) for step in steps]
        yield from steps


def _steps(story: Story, rates: Rates, chance: Random) -> Iterator[Telling]:
    last = story.steps[-1]
    yield from story.steps
    if story.mended is not None and _happens(rates.mended, chance):
        last = replace(story.mended, at=max(story.mended.at, last.at + timedelta(minutes=1)))
        yield last
    if _happens(rates.twice, chance):
        # the newest state again: an older one would be another correction
        last = replace(last, at=last.at + _HOUR, facts=())
        yield last
    if story.taken_back is not None and _happens(rates.taken_back, chance):
        yield replace(story.taken_back, at=max(story.taken_back.at, last.at + timedelta(minutes=1)))


def outages(agencies: Iterable[str], begin: datetime, end: datetime, rates: Rates, chance: Random) -> Mapping[str, Outage]:
    """Which agencies are offline, and when; the line is back before the end."""
    found = {}
    for agency in agencies:
        length, start = _DAY * chance.randint(*_OFFLINE_DAYS), chance.random()
        if _happens(rates.offline, chance) and length < end - begin:
            since = begin + (end - begin - length) * start
            found[agency] = Outage(since, since + length)
    return found


def in_order(tellings: Mapping[str, Iterable[Telling]], away: Mapping[str, Outage]) -> list[Told]:
    """All agencies' tellings in the order in which they are told; what is said while the line is away is told, in its order, when it is back."""
    timed = [(each.at, agency, each) for agency, said in tellings.items() for each in said]
    timed.sort(key=lambda one: one[0])
    told = [Told(agency, _held(each, away.get(agency))) for _, agency, each in timed]
    told.sort(key=lambda one: one.at)
    return told


def _held(telling: Telling, outage: Outage | None) -> Telling:
    if outage is None or not outage.since <= telling.at < outage.until:
        return telling
    # what was said at different moments comes apart still, so that no file tells of one key twice
    return replace(telling, at=outage.until + (telling.at - outage.since) / _HURRY)


def _happens(percent: float, chance: Random) -> bool:
    return chance.random() * 100 < percent

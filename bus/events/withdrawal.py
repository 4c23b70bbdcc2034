"""What has to be said so that a batch counts as never sent. Pure: from the events of the subjects it speaks of to compensating events.

A compensating event bears a version just above that of the event it undoes and below that of every fact (a fact's version leaves its low
eight bits to this), so it takes effect exactly where the withdrawn event did, whatever was said later. It repeats the state of before:
CANCEL where there was none, else CORRECT with the payload and the time of the version before. Each event of the batch is undone, also
where a later version covers it: should that one be withdrawn one day, it must not bring back what was withdrawn before.

What is kept exact is all that an indicator can make of a subject: its newest version (flows), the state at every moment (stocks) and the
steps in the order of their versions (clocks of services). One event is enough for that, except where the withdrawn one was dated before
the version it followed, was a step of its own after others or cancelled several, or followed a version that some indicator could not use;
then CANCEL and the versions of before follow one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from bus.errors import ConfigurationError, Problem
from bus.events.envelope import MAX_EVENT, Envelope, Op

#: Sources of compensating events begin with this.
SOURCE_PREFIX = "bus/withdraw/"
_BATCH_PREFIX = "withdraw:"
#: The bits of a version that facts leave to their withdrawals.
_ROOM_BITS = 8
_Content = tuple[datetime, object]


def source_of(batch: str) -> str:
    """The source under which a batch is withdrawn."""
    return SOURCE_PREFIX + batch


@dataclass(frozen=True, slots=True)
class Logged:
    """An event as it lies in the log; `undoes` is the id of the event that it compensates, "" for a fact."""

    envelope: Envelope
    id: str
    partition: int
    offset: int
    undoes: str = ""

    @property
    def place(self) -> tuple[int, int]:
        return self.partition, self.offset


@dataclass(frozen=True, slots=True)
class Compensation:
    """A compensating event, for the partition of the event with the id `undoes`."""

    envelope: Envelope
    undoes: str
    partition: int


def compensations(
    batch: str, events: Iterable[Logged], left_out: Collection[tuple[int, int]] = (), kept: Collection[str] = ()
) -> list[Compensation]:
    """What still has to be said in one topic to undo the events of `batch`, in the order of their places there.

    `events` are all events of the subjects that the batch speaks of, as a fold takes them: without those whose sequence was known. What an
    earlier run has said is among them and not said again, so a run that was killed is completed and a complete one has nothing to add;
    unless facts came later that the batch had hidden (an older delivery replayed from quarantine), which are then brought to light.
    `left_out` are the places of those that some indicator could not use: to go back to one alone would leave the withdrawn one standing there.
    `kept` are the ids of those that a later delivery said again without a change: they are its word too, and stay.

    Sequences count the batch's events by their places in the log, eight bits left for what one of them needs: runs that know nothing of
    one another say the same under the same numbers. What comes too late for its number is said by a source of its own, `<source>#<round>`.

    Raises `ConfigurationError` for a subject that has no versions left for it.
    """
    known = sorted(events, key=lambda event: event.place)
    own = source_of(batch)
    said = [event for event in known if event.envelope.source.partition("#")[0] == own]
    highest: dict[int, int] = {}
    for event in said:
        if event.envelope.source == own:
            highest[event.partition] = max(event.envelope.sequence, highest.get(event.partition, -1))
    late = f"{own}#{1 + max((int(event.envelope.source.partition('#')[2] or 0) for event in said), default=0)}"
    numbers = {event.place: number for number, event in enumerate((each for each in known if each.envelope.batch == batch), 1)}
    subjects: dict[str, list[Logged]] = {}
    for event in known:
        subjects.setdefault(event.envelope.event.subject, []).append(event)
    missing = [(numbers[at], each) for mine in subjects.values() for at, each in _undone(batch, mine, left_out, kept)]
    missing.sort(key=lambda pair: pair[0])
    found = []
    for number, group in groupby(missing, key=lambda pair: pair[0]):
        for index, (_, each) in enumerate(group):
            if index > MAX_EVENT:
                raise _no_room(each.envelope)
            sequence = number << _ROOM_BITS | index
            source = own if sequence > highest.get(each.partition, -1) else late
            found.append(replace(each, envelope=replace(each.envelope, source=source, sequence=sequence)))
    return found


def _undone(
    batch: str, events: Sequence[Logged], left_out: Collection[tuple[int, int]], kept: Collection[str]
) -> Iterator[tuple[tuple[int, int], Compensation]]:
    """What undoes the batch's events of one subject, each with the place of the event that it is said for."""
    mine = sorted((event for event in events if event.envelope.batch == batch and event.id not in kept), key=_version)
    if not mine:
        return
    gone = {event.undoes for event in events if event.undoes}
    facts = [event for event in events if not event.undoes and event.id not in gone and (event.envelope.batch != batch or event.id in kept)]
    said: dict[int, list[Envelope]] = {}
    for event in sorted((event for event in events if event.undoes), key=_version):
        said.setdefault(_version(event) >> _ROOM_BITS, []).append(event.envelope)
    own = {event.undoes for event in events if event.envelope.batch == _BATCH_PREFIX + batch}
    # a withdrawal of before may have gone back to what is withdrawn now, and then goes back further
    others = [event for event in events if event.id in gone and event.envelope.batch != batch and _version(event) >= _version(mine[0])]
    first = {_version(event): event.envelope for event in reversed(events) if not event.undoes}
    for event in [*mine, *sorted(others, key=_version)]:
        is_mine = event.envelope.batch == batch
        known, standing = said.setdefault(_version(event) >> _ROOM_BITS, []), _standing(facts, without=event)
        before = [each.envelope for each in standing]
        now = [*(each for each in before if each.version < _version(event)), first[_version(event)], *known]
        if (event.id in own or not is_mine) and _tells(now) == _tells(before):
            continue
        chain = _shortest([event.envelope, *known], before)
        if any(each.place in left_out for each in standing) or _tells([*now, *chain]) != _tells(before):
            chain = [*_cancelled([event.envelope, *known]), *before]
        for each in _above(known[-1] if known else event.envelope, chain, batch):
            known.append(each)
            yield (event if is_mine else mine[-1]).place, Compensation(each, event.id, event.partition)


def _above(state: Envelope, chain: Sequence[Envelope], batch: str) -> list[Envelope]:
    """The states one after another in the versions above one, which the next fact leaves to them."""
    if state.version % (MAX_EVENT + 1) + len(chain) > MAX_EVENT:
        raise _no_room(state)
    return [
        replace(each, source=source_of(batch), version=state.version + number, batch=_BATCH_PREFIX + batch)
        for number, each in enumerate(chain, 1)
    ]


def _cancelled(undone: Sequence[Envelope]) -> list[Envelope]:
    """What leaves nothing of them, from the first of their times on."""
    first = min(each.event.occurred_at for each in undone)
    return [replace(undone[0], op=Op.CANCEL, event=replace(undone[0].event, occurred_at=first))]


def _shortest(undone: Sequence[Envelope], before: Sequence[Envelope]) -> list[Envelope]:
    """The states of before that hold at the time of what is undone and after it; nothing, where there was none."""
    since = min(each.event.occurred_at for each in undone)
    visible = _visible(before)
    held = [state for state in visible if state.event.occurred_at <= since][-1:]
    states = [*held, *(state for state in visible if state.event.occurred_at > since)]
    chain = [state if state.op is Op.CANCEL else replace(state, op=Op.CORRECT) for state in states]
    return chain if held else [*_cancelled(undone), *chain]


def _visible(events: Sequence[Envelope]) -> list[Envelope]:
    """The versions that hold at some moment, in the order of time: each until the next one begins."""
    found: list[Envelope] = []
    for event in reversed(events):
        if not found or event.event.occurred_at < found[-1].event.occurred_at:
            found.append(event)
    return found[::-1]


def _standing(facts: Iterable[Logged], *, without: Logged) -> list[Logged]:
    """The versions that an event came after, in order; of two facts with one version the first in the log, also if it was outdone by it."""
    versions: dict[int, Logged] = {}
    for fact in facts:
        if _version(fact) <= _version(without):
            versions.setdefault(_version(fact), fact)
    return [versions[version] for version in sorted(versions)]


def _tells(events: Sequence[Envelope]) -> tuple[object, ...]:
    """All that indicators can make of these versions of a subject: the newest, the state at every moment, the steps."""
    newest = _content(events[-1]) if events and events[-1].op is not Op.CANCEL else None
    timeline: list[tuple[datetime, object]] = []
    for state in _visible(events):
        data = None if state.op is Op.CANCEL else dict(state.event.data)
        if data != (timeline[-1][1] if timeline else None):
            timeline.append((state.event.occurred_at, data))
    steps: list[_Content] = []
    for event in events:
        kept = steps[:-1] if event.op is Op.CORRECT else steps
        steps = [] if event.op is Op.CANCEL else [*kept, _content(event)]
    # not even a step that is there twice in a row is as good as once: a CORRECT that follows replaces only the last
    return newest, timeline, steps


def _content(envelope: Envelope) -> _Content:
    return envelope.event.occurred_at, dict(envelope.event.data)


def _version(event: Logged) -> int:
    return event.envelope.version


def _no_room(envelope: Envelope) -> ConfigurationError:
    what = f"version {envelope.version} leaves no versions above it in which to say that it is withdrawn ({MAX_EVENT} at most)"
    return ConfigurationError([Problem(f"{envelope.event.type}, an event of {envelope.batch}", what)])

"""The state that is kept at the end of the log: every rule's unit, written down batch by batch with what is to be told.

It is what the follower feeds (`bus.kafka.follower.Followed`). What is in memory is never ahead of what is on the disk: when writing fails,
memory is read again from there, and the follower comes back with the same records.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from bus.alerts.rule import Rule
from bus.clock import Clock
from bus.errors import BusError, TransientError
from bus.indicators.outputs import Output
from bus.indicators.windows import to_micros
from bus.kafka.ports import Record
from bus.kafka.topics import INDICATORS_PREFIX
from consumers.alerts.notice import Channel, delivery_id, dump, notice, restricted
from consumers.alerts.store import Happened, Outgoing, Saved, Step, Store
from consumers.alerts.unit import Read, Unit, load
from consumers.alerts.unit import dump as dump_group
from consumers.alerts.watch import Transition
from consumers.alerts.words import NameOf

_log = structlog.get_logger(__name__)

#: Reads a record as an indicator's value; None of a tombstone. Raises a `BusError` when it cannot.
Decode = Callable[[Record], Output | None]


@dataclass(slots=True)
class Topic:
    """One indicator's topic, as far as the follower asks."""

    id: str
    units: list[Unit]
    unreadable: dict[int, str] = field(default_factory=dict)

    @property
    def position(self) -> int:
        """Where the unit continues that has read least."""
        return min(unit.position for unit in self.units)

    @property
    def shown(self) -> int:
        return sum(len(unit.groups) for unit in self.units)


class Desk:
    """Applies the log to the rules. `on_told` is called after something new for a channel, or for who looks, was written down."""

    def __init__(
        self,
        rules: Mapping[str, Rule],
        channels: Mapping[str, Channel],
        store: Store,
        decode: Decode,
        name_of: NameOf,
        *,
        clock: Clock,
        on_told: Callable[[Collection[Transition]], None],
    ) -> None:
        self._rules = rules
        self._channels = channels
        self._store = store
        self._decode = decode
        self._name_of = name_of
        self._clock = clock
        self.on_told = on_told
        self.indicators: dict[str, Topic] = {}
        self._load()

    @property
    def topics(self) -> frozenset[str]:
        """The topics that rules are about."""
        return frozenset(rule.topic for rule in self._rules.values())

    # what the follower asks

    def add(self, topic: str) -> Topic:
        return self.indicators[topic.removeprefix(INDICATORS_PREFIX)]

    def apply(self, topic: str, records: Sequence[Record], *, upto: int) -> bool:
        """Apply records of a topic; whether an episode began, changed, was revised or ended. Raises `TransientError` when the disk is full."""
        known = self.add(topic)
        read = [value for record in records if (value := self._read(known, record)) is not None]
        found = [(unit, unit.apply(read, upto=upto)) for unit in known.units if unit.position < upto]
        return self._write(found) if found else False

    def advance(self, until_us: int) -> bool:
        """Let time pass up to a moment until which the log is known whole; whether anything became so by that alone."""
        found = [(unit, more) for unit in self._units if (more := unit.advance(until_us))]
        return self._write(found) if found else False

    def reset(self) -> None:
        """The log is another one: what was read of the old one says nothing of it."""
        self._store.forget(list(self._rules), to_micros(self._clock.now()))
        self._load()
        self.on_told(())

    @property
    def _units(self) -> list[Unit]:
        return [unit for topic in self.indicators.values() for unit in topic.units]

    # the disk

    def _load(self) -> None:
        saved = self._store.load()
        stale = [name for name, each in saved.items() if name not in self._rules or self._rules[name].fingerprint != each.fingerprint]
        if stale:
            _log.info("alerts.rules_changed", rules=stale, hint="they begin again with what stands in the log")
            self._store.forget(stale, to_micros(self._clock.now()))
        self.indicators = {}
        for name, rule in self._rules.items():
            known = None if name in stale else saved.get(name)
            groups = {} if known is None else {group: load(text) for group, text in known.groups.items()}
            unit = Unit(rule) if known is None else Unit(rule, known.position, known.version, known.time_us, groups)
            self.indicators.setdefault(rule.subject.id, Topic(rule.subject.id, [])).units.append(unit)

    def _write(self, found: Sequence[tuple[Unit, Sequence[Transition]]]) -> bool:
        steps = [self._step(unit, transitions) for unit, transitions in found]
        try:
            self._store.commit(steps, to_micros(self._clock.now()))
        except TransientError:
            unreadable = {id_: topic.unreadable for id_, topic in self.indicators.items()}
            self._load()
            for id_, each in unreadable.items():
                self.indicators[id_].unreadable = each
            raise
        told = [transition for _, transitions in found for transition in transitions]
        if told:
            self.on_told(told)
        return bool(told)

    def _step(self, unit: Unit, transitions: Sequence[Transition]) -> Step:
        groups = {name: dump_group(unit.groups[name]) for name in sorted(unit.touched)}
        unit.touched.clear()
        saved = Saved(unit.rule.fingerprint, unit.position, unit.version, unit.time_us, groups)
        return Step(unit.rule.id, saved, [self._happened(unit.rule, transition) for transition in transitions])

    def _happened(self, rule: Rule, transition: Transition) -> Happened:
        hidden = restricted(rule, transition)
        whole = dump(notice(rule, transition, self._name_of))
        veiled = dump(notice(rule, transition, self._name_of, hidden=True)) if hidden else whole
        outgoing = []
        for channel in (self._channels[name] for name in rule.spec.recipients if name in self._channels):
            withheld = not channel.internal and (rule.internal or (hidden and transition.kind == "begun"))
            if transition.kind != "revised" and not withheld:
                id_ = delivery_id(transition.episode.id, transition.episode.told, channel.name)
                outgoing.append(Outgoing(id_, channel.name, transition.kind, whole if channel.internal else veiled))
        episode = transition.episode
        return Happened(
            episode=episode.id, rule=rule.id, kind=transition.kind, begun_us=episode.begun_us, at_us=transition.at_us, urgent=rule.urgent,
            internal=hidden, notice=veiled, outgoing=outgoing,
        )  # fmt: skip

    def _read(self, topic: Topic, record: Record) -> Read | None:
        try:
            return record.offset, record.timestamp_ms * 1000, self._decode(record)
        except BusError as error:
            topic.unreadable[record.offset] = str(error)
        return None

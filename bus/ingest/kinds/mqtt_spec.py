"""Messages of sensors from an MQTT broker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from bus.ingest.kinds.base_spec import SourceSpec

_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
#: The field into which a status topic's text goes.
STATUS = "status"


@dataclass(frozen=True, slots=True)
class TopicPattern:
    """A topic filter whose wildcards may have names: of `dlh/+station/+parameter`, `dlh/+/+` is subscribed to, and a message on
    `dlh/ST01/pm25` has `station = "ST01"` and `parameter = "pm25"`. `#name`, at the end only, takes all levels that are left."""

    text: str

    @property
    def levels(self) -> tuple[str, ...]:
        return tuple(self.text.split("/"))

    @property
    def subscription(self) -> str:
        """What the broker is asked for."""
        return "/".join(level[0] if level[:1] in {"+", "#"} else level for level in self.levels)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that the topic gives."""
        return tuple(level[1:] for level in self.levels if level[:1] in {"+", "#"} and len(level) > 1)

    def fields(self, topic: str) -> dict[str, str] | None:
        """What a topic says; None when it is not of this pattern."""
        found: dict[str, str] = {}
        given = topic.split("/")
        for place, level in enumerate(self.levels):
            if level.startswith("#"):
                # As MQTT has it, `a/#` is also `a` itself.
                return found | ({level[1:]: "/".join(given[place:])} if level[1:] else {})
            if place >= len(given) or (not level.startswith("+") and level != given[place]):
                return None
            if level[1:] and level.startswith("+"):
                found[level[1:]] = given[place]
        return found if len(given) == len(self.levels) else None

    def meets(self, other: TopicPattern) -> bool:
        """Whether a topic may be of both."""
        for mine, theirs in zip(self.levels, other.levels, strict=False):
            if "#" in {mine[:1], theirs[:1]}:
                return True
            if "+" not in {mine[:1], theirs[:1]} and mine != theirs:
                return False
        shorter, longer = sorted((self.levels, other.levels), key=len)
        return len(shorter) == len(longer) or (len(longer) == len(shorter) + 1 and longer[-1].startswith("#"))

    def covers(self, other: TopicPattern) -> bool:
        """Whether every topic of the other is of this one."""
        for place, mine in enumerate(self.levels):
            if mine.startswith("#"):
                return True
            theirs = other.levels[place] if place < len(other.levels) else "#"
            if theirs.startswith("#") or (mine[:1] != "+" and mine != theirs):
                return False
        return len(self.levels) == len(other.levels)

    def faults(self) -> Iterator[str]:
        """What is wrong with it."""
        for place, level in enumerate(self.levels):
            wild = level[:1] in {"+", "#"}
            if wild and level[1:] and not _NAME.match(level[1:]):
                yield f"{level!r}: a wildcard's name is lower case with _"
            if not wild and ("+" in level or "#" in level or "\0" in level):
                yield f"{level!r}: + and # begin a level"
            if level.startswith("#") and place != len(self.levels) - 1:
                yield f"{level!r}: # is the last level"
        if len(set(self.names)) != len(self.names):
            yield f"{self.text!r} names a field twice"
        if not self.text or self.text.startswith("$share/"):
            yield f"{self.text!r} is no topic filter of ours: not empty, not shared"


class MqttSpec(SourceSpec):
    """Messages of sensors from an MQTT broker."""

    type: Literal["mqtt"]
    topics: tuple[str, ...] = Field(
        min_length=1, description="topic filters; a named wildcard (`dlh/+station/+parameter`) becomes a field of the record"
    )
    status: tuple[str, ...] = Field(
        (), description="topic filters whose text goes into the field `status`: where sensors say that they are there, and their last wills"
    )
    payload: Literal["json", "number"] = Field("json", description="json: an object, whose members are fields; number: goes into `field`")
    field: str = Field("value", description="payload = number: its field, as a text, so that no digit is lost")
    received_at: str = Field("", description="a field for the time of receipt, for sensors without a clock")
    id: tuple[str, ...] = Field((), description="fields that, with the topic, name one message for ever; one said twice is taken once")
    setting: str = Field("mqtt_url", description="the setting with the broker's address: mqtt://user:password@host:port, mqtts://…")
    session_days: int = Field(30, ge=1, le=365, description="how long the broker keeps messages for us while we are away")

    @property
    def wanted_settings(self) -> tuple[str, ...]:
        return (self.setting,)

    @property
    def patterns(self) -> tuple[TopicPattern, ...]:
        return tuple(map(TopicPattern, self.topics))

    @property
    def status_patterns(self) -> tuple[TopicPattern, ...]:
        return tuple(map(TopicPattern, self.status))

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """What the broker is asked for. One that another covers is not: of both a message would come twice."""
        asked: dict[str, TopicPattern] = {}
        for pattern in (*self.patterns, *self.status_patterns):
            if not any(each.covers(pattern) for each in asked.values()):
                asked = {name: each for name, each in asked.items() if not pattern.covers(each)} | {pattern.subscription: pattern}
        return tuple(asked)

    def faults(self) -> list[tuple[str, str]]:
        return list(self._faults())

    def _faults(self) -> Iterator[tuple[str, str]]:
        for where, patterns in (("topics", self.patterns), ("status", self.status_patterns)):
            for pattern in patterns:
                yield from ((where, fault) for fault in pattern.faults())
                taken = {self.received_at} if where == "topics" or self.received_at else set()
                taken |= {STATUS} if where == "status" else {self.field} if self.payload == "number" else set()
                yield from (
                    (where, f"{pattern.text!r} names {name!r}, which is a field already") for name in pattern.names if name in taken
                )
        asked = [TopicPattern(each) for each in self.subscriptions]
        for number, one in enumerate(asked):
            yield from (
                ("topics", f"{one.text!r} and {two.text!r} have topics in common, which would come twice; name a wider one")
                for two in asked[number + 1 :]
                if one.meets(two)
            )
        if self.received_at and self.received_at in self.id:
            yield "id", f"{self.received_at!r} differs each time that a message comes"
        if self.payload == "number" and self.received_at == self.field:
            yield "received_at", f"{self.field!r} is the number's field"

"""What every event carries, whatever it tells: CloudEvents attributes and the fields that the exact engine lives on."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

#: Fields that every event schema begins with; a payload field may not have one of these names.
ENVELOPE_FIELDS = ("source", "sequence", "version", "subject", "occurred_at", "op", "batch")

_NAME = re.compile(r"^(?P<agency>[a-z][a-z0-9_]*)\.(?P<subject>[a-z][a-z0-9_]*)\.(?P<action>[a-z][a-z0-9_]*)\.v(?P<major>[1-9][0-9]*)$")

#: Namespace of the event ids (UUIDv5), fixed for ever: a replayed record gets the same id.
_ID_NAMESPACE = uuid.UUID("5a0c2f0e-0f5c-5b8e-9a53-33090000c0de")


class Op(StrEnum):
    """What an event does to its subject's current state."""

    CREATE = "CREATE"
    CORRECT = "CORRECT"
    CANCEL = "CANCEL"


@dataclass(frozen=True, slots=True)
class EventType:
    """`<agency>.<subject>.<past action>.v<major>`: one type = one topic = one schema file = one Avro full name."""

    agency: str
    subject: str
    action: str
    major: int

    @classmethod
    @lru_cache(maxsize=4096)
    def parse(cls, name: str) -> EventType:
        """The type of that name. Raises `ValueError` naming the form that is allowed."""
        match = _NAME.match(name)
        if match is None:
            raise ValueError(f"event type {name!r} is not of the form <agency>.<subject>.<past action>.v<major>, lower case with _")
        return cls(match["agency"], match["subject"], match["action"], int(match["major"]))

    @property
    def name(self) -> str:
        return f"{self.agency}.{self.subject}.{self.action}.v{self.major}"

    @property
    def topic(self) -> str:
        return f"events.{self.name}"

    @property
    def full_name(self) -> str:
        """The Avro record's full name."""
        return self.name

    @property
    def path(self) -> str:
        """The schema file, relative to a schemas folder."""
        return f"events/{self.agency}/{self.subject}.{self.action}.v{self.major}.avsc"


@dataclass(frozen=True, slots=True)
class Event:
    """What a connector's mapping returns: a fact, not yet placed in the sequence of its source.

    `subject` is the fact's identity within its type, and its partition key. `occurred_at` is aware. `data` holds the payload
    fields of the type's schema.
    """

    type: str
    subject: str
    occurred_at: datetime
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event that is ready to be published: placed in its source's sequence, with its operation.

    `sequence` follows the order of publication within `source`; `version` orders the states of one subject (a higher one wins,
    whenever it arrives); `batch` names the delivery, so that it can be withdrawn as a whole.
    """

    event: Event
    source: str
    sequence: int
    version: int
    op: Op
    batch: str

    @property
    def id(self) -> str:
        """UUIDv5 of what makes the event this one: the same after every replay."""
        return str(uuid.uuid5(_ID_NAMESPACE, f"{self.source}\n{self.event.type}\n{self.event.subject}\n{self.version}\n{self.sequence}"))


#: A position in a re-readable source: 23 bits delivery or journal number, 32 bits line or record number, 8 bits event number.
MAX_DELIVERY, MAX_LINE, MAX_EVENT = (1 << 23) - 1, (1 << 32) - 1, (1 << 8) - 1


def sequence_of(delivery: int, line: int, event: int = 0) -> int:
    """The sequence of the `event`-th event of a record (R6): order by delivery, then line, then event number.

    Raises `ValueError` when a part does not fit, rather than let one run into the next.
    """
    if not (0 <= delivery <= MAX_DELIVERY and 0 <= line <= MAX_LINE and 0 <= event <= MAX_EVENT):
        raise ValueError(f"position ({delivery}, {line}, {event}) exceeds ({MAX_DELIVERY}, {MAX_LINE}, {MAX_EVENT})")
    return (delivery << 40) | (line << 8) | event

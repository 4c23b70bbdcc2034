"""What operators did to the bus, kept for good in `bus.audit`: when, who, what, why, and how much of it.

An action that takes several writes leaves two records: `begun` before the first of them, `done` after the last.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bus.clock import Clock
from bus.errors import ConfigurationError, Problem
from bus.events.nik import contains_nik
from bus.ingest.tail import Tail, json_message, json_value, text
from bus.kafka.ports import LogReader, Publisher
from bus.kafka.topics import AUDIT


class State(StrEnum):
    """How far an action was when its record was written."""

    BEGUN = "begun"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Deed:
    """One record. `counts`: topic -> kind -> how many; `about` names what was acted on (a batch, an indicator)."""

    action: str
    about: str
    state: State
    who: str
    at: str
    reason: str = ""
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class Audit:
    """Writes and reads the audit. `who` is the operator, by the name of the account on this machine unless given."""

    def __init__(self, publisher: Publisher, reader: LogReader, clock: Clock, *, who: str = "") -> None:
        self._publisher = publisher
        self._reader = reader
        self._clock = clock
        self._who = who or operator()

    async def note(
        self, action: str, about: str, state: State, *, reason: str = "", counts: Mapping[str, Mapping[str, int]] | None = None
    ) -> None:
        """Write one record; durable when it returns."""
        value = {
            "at": self._clock.now().isoformat(), "who": self._who, "action": action, action_field(action): about, "state": state.value,
            "reason": reason, "counts": counts or {},
        }  # fmt: skip
        await self._publisher.send([json_message(AUDIT, f"{action}/{about}", value)])

    async def deeds(self, action: str, about: str) -> list[Deed]:
        """What was done of that kind to that, in order. Raises `FatalError` naming `bus topics apply` when there is no such topic."""
        found = []
        async for record in Tail(self._reader, AUDIT).read():
            value = json_value(record)
            if value is None or record.key != f"{action}/{about}".encode():
                continue
            counts = value.get("counts")
            found.append(
                Deed(
                    action, about, State(text(value, "state")), text(value, "who"), text(value, "at"), text(value, "reason"),
                    counts if isinstance(counts, dict) else {},
                )
            )  # fmt: skip
        return found

    async def acted_on(self, action: str) -> set[str]:
        """All that actions of that kind were begun on. Empty when there is no such topic."""
        if not await self._reader.partitions(AUDIT):
            return set()
        values = [value async for record in Tail(self._reader, AUDIT).read() if (value := json_value(record)) is not None]
        return {text(value, action_field(action)) for value in values if text(value, "action") == action}


def action_field(action: str) -> str:
    """The field of a record that names what was acted on."""
    return {"withdraw": "batch", "deploy": "indicator"}.get(action, "about")


def operator() -> str:
    """The account that runs this process; its number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def check_reason(reason: str) -> str:
    """The reason as it may be kept. Raises `ConfigurationError` for an empty one and one with a NIK in it."""
    reason = " ".join(reason.split())
    if not reason:
        raise ConfigurationError([Problem("--reason", "is empty; say why, for whoever reads the audit in a year")])
    if contains_nik(reason):
        raise ConfigurationError([Problem("--reason", "holds a number with the structure of a NIK, which may not enter the log")])
    return reason

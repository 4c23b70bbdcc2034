"""Where faults happen: every write of a process passes a gate that counts it and does what the plan has for that count (ADR 0014)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bus.errors import TransientError
from bus.kafka.ports import Message
from bus.testing.memory import MemoryLog


class Fault(StrEnum):
    """What happens to a process at one of its effects."""

    #: kill -9 before the effect.
    CRASH = "crash"
    #: SIGSTOP before the effect; the rest of what it was doing is done when it is continued.
    STOP = "stop"
    #: This send fails for good, while later ones succeed.
    FAIL = "fail"


class Killed(BaseException):
    """The process is gone. Not an `Exception`: no handler of the bus may outlive a kill."""


@dataclass(eq=False, kw_only=True)
class Lifeline:
    """What can happen to a process: it is killed, or stopped and continued."""

    alive: bool = True
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    continued: asyncio.Event = field(default_factory=asyncio.Event)
    doing: asyncio.Task[None] | None = None


class Gate:
    """A log, and the plan of what goes wrong at which write to it."""

    def __init__(self, log: MemoryLog, plan: Mapping[int, Fault] | None = None) -> None:
        self.log = log
        self.plan = dict(plan or {})
        self.effects = 0
        #: What each effect wrote to: read by tests that want to hit a certain kind.
        self.written: list[str] = []
        #: Who wrote it.
        self.writers: list[Lifeline | None] = []

    async def pass_gate(self, process: Lifeline | None, message: Message) -> Fault | None:
        """Called before each write; carries out what the plan has for this effect."""
        number = self.effects
        self.effects += 1
        self.written.append(message.topic)
        self.writers.append(process)
        if process is not None and not process.alive:
            raise Killed
        fault = self.plan.get(number)
        if fault is Fault.CRASH:
            raise Killed
        if fault is Fault.STOP and process is not None:
            process.stopped.set()
            await process.continued.wait()
            return None
        return fault


class GatedPublisher:
    """A process's way to the log. Each message is one effect."""

    def __init__(self, gate: Gate, process: Lifeline | None = None, *, beginnings: bool = False) -> None:
        """With `beginnings` a failed call keeps the port's promise: in each partition a beginning of its messages is written, so a failure
        hits one partition while others get all of theirs. Without, it fails worse than any publisher may: only the one message is missing.
        """
        self._gate = gate
        self._beginnings = beginnings
        self.process = process

    async def send(self, messages: Sequence[Message]) -> Sequence[int]:
        offsets: list[int] = []
        failed: set[tuple[str, int]] = set()
        for message in messages:
            place = (message.topic, message.partition)
            if self._beginnings and place in failed:
                continue
            if await self._gate.pass_gate(self.process, message) is Fault.FAIL:
                failed.add(place)
                continue
            offsets.append(self._gate.log.append(message))
            await asyncio.sleep(0)
        if failed:
            raise TransientError("the harness let a send fail")
        return offsets

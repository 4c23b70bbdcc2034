"""A desk, a lane and a channel whose accepting is seen: everything of delivering but the network, with a crash at any effect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bus.alerts.rule import Rule
from bus.indicators.outputs import Output
from bus.kafka.ports import Record
from bus.settings import AlertsSettings
from consumers.alerts.desk import Desk
from consumers.alerts.dispatch import Lane
from consumers.alerts.notice import Channel
from consumers.alerts.sender import Outcome
from consumers.alerts.store import Store, Waiting


class Crash(BaseException):
    """kill -9."""


class Held:
    """A clock that is moved by hand."""

    def __init__(self, at_us: int) -> None:
        self.at = datetime.fromtimestamp(at_us / 1_000_000, UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def pass_(self, **span: float) -> None:
        self.at += timedelta(**span)


@dataclass
class Effects:
    """Counts effects, and crashes before or after the one that is asked for."""

    crash_at: int = 0
    after: bool = False
    count: int = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        self.count += 1
        if self.count == self.crash_at and not self.after:
            raise Crash
        yield
        if self.count == self.crash_at and self.after:
            raise Crash


class SeenStore(Store):
    """A store whose writes are effects."""

    effects: Effects = Effects()

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        with self.effects.one(), super()._writing() as db:
            yield db


@dataclass
class Mailbox:
    """A channel that keeps what it took, as a receiver does that outlives us. `answers` are what it says, the last one for ever."""

    taken: list[Waiting] = field(default_factory=list)
    answers: list[Outcome] = field(default_factory=lambda: [Outcome()])
    effects: Effects = field(default_factory=Effects)
    kind: str = "test"

    async def send(self, delivery: Waiting) -> Outcome:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        with self.effects.one():
            if answer.accepted:
                self.taken.append(delivery)
        return answer

    async def close(self) -> None:
        pass

    @property
    def told(self) -> list[tuple[str, str, Any]]:
        """Kind, rule and value of what was taken."""
        return [(each.kind, each.notice["rule"], each.notice["value"]) for each in self.taken]


def records(rule: Rule, *rows: tuple[int, Output]) -> list[Record]:
    """Records of the rule's topic, which `decode` reads back."""
    return [
        Record(rule.topic, 0, offset, b"key", b"value", (("row", str(offset).encode()),), timestamp_ms=at // 1000)
        for offset, (at, _) in enumerate(rows)
    ]


@dataclass
class World:
    """A machine with a disk (the folder) and a clock; processes come and go."""

    folder: Path
    rules: Sequence[Rule]
    rows: dict[str, list[tuple[int, Output]]]
    clock: Held
    channels: dict[str, Channel]
    mailboxes: dict[str, Mailbox]
    effects: Effects = field(default_factory=Effects)
    settings: AlertsSettings = field(default_factory=lambda: AlertsSettings(longest_wait_seconds=0.01))

    @property
    def path(self) -> Path:
        return self.folder / "alerts.sqlite"

    @contextmanager
    def process(self) -> Iterator[tuple[Desk, Store]]:
        """One life of the process."""
        store = SeenStore(self.path)
        store.effects = self.effects
        for mailbox in self.mailboxes.values():
            mailbox.effects = self.effects
        try:
            yield self.desk(store), store
        finally:
            store.close()

    def desk(self, store: Store) -> Desk:
        def decode(record: Record) -> Output:
            return self.rows[record.topic][record.offset][1]

        names: Callable[[str], str] = lambda code: f"Desa {code[-4:]}"  # noqa: E731
        rules = {rule.id: rule for rule in self.rules}
        return Desk(rules, self.channels, store, decode, names, clock=self.clock, on_told=lambda _: None)

    def read(self, desk: Desk, batch: int = 2) -> None:
        """Read every topic to its end, from where the desk stands."""
        for rule in self.rules:
            rows = self.rows[rule.topic]
            log = records(rule, *rows)
            while (position := desk.add(rule.topic).position) < len(log):
                upto = min(len(log), position + batch)
                desk.apply(rule.topic, log[position:upto], upto=upto)

    async def deliver(self, store: Store) -> None:
        """Let every lane work until nothing waits."""
        lanes = [Lane(name, mailbox, store, self.settings, self.clock) for name, mailbox in self.mailboxes.items()]
        tasks = [asyncio.create_task(lane.run()) for lane in lanes]
        try:
            while store.waiting():
                done, _ = await asyncio.wait(tasks, timeout=0.001, return_when=asyncio.FIRST_EXCEPTION)
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

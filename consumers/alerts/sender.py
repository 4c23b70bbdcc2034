"""How one delivery ends, whatever carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from consumers.alerts.store import Waiting


@dataclass(frozen=True, slots=True)
class Outcome:
    """`problem` is empty when it was accepted. `final`: trying again cannot help. `reached`: addressees who need not be told again.

    `wait_seconds`: how long the other side asks to be left alone. Problems name no address.
    """

    problem: str = ""
    final: bool = False
    reached: frozenset[str] = frozenset()
    wait_seconds: float = 0.0

    @property
    def accepted(self) -> bool:
        return not self.problem


class Sender(Protocol):
    """Carries deliveries of one channel, one at a time."""

    @property
    def kind(self) -> str:
        """What it is, for metrics."""
        ...

    async def send(self, delivery: Waiting) -> Outcome:
        """Try once, within the channel's time-out. Raises nothing that the other side can cause."""
        ...

    async def close(self) -> None: ...

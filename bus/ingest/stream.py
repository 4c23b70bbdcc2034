"""What a kind of source that goes through the journal has to be: it hands readings to a sink, and a reading that was taken is durable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from bus.ingest.source import Reason


@dataclass(frozen=True, slots=True)
class Received:
    """One record as its source gave it.

    `raw` is its text for the seal of a refused one (empty: the values as JSON). `id` is the sender's own: one that was accepted is known
    and means nothing the second time. `deleted`: what its key stood for is no more. `problem`: it could not even be read.
    """

    values: Mapping[str, object] = field(default_factory=dict)
    raw: str = ""
    id: str = ""
    deleted: bool = False
    problem: Reason | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Records that belong together: taken as a whole, with the cursor after them, or not at all.

    `name` is for people (a file, a table, "POST"); `cursor` None leaves it as it is; `upto`: everything the source has to say up to then
    is in this reading or an earlier one. `whole`: these are all records that there are, so what is missing among the keys is gone.
    """

    records: Sequence[Received] = ()
    name: str = ""
    cursor: Mapping[str, object] | None = None
    upto: datetime | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a record: its number in the journal, how many events it gave, or why it was refused."""

    number: int
    events: int = 0
    known: bool = False
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A reading is durable; its outcomes in the order of its records."""

    outcomes: Sequence[Outcome] = ()


class Sink(Protocol):
    """Where a source puts what it reads."""

    @property
    def cursor(self) -> Mapping[str, object]:
        """The newest cursor that is durable; empty at the beginning."""
        ...

    @property
    def room(self) -> bool:
        """Whether the spool has room; a sender that can wait is told to come back when it has not."""
        ...

    async def take(self, reading: Reading) -> Receipt:
        """Take a reading in: durable when this returns. Waits while the spool is full (a source that cannot wait asks `room` first).

        Readings that are handed in at once are made durable together, in the order of the calls. Raises `FatalError` when it may not go on.
        """
        ...


class StreamSource(Protocol):
    """A reader of one kind. Its constructor takes a `SourceContext` and the source's settings (name -> value)."""

    async def run(self, sink: Sink, *, until_end: bool) -> None:
        """Hand everything to the sink, from its cursor on; with `until_end` return when there is nothing more for now.

        Raises `TransientError` for what may work later: it is run again, with backoff, from the cursor that is then durable.
        """
        ...

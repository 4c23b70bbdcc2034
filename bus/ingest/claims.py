"""Which file is which delivery of a source (ADR 0014 R6): the first claim in `bus.claims` for a number holds, whoever reads it later.

Every whole file gets a number, one that repeats the newest delivery (`duplicate_of`) or cannot be read too, so that no restart takes an
old file for a new one. A file is known by its name and the hash of its content; a name whose content changed is a new delivery.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from bus.clock import Clock
from bus.errors import FatalError
from bus.events.envelope import MAX_DELIVERY
from bus.ingest.files import Facts, Seen
from bus.ingest.messages import mask
from bus.ingest.tail import Tail, json_message, json_value, number, text
from bus.kafka.ports import LogReader, Publisher
from bus.kafka.topics import CLAIMS


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery number and the file that won it. `name` is the file's name as it may be shown; `name_id` tells names apart."""

    source: str
    delivery: int
    name: str
    name_id: str
    sha256: str
    size: int
    at: datetime
    duplicate_of: int = 0


class Claims:
    """The claims of one source, as far as the log was read."""

    def __init__(self, source: str, publisher: Publisher, reader: LogReader, clock: Clock) -> None:
        self._source = source
        self._publisher = publisher
        self._clock = clock
        self._tail = Tail(reader, CLAIMS)
        self._claims: dict[int, Claim] = {}
        self._tokens: dict[int, str] = {}
        self._newest_of_name: dict[str, Claim] = {}

    async def refresh(self) -> None:
        """Read on to the end of the topic."""
        async for record in self._tail.read():
            value = json_value(record)
            if value is None or text(value, "source") != self._source:
                continue
            delivery = number(value, "delivery")
            if delivery in self._claims:
                continue  # the first claim for a number holds
            claim = Claim(
                self._source, delivery, text(value, "name"), text(value, "name_id"), text(value, "sha256"), number(value, "size"),
                datetime.fromisoformat(text(value, "at")), number(value, "duplicate_of"),
            )  # fmt: skip
            self._claims[delivery] = claim
            self._tokens[delivery] = text(value, "token")
            self._newest_of_name[claim.name_id] = claim

    def knows(self, facts: Facts, *, unread: Collection[int] = ()) -> bool:
        """Whether this very file, with this content, has its number; one in `unread` was never read under it, and counts as new."""
        newest = self._newest_of_name.get(facts.seen.name_id)
        return newest is not None and newest.sha256 == facts.sha256 and newest.delivery not in unread

    def after(self, delivery: int) -> Iterator[Claim]:
        """The claims with higher numbers, in order."""
        return (self._claims[found] for found in sorted(self._claims) if found > delivery)

    def get(self, delivery: int) -> Claim | None:
        """The claim that holds for a number."""
        return self._claims.get(delivery)

    def newest(self) -> Claim | None:
        """The newest delivery that is no repetition of another."""
        return next((self._claims[found] for found in sorted(self._claims, reverse=True) if not self._claims[found].duplicate_of), None)

    async def claim(self, facts: Facts, *, unread: Collection[int] = (), newest_refused: bool = False) -> Claim | None:
        """Win a number for a whole file, by reading the claim back as the first for its number.

        A file equal to the newest delivery's is claimed as its repetition, unless something of that delivery was refused: then it may be
        delivered again just because the mapping was mended.

        None when another publisher has claimed something in between: look at the folder anew. Raises `FatalError` when the numbers
        are used up.
        """
        await self.refresh()
        if self.knows(facts, unread=unread):
            return None
        delivery = max(self._claims, default=0) + 1
        if delivery > MAX_DELIVERY:
            raise FatalError(f"{self._source} has used all {MAX_DELIVERY} delivery numbers; continue it under a new source name")
        newest = self.newest()
        repeats = newest is not None and newest.sha256 == facts.sha256 and not newest_refused
        duplicate_of = newest.delivery if newest is not None and repeats else 0
        token = uuid4().hex
        await self._publisher.send([json_message(CLAIMS, self._source, self._record(facts, delivery, duplicate_of, token))])
        await self.refresh()
        return self._claims[delivery] if self._tokens.get(delivery) == token else None

    def _record(self, facts: Facts, delivery: int, duplicate_of: int, token: str) -> dict[str, object]:
        seen: Seen = facts.seen
        return {
            "source": self._source, "delivery": delivery, "name": mask(seen.name), "name_id": seen.name_id, "sha256": facts.sha256,
            "size": seen.size, "mtime_ns": seen.mtime_ns, "duplicate_of": duplicate_of, "token": token, "at": self._clock.now().isoformat(),
        }  # fmt: skip

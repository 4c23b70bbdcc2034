"""What each role sees of the log: three states side by side, none of which knows more than its readers may (ADR 0029).

`restricted` is everything in `indicators.*`. `internal` is made of the same records, without the cells that `internal_sees` withholds.
`public` is made of `public.*` and of nothing else, so no fault of ours can show it what was not released.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from bus.board.spec import Board
from bus.indicators.outputs import Output
from bus.kafka.follower import Follower, Health, ListTopics
from bus.kafka.ports import LogReader, Record
from bus.kafka.topics import PUBLIC_PREFIX
from bus.ops.apikeys import Role
from consumers.dashboard.cells import Cell
from consumers.dashboard.definitions import Definition, Definitions
from consumers.dashboard.regions import Region
from consumers.dashboard.state import PREFIX, Decode, Indicator, Sees, State
from consumers.dashboard.stream import Hub, Limits

#: A cell of fewer events or subjects is not for everybody inside the administration.
INTERNAL_MINIMUM = 5
#: The class of what PPID has exempted from publication (UU 14/2008, pasal 17).
_EXEMPT = "dikecualikan"

#: Makes a follower of the topics that a function lists, into that state.
Follow = Callable[[ListTopics, State], Follower]


def internal_sees(cell: Cell | Output) -> bool:
    """Whether the role `internal` may know of the cell.

    The seam for complementary protection: what could be computed from the cells beside it (a total and all parts but one) is withheld
    here too, once disclosure control tells which cells those are.
    """
    return not 0 < cell.n < INTERNAL_MINIMUM


class Shared(State):
    """A state that hands every record on to other ones, which see less of it; a record is decoded once."""

    def __init__(self, decode: Decode, sees: Sequence[Sees]) -> None:
        self._known: dict[tuple[str, int], Cell] = {}
        self._decode_anew = decode
        super().__init__(self._once)
        self.others = [State(self._once, sees=each) for each in sees]

    def add(self, topic: str) -> Indicator:
        for other in self.others:
            other.add(topic)
        return super().add(topic)

    def reset(self) -> None:
        super().reset()
        for other in self.others:
            other.reset()

    def apply(self, topic: str, records: Sequence[Record], *, upto: int) -> bool:
        try:
            changed = super().apply(topic, records, upto=upto)
            for other in self.others:
                changed |= other.apply(topic, records, upto=upto)
            return changed
        finally:
            self._known.clear()

    def _once(self, record: Record) -> Cell:
        place = record.topic, record.offset
        cell = self._known.get(place)
        if cell is None:
            cell = self._known[place] = self._decode_anew(record)
        return cell


class View:
    """What one role may know: the state of its cells, who is told of them, and which indicators there are."""

    def __init__(self, role: Role, state: State, follower: Follower, definitions: Definitions, limits: Limits) -> None:
        self.role = role
        self.state = state
        self.hub = Hub(state, limits)
        self._follower = follower
        self._definitions = definitions
        self._seen: Mapping[str, Definition] | None = None
        self.by_id: Mapping[str, Definition] = {}
        self.digest = ""

    def refresh(self) -> None:
        """Take up the definitions as they are now; one that has become invisible is shown no more, though its topic may still be there."""
        if self._seen is not self._definitions.by_id:
            self._seen = self._definitions.by_id
            allowed = {id_: each for id_, each in self._seen.items() if self.allows(id_)}
            self.by_id = {id_: replace(each, parts=tuple(filter(self._names, each.parts))) for id_, each in allowed.items()}
            known = (sorted(self.by_id.items()), sorted(self.agencies.items()), sorted(self.regions.items()), self.board)
            self.digest = hashlib.blake2b(repr(known).encode(), digest_size=6).hexdigest()
        if self.state.hide([id_ for id_ in self.state.indicators if not self.allows(id_)]):
            self.hub.wake()

    def allows(self, id_: str) -> bool:
        """Whether there is such an indicator, as far as the role may know. To the public, what nobody has classed does not exist."""
        if id_ in self._definitions.hidden:
            return False
        return self.role is not Role.PUBLIC or self._definitions.of(id_).publish_class not in {"", _EXEMPT}

    def _names(self, part: str) -> bool:
        """Whether a composite may be said to be made of it. Inside, also of registers, of which nobody is shown a row."""
        return self.role is not Role.PUBLIC or self.allows(part)

    @property
    def ids(self) -> list[str]:
        """The indicators that there are, with values or without."""
        return sorted({*self.state.visible, *self.by_id})

    def of(self, id_: str) -> Definition:
        """The definition, or one that knows the id only."""
        return self.by_id.get(id_) or Definition(id_)

    @property
    def agencies(self) -> Mapping[str, str]:
        """The titles of agencies; to the public only of those that have something to show."""
        if self.role is not Role.PUBLIC:
            return self._definitions.agencies
        known = {each.agency for each in self.by_id.values()}
        return {id_: title for id_, title in self._definitions.agencies.items() if id_ in known}

    @property
    def regions(self) -> Mapping[str, Region]:
        """The region table, which is public."""
        return self._definitions.regions

    @property
    def board(self) -> Board:
        """The board as it is configured, for all roles."""
        return self._definitions.board

    def health(self) -> Health:
        """How things stand. Records that nobody could read may be of cells that are withheld: then they are not spoken of."""
        health = self._follower.health()
        if not self.state.withholds or not health.unreadable:
            return health
        return replace(health, reason="" if health.caught_up and health.live else health.reason, unreadable=0)

    def tell(self) -> None:
        """Tell the clients what has changed."""
        self.hub.say(self.health(), self.digest)
        self.hub.wake()


class Views:
    """The views of the roles that somebody may have, and the followers that feed them."""

    def __init__(
        self,
        roles: Collection[Role],
        definitions: Definitions,
        limits: Limits,
        *,
        decode: Decode,
        decode_released: Decode,
        list_topics: ListTopics,
        follow: Follow,
    ) -> None:
        self._definitions = definitions
        self._list_topics = list_topics
        self.by_role: dict[Role, View] = {}
        self.followers: list[Follower] = []
        inside = [role for role in roles if role is not Role.PUBLIC]
        if inside:
            shared = Shared(decode, [internal_sees] if Role.INTERNAL in inside else [])
            follower = follow(self._values, shared)
            self.followers.append(follower)
            states = {Role.RESTRICTED: shared, Role.INTERNAL: shared.others[0] if shared.others else shared}
            self.by_role = {role: View(role, states[role], follower, definitions, limits) for role in inside}
        released = State(decode_released, prefix=PUBLIC_PREFIX)
        self.followers.append(follow(self._released, released))
        self.by_role[Role.PUBLIC] = View(Role.PUBLIC, released, self.followers[-1], definitions, limits)

    def refresh(self) -> None:
        """The definitions may have changed."""
        for view in self.by_role.values():
            view.refresh()

    def tell(self) -> None:
        """Tell all clients what has changed."""
        for view in self.by_role.values():
            view.tell()

    def close(self) -> None:
        """End all streams."""
        for view in self.by_role.values():
            view.hub.close()

    async def _values(self, reader: LogReader) -> Collection[str]:
        """Values of indicators; no lists, no registers, both of which are about single subjects."""
        names = [topic for topic in await self._list_topics(reader) if topic.startswith(PREFIX)]
        return [topic for topic in names if topic.removeprefix(PREFIX) not in self._definitions.hidden]

    async def _released(self, reader: LogReader) -> Collection[str]:
        """What was released of the indicators that the public may know of."""
        names = [topic for topic in await self._list_topics(reader) if topic.startswith(PUBLIC_PREFIX)]
        return [topic for topic in names if self.by_role[Role.PUBLIC].allows(topic.removeprefix(PUBLIC_PREFIX))]

"""Any interleaving of updates, disconnects, gateway restarts, compactions and late writes: what a client knows is what the gateway knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.kafka.follower import Health
from bus.kafka.ports import Message, TopicPartition
from bus.testing.memory import MemoryLog
from consumers.dashboard import resume
from consumers.dashboard.state import Indicator, State
from consumers.dashboard.stream import Hub, Limits, Wish
from tests.conftest import examples
from tests.unit.gateway.feed import DECODE, Client, value

IDS = ("dlh.x", "dlh.y")
TOPICS = [f"indicators.{id_}" for id_ in IDS]

updates = st.tuples(
    st.just("update"), st.sampled_from(IDS), st.sampled_from(["DKI1", "DKI2", "DKI3", None]), st.integers(1, 2), st.integers(0, 2)
)
steps = st.lists(
    st.one_of(
        updates,
        updates,
        st.tuples(st.just("late"), st.sampled_from(IDS)),
        st.tuples(st.just("follow")),
        st.tuples(st.just("deliver"), st.integers(1, 3)),
        st.tuples(st.just("disconnect")),
        st.tuples(st.just("restart")),
        st.tuples(st.just("compact")),
    ),
    max_size=40,
)


class World:
    """One log, the gateway that happens to live, and one client of it."""

    def __init__(self, wish: Wish, limits: Limits) -> None:
        self.log = MemoryLog(dict.fromkeys(TOPICS, 1), compacted=TOPICS)
        self.wish, self.limits = wish, limits
        self.client = Client()
        self.revisions: dict[tuple[str, str | None], int] = {}
        self.versions = dict.fromkeys(IDS, 1)
        self.messages: AsyncIterator[tuple[str, bytes]] | None = None
        self.state = State(DECODE)
        self.hub = Hub(self.state, limits)

    async def update(self, id_: str, station: str | None, version: int, n: int) -> None:
        """As the merge writes: a higher version at some time, revisions that grow within a version, cells that lose all events."""
        self.versions[id_] = max(self.versions[id_], version)
        revision = self.revisions[id_, station] = self.revisions.get((id_, station), 0) + 1
        text = str(revision * 10 + n) if n else None
        await self.log.send([value(id_, text, dimensions={"station": station}, version=self.versions[id_], revision=revision, n=n)])

    async def late(self, id_: str) -> None:
        """A stopped merge's old write appears, and the owner repeats its own (R5)."""
        written = self.log.records(f"indicators.{id_}")
        if written:
            newest = {record.key: record for record in written}
            for record in (written[0], newest[written[0].key]):
                self.log.append(Message(record.topic, 0, record.key, record.value, record.headers))

    async def follow(self) -> None:
        for topic in TOPICS:
            position, end = self.state.add(topic).position, await self.log.end(TopicPartition(topic, 0))
            async for records in self.log.read(TopicPartition(topic, 0), position, end):
                self.state.apply(topic, records, upto=0)
            self.state.apply(topic, (), upto=end)
        self.hub.wake()

    async def deliver(self, most: int) -> None:
        """Let the client take some messages, connecting it when it is not."""
        if self.messages is None:
            self.messages = self.hub.messages(Wish(self.wish.indicators, self.wish.brief, self.client.token))
        for _ in range(most):
            try:
                async with asyncio.timeout(0.001):
                    _, body = await anext(self.messages)
            except TimeoutError:
                # The generator was waiting for news and is closed by the timeout: that is a disconnect.
                await self.disconnect()
                return
            self.client.feed_text(body.decode())

    async def disconnect(self) -> None:
        if self.messages is not None:
            await self.messages.aclose()  # type: ignore[attr-defined]
            self.messages = None

    async def restart(self) -> None:
        await self.disconnect()
        self.state = State(DECODE)
        self.hub = Hub(self.state, self.limits)
        await self.follow()

    def compact(self) -> None:
        for topic in TOPICS:
            self.log.compact(topic)


async def play(world: World, history: list[tuple[object, ...]]) -> None:
    await world.follow()
    for name, *arguments in history:
        result = getattr(world, str(name))(*arguments)
        if result is not None:
            await result
    await world.follow()
    await world.deliver(100)
    await world.disconnect()


@pytest.mark.parametrize("wanted", [None, frozenset({"dlh.y"})])
@pytest.mark.parametrize("queue_cells", [10_000, 1])
@settings(max_examples=examples(150))
@given(history=steps)
def test_after_resuming_the_client_knows_what_the_gateway_knows(
    wanted: frozenset[str] | None, queue_cells: int, history: list[tuple[object, ...]]
) -> None:
    world = World(Wish(wanted), Limits(queue_cells=queue_cells))
    asyncio.run(play(world, history))
    known = {(i.id, cell.key): cell.full() for i in world.state.chosen(wanted) for cell in i.cells()}
    assert world.client.cells == known


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=6))
def test_a_token_names_the_positions_it_was_made_of(positions: list[int]) -> None:
    indicators = [Indicator(f"a.{number}", position=position, born_ms=7) for number, position in enumerate(positions)]
    text = resume.token(indicators)
    assert resume.positions(text, indicators) == {each.id: each.position for each in indicators}
    later = [Indicator(each.id, position=each.position + 5, born_ms=7) for each in indicators]
    assert resume.positions(text, later) == {each.id: each.position for each in indicators}


def _indicator(id_: str = "dlh.x", position: int = 5, born_ms: int = 7) -> Indicator:
    return Indicator(id_, position=position, born_ms=born_ms)


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([_indicator("dlh.y")], id="another topic"),
        pytest.param([_indicator(), _indicator("dlh.y")], id="one topic more"),
        pytest.param([_indicator(born_ms=8)], id="another log of that name"),
        pytest.param([_indicator(position=4)], id="a log that is shorter"),
        pytest.param([], id="no topic"),
    ],
)
def test_a_foreign_token_is_known_as_such(others: list[Indicator]) -> None:
    assert resume.positions(resume.token([_indicator()]), others) is None


@pytest.mark.parametrize(
    "text", ["", "x", "1", "12345678", "12345678.", "12345678.-", "12345678.ä", "ffffffff.5", "a" * 9000, "00000000." + "z" * 14]
)
def test_what_is_no_token_is_no_token(text: str) -> None:
    assert resume.positions(text, [_indicator()]) is None


async def test_a_replaced_log_means_a_new_snapshot_that_forgets_the_old() -> None:
    world = World(Wish(), Limits())
    await world.update("dlh.x", "DKI1", 1, 2)
    await world.follow()
    messages = world.hub.messages(Wish())
    for _ in range(2):
        world.client.feed_text((await anext(messages))[1].decode())
    assert len(world.client.cells) == 1
    world.state.reset()
    world.hub.wake()
    kind, body = await anext(messages)
    world.client.feed_text(body.decode())
    assert (kind, world.client.cells) == ("snapshot", {})


async def test_status_messages_come_when_something_changed() -> None:
    hub = Hub(State(DECODE), Limits(heartbeat=0.01))
    health = Health(caught_up=True, live=True, silent_seconds=0.0, reason="")
    hub.say(health, "d1")
    messages = hub.messages(Wish())
    assert [(await anext(messages))[0] for _ in range(3)] == ["status", "snapshot", "heartbeat"]
    hub.say(health, "d1")
    assert (await anext(messages))[0] == "heartbeat"
    hub.say(health, "d2")
    assert (await anext(messages))[0] == "status"


async def test_heartbeats_come_however_often_the_client_is_woken_for_nothing() -> None:
    hub = Hub(State(DECODE), Limits(heartbeat=0.05))
    messages = hub.messages(Wish())
    assert [(await anext(messages))[0] for _ in range(2)] == ["status", "snapshot"]

    async def wake() -> None:
        while True:
            hub.wake()
            await asyncio.sleep(0.005)

    waking = asyncio.create_task(wake())
    async with asyncio.timeout(2):
        assert (await anext(messages))[0] == "heartbeat"
    waking.cancel()


async def test_only_the_last_part_of_a_snapshot_moves_the_token() -> None:
    world = World(Wish(), Limits())
    await world.log.send([value("dlh.x", str(number), dimensions={"station": f"S{number}"}) for number in range(1001)])
    await world.follow()
    messages = world.hub.messages(Wish())
    bodies = [(await anext(messages))[1].decode() for _ in range(4)]
    assert ["\nid: " in body for body in bodies] == [False, False, False, True]
    assert ['"complete":true' in body for body in bodies] == [False, False, False, True]


async def test_a_client_that_missed_too_much_gets_a_snapshot() -> None:
    world = World(Wish(), Limits(queue_cells=2))
    await world.follow()
    messages = world.hub.messages(Wish())
    assert [(await anext(messages))[0] for _ in range(2)] == ["status", "snapshot"]
    for expected, count in (("change", 2), ("snapshot", 3)):
        for number in range(count):
            await world.update("dlh.x", f"S{number}", 1, 2)
        await world.follow()
        assert (await anext(messages))[0] == expected

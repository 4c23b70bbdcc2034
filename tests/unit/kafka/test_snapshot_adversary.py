"""R2 and R3 of the snapshot store, against everything that may happen to its topic.

Several processes save states of one unit, each from a snapshot on that it loaded or wrote, or from none. Each may stop before any single
write, perform what it still had to write at any later moment (SIGSTOP, takeover, SIGCONT), and go on from there knowing nothing of the
others; the topic may be compacted at any moment, even between two reads of a load. Whatever happens: the two highest offsets that were
ever complete never get lost, and what is loaded is the state at its offset.
"""

from __future__ import annotations

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import SNAPSHOTS
from bus.testing.memory import MemoryLog
from tests.conftest import examples
from tests.unit.kafka.snapshot_writers import UNIT, Disturbed, Process, Topic, content, former

Step = tuple[str, int, int, int]


def generated(chance: random.Random) -> list[Step]:
    """A history: mostly saves, most of them whole, by processes of which every now and then a new one takes over."""
    steps: list[Step] = []
    for _ in range(chance.randrange(5, 60)):
        budget = 99 if chance.random() < 0.6 else chance.randrange(1, 13)
        steps.append(
            chance.choices(
                [
                    ("advance", chance.randrange(6), chance.randrange(6), budget),
                    ("restart", chance.randrange(6), 0, 0),
                    ("compact", chance.randrange(2), 0, 0),
                    ("anew", chance.randrange(6), 0, 0),
                    ("old", chance.randrange(40), 0, chance.randrange(1, 4)),
                ],
                [75, 15, 5, 2, 3],
            )[0]
        )
    return steps


disturbance = st.one_of(st.just(("none", 0)), st.just(("compact", 0)), st.tuples(st.just("late"), st.integers(1, 9)))


@settings(max_examples=examples(40))
@given(st.integers(0, 1 << 40), st.lists(disturbance, max_size=20))
def test_the_highest_complete_snapshots_never_get_lost(seed: int, disturbances: list[tuple[str, int]]) -> None:
    # A generator of our own: Hypothesis' favour for small and equal draws leaves few takeovers in which anything could happen.
    asyncio.run(scenario(generated(random.Random(seed)), disturbances))


async def scenario(steps: list[Step], disturbances: list[tuple[str, int]]) -> None:
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS], batch_records=2)
    processes = [Process(log) for _ in range(2)]
    gone: list[Process] = []
    topic = Topic(log)
    for kind, first, second, third in steps:
        which = first % len(processes)
        if kind == "advance":
            await processes[which].advance(second, third)
        elif kind == "compact":
            log.compact(SNAPSHOTS, tombstones=bool(first))
        elif kind == "old":
            for message in former(first)[:third]:
                log.append(message)
        else:
            if len(processes) > 5:
                gone.append(processes.pop(which))
            processes.append(Process(log))
            if kind == "restart":
                await processes[-1].recover()
        complete = topic.look()
        assert complete >= set(sorted(topic.seen)[-2:]), f"{sorted(topic.seen)} were complete, {sorted(complete)} are"
        await check(KafkaSnapshotStore(log, log), topic.seen)
    turns = iter(disturbances)
    moving = Process(log)

    async def disturb() -> None:
        kind, budget = next(turns, ("none", 0))
        if kind == "compact":
            log.compact(SNAPSHOTS)
        elif kind == "late":
            await moving.advance(60 + 2 * budget, budget)

    found = await KafkaSnapshotStore(log, Disturbed(log, disturb)).load(UNIT)
    assert (found.offset if found else -1) >= max(topic.seen, default=-1)
    for process in [*gone, *processes, moving]:
        process.end()


async def check(store: KafkaSnapshotStore, seen: set[int]) -> None:
    found = await store.load(UNIT)
    newest = await store.newest("fold/")
    if found is None:
        assert not seen
        assert newest == {}
        return
    assert found.offset == max(seen)
    former_form = dict(enumerate(message.value for message in former(found.offset)[:-1]))
    assert found.blocks in ({str(number): chunk for number, chunk in former_form.items()}, content(found.offset))
    assert newest == {UNIT: found.offset}

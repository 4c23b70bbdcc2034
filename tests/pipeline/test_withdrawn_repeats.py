"""What a delivery that stands said again without a change stays when the first to say it is withdrawn: as if that had never been sent."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.errors import ConfigurationError
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import AUDIT
from bus.ops.audit import Audit
from bus.ops.repeats import Repeats, repeats_of
from bus.ops.wiring import Log
from bus.ops.withdrawal import Plan, plan_withdrawal, withdraw
from tests.pipeline.ingest_world import ONE_EVENT, THREE_EVENTS, World, lab_world

#: What a delivery holds: key -> value.
Table = Mapping[str, str]


def _batch(number: int) -> str:
    return f"lab/samples/{number}"


async def _repeats(world: World, number: int) -> Repeats | None:
    async def topics() -> list[str]:
        return world.topics

    log = Log(world.log, world.log, KafkaSnapshotStore(world.log, world.log), topics)
    return await repeats_of(log, world.clock, _batch(number))


async def _plan(world: World, number: int) -> Plan:
    if AUDIT not in world.log.topics:
        world.log.create(AUDIT)
    types = [each for each in world.codec.catalogue.types.values() if each.type.topic in world.topics]
    return await plan_withdrawal(types, world.log, world.codec, _batch(number), repeats=await _repeats(world, number))


async def _withdraw(world: World, number: int) -> Plan:
    plan = await _plan(world, number)
    await withdraw(plan, world.log, Audit(world.log, world.log, world.clock, who="sari"), reason="salah kirim")
    assert (await _plan(world, number)).pending == 0, "what is complete is left alone"
    return plan


async def _delivered(base: Path, kind: str, tables: Sequence[Table], mapping: str = ONE_EVENT) -> World:
    world = lab_world(base, kind=kind, mapping=mapping)
    await _deliver(world, tables)
    return world


async def _deliver(world: World, tables: Sequence[Table], first: int = 1) -> None:
    for number, table in enumerate(tables, first):
        world.put(f"{number}.csv", *(f"{key},{value}" for key, value in table.items()), header="no,value")
    await world.run()


def _values(world: World) -> dict[str, object]:
    return {subject: data["value"] for (_, subject), data in world.current().items()}


@pytest.mark.parametrize("kind", ["append", "table"])
async def test_what_a_later_delivery_repeats_stays(tmp_path: Path, kind: str) -> None:
    world = await _delivered(tmp_path, kind, [{"w1": "5", "w2": "7"}, {"w1": "5", "w2": "8"}])
    plan = await _withdraw(world, 1)
    assert _values(world) == {"w1": "5", "w2": "8"}
    assert plan.kept == 1
    await _withdraw(world, 2)
    assert _values(world) == {}, "nobody who stands says it any more"


@pytest.mark.parametrize("kind", ["append", "table"])
async def test_the_one_that_repeats_is_withdrawn_first(tmp_path: Path, kind: str) -> None:
    world = await _delivered(tmp_path, kind, [{"w1": "5", "w2": "7"}, {"w1": "5"}, {"w1": "5", "w2": "7", "w3": "1"}, {"w1": "6"}])
    await _withdraw(world, 3)
    await _withdraw(world, 4)
    await _withdraw(world, 1)
    assert _values(world) == {"w1": "5"}
    await _withdraw(world, 2)
    assert _values(world) == {}


async def test_a_delivery_that_only_repeats_can_be_withdrawn(tmp_path: Path) -> None:
    world = await _delivered(tmp_path, "append", [{"w1": "5", "w2": "7"}, {"w1": "5"}])
    assert (await _withdraw(world, 2)).pending == 0
    await _withdraw(world, 1)
    assert _values(world) == {}


async def test_what_a_whole_table_lacks_stays_away(tmp_path: Path) -> None:
    world = await _delivered(tmp_path, "table", [{"w1": "5", "w2": "7"}, {"w2": "8"}, {"w2": "9"}])
    await _withdraw(world, 2)
    assert _values(world) == {"w2": "9"}
    await _withdraw(world, 3)
    assert _values(world) == {"w1": "5", "w2": "7"}


async def test_a_table_with_a_refused_line_does_not_say_what_is_gone(tmp_path: Path) -> None:
    world = await _delivered(tmp_path, "table", [{"w1": "5", "w2": "7"}, {"w2": "7"}])
    world.put("3.csv", "w2,7", "no,such,line", header="no,value")
    await world.run()
    await _withdraw(world, 2)
    assert _values(world) == {"w1": "5", "w2": "7"}


async def test_while_a_later_delivery_is_read_nothing_is_withdrawn(tmp_path: Path) -> None:
    world = await _delivered(tmp_path, "append", [{"w1": "5"}])
    world.put("2.csv", *(f"x{n},1" for n in range(9)), "w1,5", header="no,value")
    effect = 0
    while (await _repeats_or_none(world)) is not None:
        assert await world.run_until_crash(effect)
        effect += 1
    with pytest.raises(ConfigurationError, match="delivery 2 of lab/samples is being read"):
        await _plan(world, 1)
    await world.run()
    await _withdraw(world, 1)
    assert _values(world)["w1"] == "5"


async def _repeats_or_none(world: World) -> Repeats | None:
    try:
        return await _repeats(world, 1)
    except ConfigurationError:
        return None


async def test_what_was_said_before_repetitions_were_counted_is_named(tmp_path: Path) -> None:
    world = await _delivered(tmp_path, "append", [{"w1": "5"}, {"w1": "5"}])
    found = await _repeats(world, 1)
    assert found is not None
    assert not found.uncounted(_batch(1))
    found.rows.uncounted = 1
    assert [found.uncounted(_batch(number)) for number in (1, 2)] == [True, False]


async def test_what_a_shorter_record_no_longer_tells_stays_away(tmp_path: Path) -> None:
    """Of an appending source too: the record came again, and still told less."""
    world = lab_world(tmp_path, kind="append", mapping=THREE_EVENTS)
    await _deliver(world, [{"1": "xyz"}, {"1": "x"}, {"1": "x", "2": "y"}, {"1": "z"}])
    await _withdraw(world, 2)
    assert set(_values(world)) == {"1a", "2a"}
    await _withdraw(world, 3)
    assert set(_values(world)) == {"1a"}, "the fourth says so too"
    await _withdraw(world, 4)
    assert _values(world) == dict.fromkeys(("1a", "1b", "1c"), "xyz")


tables = st.lists(
    st.dictionaries(st.sampled_from(["w1", "w2", "w3"]), st.sampled_from(["a", "b", "ab", "abc"]), max_size=3), min_size=1, max_size=5
)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["append", "table"]), st.sampled_from([ONE_EVENT, THREE_EVENTS]), tables, st.data())
async def test_the_facts_are_those_of_a_world_without_the_withdrawn(
    kind: str, mapping: str, found: list[dict[str, str]], data: st.DataObject
) -> None:
    """Whatever is withdrawn, in whatever order."""
    # a line of its own, for what equals the newest delivery is skipped
    told = [{**table, f"own{number}": str(number)} for number, table in enumerate(found, 1)]
    chosen = data.draw(st.lists(st.sampled_from(range(1, len(told) + 1)), unique=True))
    with tempfile.TemporaryDirectory() as folder:
        world = await _delivered(Path(folder) / "with", kind, told, mapping)
        for place, number in enumerate(chosen):
            await _withdraw(world, number)
            never = await _delivered(
                Path(folder) / str(place), kind, [table for each, table in enumerate(told, 1) if each not in chosen[: place + 1]], mapping
            )
            assert _values(world) == _values(never)

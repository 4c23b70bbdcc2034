"""Snapshots told by hand: what is written, what is found again, and what stays or goes."""

from __future__ import annotations

import json
import zlib

import pytest

import bus.kafka.packing
from bus.errors import FatalError
from bus.kafka.ports import Message
from bus.kafka.snapshot_log import BLOCK, Key, UnitLog
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import SNAPSHOTS
from bus.testing.memory import MemoryLog
from tests.unit.kafka.snapshot_writers import UNIT, Disturbed, content, former, given_all, offset_of


async def test_an_end_record_alone_is_no_snapshot() -> None:
    elsewhere, log = MemoryLog({SNAPSHOTS: 1}), MemoryLog({SNAPSHOTS: 1})
    await KafkaSnapshotStore(elsewhere, elsewhere).save(UNIT, 30, given_all(30))
    await KafkaSnapshotStore(log, log).save(UNIT, 20, given_all(20))
    *blocks, end = (Message(SNAPSHOTS, 0, record.key, record.value) for record in elsewhere.records(SNAPSHOTS))
    assert len(blocks) > 2
    for part in (end, *blocks):
        found = await KafkaSnapshotStore(log, log).load(UNIT)
        assert found is not None
        assert found.offset == 20
        log.append(part)
    found = await KafkaSnapshotStore(log, log).load(UNIT)
    assert found is not None
    assert found.offset == 30


async def test_generations_that_change_while_they_are_looked_for_are_found() -> None:
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS], batch_records=1)
    other = KafkaSnapshotStore(log, log)
    for offset in (10, 20):
        await other.save(UNIT, offset, given_all(offset))
    ends = 0

    async def disturb() -> None:
        nonlocal ends
        ends += 1
        # Once the end of the log was asked for, and before the first record is read.
        if ends == 2:
            for offset in (30, 40):
                await other.save(UNIT, offset, given_all(offset))
            log.compact(SNAPSHOTS)

    found = await KafkaSnapshotStore(log, Disturbed(log, disturb)).load(UNIT)
    assert found is not None
    assert (found.offset, found.blocks) == (40, content(40))


async def test_a_block_that_arrived_damaged_makes_no_snapshot() -> None:
    elsewhere, log = MemoryLog({SNAPSHOTS: 1}), MemoryLog({SNAPSHOTS: 1})
    await KafkaSnapshotStore(elsewhere, elsewhere).save(UNIT, 30, {"a": b"right"})
    for record in elsewhere.records(SNAPSHOTS):
        log.append(Message(SNAPSHOTS, 0, record.key, b"\x00wrong" if record.value == b"\x00right" else record.value))
    assert await KafkaSnapshotStore(log, log).load(UNIT) is None


async def test_an_older_place_of_a_block_does_not_replace_a_newer_one() -> None:
    unit, key = UnitLog(), Key(BLOCK, UNIT, 5, "a", "digest")
    for place in (9, 4):
        unit.note(key, place, b"value")
    unit.note(key, 7, None)
    assert unit.places == {key: 9}


async def test_two_generations_stay_and_older_ones_go() -> None:
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS])
    store = KafkaSnapshotStore(log, log)
    for offset in range(0, 100, 10):
        await store.save(UNIT, offset, {"a": b"%d" % offset, "b": b"same"})
    log.compact(SNAPSHOTS)
    assert {offset_of(record) for record in log.records(SNAPSHOTS) if record.value is not None} == {80, 90}


async def test_only_what_was_touched_is_written_and_the_rest_stays_where_it_lies() -> None:
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS])
    store = KafkaSnapshotStore(log, log)
    await store.save(UNIT, 0, {"hot": b"0", "cold": b"cold", "gone": b"gone"})
    for offset in range(10, 60, 10):
        await store.save(UNIT, offset, {"hot": b"%d" % offset, "cold": None})
    log.compact(SNAPSHOTS)
    left = [json.loads(record.key or b"")[:4] for record in log.records(SNAPSHOTS) if record.value is not None]
    assert sorted((kind, at, name if kind == "block" else "") for kind, _, at, name in left) == [
        ("block", 0, "cold"), ("block", 40, "hot"), ("block", 50, "hot"), ("state", 40, ""), ("state", 50, ""),
    ]  # fmt: skip
    again = KafkaSnapshotStore(log, log)
    found = await again.load(UNIT)
    assert found is not None
    assert found.blocks == {"hot": b"50", "cold": b"cold"}
    await again.save(UNIT, 60, {"hot": b"60", "cold": None})
    found = await KafkaSnapshotStore(log, log).load(UNIT)
    assert found is not None
    assert (found.offset, found.blocks) == (60, {"hot": b"60", "cold": b"cold"})


async def test_a_block_of_which_no_touch_is_proven_stays() -> None:
    """Two processes write what one touch made of a block; whoever of them comes second must not take away what the first goes on to list."""
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS])
    first, second = KafkaSnapshotStore(log, log), KafkaSnapshotStore(log, log)
    await first.save(UNIT, 10, {"a": b"10", "b": b"10"})
    for store in (first, second):
        await store.load(UNIT)
    await first.save(UNIT, 20, {"a": b"15", "b": None}, base=10)
    await second.save(UNIT, 30, {"a": b"15", "b": None}, base=10)
    await second.save(UNIT, 40, {"a": None, "b": b"40"}, base=30)
    await second.save(UNIT, 50, {"a": None, "b": None}, base=40)
    await first.save(UNIT, 60, {"a": None, "b": b"40"}, base=20)
    log.compact(SNAPSHOTS)
    found = await KafkaSnapshotStore(log, log).load(UNIT)
    assert found is not None
    assert (found.offset, found.blocks) == (60, {"a": b"15", "b": b"40"})


@pytest.mark.parametrize("base", [15, 20], ids=["from the former form", "again at the same offset"])
async def test_what_is_written_without_being_touched_proves_no_touch(base: int) -> None:
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS])
    first, second = KafkaSnapshotStore(log, log), KafkaSnapshotStore(log, log)
    await first.save(UNIT, 10, {"a": b"5"})
    if base == 15:
        for message in former(15):
            log.append(message)
        await second.load(UNIT)
    else:
        await second.load(UNIT)
        await second.save(UNIT, 20, {"a": None}, base=10)
    await second.save(UNIT, 20, {"a": b"5"}, base=base)
    await second.save(UNIT, 30, {"a": None}, base=20)
    await second.save(UNIT, 40, {"a": None}, base=30)
    await first.save(UNIT, 50, {"a": None}, base=10)
    found = await KafkaSnapshotStore(log, log).load(UNIT)
    assert found is not None
    assert (found.offset, found.blocks) == (50, {"a": b"5"})


async def test_a_snapshot_of_the_former_form_is_read() -> None:
    """These bytes were written by the program before ADR 0015."""
    first, second = (
        "2401a4e409a379e777375729b10556c77fd4525c277d23f7fe001864c1db5c50",
        "2d8fc639705640a07fd81a4e5e34a2fe8facb2f4d2e55a65326cbf852f019255",
    )
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS])
    for key, value in [
        (f'["chunk","fold/x",7,0,"{first}"]', b'{"head":1}\n[1,'),
        (f'["chunk","fold/x",7,1,"{second}"]', '"é"]'.encode()),
        (
            '["end","fold/x",7,"8af28b19240d2553ebb5d7787c8937de24f7fe577e0afa79f5380c3d5f707244"]',
            f'{{"chunks":["{first}","{second}"]}}'.encode(),
        ),
    ]:
        log.append(Message(SNAPSHOTS, 0, key.encode(), value))
    store = KafkaSnapshotStore(log, log)
    found = await store.load(UNIT)
    assert found is not None
    assert (found.offset, found.blocks) == (7, {"0": b'{"head":1}\n[1,', "1": '"é"]'.encode()})
    assert found.chunks == (b'{"head":1}\n[1,', '"é"]'.encode())
    with pytest.raises(FatalError, match="unchanged"):
        await store.save(UNIT, 8, {"0": None})
    for offset in (8, 9):
        await store.save(UNIT, offset, {"a": b"%d" % offset})
    log.compact(SNAPSHOTS)
    assert {offset_of(record) for record in log.records(SNAPSHOTS) if record.value is not None} == {8, 9}


async def test_a_group_in_which_nothing_was_touched_is_not_listed_again() -> None:
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS])
    store = KafkaSnapshotStore(log, log)
    await store.save(UNIT, 0, {"head": b"0", "old/a": b"a", "old/b": b"b", "new/c": b"0"})
    for offset in range(10, 40, 10):
        await store.save(UNIT, offset, {"head": b"%d" % offset, "old/a": None, "old/b": None, "new/c": b"%d" % offset})
    log.compact(SNAPSHOTS)
    left = [json.loads(record.key or b"")[:4] for record in log.records(SNAPSHOTS) if record.value is not None]
    assert sorted((kind, at, name) for kind, _, at, name in left if kind != "state") == [
        ("block", 0, "old/a"), ("block", 0, "old/b"), ("block", 20, "head"), ("block", 20, "new/c"), ("block", 30, "head"),
        ("block", 30, "new/c"), ("list", 0, "old"), ("list", 20, "new"), ("list", 30, "new"),
    ]  # fmt: skip
    await store.save(UNIT, 40, {"head": b"40", "old/a": None, "new/c": None})
    found = await KafkaSnapshotStore(log, log).load(UNIT)
    assert found is not None
    assert found.blocks == {"head": b"40", "old/a": b"a", "new/c": b"30"}


async def test_blocks_may_stay_where_they_are_and_be_read_later() -> None:
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS])
    first, other = KafkaSnapshotStore(log, log), KafkaSnapshotStore(log, log)
    await first.save(UNIT, 10, {"head": b"10", "old/a": b"a", "old/b": b"b"})
    found = await other.load(UNIT, lambda name: name == "head")
    assert found is not None
    assert (found.blocks, set(found.elsewhere)) == ({"head": b"10"}, {"old/a", "old/b"})
    await other.save(UNIT, 20, {"head": b"20", "old/a": None, "old/b": None}, base=10)
    assert await other.read(UNIT, ["old/b"]) == {"old/b": b"b"}
    assert await other.read(UNIT, ["head"], base=10) == {"head": b"10"}
    for name, base in (("old/c", None), ("old/a", 5)):
        with pytest.raises(FatalError, match="no snapshot that this process knows"):
            await other.read(UNIT, [name], base=base)
    await first.load(UNIT)
    for offset in (30, 40, 50):
        await first.save(UNIT, offset, {"head": b"%d" % offset, "old/a": b"new", "old/b": None}, base=offset - 10)
    log.compact(SNAPSHOTS)
    assert await other.read(UNIT, ["old/b"]) == {"old/b": b"b"}
    with pytest.raises(FatalError, match="another process"):
        await other.read(UNIT, ["old/a"])


async def test_unchanged_is_refused_where_nothing_is_known() -> None:
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS])
    store = KafkaSnapshotStore(log, log)
    await store.save(UNIT, 10, {"a": b"a"})
    for blocks, base, other in [({"b": None}, 10, store), ({"a": None}, 5, store), ({"a": None}, None, KafkaSnapshotStore(log, log))]:
        with pytest.raises(FatalError, match="unchanged"):
            await other.save(UNIT, 20, blocks, base=base)
    assert await store.newest() == {UNIT: 10}


async def test_unchanged_is_meant_since_the_snapshot_that_was_gone_on_from() -> None:
    """One process may hold two states of a unit for a moment: that of a partition that it gave away, and that which came back."""
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS])
    store, other = KafkaSnapshotStore(log, log), KafkaSnapshotStore(log, log)
    await store.save(UNIT, 10, {"a": b"old"})
    await other.save(UNIT, 30, {"a": b"new"})
    found = await store.load(UNIT)
    assert found is not None
    assert found.offset == 30
    await store.save(UNIT, 20, {"a": None}, base=10)
    (end,) = [record for record in log.records(SNAPSHOTS) if json.loads(record.key or b"")[:3] == ["state", UNIT, 30]]
    elsewhere = MemoryLog({SNAPSHOTS: 1})
    for record in log.records(SNAPSHOTS):
        elsewhere.append(Message(SNAPSHOTS, 0, record.key, None if record is end else record.value))
    for where, offset, expected in [(log, 30, b"new"), (elsewhere, 20, b"old")]:
        found = await KafkaSnapshotStore(where, where).load(UNIT)
        assert found is not None
        assert (found.offset, found.blocks) == (offset, {"a": expected})
    await store.save(UNIT, 40, {"a": None}, base=30)
    found = await KafkaSnapshotStore(log, log).load(UNIT)
    assert found is not None
    assert (found.offset, found.blocks) == (40, {"a": b"new"})


async def test_large_contents_are_cut_and_packed_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus.kafka.packing, "PIECE_BYTES", 1000)
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS])
    blocks = {"large": bytes(zlib.crc32(b"%d" % n) & 255 for n in range(100_000)), "even": b"0" * 100_000, "none": b""}
    await KafkaSnapshotStore(log, log).save(UNIT, 5, blocks)
    assert max(len(record.value or b"") for record in log.records(SNAPSHOTS) if b'"block"' in (record.key or b"")) == 1000
    found = await KafkaSnapshotStore(log, log).load(UNIT)
    assert found is not None
    assert found.blocks == blocks


async def test_units_beside_one_another_do_not_mix() -> None:
    log = MemoryLog({SNAPSHOTS: 2}, compacted=[SNAPSHOTS])
    store = KafkaSnapshotStore(log, log)
    for unit in range(10):
        for offset in (1, 2, 3):
            await store.save(f"fold/{unit}", offset, {str(name): b"%d" % unit for name in range(offset)})
    fresh = KafkaSnapshotStore(log, log)
    for unit in range(10):
        found = await fresh.load(f"fold/{unit}")
        assert found is not None
        assert (found.offset, found.chunks) == (3, (b"%d" % unit,) * 3)
    assert await fresh.newest("fold/1") == {"fold/1": 3}


async def test_what_is_not_a_snapshot_is_passed_over() -> None:
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS])
    for key in (
        b"x",
        b"[]",
        b'{"a":1}',
        b'["end"]',
        b"\xff",
        b'["end","u","x","y"]',
        b"7",
        b'["chunk","u",1,"a","b"]',
        b'["block","u",1,2,"b"]',
        b'["state","fold/x",9,"no hash"]',
        b'["end","fold/x",9,"no hash"]',
    ):
        log.append(Message(SNAPSHOTS, 0, key, b"x"))
    store = KafkaSnapshotStore(log, log)
    await store.save(UNIT, 5, given_all(5))
    found = await KafkaSnapshotStore(log, log).load(UNIT)
    assert found is not None
    assert found.offset == 5

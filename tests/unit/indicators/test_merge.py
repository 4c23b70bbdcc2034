"""Merge: the rows depend on the logs only, whatever is written late, twice or in parts."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.errors import FatalError
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output, export_rows
from bus.indicators.partial import encode
from bus.indicators.verify import Recomputation, chains, difference, recompute, vector_of
from bus.indicators.windows import to_micros
from tests.conftest import examples
from tests.unit.indicators.histories import cuts, logs
from tests.unit.indicators.oracle import CASES
from tests.unit.indicators.worlds import batch, event, indicator

TOPIC = "events.test.thing.counted.v1"


def said(unit: FoldUnit, rows: list[dict[str, Any]], batches: list[tuple[int, int]], max_bytes: int = 700_000) -> list[bytes]:
    """All records that a fold sends for its partition."""
    records = encode(unit.full_partial(), max_bytes)
    for first, last in batches:
        partial = unit.apply(batch(rows[first : last + 1], first, last))
        records += encode(partial, max_bytes) if partial is not None else []
    return records


def read(records: list[bytes], sizes: list[int]) -> tuple[MergeUnit, list[Output]]:
    """A merge that has read the records, in batches of those sizes over and over."""
    unit, outputs, position, turn = MergeUnit.new(0), [], 0, 0
    while position < len(records):
        size = sizes[turn % len(sizes)]
        outputs += unit.apply(list(enumerate(records))[position : position + size])
        position, turn = position + size, turn + 1
    return unit, outputs


@settings(max_examples=examples(25))
@given(data=st.data())
def test_late_writers_change_nothing(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(CASES))
    spec = indicator(**case.spec)
    partitions = [data.draw(logs(correctable=True, longest=8)) for _ in range(2)]
    streams, plain = [], []
    for number, rows in enumerate(partitions):
        plain += said(FoldUnit.new(spec, TOPIC, number, 2), rows, [(0, len(rows) - 1)] if rows else [])
        streams.append(
            said(FoldUnit.new(spec, TOPIC, number, 2), rows, data.draw(cuts(len(rows))), data.draw(st.sampled_from([500, 700_000])))
        )
    order = data.draw(st.permutations([number for number, stream in enumerate(streams) for _ in stream]))
    records: list[bytes] = []
    for number in order:
        records.append(streams[number].pop(0))
        records += data.draw(st.lists(st.sampled_from(records), max_size=2))
    merge, outputs = read(records, [len(records)])
    other, others = read(records, data.draw(st.lists(st.integers(1, 4), min_size=1)))
    assert merge.dump() == other.dump()
    assert MergeUnit.load(0, merge.offset, merge.dump()).dump() == merge.dump()
    expected, _ = read(plain, [1])
    exported = export_rows(expected.full_outputs())
    assert export_rows(merge.full_outputs()) == exported
    assert export_rows(outputs) == exported
    assert export_rows(others) == exported
    proven(spec, partitions, others)


def proven(spec: Indicator, partitions: list[list[dict[str, Any]]], outputs: list[Output]) -> None:
    """Every output that was ever published is what its own evidence gives."""
    for chain in chains(outputs):
        again = Recomputation([spec])
        for vector, held in chain:
            again.advance(vector)
            for number, rows in enumerate(partitions):
                if rows:
                    again.feed(TOPIC, number, batch(rows))
            for output in held:
                key = output.window_start_us, tuple(output.dimensions.values())
                assert difference(output, again.output(spec.id, key)) is None
    for output in outputs[-1:]:
        batches = {(TOPIC, number): [batch(rows)] for number, rows in enumerate(partitions) if rows}
        assert output in recompute(spec, batches, vector_of(output))


def full(spec: Indicator, partition: int = 0, partitions: int = 1, **changes: object) -> list[bytes]:
    unit = FoldUnit.new(spec, TOPIC, partition, partitions)
    unit.apply(batch([event(0, **changes)]))
    return encode(unit.full_partial())


def test_nothing_is_published_before_every_partition_has_reported() -> None:
    merge = MergeUnit.new(0)
    assert merge.apply([(0, full(indicator(), 0, 2)[0])]) == []
    assert [output.n for output in merge.apply([(1, full(indicator(), 1, 2)[0])])] == [2]


def test_a_partition_is_introduced_only_by_all_of_its_cells() -> None:
    unit = FoldUnit.new(indicator(), TOPIC, 0, 1)
    unit.apply(batch([event(0)]))
    later = unit.apply(batch([event(1)]))
    assert later is not None
    merge = MergeUnit.new(0)
    assert merge.apply([(0, encode(later)[0])]) == []
    assert sum(output.n for output in merge.apply([(1, encode(unit.full_partial())[0])])) == 2


def test_a_higher_version_replaces_a_lower_one_and_withdraws_its_cells() -> None:
    old, new = indicator(), indicator(version=2, where="place = 'r'")
    merge = MergeUnit.new(0)
    (before,) = merge.apply([(0, full(old)[0])])
    after = merge.apply([(1, full(new, place="r")[0])])
    assert {(output.version, output.dimensions["place"], output.n) for output in after} == {(2, "r", 1), (2, "p", 0)}
    assert all(output.order > before.order for output in after)
    assert merge.apply([(2, full(old, place="z")[0])]) == []
    assert merge.known() == {"test.thing": (2, new.fingerprint)}
    assert MergeUnit.load(0, 2, merge.dump()).full_outputs() == merge.full_outputs() == after


def test_another_definition_under_the_same_version_is_ignored() -> None:
    merge = MergeUnit.new(0)
    merge.apply([(0, full(indicator())[0])])
    assert merge.apply([(1, full(indicator(window="1h"))[0])]) == []


def test_a_window_becomes_final_when_every_partition_is_past_it() -> None:
    """By an event or heartbeat of whatever source: a silent one keeps nobody waiting."""
    merge = MergeUnit.new(0)
    units = [FoldUnit.new(indicator(late="1h"), TOPIC, number, 2) for number in (0, 1)]
    position = 0

    def hear(partition: int, *rows: dict[str, Any], beats: tuple[tuple[int, str, int], ...] = ()) -> list[str]:
        nonlocal position
        unit = units[partition]
        first = unit.offset + 1
        last = max([row["_offset"] for row in rows] + [offset for offset, _, _ in beats])
        partial = unit.apply(replace(batch(list(rows), first, last), heartbeats=beats))
        assert partial is not None
        position += 1
        return [output.status for output in merge.apply([(position, encode(partial)[0])])]

    for unit in units:
        merge.apply([(position, encode(unit.full_partial())[0])])
        position += 1
    assert hear(0, event(0)) == ["provisional"]
    assert hear(0, event(1, occurred_at=event(30)["occurred_at"])) == ["provisional"]
    assert hear(1, event(0, source="b/y")) == ["provisional"]
    assert hear(1, beats=((1, "a/x", to_micros(event(30)["occurred_at"])),)) == ["final"]


def test_what_readers_see_again_is_not_said_again() -> None:
    merge, record = MergeUnit.new(0), full(indicator())[0]
    assert len(merge.apply([(0, record)])) == 1
    assert merge.apply([(1, record), (2, record)]) == []
    assert merge.apply([(1, record)]) == []


def test_a_record_that_is_no_partial_stops_the_process() -> None:
    with pytest.raises(FatalError):
        MergeUnit.new(0).apply([(0, b"{}")])


def test_parts_count_only_when_all_are_there() -> None:
    unit = FoldUnit.new(indicator(by=["place", "kind"]), TOPIC, 0, 1)
    unit.apply(batch([event(offset, kind=str(offset)) for offset in range(40)]))
    parts = encode(unit.full_partial(), 1200)
    assert len(parts) > 2
    assert max(map(len, parts)) <= 1200
    merge = MergeUnit.new(0)
    assert merge.apply(list(enumerate([*parts[1:], *parts[1:]]))) == []
    assert sum(output.n for output in merge.apply([(100, parts[0])])) == 40

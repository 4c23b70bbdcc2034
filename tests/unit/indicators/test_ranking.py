"""Rankings that are kept say what a ranking made anew from all members says."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from bus.indicators import composite_kinds
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output
from bus.indicators.partial import CellKey, Definition, Feed, Partial, decode, encode
from bus.indicators.ranking import Ranking
from bus.indicators.windows import LOCAL_ZONE, to_micros
from tests.conftest import examples
from tests.unit.indicators.worlds import indicator

LEAF = indicator(by=["place", "kind"], window="now", measure={"kind": "mean", "of": "amount"}).definition
TOP: Definition = {**LEAF, "id": "test.top", "dims": ["kind", "rank"], "measure": {"kind": "top"}}
FEED: Feed = {
    "definition": TOP, "kind": "top", "of": [[LEAF["id"], LEAF["version"], LEAF["fingerprint"]]], "item": "place", "k": 3,
}  # fmt: skip

places = st.sampled_from(["a", "b", "c", "d", "", None])
cells = st.dictionaries(
    st.tuples(st.just(0), st.tuples(places, st.sampled_from(["x", "y"]))), st.tuples(st.integers(0, 3), st.integers(-4, 4)), max_size=4
)


def said(offset: int, news: dict[CellKey, tuple[int, int]], revisions: dict[CellKey, int]) -> bytes:
    for key in news:
        revisions[key] = revisions.get(key, 0) + 1
    (record,) = encode(
        Partial(
            definition=LEAF,
            topic="events.test",
            partition=0,
            partitions=1,
            first=offset,
            offset=offset,
            watermarks={"a/x": offset},
            cells={key: ([n, total if n else 0], revisions[key]) for key, (n, total) in news.items()},
            heard={0: [f"a/{offset % 3}"]},
            feeds=[FEED],
            full=offset == 0,
        )
    )
    return record


@settings(max_examples=examples(60))
@given(batches=st.lists(cells, min_size=1, max_size=6))
def test_a_kept_ranking_is_the_ranking_made_anew(batches: list[dict[CellKey, tuple[int, int]]]) -> None:
    kept = MergeUnit.new(0)
    revisions: dict[CellKey, int] = {}
    values: dict[CellKey, Fraction] = {}
    for offset, news in enumerate(batches):
        kept.apply([(offset, said(offset, news, revisions))])
        anew = MergeUnit.load(0, kept.offset, kept.dump())
        assert kept.outputs("test.top") == anew.outputs("test.top")
        values |= {key: Fraction(total, n) for key, (n, total) in news.items() if n}
        values = {key: value for key, value in values.items() if key not in news or news[key][0]}
        assert [(row.dimensions["kind"], row.label) for row in kept.outputs("test.top") if row.n] == ranked(values)


def ranked(values: dict[CellKey, Fraction]) -> list[tuple[str | None, str]]:
    order = sorted(values, key=lambda key: (-values[key], key[1][0] or "", key[1][0] is None))
    return [(kind, key[1][0] or "") for kind in ("x", "y") for key in [each for each in order if each[1][1] == kind][:3]]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.integers(-3, 3)), max_size=30))
def test_whoever_is_put_again_stands_once(changes: list[tuple[str, int | None]]) -> None:
    ranking, standing = Ranking(0), dict[str, int | None]()
    for name, value in changes:
        ranking.put((name,), row(name, value))
        standing[name] = value
    order = sorted((name for name, value in standing.items() if value is not None), key=lambda name: (-(standing[name] or 0), name))
    assert [ranking.at(rank) for rank in range(1, len(order) + 2)] == [*((name,) for name in order), None]
    assert [ranking.copy().at(rank) for rank in range(1, len(order) + 2)] == [*((name,) for name in order), None]
    assert ranking.changes == [len(standing), 0, 0, 0]
    assert ranking.errors == sorted({f"0.{value}" for value in standing.values() if value is not None and value > 0})


CLOSING = indicator(by=["place", "kind"], window="1d", stock=True, measure={"kind": "count"}).definition
TOP_OF_CLOSINGS: Definition = {**CLOSING, "id": "test.top", "dims": ["kind", "rank"], "measure": {"kind": "top"}}
FEED_OF_CLOSINGS: Feed = {**FEED, "definition": TOP_OF_CLOSINGS, "of": [[CLOSING["id"], CLOSING["version"], CLOSING["fingerprint"]]]}
DAY = 86_400_000_000
BEGIN = to_micros(datetime(2026, 3, 1, tzinfo=LOCAL_ZONE))

closings = st.dictionaries(
    st.tuples(st.integers(0, 5), st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from(["x", "y"]))), st.integers(-2, 3), max_size=4
)


@settings(max_examples=examples(60))
@given(batches=st.lists(closings, min_size=1, max_size=6), kept=st.sampled_from([1, 2, 32]))
def test_of_closings_all_that_stand_are_ranked(batches: list[dict[tuple[int, tuple[str | None, str]], int]], kept: int) -> None:
    """Whatever is kept of the rankings; a partial revises all later windows, also those in which only other members have rows."""
    merge, silent, revisions = MergeUnit.new(0), MergeUnit.new(0), dict[CellKey, int]()
    changes: dict[CellKey, int] = {}
    read: dict[bytes, Output] = {}
    with mock.patch.object(composite_kinds, "KEPT", kept):
        for offset, news in enumerate(batches):
            cells: dict[CellKey, int] = {(BEGIN + day * DAY, dims): change for (day, dims), change in news.items()}
            changes |= cells
            said = _closed(offset, cells, revisions)
            told = [output for output in merge.apply([(offset, said)]) if output.indicator == "test.top"]
            read |= {output.key(): output for output in told}
            rows = {(row.window_start_us, tuple(row.dimensions.values())): row for row in merge.outputs("test.top")}
            assert {cell: (row.label, row.value, row.n) for cell, row in rows.items() if row.is_row} == ranks(changes)
            assert {row.key(): _told(row) for row in rows.values()} == {key: _told(row) for key, row in read.items()}
            anew = MergeUnit.load(0, merge.offset, merge.dump())
            assert merge.outputs("test.top") == anew.outputs("test.top")
            silent.take(decode(said))  # nobody asks what it changes, and rows are asked for from the last to the first
            assert {cell: silent.output("test.top", cell) for cell in reversed(rows)} == rows


def ranks(changes: dict[CellKey, int]) -> dict[CellKey, tuple[str | None, str | None, int]]:
    """What stands at the end of every day on which anything of the kind changed."""
    found: dict[CellKey, tuple[str | None, str | None, int]] = {}
    for day, kind in {(start, dims[1]) for start, dims in changes}:
        members = {dims for start, dims in changes if dims[1] == kind and start <= day}
        sums = {dims: sum(each for (start, other), each in changes.items() if other == dims and start <= day) for dims in members}
        order = sorted((dims for dims in members if sums[dims]), key=lambda dims: (-sums[dims], dims[0] or ""))
        for rank in range(1, min(3, len(members)) + 1):
            shown = order[rank - 1] if rank <= len(order) else None
            found[day, (kind, str(rank))] = (None, None, 0) if shown is None else (shown[0] or "", str(sums[shown]), sums[shown])
    return found


def _told(row: Output) -> tuple[object, ...]:
    return row.value, row.label, row.n, row.revision, row.heard, row.status, row.closing


def _closed(offset: int, cells: dict[CellKey, int], revisions: dict[CellKey, int]) -> bytes:
    for key in cells:
        revisions[key] = revisions.get(key, 0) + 1
    (record,) = encode(
        Partial(
            definition=CLOSING, topic="events.test", partition=0, partitions=1, first=offset, offset=offset, watermarks={"a/x": offset},
            cells={key: ([change], revisions[key]) for key, change in cells.items()}, heard={key[0]: [f"a/{offset % 3}"] for key in cells},
            feeds=[FEED_OF_CLOSINGS], full=offset == 0,
        )
    )  # fmt: skip
    return record


def row(name: str, value: int | None) -> Output:
    return Output(
        indicator="test.thing", version=1, fingerprint="", window_start_us=0, window_end_us=1, dimensions={"place": name},
        value=None if value is None else str(value), numerator=str(value or 0), denominator="1", n=int(value is not None), revision=1,
        status="provisional", evidence=(), watermarks={}, error=f"0.{value}" if value is not None and value > 0 else None,
    )  # fmt: skip

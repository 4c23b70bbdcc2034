"""The rules of comparing a delivery with what was said before, in all histories."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.events.envelope import Envelope, Event, Op
from bus.ingest.delivery import Derivation, Derived
from bus.ingest.manifest import Meaning
from bus.ingest.rows import Rows
from bus.ingest.source import BadRecord, RawRecord, Reason
from bus.ingest.stamp import Stamp
from bus.settings import ROOT

TYPE = "dlh.air_quality.recorded.v1"
AT = datetime(2024, 1, 1, tzinfo=UTC)
PAYLOAD = dict.fromkeys(("station_name", "pm10", "pm25", "so2", "co", "o3", "no2", "max_index", "category", "critical"))


@lru_cache
def codec() -> Codec:
    return Codec(Catalogue.load([ROOT / "schemas"]))


def to_events(record: object) -> list[Event]:
    assert isinstance(record, dict)
    return [Event(TYPE, record["key"] + part, AT, {**PAYLOAD, "station": record["value"]}) for part in record["parts"]]


def derive(rows: Rows, number: int, lines: list[tuple[str, str, str] | None], *, table: bool = True) -> tuple[list[Derived], Rows]:
    stamp = Stamp("lab/x", number, AT)
    derivation = Derivation(stamp=stamp, meaning=Meaning(to_events), codec=codec(), declared={TYPE}, key=("key",), table=table, rows=rows)
    found = []
    for line, item in enumerate(lines, 2):
        raw = (
            BadRecord(line, "?", Reason("field_count"))
            if item is None
            else RawRecord(line, ",".join(item), dict(zip(("key", "value", "parts"), item, strict=True)))
        )
        found.append(derivation.record(raw))
    found += derivation.finish(len(lines) + 1)
    return found, derivation.rows_after()


def applied(current: dict[str, Envelope], derived: list[Derived]) -> dict[str, Envelope]:
    """What a fold makes of it."""
    state = dict(current)
    for envelope in (encoded.envelope for item in derived for encoded in item.events):
        known = state.get(envelope.event.subject)
        if known is None or envelope.version > known.version:
            state[envelope.event.subject] = envelope
    return state


def facts(state: dict[str, Envelope]) -> dict[str, object]:
    return {subject: envelope.event.data["station"] for subject, envelope in state.items() if envelope.op is not Op.CANCEL}


lines = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz"), st.sampled_from(["1", "12", "123", ""])),
    max_size=6,
    unique_by=lambda item: item[0],
)


@given(st.lists(lines, max_size=5))
def test_after_each_table_exactly_its_facts_hold(tables: list[list[tuple[str, str, str]]]) -> None:
    rows, state, sequence = Rows(), dict[str, Envelope](), -1
    for number, table in enumerate(tables, 1):
        derived, rows = derive(rows, number, [*table])
        for envelope in (encoded.envelope for item in derived for encoded in item.events):
            assert envelope.sequence > sequence
            sequence = envelope.sequence
        state = applied(state, derived)
        assert facts(state) == {key + part: value for key, value, parts in table for part in parts}
        assert not any(item.events for item in derive(rows, number + 1, [*table])[0])


@given(
    st.lists(
        st.lists(st.none() | st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", "3309014101900001"]), st.just("1")), max_size=5),
        max_size=6,
    ),
    st.data(),
)
def test_refused_records_replayed_at_any_time_give_the_same(tables: list[list[tuple[str, str, str] | None]], data: st.DataObject) -> None:
    """Whatever is replayed, and whenever, the newest word of each key holds: a value that was refused comes in with its own place."""
    rows, state = Rows(), dict[str, Envelope]()
    pending: list[tuple[int, int, tuple[str, str, str]]] = []
    last: dict[str, tuple[int, int, str]] = {}
    for number, table in enumerate(tables, 1):
        derived, rows = derive(rows, number, table, table=False)
        state = applied(state, derived)
        for item, source in zip(derived, table, strict=False):
            if source is None:
                # its true content, known to nobody until it is mended
                source = (data.draw(st.sampled_from("abc")), "mended", "1")  # noqa: PLW2901
                pending.append((number, item.line, source))
            elif item.reason is not None:
                pending.append((number, item.line, (source[0], "mended", "1")))
                source = pending[-1][2]  # noqa: PLW2901
            last[source[0]] = (number, item.line, source[1])
        if data.draw(st.booleans()):
            state = _replayed(state, pending)
    state = _replayed(state, pending)
    for key, (number, line, value) in last.items():
        envelope = state[key + "1"]
        if envelope.version >> 40 == number and (envelope.version >> 8) & 0xFFFFFFFF <= line:
            assert envelope.event.data["station"] in {value, "mended"}
        else:
            assert envelope.event.data["station"] == value


def _replayed(state: dict[str, Envelope], pending: list[tuple[int, int, tuple[str, str, str]]]) -> dict[str, Envelope]:
    for number, line, (key, value, parts) in pending:
        stamp = Stamp("lab/x", number, AT, replayed_line=line)
        derivation = Derivation(
            stamp=stamp, meaning=Meaning(to_events), codec=codec(), declared={TYPE}, key=("key",), table=False, rows=Rows()
        )
        state = applied(state, [derivation.record(RawRecord(line, "", {"key": key, "value": value, "parts": parts}))])
    return state


@pytest.mark.parametrize(
    ("events", "rule"),
    [
        ([Event("lab.other.told.v1", "s", AT)], "undeclared_event"),
        ([Event(TYPE, "s", AT, {**PAYLOAD, "station": "x"})] * 2, "duplicate_subject"),
        ([Event(TYPE, f"s{n}", AT, {**PAYLOAD, "station": "x"}) for n in range(257)], "too_many_events"),
        ([Event(TYPE, "s", AT, {**PAYLOAD, "station": 5})], "type"),
        ([Event(TYPE, "s", datetime(2024, 1, 1), {**PAYLOAD, "station": "x"})], "mapping_failed"),
        ([Event(TYPE, "s", datetime(2024, 1, 3, tzinfo=UTC), {**PAYLOAD, "station": "x"})], "in_future"),
        (["no event"], "mapping_failed"),
        (None, "mapping_failed"),
    ],
)
def test_what_a_mapping_may_not_return(events: list[Event], rule: str) -> None:
    stamp = Stamp("lab/x", 1, AT)
    derivation = Derivation(
        stamp=stamp, meaning=Meaning(lambda record: events), codec=codec(), declared={TYPE}, key=("key",), table=True, rows=Rows()
    )
    reason = derivation.record(RawRecord(2, "x", {"key": "k"})).reason
    assert reason is not None
    assert reason.rule == rule

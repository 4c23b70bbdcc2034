"""A subject that moves from key to key, is told of by several records, or by none: what stands is always what some record says."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.events.codec import envelope_of
from bus.events.envelope import Envelope, Event, Op
from bus.ingest.context import SourceContext
from bus.ingest.delivery import Derivation, Derived
from bus.ingest.intake import Intake
from bus.ingest.journal import Journal
from bus.ingest.manifest import Meaning
from bus.ingest.rows import Rows
from bus.ingest.seal import sealer_for
from bus.ingest.source import BadRecord, RawRecord, Reason
from bus.ingest.stamp import Stamp
from bus.ingest.stream import Reading, Received
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.testing.clock import ManualClock
from tests.pipeline.ingest_world import lab_world
from tests.pipeline.stream_world import MANIFEST
from tests.unit.ingest.test_delivery import AT, PAYLOAD, TYPE, applied, codec, facts

#: A record: its key, the subjects that it tells of, and what it says of them; "?" is refused.
Line = tuple[str, str, str]


def to_events(record: Mapping[str, object]) -> list[Event]:
    value = str(record["value"])
    assert value != "?"
    return [Event(TYPE, subject, AT, {**PAYLOAD, "station": value}) for subject in str(record["subjects"])]


def derive(rows: Rows, number: int, lines: Sequence[Line | None]) -> tuple[list[Derived], Rows]:
    stamp = Stamp("lab/x", number, AT)
    derivation = Derivation(stamp=stamp, meaning=Meaning(to_events), codec=codec(), declared={TYPE}, key=("key",), table=True, rows=rows)
    found = []
    for line, item in enumerate(lines, 2):
        if item is None:
            found.append(derivation.record(BadRecord(line, "?", Reason("field_count"))))
        else:
            found.append(derivation.record(RawRecord(line, "", dict(zip(("key", "subjects", "value"), item, strict=True)))))
    return [*found, *derivation.finish(len(lines) + 1)], derivation.rows_after()


def said_by(records: Mapping[str, Line]) -> dict[str, set[str]]:
    """Subject -> what the records say of it."""
    found: dict[str, set[str]] = {}
    for _, subjects, value in records.values():
        for subject in subjects:
            found.setdefault(subject, set()).add(value)
    return found


def holds(state: Mapping[str, Envelope], records: Mapping[str, Line]) -> bool:
    expected, standing = said_by(records), facts(dict(state))
    return standing.keys() == expected.keys() and all(value in expected[subject] for subject, value in standing.items())


subjects = st.sampled_from(["A", "B", "C", "AB", "BC", ""])
lines = st.lists(st.tuples(st.sampled_from("1234"), subjects, st.sampled_from("xy")), max_size=5, unique_by=lambda item: item[0])
permuted = st.permutations("ABCD").map(lambda order: [(str(key), subject, f"v{subject}") for key, subject in enumerate(order)])


def test_three_subjects_change_places_and_none_is_lost() -> None:
    rows, state = Rows(), dict[str, Envelope]()
    for number, table in enumerate(("1A 2B 3C", "1B 2A 3C", "1B 2A 9C", "1B 9A 2C", "2B 1C 5A"), 1):
        derived, rows = derive(rows, number, [(word[0], word[1], word[1].lower()) for word in table.split()])
        state = applied(state, derived)
        assert facts(state) == {"A": "a", "B": "b", "C": "c"}, table


@given(st.lists(permuted, max_size=5), st.data())
def test_subjects_that_only_move_are_never_cancelled_for_good(tables: list[list[Line]], data: st.DataObject) -> None:
    rows, state = Rows(), dict[str, Envelope]()
    for number, table in enumerate(tables, 1):
        kept = data.draw(st.lists(st.sampled_from(table), unique=True))
        derived, rows = derive(rows, number, data.draw(st.permutations(kept)))
        state = applied(state, derived)
        assert facts(state) == {subject: value for _, subject, value in kept}


@given(st.lists(st.lists(st.none() | lines.map(tuple), max_size=2), max_size=6), st.booleans())
def test_after_each_table_exactly_what_its_records_say_stands(tables: list[list[tuple[Line, ...] | None]], swap: bool) -> None:
    """Also with records that cannot be read, of which what was known stands, and several that tell of one subject."""
    rows, state, sequence = Rows(), dict[str, Envelope](), -1
    records: dict[str, Line] = {}
    for number, parts in enumerate(tables, 1):
        table: list[Line | None] = []
        for part in parts:
            table += [None] if part is None else [line for line in part if line[0] not in {each[0] for each in table if each}]
        if swap:
            table.reverse()
        derived, rows = derive(rows, number, table)
        for envelope in (encoded.envelope for item in derived for encoded in item.events):
            assert envelope.sequence > sequence
            sequence = envelope.sequence
        state = applied(state, derived)
        if None not in table:
            records = {}
        records |= {line[0]: line for line in table if line is not None}
        assert holds(state, records)
        if None not in table:
            assert not any(item.events for item in derive(rows, number + 1, table)[0]), "the same again is no news"


@given(st.lists(lines, min_size=1, max_size=5), st.data())
def test_a_refused_record_keeps_its_subjects(tables: list[list[Line]], data: st.DataObject) -> None:
    rows, state = Rows(), dict[str, Envelope]()
    records: dict[str, Line] = {}
    for number, table in enumerate(tables, 1):
        refused = {line[0] for line in table if data.draw(st.booleans())}
        derived, rows = derive(rows, number, [(key, told, "?" if key in refused and told else value) for key, told, value in table])
        state = applied(state, derived)
        accepted = {key: (key, told, value) for key, told, value in table if not (key in refused and told)}
        records = {key: line for key, line in records.items() if key in refused} | accepted
        assert holds(state, records)


def test_records_of_one_subject_are_not_said_again_when_one_of_them_goes() -> None:
    rows, state = Rows(), dict[str, Envelope]()
    told: list[list[tuple[Op, str, object]]] = []
    for number, table in enumerate(("1A 2A 3A", "2A 3A", "3A", "4B"), 1):
        derived, rows = derive(rows, number, [(word[0], word[1], "same") for word in table.split()])
        state = applied(state, derived)
        events = [encoded.envelope for item in derived for encoded in item.events]
        told.append([(each.op, each.event.subject, each.event.data["station"]) for each in events])
    assert told[1:3] == [[], []]
    assert [each[:2] for each in told[3]] == [(Op.CREATE, "B"), (Op.CANCEL, "A")]
    assert facts(state) == {"B": "same"}


# records that come one by one

_MAPPING = """
from datetime import UTC, datetime
from bus.events.envelope import Event

def to_events(record):
    for subject in record["subjects"]:
        yield Event("lab.sample.recorded.v1", subject, datetime(2024, 1, 1, tzinfo=UTC), {"value": record["value"]})
"""


def _intake(folder: Path) -> tuple[Intake, Journal, SourceContext]:
    world = lab_world(folder, mapping=_MAPPING)
    (folder / "overlay" / "connectors" / "lab" / "agency.toml").write_text(MANIFEST)
    clock, agency = ManualClock(), world.agency
    snapshots, sealer = KafkaSnapshotStore(world.log, world.log), sealer_for(folder / "keys", "lab")
    context = SourceContext(agency, "samples", agency.meaning("samples"), world.codec, world.log, snapshots, sealer, clock)
    journal = Journal(folder / "samples.db", "lab/samples", clock)
    return Intake(context, journal), journal, context


def _state(journal: Journal, context: SourceContext) -> dict[str, object]:
    newest: dict[str, Envelope] = {}
    for each in journal.waiting(-1):
        assert each.value is not None
        envelope = envelope_of("lab.sample.recorded.v1", context.codec.decode(each.value, each.headers))
        if envelope.version > (newest[each.key].version if each.key in newest else -1):
            newest[each.key] = envelope
    return {subject: envelope.event.data["value"] for subject, envelope in newest.items() if envelope.op is not Op.CANCEL}


def _received(line: Line, *, deleted: bool = False) -> Received:
    return Received({"no": line[0], "subjects": line[1], "value": line[2]}, deleted=deleted)


single = st.tuples(st.sampled_from("1234"), subjects, st.sampled_from("xy"))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(single, st.sampled_from(["said", "said", "deleted", "reopened", "whole"])), max_size=12))
def test_journaled_records_keep_the_same_law(history: list[tuple[Line, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        intake, journal, context = _intake(Path(folder))
        records: dict[str, Line] = {}
        for line, how in history:
            if how == "reopened":
                journal.close()
                intake, journal, context = _intake(Path(folder))
            if how == "deleted":
                records.pop(line[0], None)
            else:
                records = {line[0]: line} if how == "whole" else {**records, line[0]: line}
            intake.take([Reading([_received(line, deleted=how == "deleted")], whole=how == "whole")])
            expected, standing = said_by(records), _state(journal, context)
            assert standing.keys() == expected.keys()
            assert all(value in expected[subject] for subject, value in standing.items())
        journal.close()


def test_a_journal_of_the_first_layout_is_read_on(tmp_path: Path) -> None:
    intake, journal, _ = _intake(tmp_path)
    intake.take([Reading([_received(("1", "A", "x")), _received(("2", "AB", "y"))])])
    journal.close()
    with sqlite3.connect(tmp_path / "samples.db") as database:
        database.execute("DROP TABLE told")
        database.execute("UPDATE meta SET value = '1' WHERE name = 'format'")
    database.close()
    intake, journal, context = _intake(tmp_path)
    intake.take([Reading([_received(("2", "B", "y"))])])
    assert _state(journal, context) == {"A": "x", "B": "y"}
    intake.take([Reading([_received(("1", "", "x"), deleted=True)])])
    assert _state(journal, context) == {"B": "y"}
    journal.close()


@pytest.mark.parametrize("order", ["12", "21"])
def test_a_subject_moves_between_records_that_come_one_by_one(tmp_path: Path, order: str) -> None:
    intake, journal, context = _intake(tmp_path)
    intake.take([Reading([_received(("1", "A", "a")), _received(("2", "B", "b"))])])
    moved = {"1": ("1", "B", "b"), "2": ("2", "A", "a")}
    for key in order:
        intake.take([Reading([_received(moved[key])])])
    assert _state(journal, context) == {"A": "a", "B": "b"}
    journal.close()

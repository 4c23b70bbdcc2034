"""`bus withdraw` as a command: what it asks for, shows and refuses."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest

from bus.events.envelope import Envelope, Event, Op, sequence_of
from bus.ingest.rows import Rows
from bus.kafka.packing import numbered
from bus.kafka.ports import Message
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import AUDIT, CHECKPOINTS, SNAPSHOTS, partition_of
from bus.testing.memory import MemoryLog
from tests.unit.cli.published import answer, codec, connected

pytestmark = pytest.mark.usefixtures("named_broker")
_TYPE = "dlh.air_quality.recorded.v1"
_BATCH = "dlh/ispu/2"
_WHY = ("--reason", "sent twice")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> MemoryLog:
    """Two deliveries: the second corrects one of three stations and adds one."""
    log, encoding = MemoryLog({f"events.{_TYPE}": 4, AUDIT: 1, CHECKPOINTS: 1, SNAPSHOTS: 4}, compacted=[CHECKPOINTS, SNAPSHOTS]), codec()
    facts = [(1, 1, "DKI1", Op.CREATE), (1, 2, "DKI2", Op.CREATE), (2, 1, "DKI1", Op.CORRECT), (2, 2, "DKI3", Op.CREATE)]
    for delivery, line, station, op in facts:
        data: dict[str, object] = dict.fromkeys(("pm10", "pm25", "so2", "co", "o3", "no2"))
        data |= {"station": station, "station_name": "X", "max_index": delivery, "category": "BAIK", "critical": "PM10"}
        place = sequence_of(delivery, line)
        event = Event(_TYPE, f"{station}/2024-01-01", datetime(2024, 1, 1, tzinfo=UTC), data)
        value, headers = encoding.encode(Envelope(event, "dlh/ispu", place, place, op, f"dlh/ispu/{delivery}"))
        log.append(Message(f"events.{_TYPE}", partition_of(event.subject, 4), event.subject.encode(), value, headers))
    monkeypatch.setattr("bus.cli.withdraw.connect", connected(log))
    return log


def test_a_dry_run_shows_what_would_be_said(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    writes = log.writes
    code, said, _ = answer(capsys, "withdraw", _BATCH, "--dry-run")
    assert (code, log.writes) == (0, writes)
    assert said.splitlines()[-1].split() == [_TYPE, "2", "0", "1", "1", "2"]


def test_what_is_repeated_is_said_to_stay(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = answer(capsys, "withdraw", _BATCH, "--dry-run")
    assert code == 0
    assert "what later deliveries only repeated goes too, for it is not known here" in said
    rows = Rows(3, repeats={sequence_of(2, line): ((3, 3),) for line in (1, 2)})
    asyncio.run(KafkaSnapshotStore(log, log).save("rows/dlh/ispu", 3, numbered(rows.dump())))
    code, shown, said = answer(capsys, "withdraw", _BATCH, *_WHY, "--yes")
    assert (code, said) == (0, "")
    assert "dlh/ispu/2 is withdrawn but 2 events that later deliveries repeated" in shown


def test_it_is_done_once(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = answer(capsys, "withdraw", _BATCH, *_WHY, "--yes")
    assert code == 0
    assert "dlh/ispu/2 is withdrawn: 2 compensating events for 2 of its events" in said
    writes = log.writes
    code, said, _ = answer(capsys, "withdraw", _BATCH, *_WHY, "--yes")
    assert (code, log.writes) == (0, writes)
    assert "is withdrawn already" in said


def test_programs_are_told_in_json(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = answer(capsys, "withdraw", _BATCH, *_WHY, "--yes", "--json")
    assert code == 0
    assert json.loads(said) == {
        "batch": _BATCH, "dry_run": False, "events": 2, "counts": {f"events.{_TYPE}": {"CANCEL": 1, "CORRECT": 1}}, "pending": 2, "sent": 2,
        "kept": 0,
    }  # fmt: skip


def test_nobody_is_asked_where_there_is_no_terminal(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    writes = log.writes
    code, _, said = answer(capsys, "withdraw", _BATCH)
    assert (code, log.writes) == (2, writes)
    assert "--reason: is empty" in said
    assert "--yes: is needed where nobody can be asked" in said


def test_who_says_no_changes_nothing(log: MemoryLog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("bus.cli.withdraw.sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("bus.cli.withdraw.typer.confirm", _refuse)
    writes = log.writes
    code, _, _ = answer(capsys, "withdraw", _BATCH, *_WHY)
    assert (code, log.writes) == (1, writes)


def _refuse(*_: object, **__: object) -> None:
    import typer

    raise typer.Abort


def test_a_reason_with_a_nik_never_enters_the_log(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = answer(capsys, "withdraw", _BATCH, "--yes", "--reason", "keluhan 3374010101900001")
    assert code == 2
    assert "structure of a NIK" in said
    assert "3374010101900001" not in said


def test_an_unknown_batch_is_said(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = answer(capsys, "withdraw", "dlh/ispu/7", "--dry-run")
    assert code == 2
    assert "there is no event of this batch; its source has 2, they are: dlh/ispu/1, dlh/ispu/2" in said


def test_a_batch_that_is_still_arriving_is_said(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = {"source": "dlh/ispu", "delivery": 2, "line": 1, "done": False, "at": "2024-01-01T00:00:00+00:00"}
    log.append(Message(CHECKPOINTS, 0, b"dlh/ispu", json.dumps(checkpoint).encode()))
    code, _, said = answer(capsys, "withdraw", _BATCH, *_WHY, "--yes")
    assert code == 0
    assert "is still being delivered" in said

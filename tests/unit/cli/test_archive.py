"""`bus archive` and `bus replay`: what they say, and when they answer no."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bus.kafka.archive import Archive
from bus.kafka.ports import Record, TopicPartition
from bus.testing.memory import MemoryLog
from tests.unit.archive.logs import NOON, DatedLog
from tests.unit.cli.published import answer, connected

pytestmark = pytest.mark.usefixtures("named_broker")
TYPE = "dlh.air_quality.recorded.v1"
PLACE = TopicPartition(f"events.{TYPE}", 0)


def _records(count: int, first: int = 0) -> list[Record]:
    return [Record(PLACE.topic, 0, offset, b"k", b"%d" % offset, (), NOON + offset) for offset in range(first, first + count)]


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setenv("BUS_ARCHIVE__FOLDER", str(tmp_path / "archive"))
    monkeypatch.setenv("BUS_ONLY_AGENCIES", "dlh")
    (tmp_path / "archive").mkdir()
    archive = Archive(tmp_path / "archive")
    archive.write(_records(10))
    archive.write(_records(10, 10))
    return archive


@pytest.fixture
def log(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> MemoryLog:
    log = DatedLog({PLACE.topic: 1, "bus.snapshots": 4})
    log.put(_records(25))
    for module in ("archive", "replay"):
        monkeypatch.setattr(f"bus.cli.{module}.connect", connected(log))
    return log


def test_status_says_how_far_and_answers_no_when_records_are_lost(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = answer(capsys, "archive", "status")
    assert code == 0
    assert [line.split() for line in said.splitlines()[1:]] == [[TYPE, "0", "2", "0", "…", "19", "0", "…", "24", "5"]]
    log.trim(PLACE, 23)
    code, _, complaint = answer(capsys, "archive", "status", TYPE)
    assert (code, complaint) == (1, f"{PLACE.topic}/0: offsets 20 to 22 are in no file\n")
    code, said, _ = answer(capsys, "archive", "status", "--json")
    assert (code, json.loads(said)[0]["lost"]) == (1, 3)
    code, _, complaint = answer(capsys, "archive", "status", "dlh.nothing.v1")
    assert code == 2
    assert TYPE in complaint


def test_check_names_damage_and_holes(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "archive", "check")[:2] == (0, "every file is what its name says, and none is missing\n")
    first, second = archive.holding(PLACE).files
    second.path.write_bytes(b"PAR1")
    code, _, complaint = answer(capsys, "archive", "check")
    assert code == 1
    assert str(second.path) in complaint
    first.path.unlink()
    code, said, _ = answer(capsys, "archive", "check", "--json")
    assert code == 1
    assert [each["where"] for each in json.loads(said)] == [f"{PLACE.topic}/0", str(second.path)]


def test_a_trim_shows_what_would_go_and_what_keeps_the_rest(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = answer(capsys, "archive", "trim", "--dry-run", "--keep-days", "0", "--json")
    assert code == 0
    (row,) = json.loads(said)
    assert (row["records"], row["upto"]) == (0, 0)
    assert row["why_not_more"].startswith("not counted durably by dlh.")
    assert "0 records would go" in answer(capsys, "archive", "trim", "--dry-run")[1]


def test_a_trim_asks_why_and_for_a_real_kafka(log: MemoryLog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, complaint = answer(capsys, "archive", "trim")
    assert code == 2
    assert "--reason" in complaint
    monkeypatch.setenv("BUS_KAFKA__EMBEDDED", "true")
    code, _, complaint = answer(capsys, "archive", "trim", "--reason", "uji")
    assert code == 2
    assert "Apache Kafka" in complaint


@pytest.mark.parametrize("folder", ["", "/nowhere/at/all"])
def test_without_an_archive_it_says_which_setting_names_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("BUS_ARCHIVE__FOLDER", folder)
    monkeypatch.setenv("BUS_ONLY_AGENCIES", "dlh")
    for command in (("archive", "check"), ("archive", "status"), ("archive", "trim"), ("replay", "--from-archive", "--compare")):
        code, _, complaint = answer(capsys, *command)
        assert code == 2
        assert "BUS_ARCHIVE__FOLDER" in complaint


@pytest.mark.parametrize("arguments", [(), ("--from-archive",), ("--compare",), ("--export", "out")])
def test_a_replay_is_told_from_where_and_what_for(capsys: pytest.CaptureFixture[str], archive: Archive, arguments: tuple[str, ...]) -> None:
    code, _, complaint = answer(capsys, "replay", *arguments)
    assert code == 2
    assert "--from-archive" in complaint


def test_a_replay_writes_the_indicators_and_names_what_is_unknown(
    log: MemoryLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code, said, _ = answer(capsys, "replay", "--from-archive", "--export", str(out), "dlh.pm10_mean", "--json")
    assert code == 0
    told = json.loads(said)["rebuilt"]
    assert (told["events"], told["rows"]) == (20, {"dlh.pm10_mean": 0})
    assert {"topic": PLACE.topic, "partition": 0, "end": 20} in told["positions"]
    assert (out / "dlh.pm10_mean.csv").read_text().startswith("window_start,")
    code, _, complaint = answer(capsys, "replay", "--from-archive", "--export", str(out), "dlh.nothing")
    assert code == 2
    assert "dlh.pm10_mean" in complaint
    code, said, _ = answer(capsys, "replay", "--from-archive", "--compare", "dlh.pm10_mean")
    assert (code, "no values yet" in said) == (0, True)

"""`bus indicators diff` and `deploy` as commands: what they show, install and refuse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from bus.kafka.topics import AUDIT, PARTIALS, SNAPSHOT_PARTITIONS, SNAPSHOTS, Topic
from bus.settings import Settings
from bus.testing.memory import MemoryLog
from tests.unit.cli.published import answer, connected

pytestmark = pytest.mark.usefixtures("named_broker")
_TEXT = (
    'id = "kelurahan.days"\ntitle = { id = "Hari", en = "Days" }\nevent = "dlh.air_quality.recorded.v1"\n'
    'measure = { kind = "count" }\nwindow = "1d"\nunit = "hari"\n[publish]\nclass = "dikecualikan"\n'
)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> MemoryLog:
    """A broker on which nothing was ever published; the topics that are asked for appear."""
    log = MemoryLog({PARTIALS: 4, SNAPSHOTS: SNAPSHOT_PARTITIONS}, compacted=[SNAPSHOTS])

    async def apply(settings: Settings, topics: Sequence[Topic]) -> None:
        for topic in topics:
            log.create(topic.name, topic.partitions, compacted=topic.compacted)

    monkeypatch.setattr("bus.cli.deploy.connect", connected(log))
    monkeypatch.setattr("bus.cli.deploy.apply_topics", apply)
    return log


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    (tmp_path / "overlay" / "schemas" / "indicators").mkdir(parents=True)
    return tmp_path / "overlay"


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    path = tmp_path / "kelurahan.days.toml"
    path.write_text(_TEXT)
    return path


def test_what_is_not_published_is_new(log: MemoryLog, overlay: Path, draft: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = answer(capsys, "indicators", "diff", str(draft), "--overlay", str(overlay), "--json")
    (mine,) = [each for each in json.loads(said) if each["indicator"] == "kelurahan.days"]
    assert code == 1
    assert mine == {
        "indicator": "kelurahan.days", "standing": "new", "published_version": None, "file_version": 1, "shown_version": 0, "differs": [],
        "problems": [],
    }  # fmt: skip
    code, said, _ = answer(capsys, "indicators", "diff", str(draft), "--overlay", str(overlay))
    assert code == 1
    assert "0 unchanged" in said


def test_a_file_is_installed_with_its_topics_and_a_record(
    log: MemoryLog, overlay: Path, draft: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, said = answer(capsys, "indicators", "deploy", str(draft), "--overlay", str(overlay))
    installed = overlay / "schemas" / "indicators" / "kelurahan.days.toml"
    assert code == 0
    assert installed.read_text() == _TEXT
    assert [path.name for path in installed.parent.iterdir()] == ["kelurahan.days.toml"]
    assert f"installed {installed}" in said
    assert {"indicators.kelurahan.days", "history.kelurahan.days"} <= set(log.topics)
    (deed,) = [json.loads(record.value or b"") for record in log.records(AUDIT)]
    assert (deed["action"], deed["indicator"], deed["reason"]) == ("deploy", "kelurahan.days", "new -> version 1")


def test_programs_are_told_what_was_done(log: MemoryLog, overlay: Path, draft: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = answer(capsys, "indicators", "deploy", str(draft), "--overlay", str(overlay), "--json")
    told = json.loads(said)
    assert code == 0
    assert told["installed"] == [str(overlay / "schemas" / "indicators" / "kelurahan.days.toml")]
    assert "kelurahan.days" in {each["indicator"] for each in told["indicators"]}
    assert told["rows"] is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"1d"', '"1x"', "is not a window"),
        ("dlh.air_quality", "dlh.air_qualiti", "there is no event type"),
        ("kelurahan.days", "kelurahan.hari", "must equal the file's name"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_installed(
    log: MemoryLog, overlay: Path, draft: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    draft.write_text(_TEXT.replace(old, new))
    for command in ("diff", "deploy"):
        code, _, said = answer(capsys, "indicators", command, str(draft), "--overlay", str(overlay))
        assert code == 2
        assert message in said
        assert str(overlay / "schemas" / "indicators" / "kelurahan.days.toml") in said
    assert not list((overlay / "schemas" / "indicators").iterdir())
    assert AUDIT not in log.topics


def test_a_file_that_is_not_there_is_said(log: MemoryLog, overlay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = answer(capsys, "indicators", "deploy", "nowhere.toml", "--overlay", str(overlay))
    assert code == 2
    assert "nowhere.toml: there is no such file" in said


def test_an_overlay_without_schemas_gets_them_with_a_warning(
    log: MemoryLog, tmp_path: Path, draft: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bare" / "connectors").mkdir(parents=True)
    code, _, said = answer(capsys, "indicators", "deploy", str(draft), "--overlay", str(tmp_path / "bare"))
    assert code == 0
    assert "has to be started again" in " ".join(said.split())
    assert (tmp_path / "bare" / "schemas" / "indicators" / "kelurahan.days.toml").is_file()

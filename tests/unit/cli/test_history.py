"""`bus history` tells what was published when and why, once for each change, from the history topic alone."""

from __future__ import annotations

import json

import pytest

from bus.indicators.outputs import FINAL, Output
from bus.kafka.ports import Message
from bus.streams.outputs import encode_output
from bus.testing.memory import MemoryLog
from tests.unit.cli.published import answer, codec, connected, output

pytestmark = pytest.mark.usefixtures("named_broker")
_TOPIC = "history.dlh.pm10_mean"


def _log(*outputs: Output) -> MemoryLog:
    log, encoding = MemoryLog({_TOPIC: 1}), codec()
    for each in outputs:
        key, value, headers = encode_output(encoding, each)
        log.append(Message(_TOPIC, 0, key, value, headers))
    return log


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> MemoryLog:
    first = output()
    log = _log(
        first,
        first,
        output(dimensions={"station": "DKI2"}, revision=9),
        output(revision=5, n=4, value="1.75", numerator="7", denominator="4"),
        first,
        output(revision=5, n=4, value="1.75", numerator="7", denominator="4", status=FINAL, evidence=(("events.dlh", 0, 30),)),
        output(version=2, revision=4),
    )
    monkeypatch.setattr("bus.cli.history.connect", connected(log))
    return log


def test_one_cell_is_told_with_evidence_and_reasons(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = answer(capsys, "history", "dlh.pm10_mean", "2021-07-01/DKI1")
    assert code == 0
    assert said.count("why") == 4
    assert "1.75 = 7 / 4, n = 4; revision 5, provisional, version 1" in said
    assert "why       2 new (first row)" in said
    assert "why       status" in said
    assert "why       definition" in said
    assert "evidence  events.dlh.air_quality.recorded.v1 0:7" in said


def test_programs_get_all_of_it(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = answer(capsys, "history", "dlh.pm10_mean", "--json", "--limit", "0")
    told = json.loads(said)
    assert code == 0
    assert [(each["cell"], each["revision"], each["status"], each["why"]) for each in told] == [
        ("2021-07-01/DKI1", 2, "provisional", [{"why": "new", "events": 2}]),
        ("2021-07-01/DKI2", 9, "provisional", [{"why": "new", "events": 9}]),
        ("2021-07-01/DKI1", 5, "provisional", [{"why": "new", "events": 3}]),
        ("2021-07-01/DKI1", 5, "final", [{"why": "status", "events": 0}]),
        ("2021-07-01/DKI1", 4, "provisional", [{"why": "definition", "events": 0}]),
    ]
    assert told[2]["before"] == "1.5"
    assert told[0]["evidence"] == [{"topic": "events.dlh.air_quality.recorded.v1", "partition": 0, "offset": 7}]
    # the double's time is the number of records written before: the repetitions took none of theirs
    assert [each["published"][-10:-6] for each in told] == [".000", ".002", ".003", ".005", ".006"]


def test_only_the_newest_are_shown_and_the_rest_is_counted(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, more = answer(capsys, "history", "dlh.pm10_mean", "--limit", "2")
    assert code == 0
    assert said.count("1970-01-01") == 2
    assert "the newest 2 of 5 changes" in more


def test_a_cell_or_an_indicator_that_is_not_there_is_named(log: MemoryLog, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = answer(capsys, "history", "dlh.pm10_mean", "2021-07-02/DKI1")
    assert code == 2
    assert "no such cell was ever published; there are 2, such as: 2021-07-01/DKI1, 2021-07-01/DKI2" in said
    code, _, said = answer(capsys, "history", "dlh.nothing")
    assert code == 2
    assert "there is no such indicator; known are: " in said


def test_an_empty_history_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("bus.cli.history.connect", connected(_log()))
    code, _, said = answer(capsys, "history", "dlh.pm10_mean")
    assert (code, said.strip()) == (0, "nothing was published yet")
    code, _, said = answer(capsys, "history", "dlh.pm10_mean", "x")
    assert code == 2
    assert "nothing was ever published of this indicator" in said

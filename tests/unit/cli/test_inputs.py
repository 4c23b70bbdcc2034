"""What may be said with --input, and what is answered to everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.errors import ConfigurationError
from bus.ops.inputs import Input, parse_inputs

_SOURCES = {"dlh": ["ispu"], "rsud": ["beds", "queue"], "web": []}


def test_the_only_source_of_an_agency_needs_no_name(tmp_path: Path) -> None:
    assert parse_inputs([f"dlh={tmp_path}"], _SOURCES) == (Input("dlh", "ispu", tmp_path),)
    assert parse_inputs([f"rsud/queue={tmp_path}", f"rsud/beds={tmp_path}"], _SOURCES)[0].source == "queue"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dlh", "expected AGENCY=FOLDER"),
        ("=x", "expected AGENCY=FOLDER"),
        ("dinkes={folder}", r"unknown agency 'dinkes'; known are: dlh, rsud, web \(others come with --overlay DIR\)"),
        ("dlh/x={folder}", "unknown source 'x' of dlh; its file sources are: ispu"),
        ("rsud={folder}", "several file sources; say which: rsud/beds=…, rsud/queue=…"),
        ("web={folder}", "has no source that reads files"),
        ("dlh={folder}/missing", "there is no folder"),
        ("dlh={folder}/file", "is a file; give the folder"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_allowed(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=message):
        parse_inputs([text.format(folder=tmp_path)], _SOURCES)


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_inputs(["dlh", f"dlh={tmp_path}", f"dlh/ispu={tmp_path}", "x=y"], _SOURCES)
    assert len(caught.value.problems) == 3

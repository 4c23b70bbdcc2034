"""`bus simulate`: what it refuses, and what it leaves in its folder."""

from __future__ import annotations

import json
import sqlite3
import stat
from pathlib import Path

import pytest

from bus.cli.app import _run as run_command
from bus.ingest.manifest import discover
from bus.settings import Settings
from bus.simulation.world import simulated


def _code(*arguments: str) -> int:
    return run_command([*arguments])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fault", "laet=3"], "is not KIND=PERCENT; kinds are late, twice"),
        (["--fault", "late=101"], "percent 0 to 100"),
        (["--agency", "dlhh"], "is not known; allowed: "),
        (["--begin", "2026-13-01"], "no day of the form YYYY-MM-DD"),
        (["--database", "disnakkan=oracle://x"], "is not AGENCY=URL"),
    ],
)
def test_what_cannot_be_is_refused(arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _code("simulate", str(tmp_path / "kota"), *arguments) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "kota").exists()


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").touch()
    assert _code("simulate", str(tmp_path)) == 2
    assert "is not empty" in capsys.readouterr().err


def test_the_systems_hold_what_was_told_and_the_truth_is_beside_them(tmp_path: Path) -> None:
    folder = tmp_path / "kota"
    arguments = ("--agency", "disnakkan", "--days", "10", "--begin", "2026-02-01", "--scale", "0.001", "--fault", "none", "--no-stay")
    assert _code("simulate", str(folder), *arguments) == 0
    facts = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    delivered = {fact["subject"] for fact in facts if fact["type"] == "disnakkan.milk.delivered.v1"}
    with sqlite3.connect(folder / "disnakkan.sqlite3") as database:
        rows = {number for (number,) in database.execute("SELECT no_setoran FROM bus_setoran")}
    assert rows == delivered
    assert list((folder / "disnakkan").glob("penyakit-*.csv"))
    env = folder / "bus.env"
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert f"BUS_DISNAKKAN__URL=sqlite:///{folder}/disnakkan.sqlite3" in env.read_text()
    assert "BUS_SIMULATION=true" in env.read_text()


def test_an_agency_that_cannot_be_simulated_is_silent_unless_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _code("new-agency", "pustaka", "--into", str(tmp_path / "pustaka")) == 0
    known = discover(Settings(overlay=(tmp_path / "pustaka",)).connector_roots())
    assert "pustaka" in known
    assert simulated(known).keys() == known.keys() - {"pustaka"}
    overlay = ("--overlay", str(tmp_path / "pustaka"))
    assert _code("simulate", str(tmp_path / "kota"), "--agency", "pustaka", *overlay) == 2
    assert "connectors/pustaka: has no simulation.py" in " ".join(capsys.readouterr().err.split())

"""What the commands answer to misuse and bad input: a message that says what is allowed, an exit code, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from bus import __version__
from bus.cli.app import app, main
from bus.cli.commands import MODULES, brought, commands_of
from bus.cli.context import impatient
from bus.errors import ConfigurationError
from bus.ops.backfill import prepare_folder
from bus.settings import ROOT, Settings


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("BUS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BUS_DATA_DIR", str(tmp_path / "data"))


def _code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "make kafka"),
        (["run", "cook"], "unknown role; known are: connectors, streams, release, "),
        (["run", "streams"], "no broker is named"),
        (["run", "--export", "out"], "only goes with --until-idle"),
        (["run", "--until-idle"], "needs at least one --input AGENCY=FOLDER"),
        (["run", "--until-idle", "--input", "dlh=."], "--export DIR: is missing"),
        (["run", "--until-idle", "--input", "nobody=.", "--export", "out"], "unknown agency 'nobody'; known are: "),
        (["run", "--until-idle", "--input", "dlh=/nowhere", "--export", "out"], "there is no folder /nowhere"),
        (["run", "streams", "--input", "dlh=."], "is read by the connectors, not by 'streams'"),
        (["run", "--once"], "only goes with the role connectors"),
        (["run", "--overlay", "/nowhere"], "there is no such folder"),
        (["verify"], "give an indicator, or --all"),
        (["verify", "dlh.pm10_mean"], "no broker is named"),
        (["status"], "no broker is named"),
        (["history", "dlh.pm10_mean"], "no broker is named"),
        (["withdraw", "dlh/ispu/1", "--dry-run"], "no broker is named"),
        (["indicators", "diff"], "no broker is named"),
        (["indicators", "deploy", "x.toml"], "no broker is named"),
        (["topics", "plan"], "no broker is named"),
        (["quarantine", "list"], "no broker is named"),
        (["demo", "--data", "/nowhere"], "no folder with .csv files"),
        (["check", "nobody"], "unknown agency; known are: "),
        (["new-key", "nobody"], "unknown agency; known are: "),
    ],
)
def test_misuse_is_answered_with_what_is_allowed(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _code(*arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_an_unknown_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("BUS_COLOUR", "blue")
    monkeypatch.setenv("BUS_KAFKA__PORT", "1")
    assert _code("indicators", "list") == 2
    said = capsys.readouterr().err
    assert "BUS_COLOUR: unknown setting" in said
    assert "BUS_KAFKA__PORT: unknown setting" in said


def test_a_broker_that_is_not_there_is_said_in_time(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("BUS_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("BUS_KAFKA__RETRY_SECONDS", "0.5")
    assert _code("status") == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "127.0.0.1:1" in said
    assert len(said.splitlines()) == 1


def test_an_overlay_that_holds_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _code("indicators", "list", "--overlay", str(tmp_path)) == 2
    assert "holds none of connectors/, consumers/, schemas/" in capsys.readouterr().err


def test_an_indicator_of_an_overlay_is_listed_and_a_broken_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "schemas" / "indicators"
    folder.mkdir(parents=True)
    text = (
        'id = "kelurahan.days"\ntitle = { id = "Hari", en = "Days" }\nevent = "dlh.air_quality.recorded.v1"\n'
        'measure = { kind = "count" }\nwindow = "1d"\nunit = "hari"\n[publish]\nclass = "dikecualikan"\n'
    )
    (folder / "kelurahan.days.toml").write_text(text)
    assert _code("indicators", "list", "--json", "--overlay", str(tmp_path)) == 0
    assert "kelurahan.days" in {each["id"] for each in json.loads(capsys.readouterr().out)}
    (folder / "kelurahan.days.toml").write_text(text.replace('"1d"', '"1x"').replace("dlh.air", "dlh.water"))
    assert _code("indicators", "check", "--overlay", str(tmp_path)) == 2
    assert "kelurahan.days.toml" in capsys.readouterr().err


def test_the_version_and_the_help_of_every_command_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert _code("--version") == 0
    assert capsys.readouterr().out.strip() == f"bus {__version__}"
    names = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert names == sorted([*MODULES, *brought()])
    for name in names:
        assert _code(name, "--help") == 0
        assert "Usage: bus" in capsys.readouterr().out


@pytest.mark.parametrize("module", sorted(set(MODULES.values())))
def test_each_module_has_the_commands_that_it_is_looked_in_for(module: str) -> None:
    assert sorted(commands_of(module)) == sorted(name for name, where in MODULES.items() if where == module)


def test_a_consumer_of_an_overlay_brings_commands(tmp_path: Path) -> None:
    folder = tmp_path / "consumers" / "papan"
    folder.mkdir(parents=True)
    (folder / "consumer.toml").write_text('id = "papan"\nrole = "papan"\ncommands = "consumers_papan:register"\n')
    (tmp_path / "consumers_papan.py").write_text(
        "def register(group):\n    @group.command('hallo')\n    def hallo(name: str) -> None:\n        print('selamat datang', name)\n"
    )
    command = [sys.executable, "-m", "bus", "papan", "hallo", "Boyolali"]
    environ = {**os.environ, "BUS_OVERLAY": str(tmp_path)}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environ)
    assert (ended.returncode, ended.stdout) == (0, "selamat datang Boyolali\n"), ended.stderr


def test_what_one_command_needs_the_others_do_not_wait_for() -> None:
    heavy = "{'sqlalchemy', 'fastapi', 'openpyxl', 'psycopg', 'polars', 'faust'} & set(sys.modules)"
    for arguments, allowed in [(["--version"], []), (["run", "--help"], ["polars"])]:
        code = f"import sys\nfrom bus.cli.app import _run\n_run({arguments})\nprint(sorted({heavy}), file=sys.stderr)"
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
        assert ended.stderr.split() == [str(allowed)]


def test_a_key_pair_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _code("new-key", "dlh", "--folder", str(tmp_path / "keys")) == 0
    assert (tmp_path / "keys" / "dlh.private").stat().st_mode & 0o077 == 0
    assert _code("new-key", "dlh", "--folder", str(tmp_path / "keys")) == 2
    assert "is not replaced" in capsys.readouterr().err


def test_an_export_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be written to"):
        prepare_folder(tmp_path / "file" / "out")


def test_an_input_folder_without_a_file_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    assert _code("run", "--until-idle", "--input", f"dlh={tmp_path / 'in'}", "--export", str(tmp_path / "out")) == 2
    assert "there is no file in that folder" in capsys.readouterr().err


def test_numbers_are_not_written_where_they_would_be_read_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "januari.csv").write_text("tanggal\n")
    assert _code("run", "--until-idle", "--input", f"dlh={tmp_path}", "--export", str(tmp_path)) == 2
    assert "give another folder" in capsys.readouterr().err


def test_a_command_gives_up_on_a_broker_sooner_than_a_role() -> None:
    assert impatient(Settings()).kafka.retry_seconds <= 10 < Settings().kafka.retry_seconds


def test_topics_are_not_asked_for_longer_than_anything_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("BUS_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("BUS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("bus.cli.context._PATIENCE_SECONDS", 0.5)
    with pytest.raises(SystemExit) as ended:
        main(["topics", "plan"])
    assert ended.value.code != 0
    assert "asking the broker at 127.0.0.1:1 for its topics" in capsys.readouterr().err

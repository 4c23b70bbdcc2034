"""`make setup` on machines that lack something: it says what to install, and touches nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TOOLS = ("sh", "dirname", "cat", "cksum", "sed", "tail", "tee", "awk", "grep", "uname", "rm", "touch")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder to be the whole PATH: the tools of any Unix, no Python."""
    path = tmp_path / "bin"
    path.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (path / tool).symlink_to(found)
    return path


def _setup(machine: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": str(machine), "VENV": str(machine.parent / "venv"), **environ}
    return subprocess.run(
        ["sh", str(ROOT / "deploy/python/setup.sh")], env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def _fake_python(machine: Path, name: str, refuse: str) -> None:
    """An interpreter that fails whenever it is asked for `refuse`."""
    script = machine / name
    script.write_text(f'#!/bin/sh\ncase "$*" in *{refuse}*) exit 1 ;; esac\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)


def test_no_python_at_all(machine: Path) -> None:
    result = _setup(machine)
    assert result.returncode == 1
    assert "No fitting Python found: this needs CPython 3.11 to 3.14" in result.stderr
    assert "apt install python3" in result.stderr
    assert not (machine.parent / "venv").exists()


def test_python_of_the_wrong_version(machine: Path) -> None:
    _fake_python(machine, "python3", refuse="version_info")
    assert "No fitting Python found" in _setup(machine).stderr


def test_python_without_venv(machine: Path) -> None:
    _fake_python(machine, "python3", refuse="ensurepip")
    result = _setup(machine)
    assert result.returncode == 1
    assert "has no venv module" in result.stderr
    assert f"apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv" in result.stderr


def test_named_interpreter_that_does_not_fit(machine: Path) -> None:
    result = _setup(machine, PYTHON="/nowhere/python")
    assert result.returncode == 1
    assert "PYTHON=/nowhere/python is not a CPython" in result.stderr


def test_a_folder_that_is_no_environment_is_left_alone(machine: Path) -> None:
    _fake_python(machine, "python3", refuse="nothing-in-particular")
    mine = machine.parent / "venv"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    result = _setup(machine)
    assert result.returncode == 1
    assert "is no virtual environment" in result.stderr
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]


def test_a_link_to_somebody_elses_environment_is_left_alone(machine: Path) -> None:
    _fake_python(machine, "python3", refuse="nothing-in-particular")
    theirs = machine.parent / "theirs"
    theirs.mkdir()
    (theirs / "pyvenv.cfg").touch()
    (theirs / ".simpul").write_text("1 2 /another/checkout\n")
    (machine.parent / "venv").symlink_to(theirs)
    result = _setup(machine)
    assert result.returncode == 1
    assert "is a link to an environment that is not this folder's" in result.stderr
    assert sorted(path.name for path in theirs.iterdir()) == [".simpul", "pyvenv.cfg"]

"""D rules: documents tell what the code does; and every command is in the README or is explained by it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from bus.cli.app import app
from bus.settings import Settings
from bus.testing.kit import cases
from bus.testing.rule import Case
from bus.testing.rules_docs import commands_of

README = Path(__file__).resolve().parent.parent.parent / "README.md"


def _commands(command: object, path: str) -> list[str]:
    below: dict[str, object] | None = getattr(command, "commands", None)
    if below is None:
        return [] if getattr(command, "hidden", False) else [path]
    return [name for key, sub in below.items() for name in _commands(sub, f"{path} {key}")]


COMMANDS = _commands(typer.main.get_command(app), "bus")


@pytest.mark.parametrize("case", list(cases(Settings(), families=("docs",))), ids=lambda case: case.id)
def test_docs(case: Case) -> None:
    assert case.run() == []


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_documented(command: str) -> None:
    assert re.search(rf"\b{re.escape(command)}\b", README.read_text(encoding="utf-8"))


@pytest.mark.parametrize("line", [line for line in commands_of(README) if re.match(r"(\.venv/bin/)?bus ", line)])
def test_readme_calls_commands_that_exist(line: str) -> None:
    assert any(re.match(rf"(\.venv/bin/)?{command}( |$)", line) for command in COMMANDS)

"""D rules: documents tell what the code does; and every command is in the README or is explained by it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest
import typer.main

from bus.cli.app import app
from bus.indicators.composite_spec import CompositeSpec
from bus.indicators.measures import PARTS, Measure
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


def test_the_readme_shows_every_kind_of_measure_and_composite_as_it_may_be_written() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    measures = [tomllib.loads(f"m = {text}")["m"] for line in lines if line.startswith("| `{") for text in re.findall(r"`(\{.*?\})`", line)]
    composites = [tomllib.loads("\n".join(re.findall(r"`([^`]*=[^`]*)`", line))) for line in lines if line.startswith("| `kind = ")]
    for measure in measures:
        Measure.model_validate(measure)
    for composite in composites:
        CompositeSpec.model_validate(composite)
    assert {"min", "max", *(measure["kind"] for measure in measures)} == set(PARTS)
    assert {composite["kind"] for composite in composites} == set(get_args(CompositeSpec.model_fields["kind"].annotation))

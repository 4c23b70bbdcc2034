"""Each rule fails on the subject that was broken for it, and no other rule does: a rule that cannot fail proves nothing."""

from __future__ import annotations

import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from bus.settings import Settings
from bus.testing.kit import FAMILIES, rules
from bus.testing.rule import Case
from bus.testing.workspace import Workspace

HERE = Path(__file__).resolve().parent
BROKEN = sorted(path.parent for path in (HERE / "broken").glob("*/change.toml"))
#: These rules are about the core itself; their broken subjects are run by test_kit_core.py.
CORE = ("D", "M", "I03", "I04", "I05")


def _subject(tmp_path: Path, broken: Path | None = None) -> Path:
    """A copy of the whole overlay, with the changes of a broken one."""
    folder = tmp_path / "overlay"
    shutil.copytree(HERE / "whole", folder)
    changes = tomllib.loads((broken / "change.toml").read_text())["change"] if broken else []
    for change in changes:
        path = folder / change["file"]
        if change.get("remove"):
            path.unlink()
        elif "text" in change:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(change["text"])
        else:
            text = path.read_text()
            assert change["old"] in text, f"{broken}: {change['file']} does not hold {change['old']!r}"
            path.write_text(text.replace(change["old"], change["new"]))
    return folder


def _failing(folder: Path) -> dict[str, list[str]]:
    """Rule -> what it says. Each case runs on freshly imported code, as if it were the only one."""
    workspace = Workspace(Settings(overlay=(folder,)), only=folder)
    found: dict[str, list[str]] = {}
    for family in ("schemas", "references", "connectors", "agencies", "indicators", "alerts", "board", "consumers"):
        for case in FAMILIES[family](workspace):
            if problems := _run(case):
                found.setdefault(case.rule, []).extend(map(str, problems))
    return found


def _run(case: Case) -> list[object]:
    for name in [name for name in sys.modules if name.startswith("connectors.pasar")]:
        del sys.modules[name]
    return list(case.run())


def test_the_whole_subject_keeps_every_rule(tmp_path: Path) -> None:
    assert _failing(_subject(tmp_path)) == {}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda path: path.name)
def test_only_the_broken_rule_fails(broken: Path, tmp_path: Path) -> None:
    found = _failing(_subject(tmp_path, broken))
    assert set(found) == {broken.name}, found


def test_every_rule_has_a_broken_subject() -> None:
    wanted = {rule.id for rule in rules() if not rule.id.startswith(CORE)}
    assert wanted - {path.name for path in BROKEN} == set()

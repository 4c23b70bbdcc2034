"""A01: the arrows between packages point one way (contracts in pyproject.toml), and files stay small enough to read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CODE = sorted(path for folder in ("bus", "connectors", "consumers", "deploy") for path in (ROOT / folder).rglob("*.py"))


def test_import_contracts_hold() -> None:
    program = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_at_most_300_lines(path: Path) -> None:
    limit = 150 if path.name == "mapping.py" else 300
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit

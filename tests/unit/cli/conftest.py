"""Commands read no setting of the machine that the tests run on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def named_broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A broker is named; nobody asks it."""
    for name in [name for name in os.environ if name.startswith("BUS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BUS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BUS_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")

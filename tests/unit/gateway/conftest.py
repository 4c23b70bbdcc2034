"""What tests of the gateway share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from bus.indicators.compose import AnyIndicator
from bus.ops.apikeys import Role, add_key
from bus.settings import Settings
from bus.testing.workspace import Workspace
from tests.unit.gateway.two_worlds import NAMES


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    return {role: add_key(tmp_path / "keys", name, Role(role)) for role, name in NAMES.items()}


@pytest.fixture(scope="session")
def indicators() -> Mapping[str, AnyIndicator]:
    """The indicators of the repository."""
    return Workspace(Settings()).indicators

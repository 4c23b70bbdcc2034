"""What tests of the gateway share."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.ops.apikeys import Role, add_key
from tests.unit.gateway.two_worlds import NAMES


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    return {role: add_key(tmp_path / "keys", name, Role(role)) for role, name in NAMES.items()}

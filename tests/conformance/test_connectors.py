"""C and A rules on every subject of the repository."""

from __future__ import annotations

import pytest

from bus.settings import Settings
from bus.testing.kit import cases
from bus.testing.rule import Case


@pytest.mark.parametrize("case", list(cases(Settings(), families=("connectors", "agencies"))), ids=lambda case: case.id)
def test_connectors(case: Case) -> None:
    assert case.run() == []

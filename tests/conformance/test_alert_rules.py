"""L rules on every subject of the repository."""

from __future__ import annotations

import pytest

from bus.settings import Settings
from bus.testing.kit import cases
from bus.testing.rule import Case


@pytest.mark.parametrize("case", list(cases(Settings(), families=("alerts",))), ids=lambda case: case.id)
def test_alert_rules(case: Case) -> None:
    assert case.run() == []

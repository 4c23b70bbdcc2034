"""M rules on the bus's own catalogue of metrics."""

from __future__ import annotations

import pytest

from bus.settings import Settings
from bus.testing.kit import cases
from bus.testing.rule import Case


@pytest.mark.parametrize("case", list(cases(Settings(), families=("metrics",))), ids=lambda case: case.id)
def test_metrics(case: Case) -> None:
    assert case.run() == []

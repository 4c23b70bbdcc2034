"""The worked examples of the overlay hold in the engine too, and its indicators keep every other rule of the kit."""

from __future__ import annotations

import pytest

from bus.settings import Settings
from bus.testing.kit import cases
from bus.testing.rule import Case
from tests.model.worlds import OVERLAY

OURS = [case for case in cases(Settings.from_env({"BUS_OVERLAY": str(OVERLAY)}), families=("indicators",)) if case.id.startswith("uji.")]


@pytest.mark.parametrize("case", OURS, ids=lambda case: case.id)
def test_rules(case: Case) -> None:
    assert case.run() == []

"""The board of the repository shows numbers that there are, of every agency."""

from __future__ import annotations

import pytest

from bus.board.loader import load_board
from bus.ingest.manifest import discover
from bus.settings import Settings
from bus.testing.kit import cases
from bus.testing.rule import Case


@pytest.mark.parametrize("case", list(cases(Settings(), families=("board",))), ids=lambda case: case.id)
def test_board(case: Case) -> None:
    assert case.run() == []


def test_every_agency_has_a_headline() -> None:
    board, problems = load_board(Settings().schemas_roots())
    assert problems == []
    shown = {tile.indicator.partition(".")[0] for sector in board.sector for tile in sector.tiles}
    assert shown == set(discover(Settings().connector_roots()))

"""A small world for the stages: one event type, its indicators, a log in memory, and the pipeline over it."""

from __future__ import annotations

import pytest

from tests.unit.streams.world import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)

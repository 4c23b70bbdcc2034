"""A headless Chromium, or a skip that says what to install."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import chromium, missing
from tests.conftest import unavailable


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[object]:
    """A browser with a profile of its own."""
    if what := missing():
        unavailable(what)
    with chromium(tmp_path / "profile") as running:
        yield running

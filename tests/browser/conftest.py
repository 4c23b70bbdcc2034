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
    yield from _running(tmp_path / "profile")


@pytest.fixture(scope="module")
def one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A browser for all tests of a file: starting one takes longer than most of them."""
    yield from _running(tmp_path_factory.mktemp("browser") / "profile")


def _running(profile: Path) -> Iterator[object]:
    if what := missing():
        unavailable(what)
    with chromium(profile) as running:
        yield running

"""A headless Chromium, or a skip that says what to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bus.errors import ConfigurationError
from tests.browser.chromium import chromium
from tests.conftest import unavailable


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[object]:
    """A browser with a profile of its own."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(chromium(tmp_path / "profile"))
        except ConfigurationError as error:
            unavailable(str(error))
        yield running

"""A headless Chromium, or a skip that says what to install."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import unavailable


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[object]:
    """A browser with a profile of its own."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        unavailable("Chromium and its driver: apt-get install chromium chromium-driver")
    try:
        selenium = importlib.import_module("selenium.webdriver")
    except ImportError:
        unavailable("selenium, which the extra `test` brings: make setup")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "window-size=1280,900", f"user-data-dir={tmp_path / 'profile'}",
    ):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    yield running
    running.quit()

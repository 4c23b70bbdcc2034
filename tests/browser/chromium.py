"""A headless Chromium, driven from outside."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bus.errors import ConfigurationError, Problem


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """A browser with that profile while the context is open. Raises `ConfigurationError` naming what is not installed."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        raise ConfigurationError([Problem("Chromium and its driver", "apt-get install chromium chromium-driver")])
    try:
        selenium = importlib.import_module("selenium.webdriver")
    except ImportError as error:
        raise ConfigurationError([Problem("selenium", "which the extra `test` brings: make setup")]) from error
    options = selenium.ChromeOptions()
    options.binary_location = program
    for argument in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "window-size=1280,900", f"user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    try:
        yield running
    finally:
        running.quit()

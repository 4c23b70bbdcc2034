"""A headless Chromium, driven from outside."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bus.errors import ConfigurationError, Problem


def missing() -> str:
    """What is not installed, and how it is; nothing when all is there."""
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        return "Chromium and its driver: apt-get install chromium chromium-driver"
    return "" if importlib.util.find_spec("selenium") else "selenium, which the extra `test` brings: make setup"


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """A browser with that profile while the context is open. Raises `ConfigurationError` naming what is not installed."""
    if what := missing():
        raise ConfigurationError([Problem("a browser", what)])
    selenium = importlib.import_module("selenium.webdriver")
    options = selenium.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync", "window-size=1280,900", f"user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = selenium.Chrome(options=options, service=selenium.ChromeService(shutil.which("chromedriver")))
    try:
        yield running
    finally:
        running.quit()

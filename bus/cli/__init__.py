"""The command line: `bus <command>`. The only place that reads the environment and that prints."""

from __future__ import annotations

from bus.cli.app import main

__all__ = ["main"]

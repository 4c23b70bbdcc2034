"""A consumer that does nothing."""

from __future__ import annotations


def create(settings: object) -> None:
    """Never called: the kit reads that it exists."""

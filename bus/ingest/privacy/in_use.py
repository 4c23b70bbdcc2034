"""Who uses a key on this machine: a connector holds a shared lock on a file beside it, and whoever replaces the key holds it alone.

The operating system lets go of a lock with the process that held it, however that ended.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bus.errors import ConfigurationError, Problem


@contextmanager
def used(lock: Path) -> Iterator[None]:
    """While this lasts nobody replaces the key on this machine. Raises `ConfigurationError` while somebody does."""
    with _locked(lock, fcntl.LOCK_SH, "its key is being replaced; start when that is done"):
        yield


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """While this lasts nobody uses the key on this machine. Raises `ConfigurationError` while a connector does."""
    with _locked(lock, fcntl.LOCK_EX, "a connector on this machine is running with its key; stop all of its domain first"):
        yield


@contextmanager
def _locked(lock: Path, how: int, otherwise: str) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(lock, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as held:
        try:
            fcntl.flock(held, how | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError([Problem(lock.stem, otherwise)]) from error
        yield

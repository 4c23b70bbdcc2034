"""Where a source's files lie: what the runner asks of a place, and the folder of this machine. `sftp` has the other one."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bus.ingest.files import RECEIPTS, Facts, Seen, examine, scan


class ReceiptsRefused(Exception):
    """Acknowledgements cannot be put there (no right to write, no room); reading goes on."""


class Folder(Protocol):
    """A place where an agency puts files.

    All may raise `FolderAway`, a `TransientError`: it is not to be reached now.
    """

    async def exists(self) -> bool:
        """Whether there is such a folder."""
        ...

    async def list(self, patterns: Sequence[str]) -> list[Seen]:
        """Its files that match, in the order of delivery: (mtime_ns, name)."""
        ...

    async def examined(self, seen: Seen, *, encoding: str | None) -> Facts:
        """What can be said of a file before reading it; it can then be read until `release`."""
        ...

    async def still(self, seen: Seen) -> bool:
        """Whether the file is there and untouched since it was listed."""
        ...

    def release(self, facts: Facts) -> None:
        """The file is not read any more."""
        ...

    async def has_receipt(self, name: str) -> bool:
        """Whether that acknowledgement is there."""
        ...

    async def put_receipt(self, name: str, content: bytes) -> None:
        """Write an acknowledgement, in one step, also over one that is there. Raises `ReceiptsRefused`."""
        ...

    async def close(self) -> None:
        """Let go of connections and copies."""
        ...


class LocalFolder:
    """A folder of this machine (or mounted into it)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    async def exists(self) -> bool:
        return self._path.is_dir()

    async def list(self, patterns: Sequence[str]) -> list[Seen]:
        return scan(self._path, patterns)

    async def examined(self, seen: Seen, *, encoding: str | None) -> Facts:
        return await asyncio.to_thread(examine, seen, encoding=encoding)

    async def still(self, seen: Seen) -> bool:
        try:
            info = seen.path.stat()
        except OSError:
            return False
        return (info.st_size, info.st_mtime_ns) == (seen.size, seen.mtime_ns)

    def release(self, facts: Facts) -> None:
        """Nothing was copied."""

    async def has_receipt(self, name: str) -> bool:
        return (self._path / RECEIPTS / name).is_file()

    async def put_receipt(self, name: str, content: bytes) -> None:
        await asyncio.to_thread(self._put, name, content)

    async def close(self) -> None:
        """Nothing is held."""

    def _put(self, name: str, content: bytes) -> None:
        folder = self._path / RECEIPTS
        half = folder / f".{name}.part"
        try:
            folder.mkdir(exist_ok=True)
            with half.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            half.replace(folder / name)
        except OSError as error:
            with contextlib.suppress(OSError):
                half.unlink(missing_ok=True)
            raise ReceiptsRefused(f"{folder}: {error.strerror}") from error

"""gzip and zip: unpacked as a whole, with their checksums, into private temporary files before any record is read.

So a damaged or truncated archive is refused before anything of it is published. What is unpacked is bounded: what an archive says of its
own sizes is not believed.
"""

from __future__ import annotations

import contextlib
import gzip
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import IO, BinaryIO, cast

from bus.errors import TransientError
from bus.ingest.messages import clip
from bus.ingest.source import FileRefused, Reason

#: Bytes that one delivery may unpack to, and how many files a zip may hold (those that are not read included).
LARGEST_UNPACKED = 1 << 30
MOST_MEMBERS = 200
#: Times its size that an archive may unpack to, once it is larger than `_INNOCENT` bytes.
LARGEST_RATIO = 400
_INNOCENT = 16 << 20
_BLOCK = 1 << 18
#: Kept in memory up to here; then in a file that no name leads to.
_IN_MEMORY = 1 << 20
_DAMAGED = (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, ValueError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Member:
    """One unpacked file, at its beginning. `name` tells it from others, "" when it is alone; `file` is what it is called."""

    name: str
    file: str
    stream: BinaryIO


class Budget:
    """What may still be unpacked from an archive of `size` bytes. `take` raises `FileRefused` when it is used up."""

    def __init__(self, size: int) -> None:
        self._most = min(LARGEST_UNPACKED, max(_INNOCENT, size * LARGEST_RATIO))
        self._left = self._most

    def take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise FileRefused(Reason("archive_too_large", shape=f"> {self._most} bytes", allowed=f"<= {self._most} bytes"))


def is_gzip(head: bytes) -> bool:
    return head.startswith(b"\x1f\x8b")


def is_zip(head: bytes) -> bool:
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def is_archive(head: bytes) -> bool:
    """Whether bytes that begin so are unpacked (a workbook is a zip, too)."""
    return is_gzip(head) or is_zip(head)


def size_of(stream: BinaryIO) -> int:
    """The length of a stream, which is left at its beginning."""
    size = stream.seek(0, 2)
    stream.seek(0)
    return size


def gunzip(stream: BinaryIO) -> Member:
    """The one file in a gzip, without a name. Raises `FileRefused` when it is damaged or unpacks to too much."""
    budget = Budget(size_of(stream))
    with gzip.GzipFile(fileobj=stream) as packed:
        return Member("", "", _unpacked(cast("IO[bytes]", packed), budget, ""))


def unzip(stream: BinaryIO, patterns: Sequence[str]) -> Iterator[Member]:
    """The files in a zip whose names match, by name. Raises `FileRefused` when anything in it is damaged, locked or too much."""
    budget = Budget(size_of(stream))
    with opened_zip(stream) as archive:
        wanted = [info for info in members(archive) if any(fnmatchcase(_base(info).lower(), pattern.lower()) for pattern in patterns)]
        if not wanted:
            raise FileRefused(Reason("empty_archive", allowed=", ".join(patterns)))
        for info in sorted(wanted, key=lambda info: info.filename):
            name = "" if len(wanted) == 1 else clip(info.filename)
            if info.flag_bits & 0x1:
                raise FileRefused(Reason("locked", allowed="tanpa kata sandi/without a password"), part=name)
            with _opened(archive, info, name) as packed:
                yield Member(name, info.filename, _unpacked(packed, budget, name))


def opened_zip(stream: BinaryIO) -> zipfile.ZipFile:
    """The archive. Raises `FileRefused` when it is truncated or no zip."""
    try:
        return zipfile.ZipFile(stream)
    except _DAMAGED as error:
        raise damaged(error) from None


def members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files in it, without what systems add by themselves. Raises `FileRefused` when there are too many, or one has no name."""
    listed = archive.infolist()
    if not all(info.filename for info in listed):
        raise damaged(zipfile.BadZipFile())
    found = [info for info in listed if not info.is_dir()]
    if len(found) > MOST_MEMBERS:
        raise FileRefused(Reason("too_many_members", shape=str(len(found)), allowed=f"<= {MOST_MEMBERS}"))
    return [info for info in found if not info.filename.startswith("__MACOSX/") and not _base(info).startswith(".")]


def damaged(error: BaseException, part: str = "") -> FileRefused:
    """The refusal of an archive that cannot be unpacked."""
    return FileRefused(Reason("damaged_archive", shape=type(error).__name__, allowed="gzip, zip, xlsx"), part=part)


def read_all(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> Iterator[bytes]:
    """A member's bytes, checked to its end. Raises `FileRefused`."""
    with _opened(archive, info, "") as packed:
        yield from _blocks(packed, budget, "")


def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo, part: str) -> IO[bytes]:
    try:
        return archive.open(info)
    except _DAMAGED as error:
        raise damaged(error, part) from None


def _unpacked(packed: IO[bytes], budget: Budget, part: str) -> BinaryIO:
    target = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  lives as long as the member is read
    with contextlib.ExitStack() as on_failure:
        on_failure.callback(target.close)
        for block in _blocks(packed, budget, part):
            try:
                target.write(block)
            except OSError as error:
                raise TransientError(f"no room to unpack: {error.strerror}") from error
        on_failure.pop_all()
    target.seek(0)
    return cast("BinaryIO", target)


def _blocks(packed: IO[bytes], budget: Budget, part: str) -> Iterator[bytes]:
    while True:
        try:
            block = packed.read(_BLOCK)
        except _DAMAGED as error:
            raise damaged(error, part) from None
        if not block:
            return
        budget.take(len(block))
        yield block


def _base(info: zipfile.ZipInfo) -> str:
    return PurePosixPath(info.filename).name

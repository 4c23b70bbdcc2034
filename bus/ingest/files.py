"""Folders and files as an agency leaves them: which ones are ours, which are whole, and what can be said of one before reading it.

Only facts about bytes; columns and records are read by `formats`.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

from bus.errors import TransientError
from bus.ingest.formats.archive import is_archive
from bus.ingest.source import FileRefused, Reason

#: The folder beside the inputs into which acknowledgements are put, and how their names end.
RECEIPTS, RECEIPT_SUFFIX = "bukti", ".bukti.txt"
#: Names of files that are not (yet) deliveries: hidden, half-written, office lock files.
_NOT_OURS = (".*", "*.part", "*.tmp", "*.crswap", "~$*", RECEIPTS, f"*{RECEIPT_SUFFIX}")
_BLOCK = 1 << 20
#: How Excel files before 2007 begin, and newer ones that are locked with a password.
_OLD_OFFICE = bytes.fromhex("d0cf11e0a1b11ae1")
#: Bytes that Windows-1252 does not define; a file with one is read as Latin-1, in which every byte is a character.
_NOT_CP1252 = bytes((0x81, 0x8D, 0x8F, 0x90, 0x9D))


class FolderAway(TransientError):
    """The folder is not there now (unmounted, renamed); it may come back."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as the folder lists it."""

    path: Path
    size: int
    mtime_ns: int
    regular: bool = True

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def name_id(self) -> str:
        """What stands for the name where names must not (an agency may put a person's number into one)."""
        return name_id_of(self.name)

    def same(self, other: Seen | None) -> bool:
        """Nothing was written since."""
        return other is not None and (self.size, self.mtime_ns) == (other.size, other.mtime_ns)


@dataclass(frozen=True, slots=True)
class Facts:
    """A file's content, described. With a `problem` no record can be read from it, and `sha256` names the problem instead."""

    seen: Seen
    sha256: str
    encoding: str = "utf-8-sig"
    problem: Reason | None = None
    #: Where its content lies for the time of reading, when that is not where it was delivered.
    copy: Seen | None = None

    @property
    def here(self) -> Seen:
        """The file that is read."""
        return self.copy or self.seen


def name_id_of(name: str) -> str:
    """A short hash of a file name."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def scan(folder: Path, patterns: Sequence[str]) -> list[Seen]:
    """The files of a folder (not of folders in it) that match, in the order of delivery: (mtime_ns, name). Raises `FolderAway`."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not is_ours(entry.name, patterns):
                    continue
                with contextlib.suppress(OSError):  # gone between listing and looking
                    info = entry.stat()
                    seen = Seen(folder / entry.name, info.st_size, info.st_mtime_ns, stat.S_ISREG(info.st_mode))
                    found.append((info.st_mtime_ns, entry.name, seen))
    except OSError as error:
        raise FolderAway(f"folder {folder} cannot be listed: {error.strerror}") from error
    return [seen for _, _, seen in sorted(found, key=itemgetter(0, 1))]


def is_ours(name: str, patterns: Sequence[str]) -> bool:
    """Whether a file of that name may be a delivery: it matches, and is neither half-written nor written by us."""
    name = name.lower()
    return _one_of(_NOT_OURS).match(name) is None and _one_of(tuple(patterns)).match(name) is not None


@lru_cache(maxsize=256)
def _one_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the patterns, as one expression: a folder of years is looked through before every delivery."""
    return re.compile("|".join(translate(pattern.lower()) for pattern in patterns))


class Settling:
    """Tells which files are whole: size and time stood still for `settle_seconds`, or have done so since before we looked."""

    def __init__(self, settle_seconds: float) -> None:
        self._settle_seconds = settle_seconds
        self._since: dict[str, tuple[Seen, float]] = {}

    def settled(self, files: Sequence[Seen], *, monotonic: float, now_ns: int) -> list[Seen]:
        """Those of `files` that are whole, in the order given. Call it at every look."""
        before, self._since = self._since, {}
        whole = []
        for seen in files:
            last = before.get(seen.name)
            since = last[1] if last is not None and seen.same(last[0]) else monotonic
            self._since[seen.name] = (seen, since)
            quiet = max(monotonic - since, (now_ns - seen.mtime_ns) / 1e9)
            if quiet >= self._settle_seconds:
                whole.append(seen)
        return whole


def examine(seen: Seen, *, encoding: str | None = None, copy: Seen | None = None) -> Facts:
    """Read the file (or its copy) once, to its end: its hash, and its encoding unless that is declared. Never raises for a bad file."""
    if not seen.regular:
        return unusable_file(seen, Reason("not_a_file", allowed="berkas biasa/a regular file"), "special")
    try:
        with (copy or seen).path.open("rb") as stream:
            content = described(stream)
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "EIO")
        return unusable_file(seen, Reason("unreadable", shape=code, allowed="izin baca/read permission"), code)
    digest = content.digest.hexdigest()
    if (problem := content_problem(content, seen.size)) is not None:
        return Facts(seen, digest, problem=problem, copy=copy)
    return Facts(seen, digest, encoding or content.encoding, copy=copy)


def content_problem(content: Content, size: int) -> Reason | None:
    """Why no record can be read from such bytes; None when some may."""
    if content.head.startswith(_OLD_OFFICE):
        return Reason("old_workbook", shape="OLE", allowed="xlsx, CSV")
    if content.binary and not is_archive(content.head):
        return Reason("binary_file", shape="NUL", allowed="CSV (UTF-8, Windows-1252)")
    if size == 0:
        return Reason("empty_file", allowed="baris judul dan data/a header and records")
    return None


def described(stream: BinaryIO) -> Content:
    """What a stream's bytes say, from its beginning to its end; it is left at its beginning. Raises `OSError`."""
    content = Content()
    stream.seek(0)
    while block := stream.read(_BLOCK):
        content.add(block)
    stream.seek(0)
    return content


def encoding_of(content: bytes) -> str:
    """The encoding that `examine` finds for a file of these bytes."""
    found = Content()
    found.add(content)
    return found.encoding


class Content:
    """What a file's bytes say of its encoding: UTF-8, else Windows-1252, else Latin-1; the same for the same bytes."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.binary = False
        self.head = b""
        self._utf8: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
        self._cp1252 = True

    def add(self, block: bytes) -> None:
        self.digest.update(block)
        self.head = self.head or block[:8]
        self.binary = self.binary or b"\0" in block
        self._cp1252 = self._cp1252 and len(block.translate(None, _NOT_CP1252)) == len(block)
        if self._utf8 is not None:
            try:
                self._utf8.decode(block)
            except UnicodeDecodeError:
                self._utf8 = None

    @property
    def encoding(self) -> str:
        """A file that ends inside a UTF-8 character is truncated, not of another encoding."""
        if self._utf8 is not None:
            return "utf-8-sig"
        return "cp1252" if self._cp1252 else "latin-1"


@contextlib.contextmanager
def opened(facts: Facts) -> Iterator[BinaryIO]:
    """The examined file, open for reading. Raises `FileRefused` when it is gone or no longer the same."""
    try:
        stream = facts.here.path.open("rb")
    except FileNotFoundError as error:
        raise vanished() from error
    except OSError as error:
        raise FileRefused(
            Reason("unreadable", shape=errno.errorcode.get(error.errno or 0, "EIO"), allowed="izin baca/read permission")
        ) from error
    with stream:
        check_unchanged(stream, facts)
        yield stream


def check_unchanged(stream: BinaryIO, facts: Facts) -> None:
    """Raises `FileRefused` when the open file was written to since it was examined. A file removed or replaced by now stays readable."""
    info = os.fstat(stream.fileno())
    if (info.st_size, info.st_mtime_ns) != (facts.here.size, facts.here.mtime_ns):
        raise FileRefused(Reason("file_changed", allowed="berkas yang tidak diubah lagi/a file that is left alone"))


def vanished() -> FileRefused:
    """The refusal of a delivery whose file is no longer there with the content that was claimed."""
    return FileRefused(Reason("file_vanished", allowed="berkas tetap ada sampai selesai/the file stays until it is read"))


def unusable_file(seen: Seen, reason: Reason, code: str = "") -> Facts:
    """The facts of a file that cannot be read."""
    code = code or reason.shape
    return Facts(seen, f"{reason.rule}:{code}", problem=reason)

"""A journal's waiting messages as a file that is carried by hand, for an office whose line is down for longer than its disk lasts.

JSON lines: what the file is, each message as Kafka will get it (events with pseudonyms only, refusals sealed: nothing more than Kafka may see),
and at the end the number of messages and the SHA-256 of all bytes before. So a file that was cut, changed or damaged is refused as a
whole, before anything of it is sent. The hash protects from accidents, not from forgers: who may import is who may write to Kafka.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

from bus.errors import ConfigurationError, Problem
from bus.ingest.journal import Outgoing

#: Layout of the file; another is refused, never misread.
FORMAT = "simpul-spool/1"
_RECEIPT = "simpul-spool-receipt/1"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file says of itself. `source` is `<agency>/<source>`, `journal` the name under which its events are sequenced, `last` the number
    of the newest record in it; `times`: event type -> up to when everything is in this file or was sent before."""

    source: str
    journal: str
    epoch: int
    last: int
    made: str
    times: Mapping[str, datetime]

    @property
    def agency(self) -> str:
        return self.source.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Carried:
    """A file whose hash is right."""

    path: Path
    manifest: Manifest
    messages: int
    sha256: str

    def read(self) -> Iterator[Outgoing]:
        """Its messages, in order. Raises `ConfigurationError` when it is no longer what was checked."""
        count = 0
        with self.path.open("rb") as file:
            file.readline()
            for line in file:
                if count == self.messages:
                    return
                count += 1
                yield _outgoing(self.path, count, line)
        raise _refused(self.path, "it changed while it was read")


def write(path: Path, manifest: Manifest, messages: Iterable[Outgoing]) -> Carried:
    """Write the file; it takes its name only when all of it is on the disk. Raises `OSError`."""
    digest, count = hashlib.sha256(), 0
    head = {"format": FORMAT, "source": manifest.source, "journal": manifest.journal, "epoch": manifest.epoch, "last": manifest.last}
    head |= {"made": manifest.made, "times": {name: at.isoformat() for name, at in manifest.times.items()}}
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        for count, fields in enumerate(chain([head], map(_fields, messages))):  # noqa: B007  (the last one is the number of messages)
            line = _line(fields)
            digest.update(line)
            file.write(line)
        file.write(_line({"messages": count, "sha256": digest.hexdigest()}))
        file.flush()
        # A stick is pulled out as soon as the prompt is back.
        os.fsync(file.fileno())
    part.replace(path)
    return Carried(path, manifest, count, digest.hexdigest())


def check(path: Path) -> Carried:
    """The file, read to its end. Raises `ConfigurationError` for one that is not whole, not ours or not readable."""
    digest = hashlib.sha256()
    head = newest = b""
    lines = 0
    try:
        with path.open("rb") as file:
            head = file.readline()
            digest.update(head)
            for line in file:
                if newest:
                    digest.update(newest)
                    lines += 1
                newest = line
    except OSError as error:
        raise _refused(path, f"it cannot be read: {error.strerror}") from error
    manifest, end = _manifest(path, head), _object(newest)
    if "sha256" not in end or not newest.endswith(b"\n"):
        raise _refused(path, "its end is missing: copy it again")
    if (end["sha256"], end.get("messages")) != (digest.hexdigest(), lines):
        raise _refused(path, "its content is not what was written (SHA-256 differs): copy it again")
    return Carried(path, manifest, lines, digest.hexdigest())


@dataclass(frozen=True, slots=True)
class Receipt:
    """Kafka has everything of a journal up to a number."""

    journal: str
    epoch: int
    last: int
    sha256: str

    def write(self, path: Path) -> None:
        """As a file, to be carried back. Raises `OSError`."""
        path.write_bytes(
            _line({"format": _RECEIPT, "journal": self.journal, "epoch": self.epoch, "last": self.last, "sha256": self.sha256})
        )

    @classmethod
    def read(cls, path: Path) -> Receipt:
        """Raises `ConfigurationError` for what is no receipt."""
        try:
            found = _object(path.read_bytes())
        except OSError as error:
            raise _refused(path, f"it cannot be read: {error.strerror}") from error
        journal, epoch, last, digest = (found.get(name) for name in ("journal", "epoch", "last", "sha256"))
        if (
            found.get("format") != _RECEIPT or not isinstance(journal, str) or not isinstance(epoch, int) or not isinstance(last, int)
            or not isinstance(digest, str)
        ):  # fmt: skip
            raise _refused(path, f"it is no receipt ({_RECEIPT})")
        return cls(journal, epoch, last, digest)


def _manifest(path: Path, line: bytes) -> Manifest:
    found = _object(line)
    if found.get("format") != FORMAT:
        raise _refused(path, f"it is no spool of this layout ({FORMAT})")
    try:
        times = found["times"]
        assert isinstance(times, dict)
        read = {str(name): datetime.fromisoformat(at) for name, at in times.items()}
        return Manifest(
            str(found["source"]), str(found["journal"]), int(str(found["epoch"])), int(str(found["last"])), str(found["made"]), read
        )  # fmt: skip
    except (KeyError, ValueError, TypeError, AssertionError) as error:
        raise _refused(path, "its first line cannot be read") from error


def _fields(each: Outgoing) -> Mapping[str, object]:
    value = None if each.value is None else base64.b64encode(each.value).decode()
    return {"n": each.number, "t": each.topic, "k": each.key, "v": value, "h": [[name, content.decode()] for name, content in each.headers]}


def _outgoing(path: Path, number: int, line: bytes) -> Outgoing:
    try:
        found = json.loads(line)
        value = None if found["v"] is None else base64.b64decode(found["v"], validate=True)
        headers = tuple((str(name), str(content).encode()) for name, content in found["h"])
        return Outgoing(number, int(found["n"]), str(found["t"]), str(found["k"]), value, headers)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise _refused(path, f"its message {number} cannot be read") from error


def _line(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _object(line: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _refused(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError([Problem(str(path), f"refused as a whole, nothing of it was sent: {why}")])

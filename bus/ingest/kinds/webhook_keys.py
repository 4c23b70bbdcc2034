"""Who may post: a key that is shown, or a signature made with it.

`X-Simpul-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>." and the body as sent>`. It covers the body and its time, not the headers and
not the path: with TLS before the ingress nobody sees one; whoever does could say the same body again, under other `ce-` headers too, until its
time is over. Senders who cannot have TLS therefore use structured mode, whose ids are in the body.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)

FILE = "file:"
#: A shorter key can be guessed.
SHORTEST_KEY = 16
_MOST_KEYS = 2


class Keys:
    """The keys of one source that are valid now: one, or two while the new one replaces the old."""

    def __init__(self, value: str, source: str) -> None:
        """`value` is that of the setting. Raises `ValueError` (which does not quote it) when it holds no usable keys."""
        self._source = source
        self._path = Path(value.removeprefix(FILE)) if value.startswith(FILE) else None
        self._stamp: tuple[int, int] = (0, 0)
        self._keys = _parsed(value) if self._path is None else self._read(self._path)

    @property
    def valid(self) -> tuple[bytes, ...]:
        """The keys. A file is read again when it changed; one that cannot be used leaves the former keys in force."""
        if self._path is not None:
            try:
                found = self._path.stat()
                if (found.st_mtime_ns, found.st_size) != self._stamp:
                    self._keys = self._read(self._path)
            except (OSError, ValueError) as error:
                _log.warning("the keys of a webhook cannot be read again", source=self._source, reason=type(error).__name__)
        return self._keys

    def _read(self, path: Path) -> tuple[bytes, ...]:
        try:
            found = path.stat()
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
        self._stamp = (found.st_mtime_ns, found.st_size)
        return _parsed(text)


def refusal(keys: tuple[bytes, ...], headers: Mapping[str, str], body: bytes, *, auth: str, now: float, tolerance: int) -> str:
    """Why a post is not let in; empty when it is. Whatever is shown must be right, and what `auth` asks for must be shown."""
    shown, signed = shown_key(headers), headers.get("x-simpul-signature")
    if auth == "key" and shown is None:
        return "no key: send Authorization: Bearer <key> or X-Api-Key"
    if auth == "signature" and signed is None:
        return "no signature: send X-Simpul-Signature"
    if shown is None and signed is None:
        return "neither key nor signature: send X-Api-Key, Authorization: Bearer <key> or X-Simpul-Signature"
    if shown is not None and not _is_one(shown.encode(), keys):
        return "the key is not valid"
    return "" if signed is None else _signature_refusal(keys, signed, body, now, tolerance)


def shown_key(headers: Mapping[str, str]) -> str | None:
    """The key in the headers."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return headers.get("x-api-key")


def signature(key: bytes, at: int, body: bytes) -> str:
    """The header of a body that is sent `at` (Unix seconds)."""
    return f"t={at},v1={hmac.new(key, b'%d.' % at + body, hashlib.sha256).hexdigest()}"


def _signature_refusal(keys: tuple[bytes, ...], signed: str, body: bytes, now: float, tolerance: int) -> str:
    parts = [part.strip().partition("=") for part in signed.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    given = [value.lower().encode("utf-8", "replace") for name, _, value in parts if name == "v1"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) <= 12) or not given:
        return "the signature is not of the form t=<unix seconds>,v1=<hex>"
    if abs(now - int(times[0])) > tolerance:
        return f"the signature's time is more than {tolerance} seconds from ours: see the header Date for our clock"
    made = [hmac.new(key, f"{times[0]}.".encode() + body, hashlib.sha256).hexdigest().encode() for key in keys]
    # all are compared, so that the time it takes says nothing
    right = [hmac.compare_digest(one, other) for one in made for other in given[:_MOST_KEYS]]
    return "" if any(right) else "the signature does not fit the body"


def _is_one(shown: bytes, keys: tuple[bytes, ...]) -> bool:
    return any([hmac.compare_digest(shown, key) for key in keys])  # noqa: C419  all are compared, so that the time it takes says nothing


def _parsed(text: str) -> tuple[bytes, ...]:
    keys = tuple(part.encode() for part in text.replace(",", " ").split())
    if not 1 <= len(keys) <= _MOST_KEYS:
        raise ValueError(f"{len(keys)} keys; allowed: one, or two during a rotation")
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise ValueError(f"a key is shorter than {SHORTEST_KEY} characters")
    return keys

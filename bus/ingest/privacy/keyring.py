"""Keys at rest: one secret a file, wrapped by a key-encryption key (KEK) that lies elsewhere or at least by itself.

`<name>.keyring` holds the secret, encrypted under the KEK in `<name>.kek`. Rotation makes another KEK and wraps the secret anew: the secret,
and so every pseudonym and every sealed text, stays. Whatever instant it is stopped at, the KEK that is there opens the keyring.

A secret that leaked is superseded: another takes its place, and it lies in a keyring of its own until it is forgotten.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from pathlib import Path

import structlog
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from nacl.utils import random as random_bytes

from bus.errors import ConfigurationError, Problem

_log = structlog.get_logger(__name__)

SIZE = SecretBox.KEY_SIZE


class Keyring:
    """A secret of 32 bytes in a folder of keys, under a name. `keks`: the folder of its KEK where that lies elsewhere."""

    def __init__(self, folder: Path, name: str, *, keks: Path | None = None) -> None:
        self.path = folder / f"{name}.keyring"
        self._kek = (keks or folder) / f"{name}.kek"

    def secret(self) -> bytes:
        """The secret; made with its KEK when there is no keyring yet. Raises `ConfigurationError` when it does not open."""
        if not self.path.exists():
            self._make()
        key = read_key(self._kek)
        box = self._read().get(_id(key))
        if box is None:
            raise ConfigurationError([Problem(str(self.path), f"is wrapped by another key than that in {self._kek}")])
        try:
            return SecretBox(key).decrypt(base64.b64decode(box))
        except (CryptoError, ValueError) as error:
            raise ConfigurationError([Problem(str(self.path), "is damaged: its secret does not open")]) from error

    def rotate(self) -> None:
        """Wrap the secret by a new KEK. Raises `ConfigurationError` when there is none yet, or it does not open."""
        if not self.path.exists():
            raise ConfigurationError([Problem(str(self.path), "there is no such key yet: nothing to rotate")])
        secret = self.secret()
        old, new = read_key(self._kek), random_bytes(SIZE)
        self._write({_id(key): _wrapped(key, secret) for key in (old, new)})
        replace_file(self._kek, base64.b64encode(new) + b"\n")
        self._write({_id(new): _wrapped(new, secret)})

    def supersede(self, former: Keyring) -> None:
        """Make a new secret, and keep the present one as that of `former`.

        Killed at whatever instant, the present secret is the old one or the new one and the old one is not lost; while it is still the old
        one, the next call goes on. Raises `ConfigurationError` when there is no key yet, or `former` holds another one already.
        """
        if not self.path.exists():
            raise ConfigurationError([Problem(str(self.path), "there is no such key on this machine: nothing to replace")])
        secret = self.secret()
        if not former.path.exists():
            former._make(secret)
        elif former.secret() != secret:
            raise ConfigurationError([Problem(str(former.path), "is the key of a replacement that is not finished")])
        self.rotate()  # what comes must not be opened by the KEK that may have leaked with the secret
        key = read_key(self._kek)
        self._write({_id(key): _wrapped(key, random_bytes(SIZE))})

    def forget(self) -> None:
        """Remove the secret and its KEK from this machine, for good. Killed in between, it is done by the next call."""
        self.path.unlink(missing_ok=True)
        self._kek.unlink(missing_ok=True)

    def _make(self, secret: bytes | None = None) -> None:
        """Make both files, the KEK first; of two processes that try, one wins. A `secret` that is given is one that is known elsewhere."""
        for folder in (self.path.parent, self._kek.parent):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._kek.exists():
            _create(self._kek, base64.b64encode(random_bytes(SIZE)) + b"\n")
        key = read_key(self._kek)
        content = json.dumps({_id(key): _wrapped(key, secret or random_bytes(SIZE))}).encode()
        if _create(self.path, content + b"\n") and secret is None:
            _log.warning(
                "a key was made here; keep a copy of it and of its .kek, for nothing else opens what it closes", key=str(self.path)
            )

    def _read(self) -> dict[str, str]:
        try:
            boxes = json.loads(self.path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigurationError([Problem(str(self.path), f"cannot be read as a keyring: {type(error).__name__}")]) from error
        return {str(name): str(box) for name, box in boxes.items()} if isinstance(boxes, dict) else {}

    def _write(self, boxes: dict[str, str]) -> None:
        replace_file(self.path, json.dumps(boxes).encode() + b"\n")


def read_key(path: Path) -> bytes:
    """A key of 32 bytes in base64. Raises `ConfigurationError`, never with what is in the file."""
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except (OSError, binascii.Error) as error:
        raise ConfigurationError(
            [Problem(str(path), f"cannot be read as a key (base64 of {SIZE} bytes): {type(error).__name__}")]
        ) from error
    if len(key) != SIZE:
        raise ConfigurationError([Problem(str(path), f"holds {len(key)} bytes; a key has {SIZE}")])
    return key


def _id(key: bytes) -> str:
    return hashlib.sha256(b"kek\n" + key).hexdigest()[:16]


def _wrapped(key: bytes, secret: bytes) -> str:
    return base64.b64encode(SecretBox(key).encrypt(secret)).decode()


def _create(path: Path, content: bytes) -> bool:
    """Put a whole file there unless there is one: nobody ever sees half of it."""
    half = path.with_name(f".{path.name}.{os.getpid()}.{random_bytes(4).hex()}")
    _durably(half, content)
    try:
        os.link(half, path)
    except FileExistsError:
        return False
    finally:
        half.unlink()
    _settle(path.parent)
    return True


def replace_file(path: Path, content: bytes) -> None:
    """Put the whole content there, for its owner only; durable when it returns, and nobody ever sees half of it."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    _durably(half, content)
    half.replace(path)
    _settle(path.parent)


def _settle(folder: Path) -> None:
    """Make the names in a folder durable: a KEK must not be younger than what it wraps, whatever disk they lie on."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _durably(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())

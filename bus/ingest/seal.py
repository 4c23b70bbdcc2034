"""Sealing: what was refused travels encrypted to its agency's public key, for a record refused for its NIK is the one that carries it.

Whoever seals cannot open. Without a public key of the agency's own, a pair is made on this machine (demo, first trials).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from pathlib import Path

import structlog
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from bus.errors import ConfigurationError, Problem, RecordError

_log = structlog.get_logger(__name__)


class Sealer:
    """Seals to one public key; `key_id` names the key in the quarantine record."""

    def __init__(self, public_key: bytes) -> None:
        self._box = SealedBox(PublicKey(public_key))
        self.key_id = hashlib.sha256(public_key).hexdigest()[:16]

    def seal(self, raw: bytes) -> str:
        """The sealed content, in base64."""
        return base64.b64encode(self._box.encrypt(raw)).decode()


class Opener:
    """Opens what was sealed to the key that belongs to a private key."""

    def __init__(self, private_key: bytes) -> None:
        key = PrivateKey(private_key)
        self._box = SealedBox(key)
        self.key_id = hashlib.sha256(bytes(key.public_key)).hexdigest()[:16]

    def open(self, sealed: str) -> bytes:
        """The content. Raises `RecordError` when it was sealed to another key or is damaged."""
        try:
            return self._box.decrypt(base64.b64decode(sealed, validate=True))
        except (CryptoError, ValueError) as error:
            raise RecordError("the sealed record does not open with this key", rule="sealed", allowed="the agency's private key") from error


def sealer_for(keys: Path, agency: str) -> Sealer:
    """The sealer of an agency: its key in `keys`/<agency>.public, made together with <agency>.private when there is none."""
    public = keys / f"{agency}.public"
    if not public.exists():
        _make_pair(keys, agency)
    return Sealer(_read_key(public))


def opener_for(private_key: Path) -> Opener:
    """The opener of a private key file. Raises `ConfigurationError` when it is missing or not a key."""
    return Opener(_read_key(private_key))


def private_key_path(keys: Path, agency: str) -> Path:
    """Where the private key of a pair made here lies."""
    return keys / f"{agency}.private"


def _make_pair(keys: Path, agency: str) -> None:
    """Make both files, the private one first and readable by its owner only; of two processes that try, one wins."""
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    private_path = private_key_path(keys, agency)
    try:
        descriptor = os.open(private_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = PrivateKey(_read_key(private_path))
    else:
        key = PrivateKey.generate()
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(base64.b64encode(bytes(key)) + b"\n")
        _log.warning(
            "a key pair was made for the quarantine; give the agency its private half or put its own public key there", agency=agency
        )
    half = keys / f".{agency}.public.{os.getpid()}"
    half.write_bytes(base64.b64encode(bytes(key.public_key)) + b"\n")
    half.replace(keys / f"{agency}.public")


def _read_key(path: Path) -> bytes:
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except (OSError, binascii.Error) as error:
        raise ConfigurationError([Problem(str(path), f"cannot be read as a key (base64 of 32 bytes): {type(error).__name__}")]) from error
    if len(key) != PublicKey.SIZE:
        raise ConfigurationError([Problem(str(path), f"holds {len(key)} bytes; a key has {PublicKey.SIZE}")])
    return key

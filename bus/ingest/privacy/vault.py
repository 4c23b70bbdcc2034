"""The key store of a connector: a key for each subject, under which the sealed fields of its events are encrypted. SQLite, on this machine.

To erase a subject is to destroy its key: what is in Kafka, in states and in backups of Kafka stays, and can be read by nobody. The erasure is
remembered, so that facts that come later about the same subject are sealed to nothing. Keys lie wrapped by the vault's own secret; whoever
keeps copies of the vault must destroy them too. A power cut may lose the keys of the last moments: what was sealed by them cannot be read
any more, and the next delivery says it anew.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from nacl.utils import random as random_bytes

from bus.errors import ConfigurationError, FatalError, Problem
from bus.events.personal import ERASED

_SCHEMA = "CREATE TABLE IF NOT EXISTS subject (type TEXT, name TEXT, box BLOB, PRIMARY KEY (type, name)) WITHOUT ROWID"


class Vault:
    """The subjects' keys of one agency. Several processes may have it open."""

    def __init__(self, path: Path, secret: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._box = SecretBox(secret)
        self._path = path
        self._turn = threading.RLock()
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
            path.chmod(0o600)
            for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.execute(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise FatalError(f"{path} is no key store that can be used: {error}") from error

    def close(self) -> None:
        self._db.close()

    def seal(self, event_type: str, subject: str, field: str, text: str) -> str:
        """The text sealed for that field of that subject: the same for the same text, so that unchanged stays unchanged."""
        key = self._key(event_type, subject)
        return ERASED if key is None else sealed_text(key, field, text)

    def open(self, event_type: str, subject: str, field: str, sealed: str) -> str | None:
        """The text, or None when the subject's key was destroyed or is not here. Raises `ConfigurationError` when it is another field's."""
        found = self._stored(event_type, subject)
        if found is None or found[0] is None or sealed == ERASED:
            return None
        return opened_text(self._unwrapped(found[0]), field, sealed)

    def subjects(self, event_type: str, pattern: str) -> list[str]:
        """The subjects that were sealed or erased, by name, or all that begin with what stands before a final `*`."""
        with self._turn:
            known = self._db.execute("SELECT name FROM subject WHERE type = ? ORDER BY name", (event_type,)).fetchall()
        return [name for (name,) in known if name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1]))]

    def erase(self, event_type: str, subject: str) -> bool:
        """Destroy the subject's key; False when there was none (its erasure is remembered all the same)."""
        with self._turn:
            self._db.execute("BEGIN IMMEDIATE")
            found = self._stored(event_type, subject)
            self._db.execute("INSERT OR REPLACE INTO subject VALUES (?, ?, NULL)", (event_type, subject))
            self._db.execute("COMMIT")
            with closing(self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")) as checkpoint:
                busy = checkpoint.fetchone()[0]
        if busy:
            raise ConfigurationError(
                [Problem(str(self._path), "the key is gone, but a reader keeps its old page in the write-ahead log; run it again")]
            )
        return found is not None and found[0] is not None

    def _key(self, event_type: str, subject: str) -> bytes | None:
        found = self._stored(event_type, subject)
        if found is None:
            wrapped = bytes(self._box.encrypt(random_bytes(SecretBox.KEY_SIZE)))
            with self._turn:
                self._db.execute("INSERT OR IGNORE INTO subject VALUES (?, ?, ?)", (event_type, subject, wrapped))
            found = self._stored(event_type, subject)
            assert found is not None
        return None if found[0] is None else self._unwrapped(found[0])

    def _stored(self, event_type: str, subject: str) -> tuple[bytes | None] | None:
        with self._turn:
            found = self._db.execute("SELECT box FROM subject WHERE type = ? AND name = ?", (event_type, subject))
            row: tuple[bytes | None] | None = found.fetchone()
        return row

    def _unwrapped(self, box: bytes) -> bytes:
        try:
            return self._box.decrypt(box)
        except CryptoError as error:
            raise ConfigurationError([Problem(str(self._path), "was made with another secret than the keyring beside it holds")]) from error


def sealed_text(key: bytes, field: str, text: str) -> str:
    """Encrypted and authenticated; the nonce is made of field and text, so it repeats only where both do."""
    nonce = hmac.new(key, f"{field}\n{text}".encode(), hashlib.sha256).digest()[: SecretBox.NONCE_SIZE]
    box = SecretBox(_field_key(key, field)).encrypt(text.encode(), nonce)
    return "sealed:" + base64.urlsafe_b64encode(bytes(box)).decode().rstrip("=")


def opened_text(key: bytes, field: str, sealed: str) -> str:
    """What `sealed_text` sealed. Raises `ConfigurationError` when it was for another subject or field, or is damaged."""
    body = sealed.removeprefix("sealed:")
    try:
        return SecretBox(_field_key(key, field)).decrypt(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))).decode()
    except (CryptoError, ValueError) as error:
        raise ConfigurationError([Problem(field, "was sealed for another subject or field, or is damaged")]) from error


def _field_key(key: bytes, field: str) -> bytes:
    return hmac.new(key, b"field\n" + field.encode(), hashlib.sha256).digest()

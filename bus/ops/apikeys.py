"""API keys of the gateway: what a key is, and the file that holds their hashes.

A line is `<client> <role> <SHA-256 of the key, in hex>`. A key has 256 random bits, so that its hash can be looked up and tells nothing of it.
Beside the file lies the secret that tickets are signed with, the same for every gateway that reads the file.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bus.errors import ConfigurationError, Problem

KEY_PREFIX = "simpul_"
_KEY_BYTES = 32
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,62}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LINE = "<client> <role> <SHA-256 in hex>"


class Role(StrEnum):
    """What a client may see: what was released, cells of at least five, or all."""

    PUBLIC = "public"
    INTERNAL = "internal"
    RESTRICTED = "restricted"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose key it is, and what it opens."""

    client: str
    role: Role


def digest_of(key: str) -> str:
    """What the file has of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> Mapping[str, Holder]:
    """Hash -> holder. Raises `ConfigurationError` with every faulty line by its number; the line itself is not repeated."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([Problem(str(path), f"the file of API keys cannot be read: {_reason(error)}")]) from error
    found: dict[str, Holder] = {}
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if not parts or parts[0].startswith("#"):
            continue
        problem = _problem(parts, found)
        if problem:
            problems.append(Problem(f"{path}:{number}", problem))
        else:
            found[parts[2]] = Holder(parts[0], Role(parts[1]))
    if problems:
        raise ConfigurationError(problems)
    return found


def add_key(path: Path, client: str, role: Role) -> str:
    """Make a key and write its line; the key, which is nowhere else. Makes the file, and the secret beside it, where there are none.

    Raises `ConfigurationError` for a name that has a key already or is none, and for a file that cannot be written.
    """
    if not _NAME.fullmatch(client):
        raise ConfigurationError(
            [Problem(client, "is no client name; allowed: lower-case letters, digits, _ . - and a letter first, up to 63")]
        )
    known = read_keys(path) if path.exists() else {}
    if any(holder.client == client for holder in known.values()):
        raise ConfigurationError([Problem(client, f"has a key already; take its line out of {path} first")])
    key = KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not secret_path(path).exists():
            _append(secret_path(path), secrets.token_hex(_KEY_BYTES) + "\n")
        _append(path, f"{_gap(path)}{client} {role} {digest_of(key)}\n")
    except OSError as error:
        raise ConfigurationError([Problem(str(path), f"cannot be written: {_reason(error)}")]) from error
    return key


def secret_path(path: Path) -> Path:
    """Where the secret is that belongs to a file of keys."""
    return path.with_name(path.name + ".secret")


def read_secret(path: Path) -> bytes | None:
    """The secret beside a file of keys; `None` where there is none. Raises `ConfigurationError` for one that is too short or not readable."""
    try:
        secret = secret_path(path).read_bytes().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError([Problem(str(secret_path(path)), f"cannot be read: {_reason(error)}")]) from error
    if len(secret) < _KEY_BYTES:
        raise ConfigurationError([Problem(str(secret_path(path)), f"is shorter than {_KEY_BYTES} bytes; `bus gateway-key` makes one")])
    return secret


def _problem(parts: list[str], found: Mapping[str, Holder]) -> str:
    if len(parts) != 3:
        return f"has {len(parts)} words; expected {_LINE}"
    client, role, digest = parts
    if not _NAME.fullmatch(client):
        return "the client's name: lower-case letters, digits, _ . - and a letter first, up to 63"
    if role not in set(Role):
        return f"role {role!r}; allowed: {', '.join(Role)}"
    if not _HASH.fullmatch(digest):
        return "the hash: 64 hexadecimal digits in lower case"
    if digest in found:
        return f"the hash stands above already, of {found[digest].client}"
    return ""


def _append(path: Path, text: str) -> None:
    """One write, to a file that nobody else can read."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(file, text.encode())
        os.fsync(file)
    finally:
        os.close(file)


def _gap(path: Path) -> str:
    """A line break where the last line has none."""
    return "\n" if path.exists() and (content := path.read_bytes()) and not content.endswith(b"\n") else ""


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "is not UTF-8"

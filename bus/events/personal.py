"""What stands in Kafka instead of what names a person: a pseudonym, or a text sealed under its subject's key. The forms only, no keys.

A field with `"pii": "direct"` holds pseudonyms and nothing else, one with `"sealed": true` sealed texts and nothing else; encoding
enforces it. Both forms are such that no name and no number fits them by accident.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

#: 128 bits in the letters a to p: no digits, so that no pseudonym ever looks like a NIK or a telephone number, in whatever it is put.
_PSEUDONYM = re.compile(r"hmac:[a-p]{32}")
#: Nonce (24 bytes), ciphertext and its authentication (16 bytes) in base64; or what is left when the key was destroyed before.
_SEALED = re.compile(r"sealed:(?:erased|[A-Za-z0-9_-]{54,})")
_PATTERNS: Mapping[str, re.Pattern[str]] = {"pseudonym": _PSEUDONYM, "sealed": _SEALED}
_LETTERS = bytes.maketrans(b"0123456789abcdef", b"abcdefghijklmnop")

#: What a text sealed for a subject whose key was destroyed is: nothing.
ERASED = "sealed:erased"

#: Guard of a field -> what may stand there, for messages.
FORMS: Mapping[str, str] = {
    "pseudonym": "a pseudonym (hmac:...): the mapping gives a Nik, NoKk, Phone, PersonName or another Identifier, and the door replaces it",
    "sealed": "a sealed text (sealed:...): the mapping gives sealed(value), and the door encrypts it",
}

#: The classes of personal data of UU 27/2022 that a field may be of.
CLASSES = ("general", "specific", "child", "health", "finance")


def pseudonym_text(digest: bytes) -> str:
    """A digest of at least sixteen bytes as a pseudonym."""
    return "hmac:" + digest[:16].hex().encode().translate(_LETTERS).decode()


def is_pseudonym(value: str) -> bool:
    """Whether the text is a pseudonym and nothing else."""
    return fits("pseudonym", value)


def holds_pseudonym(value: str) -> bool:
    """Whether a pseudonym stands somewhere in the text."""
    return _PSEUDONYM.search(value) is not None


def mapping_type(agency: str) -> str:
    """The event type by which an agency tells which pseudonym of a replaced key is which of the new one."""
    return f"{agency}.pseudonym.mapped.v1"


def is_mapping_type(name: str, agency: str) -> bool:
    """Whether an event type is such a one of that agency, of whatever major. No source gives it: an operator publishes it."""
    return re.fullmatch(rf"{re.escape(agency)}\.pseudonym\.mapped\.v[1-9][0-9]*", name) is not None


def fits(guard: str, value: str) -> bool:
    """Whether a text may stand in a field that is guarded so."""
    return _PATTERNS[guard].fullmatch(value) is not None


def sample_text(guard: str, seed: str) -> str:
    """A made-up text of that form, the same for the same seed."""
    digest = hashlib.sha256(seed.encode()).digest()
    return pseudonym_text(digest) if guard == "pseudonym" else "sealed:" + digest.hex()

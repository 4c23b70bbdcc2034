"""What a mapping puts into an event in the place of personal data. Pure: no key is near. The door replaces every mark, or refuses.

A mark never prints what it holds. Made into text by accident (f"{row.nik}") it becomes a character that no event may hold, so that a subject
or a field made of it is refused instead of being the same for everybody.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

#: Unicode's own "not a character": stands in no text of anybody.
POISON = "\ufdd0"


class Mark:
    """Something of a person that is not to be seen. Equal marks are equal; nothing of it is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({POISON})"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, spec: str) -> str:
        return repr(self)


class Identifier(Mark):
    """What identifies a person, in its normal form: equal persons have equal ones. `kind` keeps the same digits of two kinds apart."""

    __slots__ = ("_value",)
    kind = "id"

    def __init__(self, value: str) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Identifier) and other.kind == self.kind and hmac.compare_digest(raw_of(other).encode(), raw_of(self).encode())
        )

    def __hash__(self) -> int:
        return hash((self.kind, self._value))


def raw_of(identifier: Identifier) -> str:
    """The text itself, for the door alone."""
    return identifier._value  # noqa: SLF001  the one reader


class Sealed(Mark):
    """A text that is kept encrypted under the key of its event's subject."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


@dataclass(frozen=True, slots=True)
class Subject:
    """The parts of a subject in which identifiers stand."""

    parts: tuple[str | Identifier, ...]


class SubjectText(str):
    """A subject before the door: as text it is poison, its parts are beside it."""

    __slots__ = ("subject",)
    subject: Subject


def subject_of(*parts: object) -> str:
    """The subject of an event about a person: identifiers, texts, numbers and days, joined by a slash. The door puts pseudonyms in.

    Raises `ValueError` for an empty part.
    """
    texts: list[str | Identifier] = []
    for part in parts:
        text = part if isinstance(part, Identifier) else part.isoformat() if isinstance(part, (date, datetime)) else str(part)
        if isinstance(text, str) and not text.strip():
            raise ValueError("an empty part of a subject")
        texts.append(text)
    made = SubjectText(f"{POISON}subject")
    made.subject = Subject(tuple(texts))
    return made


def sealed(value: object) -> Sealed | None:
    """The value as a text that only the connector's key store can open, until `bus erase` destroys the subject's key; None stays None.

    For fields with `"sealed": true`. Takes texts, numbers, days and identifiers. Raises `TypeError` for any other.
    """
    match value:
        case None:
            return None
        case Identifier():
            return Sealed(raw_of(value))
        case bool():
            return Sealed("true" if value else "false")
        case str() | int() | Decimal():
            return Sealed(str(value))
        case date():
            return Sealed(value.isoformat())
    raise TypeError(f"a {type(value).__name__} cannot be sealed; allowed: text, whole number, Decimal, day or time")


def texts_of(value: object) -> Iterator[str]:
    """What the marks in a value hold, for the kit alone: it looks whether free text arrived."""
    match value:
        case Identifier():
            yield raw_of(value)
        case Sealed():
            yield value.text
        case SubjectText():
            yield from (text for part in value.subject.parts for text in ([part] if isinstance(part, str) else texts_of(part)))
        case Mapping():
            yield from (text for each in value.values() for text in texts_of(each))
        case list() | tuple():
            yield from (text for each in value for text in texts_of(each))


def is_poisoned(value: object) -> bool:
    """Whether a mark was made into text somewhere in the value."""
    if isinstance(value, str):
        return POISON in value
    if isinstance(value, dict):
        return any(is_poisoned(each) for pair in value.items() for each in pair)
    return isinstance(value, Sequence) and not isinstance(value, bytes) and any(map(is_poisoned, value))

"""The door of a connector: what a mapping gives goes through it before it is compared, kept or sent. It replaces every mark, or refuses.

Marks become pseudonyms (HMAC-SHA-256 under the key of the agency's join domain) and sealed texts (under the subject's key). What was not
marked is not the door's matter: the codec refuses a `direct` field that holds no pseudonym and a NIK or telephone number anywhere.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from bus.errors import ConfigurationError, Problem, RecordError
from bus.events.envelope import Event
from bus.events.nik import contains_nik, contains_phone
from bus.events.personal import is_pseudonym, pseudonym_text
from bus.ingest.privacy.fields import is_simulated
from bus.ingest.privacy.marks import Identifier, Mark, Sealed, SubjectText, is_poisoned, raw_of
from bus.ingest.privacy.vault import sealed_text


class Keys(Protocol):
    """The keys of an agency. `pseudonym_key` is 32 bytes; `seal` is that of a `Vault`."""

    def pseudonym_key(self) -> bytes: ...
    def seal(self, event_type: str, subject: str, field: str, text: str) -> str: ...


class Door:
    """What lets an agency's events out. `simulation`: identifiers that cannot exist (province 00) may pass too.

    `closed` are event types whose topics hold pseudonyms of a key that was replaced: two of one person must not stand in one topic.
    """

    def __init__(self, keys: Keys, *, simulation: bool = False, closed: Collection[str] = ()) -> None:
        self._keys = keys
        self._simulation = simulation
        self._closed = closed

    def __call__(self, event: Event) -> Event:
        """The event without marks. Raises `RecordError` for an identifier of the simulation outside of one, and for a mark made text;
        `ConfigurationError` for an event of a closed type."""
        if event.type in self._closed:
            what = "holds pseudonyms of the key that was replaced: a source gives a new major of it (see `bus keys replace`)"
            raise ConfigurationError([Problem(event.type, what)])
        subject = self._subject(event.subject)
        data = {name: self._value(value, event.type, subject, name) for name, value in event.data.items()}
        return replace(event, subject=subject, data=data)

    def key(self, parts: Sequence[object], personal: Collection[int] = ()) -> tuple[str, ...]:
        """The key of a record as it may be kept: identifiers, parts at the `personal` places and what looks like a number of a person
        are pseudonyms. A mark that was made text raises `RecordError`."""
        return tuple(self._key_part(part, hidden=place in personal) for place, part in enumerate(parts))

    def pseudonym(self, identifier: Identifier, field: str = "") -> str:
        """What stands for the identifier everywhere in the join domain."""
        if is_simulated(identifier) and not self._simulation:
            raise RecordError(
                f"{field}: an identifier of the simulation", field=field, rule="simulated", allowed="BUS_SIMULATION=1 (hanya/only simulasi)"
            )
        text = f"{identifier.kind}\n{raw_of(identifier)}"
        return pseudonym_text(hmac.new(self._keys.pseudonym_key(), text.encode(), hashlib.sha256).digest())

    def _subject(self, subject: object) -> str:
        if isinstance(subject, Identifier):
            return self.pseudonym(subject, "subject")
        if not isinstance(subject, SubjectText):
            return _clean(str(subject), "subject")
        parts = subject.subject.parts
        return "/".join(self.pseudonym(part, "subject") if isinstance(part, Identifier) else _clean(part, "subject") for part in parts)

    def _value(self, value: object, event_type: str, subject: str, field: str) -> object:
        match value:
            case Identifier():
                return self.pseudonym(value, field)
            case Sealed():
                return self._keys.seal(event_type, subject, field, value.text)
            case SubjectText():
                return self._subject(value)
            case Mapping():
                return {name: self._value(each, event_type, subject, f"{field}.{name}") for name, each in value.items()}
            case list() | tuple():
                return [self._value(each, event_type, subject, field) for each in value]
            case str():
                return _clean(value, field)
        return value

    def _key_part(self, part: object, *, hidden: bool) -> str:
        if isinstance(part, Identifier):
            return self.pseudonym(part, "key")
        text = _clean("" if part is None else str(part).strip(), "key")
        if text and not is_pseudonym(text) and (hidden or contains_nik(text) or contains_phone(text)):
            message = f"key\n{' '.join(text.upper().split())}"
            return pseudonym_text(hmac.new(self._keys.pseudonym_key(), message.encode(), hashlib.sha256).digest())
        return text


class NoKeys:
    """Where nothing is to be replaced. Raises `ConfigurationError` when something is."""

    def pseudonym_key(self) -> bytes:
        raise ConfigurationError([Problem("personal data", "there are no keys here to replace an identifier with")])

    def seal(self, event_type: str, subject: str, field: str, text: str) -> str:
        raise ConfigurationError([Problem(f"{event_type}: {field}", "there are no keys here to seal a field with")])


class SampleKeys:
    """The keys of samples and trials: known to everybody, so that what samples come to is always the same. Nothing real is closed by them."""

    def __init__(self, domain: str = "sample") -> None:
        self._key = hashlib.sha256(f"samples of {domain}\n".encode()).digest()

    def pseudonym_key(self) -> bytes:
        return self._key

    def seal(self, event_type: str, subject: str, field: str, text: str) -> str:
        return sealed_text(hmac.new(self._key, f"{event_type}\n{subject}".encode(), hashlib.sha256).digest(), field, text)


def sample_door() -> Door:
    """The door that the kit's samples go through. Identifiers of the simulation pass: a sample is to hold no real ones."""
    return Door(SampleKeys(), simulation=True)


def _clean(text: str, field: str) -> str:
    if is_poisoned(text):
        raise RecordError(
            f"{field}: a mark was made into text", field=field, rule="not_replaced",
            allowed="the identifier itself, or subject_of(…) for a subject with one in it",
        )  # fmt: skip
    return text


def is_marked(value: object) -> bool:
    """Whether the value is a mark, for those who must not show it."""
    return isinstance(value, Mark)

"""What passes between a source kind, an agency's mapping and the runner. A source knows nothing of events, a mapping nothing of files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bus.errors import RecordError
from bus.events.envelope import Event


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was refused, without its personal data: `received` only for a declared field without `pii`, otherwise `shape`.

    `more`: what else is wrong with the same record.
    """

    rule: str
    field: str = ""
    received: str = ""
    shape: str = ""
    allowed: str = ""
    detail: str = ""
    more: tuple[Reason, ...] = ()

    @classmethod
    def of(cls, error: RecordError) -> Reason:
        """The reason that an error carries."""
        more = tuple(cls.of(other) for other in error.others)
        return cls(error.rule, error.field, received=error.received, allowed=error.allowed, detail=str(error), more=more)


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record as delivered: `line` is the physical line where it begins (or its number in the journal), `values` what it says by our
    column names: texts from files, what JSON knows from all others."""

    line: int
    raw: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A piece of a file that is no record: refused before any mapping sees it."""

    line: int
    raw: str
    reason: Reason


class FileRefused(RecordError):
    """The whole delivery is refused. `line` is where the trouble was seen, 0 when it is nowhere in particular; `part` is the member or sheet."""

    def __init__(self, reason: Reason, *, line: int = 0, part: str = "") -> None:
        super().__init__(
            reason.detail or reason.rule, field=reason.field, rule=reason.rule, received=reason.received, allowed=reason.allowed
        )
        self.reason = reason
        self.line = line
        self.part = part


class ToEvents(Protocol):
    """An agency's meaning: pure, raises `RecordError` (mostly `SourceChanged`) for what it does not know."""

    def __call__(self, record: Mapping[str, object], /) -> Iterable[Event]: ...


class KeyOf(Protocol):
    """The key of a record where two spellings mean the same (optional `key_of` of a mapping; default: the manifest's key columns)."""

    def __call__(self, record: Mapping[str, Any], /) -> Sequence[str]: ...


class DoubtsOf(Protocol):
    """Names of what an accepted record says that contradicts what we compute (optional `doubts_of` of a mapping); counted, not refused."""

    def __call__(self, record: Mapping[str, object], /) -> Iterable[str]: ...

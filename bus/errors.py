"""Every error of the bus, sorted by what the caller should do about it.

    BusError
    ├── ConfigurationError   fix the configuration and start again (carries every problem found)
    ├── TransientError       try again, with backoff
    ├── RecordError          put this one record into quarantine and go on
    │   ├── SourceChanged      the agency's format is not the one the mapping knows
    │   └── SchemaViolation    the event does not fit its Avro schema
    └── FatalError           stop the process: going on could lose or double data
        ├── OffsetGap          the log does not continue where the state ends
        └── SchemaMismatch     a record's schema is not the one its header names

A lower library's error never leaves the module that calls that library: it is raised as one of these, `from` the original.
Messages say where (file, line, field), what was received and what is allowed; never a raw personal identifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class BusError(Exception):
    """The root of all errors that the bus raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, said so that its reader can mend it.

    `where` names the file and, after it, the key or the line; `rule` is the number of a conformance rule, or empty.
    """

    where: str
    what: str
    rule: str = ""

    def __str__(self) -> str:
        mark = f" [{self.rule}]" if self.rule else ""
        return f"{self.where}: {self.what}{mark}"


class ConfigurationError(BusError):
    """Fix and restart. Carries all the problems of all the files, so that one run shows everything there is to mend."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        if isinstance(problems, str):
            problems = [Problem("configuration", problems)]
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class TransientError(BusError):
    """The same call may succeed later: retry with backoff."""


class RecordError(BusError):
    """This record cannot be accepted; it belongs in quarantine and the stream goes on.

    `field` is the offending field ("" when it is the whole record), `rule` a short stable name of what was broken, `allowed` what would
    have been right. `received` may only be given for a declared field without `pii`; otherwise give its shape ("16 digits"). `others` are what
    else is wrong with the same record, so that its sender mends all of it at once.
    """

    def __init__(self, message: str, *, field: str = "", rule: str = "", received: str = "", allowed: str = "") -> None:
        self.field = field
        self.rule = rule or type(self).__name__
        self.received = received
        self.allowed = allowed
        self.others: tuple[RecordError, ...] = ()
        super().__init__(message)


class SourceChanged(RecordError):
    """The record's shape is not the declared one: a new, missing or differently typed field."""


class SchemaViolation(RecordError):
    """The event does not fit its Avro schema, or carries what must never enter Kafka."""


class FatalError(BusError):
    """Going on could lose or double data: stop the process; its supervisor starts it anew from the last snapshot."""


class OffsetGap(FatalError):
    """The log begins, or jumps, after the offset where the state would continue."""


class SchemaMismatch(FatalError):
    """The schema id in a record and the fingerprint in its header name different schemas."""

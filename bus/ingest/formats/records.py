"""What every form of file looks like to who delivers it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from bus.ingest.source import BadRecord, RawRecord


class RecordFile(Protocol):
    """The records of one delivered file, in a fixed order, with numbers that only rise: the same file always gives the same.

    Iterating may raise `FileRefused` (nothing of the file is to be believed) or `TransientError`. The other members speak of the record
    that was given last.
    """

    @property
    def header(self) -> Sequence[str]:
        """The names of the columns as the file has them; none where each record names its own."""
        ...

    @property
    def delimiter(self) -> str:
        """How `raw` is read again: a CSV delimiter, or "json"."""
        ...

    @property
    def extra(self) -> Mapping[str, str]:
        """Values that records get from outside of themselves: title rows, the file's name."""
        ...

    @property
    def header_line(self) -> int: ...

    @property
    def last_line(self) -> int: ...

    @property
    def part(self) -> str:
        """The member or sheet, where the file has several; else ""."""
        ...

    @property
    def base(self) -> int:
        """What a record's number has to be lessened by for its line or row within `part`."""
        ...

    def bytes_done(self) -> int: ...

    def close(self) -> None:
        """Let go of what was unpacked; the delivered file stays open."""
        ...

    def __iter__(self) -> Iterator[RawRecord | BadRecord]: ...

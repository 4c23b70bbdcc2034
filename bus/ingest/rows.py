"""What a source has said so far: for each key the events of its newest record. Deliveries are compared with it (ADR 0014 R6).

Pure: the state after delivery d is a function of the state after d-1 and the file. Kept by a `SnapshotStore` as unit `rows/<source>`
at offset d.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from bus.errors import FatalError
from bus.events.envelope import Event

#: Layout of the snapshot; a state of another layout is refused, never misread.
FORMAT = 1
_CHUNK = 512 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Types whose values JSON knows as they are.
_PLAIN = frozenset({str, int, float, bool, type(None)})
# made once: `json.dumps` with options makes an encoder for each call
_CANONICAL = json.JSONEncoder(separators=(",", ":"), sort_keys=True)
_READABLE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """The newest accepted record of a key.

    `delivery` is the one that last published it, `events` its events in canonical JSON. `doubtful`: a later record of this key was
    refused and may still be published from quarantine, so that the next record must be published even if it says the same.
    """

    delivery: int
    events: tuple[str, ...]
    doubtful: bool = False


@dataclass(slots=True)
class Rows:
    """The state after `delivery`. What was refused without a readable key makes everything up to `floor` doubtful.

    `refused`: something of this delivery was, so that the same file must be read again when it comes again. `unread` are the deliveries
    whose file was gone or changed before it was read, so that it must be read when it comes back.
    """

    delivery: int = 0
    floor: int = 0
    rows: dict[Key, Row] = field(default_factory=dict)
    refused: bool = False
    unread: frozenset[int] = frozenset()

    def doubtful(self, row: Row) -> bool:
        """Whether an equal record must be published again."""
        return row.doubtful or row.delivery <= self.floor

    def after(self, delivery: int, changes: Mapping[Key, Row | None], *, refused: bool = False, keyless: bool = False) -> Rows:
        """This state with the changes of a delivery (`None` = gone), in which something was refused, or refused without a readable key.

        The old state must not be used any more.
        """
        for key, row in changes.items():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        return Rows(delivery, delivery if keyless else self.floor, self.rows, refused or keyless, self.unread)

    def after_refused_file(self, delivery: int, *, unread: bool) -> Rows:
        """The state after a delivery that was refused as a whole: nothing known is lost, and everything known is doubtful."""
        lost = self.unread | {delivery} if unread else self.unread
        return Rows(delivery, delivery, self.rows, refused=True, unread=lost)

    def dump(self) -> list[bytes]:
        """The state in chunks of at most about 512 KiB, the same bytes for the same state."""
        chunks: list[bytes] = []
        lines = [_line([FORMAT, self.delivery, self.floor, len(self.rows), int(self.refused), sorted(self.unread)])]
        size = len(lines[0])
        for key in sorted(self.rows):
            row = self.rows[key]
            line = _line([list(key), row.delivery, int(row.doubtful), list(row.events)])
            if size + len(line) > _CHUNK:
                chunks.append(b"\n".join(lines))
                lines, size = [], 0
            lines.append(line)
            size += len(line) + 1
        return [*chunks, b"\n".join(lines)]

    @classmethod
    def load(cls, chunks: Sequence[bytes]) -> Rows:
        """The state that `dump` wrote. Raises `FatalError` for another layout or a state that is not whole."""
        lines = (json.loads(line) for chunk in chunks for line in chunk.split(b"\n"))
        layout, *head = next(lines)
        if layout != FORMAT:
            raise FatalError(f"the rows of a source were written in layout {layout}; this program knows {FORMAT}")
        delivery, floor, count, refused, unread = head
        rows = {tuple(key): Row(at, tuple(events), bool(doubtful)) for key, at, doubtful, events in lines}
        if len(rows) != count:
            raise FatalError(f"the rows of a source are not whole: {len(rows)} of {count}")
        return cls(delivery, floor, rows, bool(refused), frozenset(unread))


def content_of(event: Event) -> str:
    """An event as canonical JSON: equal content, equal text."""
    return _CANONICAL.encode([event.type, event.subject, _micros(event.occurred_at), _plain(event.data)])


def event_of(content: str) -> Event:
    """The event that `content_of` was made from."""
    kind, subject, micros, data = json.loads(content)
    values = _rich(data)
    assert isinstance(values, dict)
    return Event(kind, subject, _EPOCH + micros * _MICROSECOND, values)


def identities(contents: Iterable[str]) -> dict[tuple[str, str, int], str]:
    """Contents by (type, subject, how many of these came before): what an event is the same fact by."""
    found: dict[tuple[str, str, int], str] = {}
    for content in contents:
        kind, subject = json.loads(content)[:2]
        ordinal = 0
        while (kind, subject, ordinal) in found:
            ordinal += 1
        found[kind, subject, ordinal] = content
    return found


def _plain(value: object) -> object:
    match value:
        case datetime():
            return {"$time": _micros(value)}
        case date():
            return {"$date": value.isoformat()}
        case Decimal():
            return {"$decimal": str(value)}
        case bytes():
            return {"$bytes": value.hex()}
        case Mapping():
            return {"$": {str(name): item if type(item) in _PLAIN else _plain(item) for name, item in value.items()}}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value


def _rich(value: object) -> object:
    match value:
        case {"$time": int(micros)}:
            return _EPOCH + micros * _MICROSECOND
        case {"$date": str(text)}:
            return date.fromisoformat(text)
        case {"$decimal": str(text)}:
            return Decimal(text)
        case {"$bytes": str(text)}:
            return bytes.fromhex(text)
        case {"$": dict(items)}:
            return {name: _rich(item) for name, item in items.items()}
        case list():
            return [_rich(item) for item in value]
        case _:
            return value


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _line(value: object) -> bytes:
    return _READABLE.encode(value).encode()

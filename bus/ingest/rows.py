"""What a source has said so far: for each key the events of its newest record. Deliveries are compared with it (ADR 0014 R6).

Pure: the state after delivery d is a function of the state after d-1 and the file. Kept by a `SnapshotStore` as unit `rows/<source>`
at offset d.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import islice

from bus.errors import FatalError
from bus.events.envelope import Event

#: Layout of the snapshot; a state of another layout is refused, never misread. The first, which did not know what was repeated, is read on.
FORMAT = 2
_CHUNK = 512 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Types whose values JSON knows as they are.
_PLAIN = frozenset({str, int, float, bool, type(None)})
# made once: `json.dumps` with options makes an encoder for each call
_CANONICAL = json.JSONEncoder(separators=(",", ":"), sort_keys=True)
_READABLE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

Key = tuple[str, ...]
#: Deliveries, as spans from the first to the last.
Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """The newest accepted record of a key.

    `delivery` is the one that last published it, `events` its events in canonical JSON. `doubtful`: a later record of this key was
    refused and may still be published from quarantine, so that the next record must be published even if it says the same.
    """

    delivery: int
    events: tuple[str, ...]
    doubtful: bool = False
    #: The sequences under which the events were said, 0 where that is not known; empty in a journal.
    said: tuple[int, ...] = ()
    #: (type, subject, sequence) of the cancellations of what records before it told and it does not.
    dropped: tuple[tuple[str, str, int], ...] = ()


@dataclass(slots=True)
class Rows:
    """The state after `delivery`. What was refused without a readable key makes everything up to `floor` doubtful.

    `refused`: something of this delivery was, so that the same file must be read again when it comes again. `unread` are the deliveries
    whose file was gone or changed before it was read, so that it must be read when it comes back.

    What a delivery repeats unchanged is no event, yet it is said: `repeats` has, by the sequence of an event, the deliveries that repeated
    it, and `whole` the tables without any refusal, which so repeat that all that they lack is gone. Nothing of it is forgotten, for a
    delivery may be withdrawn years later. Of events up to delivery `uncounted` it is not known.
    """

    delivery: int = 0
    floor: int = 0
    rows: dict[Key, Row] = field(default_factory=dict)
    refused: bool = False
    unread: frozenset[int] = frozenset()
    repeats: dict[int, Spans] = field(default_factory=dict)
    whole: Spans = ()
    uncounted: int = 0

    def doubtful(self, row: Row) -> bool:
        """Whether an equal record must be published again."""
        return row.doubtful or row.delivery <= self.floor

    def after(
        self, delivery: int, changes: Mapping[Key, Row | None], *, refused: bool = False, keyless: bool = False,
        repeated: Iterable[int] = (), whole: bool = False,
    ) -> Rows:  # fmt: skip
        """This state with the changes of a delivery (`None` = gone), in which something was refused, or refused without a readable key.
        `repeated`: the sequences of what it said again; `whole`: it was a table without any refusal.

        The old state must not be used any more.
        """
        for key, row in changes.items():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        for sequence in repeated:
            self.repeats[sequence] = _and(self.repeats.get(sequence, ()), delivery)
        tables = _and(self.whole, delivery) if whole else self.whole
        floor = delivery if keyless else self.floor
        return replace(self, delivery=delivery, floor=floor, refused=refused or keyless, whole=tables)

    def after_refused_file(self, delivery: int, *, unread: bool) -> Rows:
        """The state after a delivery that was refused as a whole: nothing known is lost, and everything known is doubtful."""
        lost = self.unread | {delivery} if unread else self.unread
        return replace(self, delivery=delivery, floor=delivery, refused=True, unread=lost)

    def dump(self) -> list[bytes]:
        """The state in chunks of at most about 512 KiB, the same bytes for the same state."""
        chunks: list[bytes] = []
        counts = len(self.rows), len(self.repeats)
        lines = [_line([FORMAT, self.delivery, self.floor, *counts, int(self.refused), sorted(self.unread), self.whole, self.uncounted])]
        size = len(lines[0])
        for line in self._lines():
            if size + len(line) > _CHUNK:
                chunks.append(b"\n".join(lines))
                lines, size = [], 0
            lines.append(line)
            size += len(line) + 1
        return [*chunks, b"\n".join(lines)]

    def _lines(self) -> Iterator[bytes]:
        for key in sorted(self.rows):
            row = self.rows[key]
            yield _line([list(key), row.delivery, int(row.doubtful), row.events, row.said, row.dropped])
        for sequence in sorted(self.repeats):
            yield _line([sequence, self.repeats[sequence]])

    @classmethod
    def load(cls, chunks: Sequence[bytes]) -> Rows:
        """The state that `dump` wrote. Raises `FatalError` for another layout or a state that is not whole."""
        lines = (json.loads(line) for chunk in chunks for line in chunk.split(b"\n"))
        layout, *head = next(lines)
        if layout == 1:
            delivery, floor, count, refused, unread = head
            repeated, whole, uncounted = 0, [], delivery
        elif layout == FORMAT:
            delivery, floor, count, repeated, refused, unread, whole, uncounted = head
        else:
            raise FatalError(f"the rows of a source were written in layout {layout}; this program knows {FORMAT}")
        rows = {tuple(key): _row(*row) for key, *row in islice(lines, count)}
        repeats = {sequence: _spans(spans) for sequence, spans in lines}
        if (len(rows), len(repeats)) != (count, repeated):
            raise FatalError(f"the rows of a source are not whole: {len(rows)} of {count}, {len(repeats)} repetitions of {repeated}")
        return cls(delivery, floor, rows, bool(refused), frozenset(unread), repeats, _spans(whole), uncounted)


def _row(
    delivery: int, doubtful: int, events: Sequence[str], said: Sequence[int] | None = None, dropped: Iterable[tuple[str, str, int]] = ()
) -> Row:
    sequences = (0,) * len(events) if said is None else tuple(said)
    return Row(delivery, tuple(events), bool(doubtful), sequences, tuple((kind, subject, sequence) for kind, subject, sequence in dropped))


def _spans(spans: Iterable[Sequence[int]]) -> Spans:
    return tuple((first, last) for first, last in spans)


def _and(spans: Spans, delivery: int) -> Spans:
    if spans and spans[-1][1] == delivery - 1:
        return *spans[:-1], (spans[-1][0], delivery)
    return *spans, (delivery, delivery)


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

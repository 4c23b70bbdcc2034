"""What was published of one cell and when, read from the log on demand: within a time, few at once, and never the same records twice.

`history.<id>` holds every record that was ever published, of all cells; it may be long. What a request has read of it is kept for the next
one, also when its time was not enough. The public's history is what `public.<id>` still holds of releases.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from bus.errors import BusError
from bus.events.codec import Codec
from bus.indicators.history import Change, History
from bus.kafka.ports import LogReader, Record, TopicPartition
from bus.kafka.topics import HISTORY_PREFIX, PUBLIC_PREFIX
from bus.ops.apikeys import Role
from bus.streams.outputs import decode_output
from consumers.dashboard.cells import Cell, moment_of
from consumers.dashboard.refusal import Refusal
from consumers.dashboard.released import from_released
from consumers.dashboard.views import internal_sees

#: Revisions kept of one cell, cells that are remembered, histories read at once, and requests that wait for their turn.
KEPT, CELLS, _AT_ONCE, _WAITING = 1_000, 256, 2, 32

#: What one record tells of the cell, if anything.
Tell = Callable[[Record], "dict[str, object] | None"]


@dataclass(slots=True)
class _Track:
    """One cell's past as far as it has been read."""

    tell: Tell
    position: int = 0
    total: int = 0
    kept: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=KEPT))
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Revisions:
    """Reads the pasts of cells as a role may know them."""

    def __init__(self, open_reader: Callable[[], AbstractAsyncContextManager[LogReader]], codec: Codec, seconds: float) -> None:
        self._open_reader = open_reader
        self._codec = codec
        self._seconds = seconds
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._tracks: OrderedDict[tuple[Role, str, str], _Track] = OrderedDict()

    async def of(self, role: Role, cell: Cell) -> tuple[list[dict[str, object]], int]:
        """The newest revisions, oldest first, and how many there are in all. Raises `Refusal` (503) when the time was not enough."""
        if self._waiting >= _WAITING:
            raise Refusal(503, "Busy", "many histories are being read; come back", retry=2)
        self._waiting += 1
        try:
            track = self._track(role, cell)
            async with asyncio.timeout(self._seconds), track.turn, self._turns, self._open_reader() as reader:
                prefix = PUBLIC_PREFIX if role is Role.PUBLIC else HISTORY_PREFIX
                await _read_on(reader, TopicPartition(prefix + cell.indicator, 0), cell.key.encode(), track)
                return list(track.kept), track.total
        except TimeoutError as error:
            raise Refusal(503, "Not read yet", "the history is long; what was read is kept, so ask again", retry=1) from error
        except BusError as error:
            raise Refusal(503, "No answer from Kafka", "the history cannot be read now; come back", retry=5) from error
        finally:
            self._waiting -= 1

    def _track(self, role: Role, cell: Cell) -> _Track:
        place = role, cell.indicator, cell.key
        track = self._tracks.get(place)
        if track is None:
            track = self._tracks[place] = _Track(_released(self._codec) if role is Role.PUBLIC else _published(self._codec, role))
        self._tracks.move_to_end(place)
        while len(self._tracks) > CELLS:
            self._tracks.popitem(last=False)
        return track


async def _read_on(reader: LogReader, partition: TopicPartition, key: bytes, track: _Track) -> None:
    """Read to the end from where the track stands. No await comes between a batch and its being noted."""
    if not await reader.partitions(partition.topic):
        return
    beginning, end = await reader.beginning(partition), await reader.end(partition)
    async for batch in reader.read(partition, max(track.position, beginning), end):
        for record in batch:
            if record.offset < track.position:
                continue
            told = track.tell(record) if record.key == key and record.value is not None else None
            track.position = record.offset + 1
            if told is not None:
                track.kept.append(told)
                track.total += 1


def _published(codec: Codec, role: Role) -> Tell:
    """Rows as they were published; to `internal` as if those that it may not see had never been."""
    history = History()

    def tell(record: Record) -> dict[str, object] | None:
        output = decode_output(codec, record)
        if output is None or (role is Role.INTERNAL and not (output.is_row and internal_sees(output))):
            return None
        change = history.read(record.timestamp_ms, output)
        return None if change is None else _revision(change)

    return tell


def _revision(change: Change) -> dict[str, object]:
    output = change.output
    return {
        "published_at": moment_of(change.at_ms),
        "version": output.version,
        "revision": output.revision,
        "status": output.status,
        "value": output.value,
        "label": output.label,
        "numerator": output.numerator,
        "denominator": output.denominator,
        "n": output.n,
        "reasons": [{"why": str(reason.why), "count": reason.count} for reason in change.reasons],
    }


def _released(codec: Codec) -> Tell:
    """What was let out; not that, or when, something was withheld."""
    last: list[dict[str, object]] = [{}]

    def tell(record: Record) -> dict[str, object] | None:
        assert record.key is not None
        assert record.value is not None
        cell = from_released(record.key.decode("utf-8", "replace"), codec.decode(record.value, record.headers))
        if cell.suppressed:
            return None
        all_ = cell.full()
        names = ("released", "version", "revision", "status", "value", "label", "numerator", "denominator", "n")
        told = {"published_at" if name == "released" else name: all_[name] for name in names}
        again, last[0] = told == last[0], told
        return None if again else told | {"reasons": []}

    return tell

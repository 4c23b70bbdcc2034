"""Stretches of time: the windows whose cells lie together in blocks, and leave memory together once they are closed.

A stretch has a few hundred windows at most, so that a long history is not many small blocks, and one window at least. Within one, the
windows are the lowest bits of a cell's hash: as soon as there are enough cells for several blocks, those of a window, which change
together, lie in the same ones.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import lru_cache

from bus.indicators.partial import CellKey
from bus.indicators.windows import NOW, window_end, window_start

_MINUTE = 60_000_000
_DAY = 24 * 60 * _MINUTE
#: Days begin at local midnight, in UTC+7. (What windows before 1964 are off by only moves some of them to another stretch.)
_OFFSET = 7 * 60 * _MINUTE

#: Window -> (length of a stretch, shortest length of a window), microseconds. Fixed for good: see `bus.indicators.blocks`.
_STRETCHES = {
    "15m": (_DAY, 15 * _MINUTE),
    "1h": (4 * _DAY, 60 * _MINUTE),
    "1d": (32 * _DAY, _DAY),
    "1w": (56 * _DAY, 7 * _DAY),
}
#: Longer windows: none is shorter than 28 days, so each has a stretch of its own.
_ALONE = (28 * _DAY, 28 * _DAY)


def stretch_of(start: int, window: str) -> str:
    """The stretch that the window beginning at `start` lies in, as a group of blocks."""
    return "now/" if window == NOW else f"{(start + _OFFSET) // _STRETCHES.get(window, _ALONE)[0]}/"


def closes_before(group: str, window: str, moment: int) -> bool:
    """Whether every window of the stretch has ended by then."""
    if window == NOW:
        return False
    length = _STRETCHES.get(window, _ALONE)[0]
    last = (int(group[:-1]) + 1) * length - _OFFSET - 1
    return window_end(window_start(last, window), window) <= moment


def cell_place(window: str, times: int = 1) -> Callable[[CellKey], tuple[str, int]]:
    """Group and hash of the cells of an indicator with that window, in stretches `times` as long."""
    if window == NOW:
        return lambda key: ("now/", hashed(key[1]))
    length, step = _STRETCHES.get(window, _ALONE)
    length *= times
    bits = (length // step - 1).bit_length()

    def place(key: CellKey) -> tuple[str, int]:
        number, within = divmod(key[0] + _OFFSET, length)
        return f"{number}/", hashed(key[1]) << bits | within // step

    return place


def window_place(window: str, times: int = 1) -> Callable[[int], tuple[str, int]]:
    """Group and hash of what there is once for each window."""
    of_cell = cell_place(window, times)
    return lambda start: of_cell((start, ()))


def subject_place(subject: str) -> tuple[str, int]:
    """Group and hash of a subject."""
    return "subjects/", zlib.crc32(subject.encode())


@lru_cache(maxsize=1 << 16)
def hashed(dims: tuple[str | None, ...]) -> int:
    """CRC-32 of dimension values."""
    return zlib.crc32("\0".join("" if value is None else f"={value}" for value in dims).encode())

"""Rows of plain values as bytes, column by column: fast in Python, small after compression, and the same bytes for the same rows.

A row is any nesting of tuples (or lists), dictionaries, integers of any size, texts, booleans and None. A column of rows of one shape is
kept as one column for each position, and so on down to columns of scalars, which C code packs. Lists come back as tuples.

    version (1 byte) | number of rows (4 bytes) | column
    column = tag (1 byte) | what follows by tag, `n` being known from above:
        N  None, n times                        B  n bytes, 0 or 1
        I  code (b h i q: 1 2 4 8 bytes), n integers; the narrowest that holds all
        W  width, n integers of that many bytes K  as W, for one integer that all are equal to
        T  length, UTF-8, a column of n lengths in characters
        D  number, as T for that many different texts, a column of n indexes
        O  n bytes, 0 where None, a column of the others
        F  width, that many columns: tuples of one length
        V  a column of n lengths, total, a column of all items: tuples of different lengths
        M  as V, for dictionaries, of keys and of values: sorted by key
        X  n tags of kinds, and for each kind that occurs, in order, its tag, number, column

Integers are little-endian, lengths have 4 bytes. A form that needs another layout gets another version; old versions stay readable.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate, chain, compress, islice
from typing import Any

from bus.errors import FatalError

VERSION = 1
#: Codes of integers, and the number above those that fit.
_CODES = (("b", 1 << 7), ("h", 1 << 15), ("i", 1 << 31), ("q", 1 << 63))
#: Tuples of one length are split into columns up to this length; longer ones are taken for lists of one kind of thing.
_WIDEST = 16
_SWAP = sys.byteorder == "big"
_KINDS: dict[type, str] = {int: "i", str: "s", bool: "b", tuple: "t", list: "t", dict: "d", type(None): "n"}

Column = Sequence[Any]


def encode(rows: Column) -> bytes:
    """The rows as bytes. Raises `FatalError` for a value that no row may hold."""
    parts = [bytes((VERSION,)), _size(len(rows))]
    _column(rows, parts)
    return b"".join(parts)


def decode(content: bytes) -> list[Any]:
    """The rows that `encode` was given. Raises `FatalError` for another version and for what is not whole."""
    if content[:1] != bytes((VERSION,)):
        raise FatalError(f"a block of a state has layout {content[:1].hex() or 'none'}; this program knows {VERSION:02x}")
    try:
        reader = _Reader(content, 1)
        rows = list(reader.column(reader.size()))
    except (ValueError, KeyError, IndexError, TypeError, StopIteration, EOFError) as error:
        raise FatalError(f"a block of a state is damaged ({len(content)} bytes): {type(error).__name__}") from error
    if reader.place != len(content):
        raise FatalError(f"a block of a state has {len(content) - reader.place} bytes too many")
    return rows


# writing


def _column(values: Column, parts: list[bytes]) -> None:
    kinds = {_kind(each) for each in set(map(type, values))}
    if len(kinds) == 1:
        _WRITERS[kinds.pop()](values, parts)
    elif not kinds:
        parts.append(b"N")
    elif len(kinds) == 2 and "n" in kinds:
        known = [value is not None for value in values]
        parts += (b"O", bytes(known))
        _column(list(compress(values, known)), parts)
    else:
        _mixed(values, sorted(kinds), parts)


def _kind(found: type) -> str:
    if found not in _KINDS:
        raise FatalError(f"a state holds a {found.__name__}, which has no place in a snapshot")
    return _KINDS[found]


def _mixed(values: Column, kinds: Sequence[str], parts: list[bytes]) -> None:
    found = [_KINDS[type(value)] for value in values]
    parts += (b"X", "".join(found).encode())
    for kind in kinds:
        chosen = [value for value, its in zip(values, found, strict=True) if its == kind]
        parts += (kind.encode(), _size(len(chosen)))
        _column(chosen, parts)


def _nothing(values: Column, parts: list[bytes]) -> None:
    parts.append(b"N")


def _booleans(values: Column, parts: list[bytes]) -> None:
    parts += (b"B", bytes(values))


def _integers(values: Column, parts: list[bytes]) -> None:
    low, high = min(values), max(values)
    if low == high:
        width = _width(low, high)
        parts += (b"K", _size(width), low.to_bytes(width, "little", signed=True))
        return
    for code, bound in _CODES:
        if -bound <= low and high < bound:
            packed = array(code, values)
            if _SWAP:
                packed.byteswap()
            parts += (b"I", code.encode(), packed.tobytes())
            return
    width = _width(low, high)
    parts += (b"W", _size(width), b"".join([value.to_bytes(width, "little", signed=True) for value in values]))


def _width(low: int, high: int) -> int:
    return max(low.bit_length(), high.bit_length()) // 8 + 1


def _texts(values: Column, parts: list[bytes]) -> None:
    different = set(values)
    if 2 * len(different) <= len(values):
        listed = sorted(different)
        indexes = dict(zip(listed, range(len(listed)), strict=True))
        parts += (b"D", _size(len(listed)))
        _plain_texts(listed, parts)
        _integers(list(map(indexes.__getitem__, values)), parts)
    else:
        parts.append(b"T")
        _plain_texts(values, parts)


def _plain_texts(values: Column, parts: list[bytes]) -> None:
    text = "".join(values).encode()
    parts += (_size(len(text)), text)
    _integers(list(map(len, values)), parts)


def _tuples(values: Column, parts: list[bytes]) -> None:
    lengths = list(map(len, values))
    width = lengths[0]
    if width <= _WIDEST and lengths.count(width) == len(lengths):
        parts += (b"F", bytes((width,)))
        for column in zip(*values, strict=True):
            _column(column, parts)
        return
    parts.append(b"V")
    _integers(lengths, parts)
    items = list(chain.from_iterable(values))
    parts.append(_size(len(items)))
    _column(items, parts)


def _dictionaries(values: Column, parts: list[bytes]) -> None:
    ordered = [sorted(value.items()) for value in values]
    parts.append(b"M")
    _integers(list(map(len, ordered)), parts)
    items = list(chain.from_iterable(ordered))
    parts.append(_size(len(items)))
    _column([key for key, _ in items], parts)
    _column([value for _, value in items], parts)


_WRITERS: dict[str, Callable[[Column, list[bytes]], None]] = {
    "i": _integers,
    "s": _texts,
    "b": _booleans,
    "t": _tuples,
    "d": _dictionaries,
    "n": _nothing,
}


def _size(number: int) -> bytes:
    return number.to_bytes(4, "little")


# reading


class _Reader:
    """Reads columns off a block, from `place` on."""

    def __init__(self, content: bytes, place: int) -> None:
        self._content = content
        self.place = place

    def column(self, n: int) -> Column:
        """The next column, of n values."""
        return _READERS[self.take(1)](self, n)

    def take(self, length: int) -> bytes:
        taken = self._content[self.place : self.place + length]
        if len(taken) != length:
            raise EOFError
        self.place += length
        return taken

    def size(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def nothing(self, n: int) -> Column:
        return [None] * n

    def booleans(self, n: int) -> Column:
        return list(map(bool, self.take(n)))

    def integers(self, n: int) -> Column:
        unpacked = array(self.take(1).decode())
        unpacked.frombytes(self.take(n * unpacked.itemsize))
        if _SWAP:
            unpacked.byteswap()
        return unpacked.tolist()

    def equal(self, n: int) -> Column:
        return [int.from_bytes(self.take(self.size()), "little", signed=True)] * n

    def wide(self, n: int) -> Column:
        width = self.size()
        content = self.take(n * width)
        return [int.from_bytes(content[begin : begin + width], "little", signed=True) for begin in range(0, len(content), width)]

    def texts(self, n: int) -> Column:
        text = self.take(self.size()).decode()
        ends = list(accumulate(self.column(n)))
        return [text[begin:end] for begin, end in zip((0, *ends), ends, strict=False)]

    def dictionary(self, n: int) -> Column:
        listed = self.texts(self.size())
        return list(map(listed.__getitem__, self.column(n)))

    def optional(self, n: int) -> Column:
        known = self.take(n)
        others = iter(self.column(sum(known)))
        return [next(others) if each else None for each in known]

    def tuples(self, n: int) -> Column:
        width = self.take(1)[0]
        return list(zip(*(self.column(n) for _ in range(width)), strict=True)) if width else [()] * n

    def lists(self, n: int) -> Column:
        lengths = self.column(n)
        items = iter(self.column(self.size()))
        return [tuple(islice(items, length)) for length in lengths]

    def dictionaries(self, n: int) -> Column:
        lengths = self.column(n)
        total = self.size()
        items = iter(list(zip(self.column(total), self.column(total), strict=True)))
        return [dict(islice(items, length)) for length in lengths]

    def mixed(self, n: int) -> Column:
        kinds = self.take(n).decode()
        columns = {}
        for _ in set(kinds):
            kind = self.take(1).decode()
            columns[kind] = iter(self.column(self.size()))
        return [next(columns[kind]) for kind in kinds]


_READERS: dict[bytes, Callable[[_Reader, int], Column]] = {
    b"N": _Reader.nothing,
    b"B": _Reader.booleans,
    b"I": _Reader.integers,
    b"K": _Reader.equal,
    b"W": _Reader.wide,
    b"T": _Reader.texts,
    b"D": _Reader.dictionary,
    b"O": _Reader.optional,
    b"F": _Reader.tuples,
    b"V": _Reader.lists,
    b"M": _Reader.dictionaries,
    b"X": _Reader.mixed,
}

"""What goes wrong with an input on its way: bytes that are hurt, and values that no clerk would write. From a seed; no two are alike.

Hypothesis draws some thousand inputs a second at most, and shrinks them; for a million a plain mutator has to do. A failure names the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

#: Stands where a real number could: sixteen digits with the structure of a NIK, of no province; whatever refuses it must not repeat it.
NIK = "0012344107900017"
PHONE = "081212345678"

#: Pieces of text that have hurt programs.
_TEXTS = (
    "", " ", "\0", "\n", "\r\n", "'", '"', '""', ";", ",", "\t", "=1+1", "-", "---", "N/A", "null", "NULL", "NaN", "Infinity", "-0", "1e400", "0x10",
    "1.234.567,89", "1,234.5", "12,5", "10.000", "١٢", "½", "９", "2026-02-30", "31/12/2026", "2026-13-01T25:61:61+99:99", "0001-01-01",
    "9999-12-31T23:59:59.999999-23:59", "1970-01-01T00:00:00Z", "24:00", "\ufeff", "\u202e", "\ud7ff", "e\u0301" * 40, "🙂", "A" * 5_000, "9" * 400,
    "../../etc/passwd", "<script>alert(1)</script>", "{{7*7}}", "%s%n", NIK, f"nik {NIK}", PHONE, "BOYOLALI", "33.09.01", "33.09.99.9999",
)  # fmt: skip
_VALUES: Sequence[object] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**40, 0.0, -0.5, 1e308, 5e-324, [], {}, [[]], [None] * 50, {"a": {"b": {}}},
    {"nik": NIK}, [NIK], *_TEXTS,
)  # fmt: skip
_PIECES = (
    *(text.encode("utf-8", "surrogatepass") for text in _TEXTS),
    b"\xff",
    b"\xc3",
    b"\x00\x00\x00",
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"[" * 200,
)


def changed(chance: Random, record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with one to three changes, somewhere in it."""
    found: dict[str, Any] = dict(record)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        chance.choice(_CHANGES)(chance, _inside(chance, found))
    return found


def hurt(chance: Random, content: bytes) -> bytes:
    """The bytes with one to four places hurt."""
    found = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        chance.choice(_HURTS)(chance, found)
    return bytes(found)


def _inside(chance: Random, record: dict[str, Any]) -> dict[str, Any]:
    """The record, or an object in it (copied, so that the one it was made of stays whole)."""
    inner = [name for name, value in record.items() if isinstance(value, dict)]
    lists = [name for name, value in record.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if inner and chance.random() < 0.5:
        name = chance.choice(inner)
        record[name] = dict(record[name])
        return _inside(chance, record[name])
    if lists and chance.random() < 0.5:
        name = chance.choice(lists)
        record[name] = [dict(record[name][0]), *record[name][1:]]
        return _inside(chance, record[name][0])
    return record


def _other_value(chance: Random, record: dict[str, Any]) -> None:
    if record:
        record[chance.choice(list(record))] = chance.choice(_VALUES)


def _less(chance: Random, record: dict[str, Any]) -> None:
    if record:
        del record[chance.choice(list(record))]


def _more(chance: Random, record: dict[str, Any]) -> None:
    record[chance.choice(("", "kolom_baru", "nik", "\0", "id", "NIK", "_"))] = chance.choice(_VALUES)


def _swapped(chance: Random, record: dict[str, Any]) -> None:
    if len(record) > 1:
        one, two = chance.sample(list(record), 2)
        record[one], record[two] = record[two], record[one]


def _spelled(chance: Random, record: dict[str, Any]) -> None:
    """A text with a piece put in, cut off, or in other letters."""
    texts = [name for name, value in record.items() if isinstance(value, str)]
    if not texts:
        return
    name = chance.choice(texts)
    text: str = record[name]
    place = chance.randint(0, len(text))
    piece = chance.choice(_TEXTS)
    record[name] = chance.choice(
        (text[:place] + piece + text[place:], text[:place], text[place:], text.swapcase(), text + text, f" {text} ")
    )


def _counted(chance: Random, record: dict[str, Any]) -> None:
    numbers = [name for name, value in record.items() if isinstance(value, int | float) and not isinstance(value, bool)]
    if numbers:
        name = chance.choice(numbers)
        record[name] = chance.choice((-record[name], record[name] + 1, record[name] * 1_000_003, str(record[name]), float(record[name])))


_CHANGES: Sequence[Callable[[Random, dict[str, Any]], None]] = (
    _other_value,
    _other_value,
    _less,
    _more,
    _swapped,
    _spelled,
    _spelled,
    _counted,
)


def _flip(chance: Random, content: bytearray) -> None:
    if content:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def _cut(chance: Random, content: bytearray) -> None:
    begin, length = chance.randint(0, len(content)), chance.choice((1, 3, 20, 200))
    del content[begin : begin + length]


def _end(chance: Random, content: bytearray) -> None:
    del content[chance.randint(0, len(content)) :]


def _put(chance: Random, content: bytearray) -> None:
    place = chance.randint(0, len(content))
    content[place:place] = chance.choice(_PIECES)


def _twice(chance: Random, content: bytearray) -> None:
    begin = chance.randint(0, len(content))
    piece = content[begin : begin + chance.choice((1, 10, 100))]
    content[begin:begin] = piece


_HURTS: Sequence[Callable[[Random, bytearray], None]] = (_flip, _flip, _cut, _end, _put, _put, _twice)

"""How the content of a snapshot's block becomes records: compressed, with one byte in front that says how, and cut if it is large.

    0 | content                                as it is, where compressing gains nothing
    1 | zlib
    2 | length of the content, 8 bytes, big-endian | zstandard

Every reader reads all three, so a state stays readable when the writer's choice changes.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from bus.errors import FatalError

#: Largest record value that is written: below the 1 MiB that brokers accept by default.
PIECE_BYTES = 900 * 1024
#: Below this a compressor's own frame costs more than it saves.
_WORTH_IT = 128
_RAW, _ZLIB, _ZSTD = 0, 1, 2
_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Piece:
    """The value of one record and its SHA-256, in hexadecimal."""

    digest: str
    value: bytes


def pack(content: bytes) -> tuple[Piece, ...]:
    """The content as one piece or more. Slow for large contents: call it in a thread."""
    packed = _compressed(content)
    return tuple(
        Piece(digest(value), value) for value in (packed[begin : begin + PIECE_BYTES] for begin in range(0, len(packed), PIECE_BYTES))
    )


def unpack(values: Iterable[bytes]) -> bytes:
    """The content that `pack` made these values of. Raises `FatalError` for a form that this program does not know."""
    packed = b"".join(values)
    match packed[:1]:
        case b"\x00":
            return packed[1:]
        case b"\x01":
            return zlib.decompress(packed[1:])
        case b"\x02":
            length = int.from_bytes(packed[1 : 1 + _LENGTH])
            return bytes(pa.decompress(packed[1 + _LENGTH :], length, "zstd", asbytes=True))
    raise FatalError(f"a snapshot's block is packed in a way that this program does not know: {packed[:1].hex() or 'empty'}")


def digest(value: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(value).hexdigest()


def size(contents: Iterable[bytes | None]) -> int:
    """Bytes in all contents together."""
    return sum(len(content) for content in contents if content is not None)


def numbered(pieces: Sequence[bytes]) -> dict[str, bytes]:
    """Blocks named "0", "1", … of a state that is one text cut into pieces, and is always written whole."""
    return {str(number): piece for number, piece in enumerate(pieces)}


def _compressed(content: bytes) -> bytes:
    if len(content) >= _WORTH_IT:
        if pa.Codec.is_available("zstd"):
            body = bytes(pa.Codec("zstd", compression_level=1).compress(content, asbytes=True))
            packed = bytes((_ZSTD,)) + len(content).to_bytes(_LENGTH) + body
        else:
            packed = bytes((_ZLIB,)) + zlib.compress(content, 1)
        if len(packed) < len(content):
            return packed
    return bytes((_RAW,)) + content

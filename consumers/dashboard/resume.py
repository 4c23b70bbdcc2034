"""Ids of stream messages: where in every topic the client's state stands, so that any gateway can go on from there (ADR 0007).

A token is `<hash>.<position>-<position>-…`: the next offset of each chosen topic, sorted by id, in base 36. The hash covers the ids and
when each topic's first record was written: a token of other topics, of another filter or of a broker that has lost its memory is
foreign, and a foreign token means a full snapshot, never a guess.

Where cells are withheld from a reader, offsets would count them. There a token is a digest of what the reader was shown (`content`): the
same at any gateway that shows the same; another one means an earlier state, which only the gateway that was in it knows (ADR 0029).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

from consumers.dashboard.state import Indicator

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TOKEN = re.compile(r"^(?P<hash>[0-9a-f]{8})\.(?P<positions>[0-9a-z]{1,13}(?:-[0-9a-z]{1,13})*)?$", re.ASCII)


def token(indicators: Sequence[Indicator], selection: str = "") -> str:
    """The token of the state of these indicators, sorted by id, as it is now; `selection` is which of their cells the client gets."""
    positions = [indicator.position for indicator in indicators]
    return f"{_hash(indicators, positions, selection)}.{'-'.join(map(_base36, positions))}"


def content(indicators: Sequence[Indicator], selection: str = "") -> str:
    """The token of what is shown of these indicators now, which tells nothing of what is not."""
    digest = hashlib.blake2b(selection.encode(), digest_size=16)
    for indicator in indicators:
        if indicator.shown:
            digest.update(f"\n{indicator.id} {indicator.content:x}".encode())
    return digest.hexdigest()


def positions(text: str, indicators: Sequence[Indicator], selection: str = "") -> Mapping[str, int] | None:
    """Id -> position that the token names, or `None` when it is not a beginning of these indicators' logs."""
    match = _TOKEN.match(text)
    if match is None:
        return None
    given = [int(part, 36) for part in (match["positions"] or "").split("-") if part]
    if len(given) != len(indicators) or _hash(indicators, given, selection) != match["hash"]:
        return None
    if any(position > indicator.position for position, indicator in zip(given, indicators, strict=True)):
        return None
    return {indicator.id: position for position, indicator in zip(given, indicators, strict=True)}


def _hash(indicators: Sequence[Indicator], positions: Sequence[int], selection: str) -> str:
    digest = hashlib.blake2b(selection.encode(), digest_size=4)
    for indicator, position in zip(indicators, positions, strict=True):
        # A topic of which nothing was read yet has no first record to be recognised by.
        born = indicator.born_ms if position else 0
        digest.update(f"{indicator.id} {born}\n".encode())
    return digest.hexdigest()


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits

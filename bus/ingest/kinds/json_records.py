"""JSON from outside as records: strict, so that nothing gets in which could not be written down again, and never a fault of ours. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import NoReturn

from bus.ingest.source import Reason
from bus.ingest.stream import Received

#: Deeper ones mean nothing to a mapping, and some library of those that follow would fail at them.
_DEEPEST = 100
_TOO_DEEP = "nested too deeply"


def load(content: bytes | str) -> object:
    """What the JSON text says. Raises `ValueError` for what is no JSON in UTF-8 (NaN and Infinity are none) or is nested too deeply."""
    try:
        return json.loads(content.decode("utf-8-sig") if isinstance(content, bytes) else content, parse_constant=_no_number)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def received(item: object, *, id_: str = "", deleted: bool = False) -> Received:
    """One value as a record; with a problem when it is no object, or holds what no text or number can be.

    Raises `ValueError` when it is nested too deeply.
    """
    try:
        raw = json.dumps(item, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        raw.encode()
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError as error:  # half a surrogate pair, or a number beyond all numbers: 1e999
        rule = "bad_text" if isinstance(error, UnicodeEncodeError) else "out_of_range"
        return Received(raw=json.dumps(item), problem=Reason(rule))
    if raw.count("{") + raw.count("[") > _DEEPEST and _depth(item) > _DEEPEST:
        raise ValueError(_TOO_DEEP)
    if not isinstance(item, dict):
        return Received(raw=raw, problem=Reason("not_an_object", shape=type(item).__name__, allowed="{…}"))
    return Received(item, raw, id_, deleted)


def lines(content: bytes) -> Iterator[object]:
    """JSON Lines: each line's value, or a record with a problem for a line that is none. Blank lines are nothing.

    Raises `ValueError` for one that is nested too deeply.
    """
    for line in content.splitlines():
        if not line.strip():
            continue
        try:
            yield load(line)
        except ValueError as error:
            if str(error) == _TOO_DEEP:
                raise
            yield Received(raw=line.decode("utf-8", "replace"), problem=Reason("broken_json"))


def at(document: object, path: str) -> object:
    """What is at a dotted path (`data.items`, `pages.0.next`); an empty path is the document. Raises `LookupError`."""
    for part in path.split(".") if path else ():
        if isinstance(document, Mapping) and part in document:
            document = document[part]
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        else:
            raise LookupError(path)
    return document


def digest(*parts: str) -> str:
    """A sender's id as it is kept: short, and nothing that could be a person's number."""
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:40]


def content_id(item: Mapping[str, object]) -> str:
    """The id of a record that has none: the same content is the same record."""
    return digest("content", json.dumps(item, sort_keys=True))


def _depth(item: object) -> int:
    depth, level = 0, [item]
    while level:
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())]
        depth += 1
    return depth - 1


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")

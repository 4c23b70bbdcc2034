"""The state of a merge in blocks (ADR 0015), and back: cells and reporters of its editions, what is retired, and the rest as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from bus.errors import FatalError
from bus.indicators import columns
from bus.indicators.blocks import Frozen
from bus.indicators.edition import Edition
from bus.indicators.family import Family
from bus.indicators.line import LeafLine, Line
from bus.indicators.partial import canonical, sort_key

_HEAD, _FORM = "head", 4
_RETIRED = "retired/"


def frozen(unit_id: str, offset: int, lines: Mapping[str, LeafLine], family: Family, *, whole: bool) -> Frozen:
    """The state as it is now."""
    found: Frozen = {_HEAD: list(_head(unit_id, offset, lines, family))}
    for line in lines.values():
        for edition in line.editions.values():
            found |= edition.blocks.frozen(whole=whole)
    for name, each in _retired(lines, family):
        if each.retired:
            keys = sorted(each.retired, key=sort_key) if whole or each.retired_touched else None
            found[name] = None if keys is None else [(key, each.retired[key]) for key in keys]
    return found


def saved(lines: Mapping[str, LeafLine], family: Family) -> None:
    """All of it is durable, and nothing has changed since."""
    for line in lines.values():
        for edition in line.editions.values():
            edition.blocks.saved()
    for _, each in _retired(lines, family):
        each.retired_touched = False


def readable(blocks: Mapping[str, bytes]) -> bool:
    """Whether a snapshot is of the form that this program knows. A merge does without any other: the folds tell it all again (ADR 0014 R5)."""
    return _HEAD in blocks and json.loads(columns.decode(blocks[_HEAD])[0]).get("form") == _FORM


def restore(unit_id: str, offset: int, blocks: Mapping[str, bytes], lines: dict[str, LeafLine], family: Family) -> None:
    """Fill lines and family from a snapshot. Raises `FatalError` when it is of another unit, offset or form."""
    first, *entries = map(json.loads, columns.decode(blocks[_HEAD]) if _HEAD in blocks else ["{}"])
    expected = {"form": _FORM, "offset": offset, "unit": unit_id}
    if first != expected:
        raise FatalError(f"snapshot of {unit_id} at offset {offset} says it is {first}")
    memories = _restore_head(entries, lines, family)
    by_group: dict[str, dict[str, bytes]] = {}
    for name, content in blocks.items():
        if name != _HEAD:
            by_group.setdefault(name.partition("/")[0] + "/", {})[name] = content
    for name, content in by_group.pop(_RETIRED, {}).items():
        kind, _, indicator = name.removeprefix(_RETIRED).partition(".")
        line: Line[Any] = lines.setdefault(indicator, LeafLine()) if kind == "leaf" else family.composite(indicator)
        line.retired = dict(columns.decode(content))
    for line in lines.values():
        for edition in line.editions.values():
            edition.blocks.load(by_group.pop(edition.blocks.prefix, {}))
            edition.restored()
    if by_group:
        raise FatalError(f"snapshot of {unit_id} at offset {offset} has blocks of nothing known: {', '.join(sorted(by_group)[:5])}")
    family.restored(memories)


def _head(unit_id: str, offset: int, lines: Mapping[str, LeafLine], family: Family) -> Iterable[str]:
    yield canonical({"form": _FORM, "offset": offset, "unit": unit_id})
    for name in sorted(lines):
        line = lines[name]
        for mark in sorted(line.editions):
            edition = line.editions[mark]
            yield canonical(["edition", edition.head(), edition is line.published])
            yield from map(canonical, edition.entries())
    yield from family.entries()


def _restore_head(entries: Iterable[Any], lines: dict[str, LeafLine], family: Family) -> dict[str, Any]:
    edition = None
    memories: dict[str, Any] = {}
    for raw in entries:
        if raw[0] == "edition":
            edition = Edition.restore(raw[1])
            line = lines.setdefault(edition.id, LeafLine())
            line.editions[edition.mark] = edition
            line.published = edition if raw[2] else line.published
        elif raw[0] == "feed_memory":
            memories[raw[1]] = raw[2]
        elif raw[0] == "feed":
            family.learn([raw[1]])
        elif edition is not None:
            edition.restore_entry(raw)
    return memories


def _retired(lines: Mapping[str, LeafLine], family: Family) -> Iterable[tuple[str, Line[Any]]]:
    yield from ((f"{_RETIRED}leaf.{name}", line) for name, line in lines.items())
    yield from ((f"{_RETIRED}composite.{name}", line) for name, line in family.composite_lines().items())

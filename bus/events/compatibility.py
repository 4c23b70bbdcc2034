"""Structural compatibility inside a major version: each release can read each other one, in both directions (FULL_TRANSITIVE).

Compared are types, never samples: `["null", "string"]` read as `"string"` works for every sample that happens not to be null. Stricter
than Avro where Avro would change what a number or a text means: no promotions (int to long, string to bytes), no other scale, unit of
time, record name or `correctable`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from bus.events.avro import Json, Node, UnsupportedType, node_of


def incompatibilities(one: dict[str, Json], other: dict[str, Json]) -> list[str]:
    """What keeps two releases from reading each other; empty when they can, in both directions."""
    try:
        ours, theirs = node_of(one), node_of(other)
    except UnsupportedType as error:
        return [str(error)]
    problems = list(_compare(one, other, ours, theirs, ""))
    if one.get("correctable", True) != other.get("correctable", True):
        problems.append("`correctable` changed: state that was kept, or not kept, would be wrong")
    return problems


def transitive_incompatibilities(releases: Sequence[dict[str, Json]]) -> list[str]:
    """The same between each release and each later one; they are counted from 1."""
    return [
        f"releases {first + 1} and {second + 1}: {problem}"
        for second in range(len(releases))
        for first in range(second)
        for problem in incompatibilities(releases[first], releases[second])
    ]


def _compare(one: Json, other: Json, a: Node, b: Node, path: str) -> Iterator[str]:
    where = path or "record"
    if a.kind != b.kind:
        yield f"{where}: {a.kind} became {b.kind}"
        return
    if a.nullable != b.nullable:
        yield f"{where}: null is allowed on one side only"
    if a.scale != b.scale:
        yield f"{where}: scale {a.scale} became {b.scale}"
    if a.size != b.size:
        yield f"{where}: {a.size} bytes became {b.size}"
    if a.name != b.name:
        yield f"{where}: the {a.kind} {a.name!r} became {b.name!r}"
    one, other = unwrapped(one), unwrapped(other)
    if a.kind == "enum":
        yield from _compare_enums(a, b, where)
    elif a.kind == "array" and isinstance(one, dict) and isinstance(other, dict):
        yield from _compare(one["items"], other["items"], cast("Node", a.items), cast("Node", b.items), f"{where}[]")
    elif a.kind == "record" and isinstance(one, dict) and isinstance(other, dict):
        yield from _compare_records(one, other, a, b, path)


def _compare_enums(a: Node, b: Node, where: str) -> Iterator[str]:
    for writer, reader in ((a, b), (b, a)):
        strange = [symbol for symbol in writer.symbols if symbol not in reader.symbols]
        if strange and reader.enum_default is None:
            yield f"{where}: {', '.join(strange)} unknown on one side, which has no enum default"


def _compare_records(one: dict[str, Json], other: dict[str, Json], a: Node, b: Node, path: str) -> Iterator[str]:
    ours, theirs = _fields(one), _fields(other)
    nodes_a, nodes_b = dict(a.fields), dict(b.fields)
    for name in {**ours, **theirs}:
        here = f"{path}.{name}" if path else name
        if name in ours and name in theirs:
            yield from _compare(ours[name]["type"], theirs[name]["type"], nodes_a[name], nodes_b[name], here)
        elif "default" not in (ours.get(name) or theirs[name]):
            yield f"{here}: {'removed' if name in ours else 'added'} without a default"


def _fields(record: dict[str, Json]) -> dict[str, dict[str, Json]]:
    return {str(field["name"]): field for field in cast("list[dict[str, Json]]", record["fields"])}


def unwrapped(avro: Json) -> Json:
    """The description of a type without the union with null and the wrapping around it."""
    if isinstance(avro, list):
        return unwrapped(next(branch for branch in avro if branch != "null"))
    if isinstance(avro, dict) and isinstance(avro.get("type"), (dict, list)):
        return unwrapped(avro["type"])
    return avro

"""What is counted over the chain of a group in one window, as amounts to protect: persons, those with a property, changes, differences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from bus.disclosure.tables import Places, Table
from bus.disclosure.tree import Amounts, Inconsistent, Node, Tree
from bus.indicators.outputs import Output

#: The rows of one window by indicator.
Rows = Mapping[str, Sequence[Output]]


class Mark(NamedTuple):
    """What a row counted when its window left last."""

    persons: int
    revision: int


class Past(NamedTuple):
    """What readers know of a window from before. `seen`: the nodes whose numbers were out at some time."""

    hidden: Collection[Node] = ()
    seen: Collection[Node] = ()
    marks: Mapping[tuple[str, Node], Mark] = {}


class _Count(NamedTuple):
    """The rows of all tables that count the same persons: at each node one of them."""

    levels: frozenset[int]
    tables: Mapping[Node, Table]
    outputs: Mapping[Node, Output]


def amounts_of(tables: Mapping[str, Table], places: Places, rows: Rows, past: Past | None) -> list[Amounts]:
    """All that must stay unknown of hidden cells. `past`: None where nothing of the window has left yet. Raises `Inconsistent`."""
    counts = _counts(tables, places, rows)
    found: list[Amounts] = []
    persons: list[tuple[_Count, dict[Node, int]]] = []
    for count in counts:
        above = {node: places.above(node, count.levels) for node in count.outputs}
        if any(up is not None and up not in above for up in above.values()):
            raise Inconsistent("a row whose total is not known yet")
        each = {node: count.tables[node].persons(output) for node, output in count.outputs.items()}
        persons.append((count, each))
        found.append(Amounts(above, each, least=1 if all(table.people == "events" for table in count.tables.values()) else 0))
        found += _shares(count, above)
        if past is not None:
            found.append(_changes(count, above, each, past))
    return found + list(_differences(places, persons))


def _counts(tables: Mapping[str, Table], places: Places, rows: Rows) -> list[_Count]:
    by_counted: dict[str, list[str]] = {}
    for name in sorted(rows):
        by_counted.setdefault(tables[name].counted, []).append(name)
    counts = []
    for names in by_counted.values():
        found: dict[Node, tuple[Table, Output]] = {}
        for name in names:
            for output in rows[name]:
                node = places.node(tables[name], output)
                if node is None:
                    continue
                known = found.setdefault(node, (tables[name], output))[1]
                if (known.n, known.revision) != (output.n, output.revision):
                    raise Inconsistent("the same persons, counted at different moments")
        levels = frozenset().union(*(places.levels_of(tables[name]) for name in names))
        counts.append(_Count(levels, {node: table for node, (table, _) in found.items()}, {node: row for node, (_, row) in found.items()}))
    return counts


def _shares(count: _Count, above: Mapping[Node, Node | None]) -> Iterator[Amounts]:
    if any(table.per for table in count.tables.values()):
        shares = {node: count.tables[node].shares(output) for node, output in count.outputs.items()}
        for side in (0, 1):
            yield Amounts(above, {node: each[side] for node, each in shares.items()})


def _changes(count: _Count, above: Mapping[Node, Node | None], persons: Mapping[Node, int], past: Past) -> Amounts:
    marks = {node: past.marks.get((count.tables[node].id, node)) for node in persons}
    net = {node: each - (mark.persons if (mark := marks[node]) else 0) for node, each in persons.items()}
    shown = {node: mark.persons if (mark := marks[node]) else 0 for node in persons if marks[node] is None or node in past.seen}
    bare = any(table.people != "events" for table in count.tables.values())
    said = {node: output.revision - (mark.revision if (mark := marks[node]) else 0) for node, output in count.outputs.items()}
    of = _moved(above, net) if bare else said
    before = Tree(Amounts(above, {node: max(0, each - net[node]) for node, each in persons.items()}))
    shown |= {rest: before.of.get(rest, 0) for node in persons if (rest := node._replace(rest=True)) not in past.hidden}
    return Amounts(above, of, or_none=True, shown=shown, net=net, bare=bare)


def restless(amounts: Sequence[Amounts], k: int) -> bool:
    """Whether of some of the changes there are so few in all that the row of all would tell of them."""
    return any(each.net is not None and 0 < each.of[node] < k for each in amounts for node, up in each.above.items() if up is None)


def _moved(above: Mapping[Node, Node | None], net: Mapping[Node, int]) -> dict[Node, int]:
    """How many persons have come or gone in each node, those of its parts added up: what one part lost and another won counts twice."""
    parts: dict[Node, list[Node]] = {}
    for node, up in above.items():
        if up is not None:
            parts.setdefault(up, []).append(node)
    found: dict[Node, int] = {}
    for node in sorted(net, key=lambda node: -node.level):
        inner = parts.get(node, ())
        rest = net[node] - sum(net[part] for part in inner)
        found[node] = abs(rest) + sum(found[part] for part in inner)
    return found


def _differences(places: Places, persons: Sequence[tuple[_Count, Mapping[Node, int]]]) -> Iterator[Amounts]:
    """Where one table counts, cell by cell, at least those that another one counts, the difference may well be people: it is protected as
    they are, as far as both have rows."""
    for (one, first), (other, second) in combinations(persons, 2):
        levels = one.levels & other.levels
        nodes = [node for node in {**first, **second} if node.level in levels]
        gaps = {node: first.get(node, 0) - second.get(node, 0) for node in nodes}
        if any(each < 0 for each in gaps.values()):
            gaps = {node: -each for node, each in gaps.items()}
        if not any(gaps.values()) or any(each < 0 for each in gaps.values()):
            continue
        amounts = Amounts({node: places.above(node, levels) for node in nodes}, gaps, or_none=True)
        try:
            Tree(amounts)
        except (Inconsistent, KeyError):
            continue
        yield amounts

"""Which cells of tables that add up may be seen, so that none of the others can be worked out from those that are.

Who sees a published node and everything published below it knows the sum of the leaves in between, and nothing else about them: each
hidden leaf stands in the equation of the nearest published node above it and in no other. So what can be worked out is known exactly,
without solving anything: a hidden leaf lies between nothing and that sum, and a hidden node is as unknown as its leaves are together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Node(NamedTuple):
    """A cell of a group of tables: the level it is on, the begin of its window, and its dimensions. `rest` is what of a node lies in no
    part of it (events of a kecamatan whose desa is unknown): no row tells of it, but a subtraction does."""

    level: int
    start: int
    dims: tuple[str | None, ...]
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Amounts:
    """One thing that is counted over a tree: persons, those of them with a property, or changes since the last release.

    `above` gives the node that contains a node (None at the top) and has no `rest` nodes; they follow from the amounts. `of` holds what is
    counted, never below 0. What stays unknown in an equation must be at least k beyond `least` a hidden row; where `or_none`, nothing
    at all will do too (nobody changed).
    `shown` is, where the amounts are changes, what readers knew of a node's persons before, and `net` how many more they have become. `bare`:
    readers see no more of the changes than that, so it must not be few either.
    """

    above: Mapping[Node, Node | None]
    of: Mapping[Node, int]
    least: int = 0
    or_none: bool = False
    shown: Mapping[Node, int] = field(default_factory=dict)
    net: Mapping[Node, int] | None = None
    bare: bool = False


class Inconsistent(ValueError):
    """The parts of a node count more than the node: the rows are of different moments."""


class Tree:
    """Amounts with their `rest` nodes."""

    def __init__(self, amounts: Amounts) -> None:
        self.amounts = amounts
        self.of = dict(amounts.of)
        self.above = dict(amounts.above)
        self.parts: dict[Node, list[Node]] = {}
        for node, up in amounts.above.items():
            if up is not None:
                self.parts.setdefault(up, []).append(node)
        self.net = dict(amounts.net or {})
        for node in list(self.parts):
            self._rest(node)
        for parts in self.parts.values():
            parts.sort(key=self.rank)

    def _rest(self, node: Node) -> None:
        rest = self.of[node] - sum(self.of[part] for part in self.parts[node])
        if rest < 0:
            raise Inconsistent(f"the parts of {node} count {-rest} more than it does")
        if rest:
            own = node._replace(rest=True)
            self.parts[node].append(own)
            self.above[own], self.of[own] = node, rest
            if self.net:
                self.net[own] = self.net[node] - sum(self.net[part] for part in self.parts[node] if not part.rest)

    def rank(self, node: Node) -> tuple[bool, int, str]:
        """Those first that cost readers least."""
        return not node.rest, self.of[node], repr(node)

    def primary(self, k: int) -> set[Node]:
        """The nodes that are few by themselves."""
        found = {node for node, count in self.of.items() if 0 < count < k}
        return found | {node for node, net in self.net.items() if 0 < abs(net) < k} if self.amounts.bare else found


@dataclass(frozen=True, slots=True)
class Equation:
    """What is known of the leaves between a published node and what is published below it: their sum. `top` None: nothing is."""

    top: Node | None
    leaves: tuple[Node, ...]
    #: The hidden nodes in it, each with its leaves.
    inner: Mapping[Node, frozenset[Node]]
    #: The published nodes that bound it from below.
    bounds: tuple[Node, ...]


def equations(tree: Tree, hidden: Collection[Node]) -> Iterator[Equation]:
    """Every equation that has a hidden node in it."""
    for node, up in tree.above.items():
        if node in hidden:
            if up is None:
                yield _equation(tree, hidden, None, [node])
        elif any(part in hidden for part in tree.parts.get(node, ())):
            yield _equation(tree, hidden, node, tree.parts[node])


def _equation(tree: Tree, hidden: Collection[Node], top: Node | None, first: Sequence[Node]) -> Equation:
    leaves: list[Node] = []
    bounds: list[Node] = []
    inner: dict[Node, set[Node]] = {}
    stack: list[tuple[Node, tuple[Node, ...]]] = [(node, ()) for node in first]
    while stack:
        node, through = stack.pop()
        if node not in hidden:
            bounds.append(node)
            continue
        within = (*through, node)
        parts = tree.parts.get(node)
        inner.setdefault(node, set())
        if parts:
            stack.extend((part, within) for part in parts)
        else:
            leaves.append(node)
            for each in within:
                inner[each].add(node)
    return Equation(top, tuple(leaves), {node: frozenset(found) for node, found in inner.items()}, tuple(bounds))


def protect(amounts: Iterable[Amounts], k: int, hidden: Collection[Node] = ()) -> frozenset[Node]:
    """The nodes to hide beside (and with) those that are hidden already: then, of every amount, whatever all published nodes tell together
    leaves each hidden node a range of at least k, and no published node is few itself.

    Nodes are shared by the amounts: what one of them hides is hidden in all. Raises `Inconsistent`.
    """
    trees = [Tree(each) for each in amounts]
    found = set(hidden)
    for tree in trees:
        found |= tree.primary(k)
    while True:
        more = {node for tree in trees for node in _wanting(tree, k, found)}
        if not more:
            return frozenset(found)
        assert not more <= found, "nothing more can be hidden, and it is not enough"
        found |= more


def _wanting(tree: Tree, k: int, hidden: Collection[Node]) -> Iterator[Node]:
    """For each equation that tells too much, the next node to hide."""
    for equation in equations(tree, hidden):
        if tree.amounts.or_none and not any(tree.of[leaf] for leaf in equation.leaves):
            continue
        lone = _determined(equation)
        if lone is not None:
            yield _next(tree, equation, lone)
        elif equation.top is not None and not wide(tree, equation, k):
            yield _next(tree, equation, None)


def _determined(equation: Equation) -> Node | None:
    """A hidden node that is known exactly: nothing in it is unknown, or all that is unknown is in it."""
    for node, leaves in equation.inner.items():
        if not leaves or (equation.top is not None and len(leaves) == len(equation.leaves)):
            return node
    return None


def wide(tree: Tree, equation: Equation, k: int) -> bool:
    """Whether each hidden node of an equation, none of which is determined, may be anything in a range of k."""
    amounts = tree.amounts
    total = sum(tree.of[leaf] for leaf in equation.leaves)
    if amounts.or_none and not total:
        return True
    if total - sum(min(amounts.least, tree.of[leaf]) for leaf in equation.leaves if not leaf.rest) < k:
        return False
    if amounts.bare and 0 < abs(sum(tree.net.get(leaf, 0) for leaf in equation.leaves)) < k:
        return False
    return amounts.net is None or all(_room(tree, equation, leaf, total) >= k for leaf in equation.leaves if leaf in amounts.shown)


def _room(tree: Tree, equation: Equation, leaf: Node, changes: int) -> int:
    """How far the change of a leaf whose persons were known before can be told apart: it cannot lose more persons than it had, the others
    cannot either, and a person more or less takes a change."""
    shown = tree.amounts.shown
    net = sum(tree.net[each] for each in equation.leaves)
    others = [shown.get(each) for each in equation.leaves if each != leaf]
    most = (net + changes) // 2
    if all(other is not None for other in others):
        most = min(most, net + sum(other for other in others if other is not None))
    return most - max(-((changes - net) // 2), -shown[leaf])


def _next(tree: Tree, equation: Equation, lone: Node | None) -> Node:
    """What to hide next: the smallest published node that bounds the equation, not within the node that is known; none left: its top."""
    if lone is not None and not equation.inner[lone]:
        # nothing in it is unknown; the innermost such node has only published parts
        while within := [part for part in tree.parts[lone] if part in equation.inner]:
            lone = within[0]
        return min(tree.parts[lone], key=tree.rank)
    for node in sorted(equation.bounds, key=tree.rank):
        if lone is None or not _within(tree, node, lone):
            return node
    assert equation.top is not None
    return equation.top


def _within(tree: Tree, node: Node, upper: Node) -> bool:
    up: Node | None = node
    while up is not None:
        if up == upper:
            return True
        up = tree.above[up]
    return False

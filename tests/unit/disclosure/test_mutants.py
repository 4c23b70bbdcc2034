"""Disclosure control with one of its clauses left out: the auditor finds what it gives away."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from bus.disclosure import amounts, group, tree
from bus.disclosure.group import Group
from bus.disclosure.released import shown
from bus.disclosure.tree import Tree
from tests.unit.disclosure.play import KINDS, ONCE, SIZES, Play

Patch = pytest.MonkeyPatch
_PLAYS = 120


def no_complementary(patch: Patch) -> None:
    """Only the small cells themselves."""
    patch.setattr(tree, "_wanting", lambda tree, k, hidden: iter(()))


def no_frontier(patch: Patch) -> None:
    """What a hidden node holds of an equation is not looked at."""
    patch.setattr(tree, "_determined", lambda equation: None)


def one_level(patch: Patch) -> None:
    """Two hidden parts of a node are enough, however little they count together."""
    patch.setattr(tree, "wide", lambda tree, equation, k: True)


def no_rest(patch: Patch) -> None:
    """What lies in no part of a node is forgotten."""
    patch.setattr(Tree, "_rest", lambda self, node: None)


def no_changes(patch: Patch) -> None:
    """Each release is protected by itself."""
    real = amounts.amounts_of
    patch.setattr(group, "amounts_of", lambda tables, places, rows, past: real(tables, places, rows, None))


def unhiding(patch: Patch) -> None:
    """What hid before may show now."""
    real = tree.protect
    patch.setattr(group, "protect", lambda amounts, k, hidden=(): real(amounts, k))


def no_shares(patch: Patch) -> None:
    """Those with a property, and those without, are not looked at."""
    patch.setattr(amounts, "_shares", lambda count, above: iter(()))


def all_sums(patch: Patch) -> None:
    """Tables outside the chain are only cut at k by themselves."""

    def sums(self: Group, table: object, at_us: int) -> list[object]:
        rows = self._others[table.id].values()  # type: ignore[attr-defined]
        return [shown(each, at_us) for each in rows if each.n >= self.threshold]

    patch.setattr(Group, "_sums", sums)


def no_room(patch: Patch) -> None:
    """That readers knew before how many there were is forgotten."""
    patch.setattr(tree, "_room", lambda tree, equation, leaf, changes: 10**9)


def no_differences(patch: Patch) -> None:
    """Each table is protected by itself: all, and some of them."""
    patch.setattr(amounts, "_differences", lambda places, persons: iter(()))


def not_bare(patch: Patch) -> None:
    """Where only sums of persons are public, that many came and many went is thought to hide that they are two fewer."""
    real = amounts._changes
    patch.setattr(amounts, "_changes", lambda *given: replace(real(*given), bare=False))


MUTANTS: dict[Callable[[Patch], None], str] = {
    no_complementary: "regions", no_frontier: "regions", one_level: "regions", no_rest: "regions", no_changes: "now", unhiding: "now",
    no_shares: "shares", all_sums: "linked", no_room: "now",
    not_bare: "values", no_differences: "parts",
}  # fmt: skip


def _findings(kind: str) -> Iterator[str]:
    dice = random.Random(26)
    for _ in range(_PLAYS):
        play = Play(*KINDS[kind])
        for number in range(1 if kind in ONCE else dice.randint(1, 4)):
            steps = [
                (dice.randrange(21), dice.choice(SIZES), dice.randint(0, 12)) for _ in range(dice.randint(1, 10 if number == 0 else 5))
            ]
            play.step(steps)
        yield from play.auditor.search()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_auditor_finds_it(mutant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    assert next(_findings(MUTANTS[mutant]), None) is not None

"""Disclosure control by hand: tables small enough to see what may be worked out."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from bus.disclosure.group import Group
from bus.disclosure.internal import internal_view
from bus.disclosure.tables import groups, public
from bus.disclosure.tree import Amounts, Inconsistent, Node, protect
from bus.ops.installation import Installation
from bus.settings import Settings
from tests.unit.disclosure.world import DAY, START, K, World, place, table

Code = str


def _tree(counts: Mapping[Code, int]) -> Amounts:
    """Amounts by region codes."""
    above = {_node(code): _node(up) if (up := code.rpartition(".")[0]) in counts else None for code in counts}
    return Amounts(above, {_node(code): count for code, count in counts.items()}, least=1)


def _node(code: Code) -> Node:
    return Node(code.count("."), 0, (code,))


def _hidden(counts: Mapping[Code, int], before: set[Code] = frozenset()) -> set[str]:  # type: ignore[assignment]
    found = protect([_tree(counts)], K, {_node(code) for code in before})
    return {f"{node.dims[0]}{'+' if node.rest else ''}" for node in found}


@pytest.mark.parametrize(
    ("counts", "hidden"),
    [
        ({"k": 60, "k.1": 20, "k.2": 40}, set()),
        ({"k": 64, "k.1": 4, "k.2": 20, "k.3": 40}, {"k.1", "k.2"}),  # the smallest beside it
        ({"k": 8, "k.1": 3, "k.2": 5}, {"k", "k.1", "k.2"}),
        ({"k": 24, "k.1": 4, "k.2": 20}, {"k.1", "k.2"}),
        ({"k": 44, "k.1": 2, "k.2": 2, "k.3": 40}, {"k.1", "k.2", "k.3"}),  # two small ones together are small
        ({"k": 43, "k.1": 40}, {"k+", "k.1"}),  # three persons whose part is unknown are a cell as well
        ({"k": 80, "k.1": 30, "k.2": 50, "k.1.1": 4, "k.1.2": 26, "k.2.1": 25, "k.2.2": 25}, {"k.1.1", "k.1.2"}),
        # k.2 hides beside k.1, and one of its parts with it, or their sum would tell it
        ({"k": 54, "k.1": 4, "k.2": 50, "k.2.1": 25, "k.2.2": 25}, {"k.1", "k.2", "k.2.1"}),
    ],
)
def test_which_cells_hide(counts: dict[str, int], hidden: set[str]) -> None:
    assert _hidden(counts) == hidden


def test_what_hides_stays_hidden() -> None:
    assert _hidden({"k": 60, "k.1": 20, "k.2": 40}, {"k.1"}) == {"k.1", "k.2"}


def test_parts_that_count_more_than_the_whole_are_of_different_moments() -> None:
    with pytest.raises(Inconsistent):
        _hidden({"k": 59, "k.1": 20, "k.2": 40})


def _public(group: Group, name: str) -> dict[tuple[str | None, ...], int | str | None]:
    return {
        tuple(row.dimensions.values()): "suppressed" if row.suppressed else row.n
        for (indicator, _), row in group.released.items()
        if indicator == name
    }


def _released(group: Group, world: World, at: int) -> None:
    for output in world.outputs():
        group.apply(output)
    group.release(at)


def test_a_window_leaves_when_it_is_over_again_when_final_and_then_with_ten_changes() -> None:
    tables = [table("x.region", region=True)]
    group, world = Group(tables), World(tables)
    a, b = place("33.09.01"), place("33.09.02")
    world.add(a, 40)
    world.add(b, 60)
    _released(group, world, START + 30 * DAY)
    assert _public(group, "x.region") == {}
    _released(group, world, START + 31 * DAY)
    assert _public(group, "x.region") == {("33.09",): 100, ("33.09.01",): 40, ("33.09.02",): 60}
    world.add(a, 20)
    _released(group, world, START + 32 * DAY)
    assert _public(group, "x.region")["33.09.01",] == 40
    _released(group, world, START + 38 * DAY)
    assert _public(group, "x.region") == {("33.09",): 120, ("33.09.01",): 60, ("33.09.02",): 60}
    world.add(a, 1)
    _released(group, world, START + 39 * DAY)
    assert _public(group, "x.region")["33.09",] == 120, "one person more is no release"
    world.add(a, 11)
    _released(group, world, START + 40 * DAY)
    assert _public(group, "x.region") == {("33.09",): 132, ("33.09.01",): 72, ("33.09.02",): 60}


def test_few_changes_beside_many_stand_as_they_were() -> None:
    tables = [table("x.region", region=True)]
    group, world = Group(tables), World(tables)
    for code in ("33.09.01", "33.09.02", "33.09.03"):
        world.add(place(code), 50)
    _released(group, world, START + 31 * DAY)
    world.add(place("33.09.01"), 2)
    world.add(place("33.09.02"), 30)
    _released(group, world, START + 38 * DAY)
    # 01 has few; were 02 shown, the regency would tell them
    assert _public(group, "x.region") == {("33.09",): 182, ("33.09.01",): 50, ("33.09.02",): 50, ("33.09.03",): 50}


def test_a_semester_leaves_as_the_sum_of_its_months_and_a_day_never() -> None:
    tables = [table("x.day", window="1d"), table("x.month"), table("x.half", window="6mo")]
    group, world = Group(tables), World(tables)
    for month in range(6):
        world.add(place(start=START + month * 31 * DAY), 40)
    _released(group, world, START + 200 * DAY)
    assert _public(group, "x.month") != {}
    assert _public(group, "x.half") == {(): 240}
    assert _public(group, "x.day") == {}


@pytest.fixture(scope="module")
def installation() -> Installation:
    return Installation.load(Settings())


def test_what_is_dikecualikan_has_no_topic(installation: Installation) -> None:
    topics = {topic.name for topic in installation.topics()}
    for name, indicator in installation.published.items():
        assert (f"public.{name}" in topics) == (indicator.spec.publish.class_ != "dikecualikan") == public(indicator)


def test_every_table_of_persons_is_in_one_group(installation: Installation) -> None:
    found = [each.id for tables in groups(installation.indicators.values()).values() for each in tables]
    assert len(found) == len(set(found))
    assert "mpp.ikm_service_month" in found
    assert "dlh.pm10_mean" not in found


def test_inside_cells_of_fewer_than_five_have_no_numbers(installation: Installation) -> None:
    indicator = installation.indicators["dinkes.stunting_month"]
    tables = [table(indicator.id, region=True, per=100)]
    for persons, having, hides in ((4, 2, True), (50, 3, True), (50, 48, True), (50, 20, False), (5, 0, False)):
        world = World(tables)
        world.add(place("33.09.01"), persons, having)
        row = internal_view(indicator, world.outputs()[0])
        assert (row.suppressed, row.n, row.revision) == ((True, None, None) if hides else (False, persons, persons))

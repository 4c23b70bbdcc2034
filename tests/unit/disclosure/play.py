"""A group of tables and its auditor, release after release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bus.disclosure.group import Group
from bus.disclosure.tables import Table
from tests.unit.disclosure.auditor import Auditor, Cell
from tests.unit.disclosure.world import DAY, START, Place, World, place, table

#: Kinds of groups: their tables, and places that persons can be at.
DESA = ["33.09.01.2001", "33.09.01.2002", "33.09.02.2001", "33.09.02.2002", "33.09.02.2003", "33.09.02", "33.09.03.2001"]
REGIONS = ([table("x.region", region=True)], [place(code) for code in DESA])
SHARES = ([table("x.share", region=True, per=100)], [place(code) for code in DESA])
NOW_REGIONS = ([table("x.now", region=True, window="now")], [place(code, 0) for code in DESA])
SERVICES = (
    [table("x.mall"), table("x.tenant", ["tenant"]), table("x.service", ["tenant", "service"]), table("x.mean", ["tenant", "service"])],
    [place(tenant=tenant, service=tenant + each) for tenant in "ab" for each in "xyz"],
)
LINKED = (
    [
        table("x.day", ["agency"], region=True, window="1d"), table("x.month", ["agency"], region=True),
        table("x.regions", region=True), table("x.year", ["agency"], region=True, window="1y"),
    ],
    [place(code, START + day * DAY, agency=agency) for code in DESA[:3] for day in (0, 1) for agency in ("p", "q")],
)  # fmt: skip
VALUES = ([table("x.dead", region=True, people="value")], [place(code) for code in DESA])
#: Those with the property in a table of their own. What leaves a table and enters another one is audited at one release only.
PARTS = ([table("x.all", region=True), table("x.some", region=True, counted="having")], [place(code) for code in DESA])
ONCE = {"parts"}
KINDS = {
    "regions": REGIONS, "shares": SHARES, "now": NOW_REGIONS, "services": SERVICES, "linked": LINKED, "values": VALUES, "parts": PARTS,
}  # fmt: skip

SIZES = [-12, -3, -1, 0, 1, 2, 3, 5, 8, 10, 12, 15, 40]
#: A step: which place, how many persons more or fewer, how many of them with the property.
Step = tuple[int, int, int]


@dataclass
class Play:
    """A group and its auditor, release after release."""

    tables: Sequence[Table]
    places: Sequence[Place]

    def __post_init__(self) -> None:
        self.world = World(self.tables)
        self.group = Group(self.tables)
        self.auditor = Auditor(self.world)
        self.at = START + 31 * DAY

    def step(self, steps: Sequence[Step]) -> None:
        for number, more, having in steps:
            where = self.places[number % len(self.places)]
            persons = max(more, -self.world.persons.get(where, 0))
            self.world.add(where, persons, having, changes=None if persons else 1)
        for output in self.world.outputs():
            self.group.apply(output)
        self.group.release(self.at)
        self.auditor.look(self.group.released, self.current())
        self.at += 8 * DAY

    def current(self) -> set[Cell]:
        """The rows that are out and say what is so."""
        hidden = {
            (name, output.key())
            for unit in self.group._units.values()
            for name, rows in unit.rows.items()
            for output in rows.values()
            if unit.past is not None and self.group.places.node(self.group.tables[name], output) in unit.past.hidden
        }
        now = {(each.indicator, each.key()): each for each in self.world.outputs()}
        return {
            cell
            for cell, row in self.group.released.items()
            if not row.suppressed and cell not in hidden and (row.n, row.revision) == (now[cell].n, now[cell].revision)
        }

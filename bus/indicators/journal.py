"""What a batch of partials changes for readers: rows before and after, compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bus.indicators.composite import Composite, Group
from bus.indicators.edition import Edition, Standing
from bus.indicators.family import Family
from bus.indicators.line import LeafLine
from bus.indicators.outputs import Output
from bus.indicators.partial import CellKey, in_order, sort_key


class Journal:
    """Tell it of each change before it is made; afterwards it knows the rows that readers have to be given."""

    def __init__(self, family: Family, leaves: dict[str, LeafLine]) -> None:
        self._family = family
        self._leaves = leaves
        self._published: dict[str, tuple[Edition | None, int | None]] = {}
        self._composites: dict[str, Composite | None] = {name: line.published for name, line in family.composite_lines().items()}
        self._rows: dict[str, dict[CellKey, Standing | None]] = {}
        self._groups: dict[str, dict[Group, dict[CellKey, Output]]] = {}

    def look(self, name: str) -> None:
        """A partial of that indicator is about to be taken in."""
        held = self._leaves[name].published
        self._published.setdefault(name, (held, held.finished if held else None))

    def touch(self, edition: Edition, keys: Iterable[CellKey]) -> None:
        """Those rows of a published edition are about to change."""
        keys = list(keys)
        rows = self._rows.setdefault(edition.id, {})
        if not edition.hidden:
            rows |= {key: edition.standing(key) for key in keys if key not in rows}
        for each, groups in self._family.spread({edition.id: keys}):
            known = self._groups.setdefault(each.id, {})
            for group in groups:
                if group not in known:
                    known[group] = each.rows(group)

    def outputs(self) -> list[Output]:
        """The rows of which a reader can see a change, in a fixed order."""
        found: list[Output] = []
        for name in sorted(self._published):
            former, finished = self._published[name]
            held = self._leaves[name].published
            if held is None or held.hidden:
                continue
            if held is not former:
                found.extend(self._leaves[name].all())
                continue
            found.extend(self._changed(held, held.reclassified(finished)))
        return [*found, *self._of_composites()]

    def _changed(self, edition: Edition, reclassified: set[CellKey]) -> Iterator[Output]:
        before = self._rows.get(edition.id, {})
        for key in in_order(reclassified | before.keys()):
            standing, earlier = edition.standing(key), before.get(key)
            if standing is not None and (key in reclassified or earlier is None or _differs(edition, key, earlier, standing)):
                yield edition.shown(key, standing)

    def _reclassified(self) -> dict[str, set[CellKey]]:
        """Rows of leaves above which a composite's status may be another: any of its parts has passed their window, itself without a row
        there or not."""
        found: dict[str, set[CellKey]] = {}
        for each in self._family.published:
            for edition in each.editions:
                held, finished = self._published.get(edition.id, (edition, edition.finished))
                for part in each.editions if held is edition else ():
                    passed = part.closing_between(finished, edition.finished, edition.definition["late_seconds"])
                    if passed:
                        found.setdefault(part.id, set()).update(passed)
        return found

    def _reached(self, composite: Composite, groups: set[Group]) -> None:
        """Groups have changed, and with them what is made of their rows. Which ones nobody could foresee: what was noted of them may be
        from after an earlier partial of the batch, and is not what readers have."""
        self._groups.setdefault(composite.id, {}).update({group: {} for group in groups})
        rows = {key for group in groups for key in composite.row_keys(group)}
        for each, above in self._family.spread({composite.id: rows} if rows else {}):
            self._groups.setdefault(each.id, {}).update({group: {} for group in above})

    def _of_composites(self) -> Iterator[Output]:
        for each, groups in self._family.spread(self._reclassified(), later=False):
            # whatever was noted of them: when one of two parts had passed the window already, that was not what readers have
            self._groups.setdefault(each.id, {}).update({group: {} for group in groups})
        for each in self._family.published:
            self._reached(each, each.reached())
        for each in self._family.published:
            if each is not self._composites.get(each.id):
                yield from self._family.composite_lines()[each.id].all()
                continue
            before = self._groups.get(each.id, {})
            for group in sorted(before, key=sort_key):
                for key, output in sorted(each.rows(group).items(), key=lambda item: sort_key(item[0])):
                    earlier = before[group].get(key)
                    if earlier is None or seen(output) != seen(earlier):
                        yield output


def _differs(edition: Edition, key: CellKey, earlier: Standing, standing: Standing) -> bool:
    """Whether readers must be told of the row: nearly always its revision alone says so."""
    if earlier.revision != standing.revision:
        return True
    return seen(edition.shown(key, earlier)) != seen(edition.shown(key, standing))


def seen(output: Output) -> tuple[object, ...]:
    """What readers must be told of when it changes."""
    return (
        output.value, output.numerator, output.denominator, output.n, output.revision, output.label, output.heard, output.status,
        output.closing,
    )  # fmt: skip

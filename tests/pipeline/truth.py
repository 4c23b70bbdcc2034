"""What pipelines show, held against the model."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction

from bus.kafka.topics import LISTS_PREFIX
from tests.model.histories import Published
from tests.model.regions import ancestors
from tests.model.views import Published as Row
from tests.pipeline.families import World
from tests.pipeline.scenes import Rows


def differences(found: Rows, world: World, published: Sequence[Published]) -> list[str]:
    """What readers are shown otherwise than the model says."""
    lines: list[str] = []
    for name, wanted in world.now.expected(published).items():
        composite = "composite" in world.now.model.indicators[name]
        # of composites the model has only the rows with a value; of both, readers are given those in which somebody is left
        closing = world.now.model.closing(name)
        right = {cell: _told(row, composite) for cell, row in wanted.items() if row.n or closing}
        shown = {(row[0], row[1]): _shown(row, composite) for row in found[name] if closing or not (composite and row[2] is None)}
        lines += [
            f"{name} {cell}: {shown.get(cell)} instead of {right.get(cell)}"
            for cell in shown.keys() | right.keys()
            if shown.get(cell) != right.get(cell)
        ]
    lines += [line for name in found if name.startswith(LISTS_PREFIX) for line in _uncounted(found, name)]
    return lines


def _told(row: Row, composite: bool) -> tuple[object, ...]:
    reasons = (row.revision, row.late, row.corrected, row.withdrawn, row.heard, row.expected)
    return (_quotient(row.numerator, row.denominator), row.n, row.status, row.label, *(() if composite else reasons))


def _shown(row: tuple[object, ...], composite: bool) -> tuple[object, ...]:
    value = _quotient(Fraction(str(row[3])), Fraction(str(row[4])))
    revision, status, late, corrected, withdrawn, heard, expected, label = row[6:14]
    return (value, row[5], status, label, *(() if composite else (revision, late, corrected, withdrawn, heard, expected)))


def _quotient(top: Fraction, bottom: Fraction) -> Fraction | None:
    return top / bottom if bottom else None


def _uncounted(found: Rows, topic: str) -> Iterator[str]:
    """Where a list of subjects is not the one that was counted."""
    counted: Counter[tuple[str, ...]] = Counter()
    for _, line in found[topic]:
        said = json.loads(line)
        regions = ancestors(said["region"]) if said["region"] is not None else [None]
        counted.update((said["status"], *([] if region is None else [region])) for region in regions)
    right = {row[1]: row[5] for row in found[topic.removeprefix(LISTS_PREFIX)]}
    if counted != right:
        yield f"{topic}: lists {dict(counted)}, counts {right}"

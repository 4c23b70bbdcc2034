"""What a withdrawal says makes every indicator of the model as if the batch had never been sent."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from bus.events.withdrawal import Logged, compensations
from tests.conftest import examples
from tests.model.events import read
from tests.model.histories import Choose, Fact, entries, history, partition
from tests.model.worlds import MODEL, types_of

NAMES = [
    name
    for name, raw in MODEL.indicators.items()
    if MODEL.schemas[types_of(name)[0]].correctable
    and len(types_of(name)) == 1
    and raw.get("measure", {}).get("kind") not in ("register", "age")
]  # an age is counted to the newest time that anybody told: that a batch is withdrawn does not turn back time


def facts_of(choose: Choose, type_name: str) -> list[Fact]:
    """A history in two batches. No version of a subject is told twice: of two the first stands, and were it withdrawn, the second would not
    come back."""
    once: dict[tuple[str, int], Fact] = {}
    for each in history(choose, (type_name,), size=range(5, 25), subjects=3):
        if isinstance(each, Fact) and not each.source.startswith("bus/"):
            once.setdefault((each.subject, each.version), replace(each, batch="uji/2" if each.sequence % 3 == 1 else "uji/1"))
    return list(once.values())


def withdrawn(published: list[Fact]) -> list[Fact]:
    """The history, and what takes its second batch back."""
    log, schema = entries(published), MODEL.schemas[published[0].type]
    taken = {row.place for row in read(log, schema).rows}
    logged = [
        Logged(each.envelope, each.envelope.id, partition(each), offset)
        for each, (_, place, offset, _) in zip(published, log, strict=True)
        if (place, offset) in taken
    ]
    left_out = {
        place for name, raw in MODEL.indicators.items() if raw.get("event") == schema.name for place in MODEL.state(name, log).faults
    }
    said = [each.envelope for each in compensations("uji/2", logged, left_out)]
    return [
        *published,
        *(
            Fact(e.event.type, e.source, e.sequence, e.event.subject, e.version, e.op, e.event.occurred_at, e.event.data, e.batch)
            for e in said
        ),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_withdrawn_batch_was_never_sent(name: str) -> None:
    for seed in range(examples(8)):
        choose = random.Random(seed).choice
        published = facts_of(choose, types_of(name)[0])
        if not published:
            continue
        with_it = MODEL.rows(name, entries(withdrawn(published)))
        without = MODEL.rows(name, entries([each for each in published if each.batch != "uji/2"]))
        found, wanted = ({cell: (row.n, row.value) for cell, row in rows.items() if row.n} for rows in (with_it, without))
        parts = MODEL.indicators[name].get("composite", {}).get("of", [name])
        if any(MODEL.closing(part) for part in parts):
            # a row stays for each closing that was ever another; what stood then is the same
            both = with_it.keys() & without.keys()
            if "composite" in MODEL.indicators[name]:  # nor is a part that has come down to nothing the same as one that was never there
                both = found.keys() & wanted.keys()
            found, wanted = ({cell: numbers for cell, numbers in rows.items() if cell in both} for rows in (found, wanted))
        assert found == wanted, seed

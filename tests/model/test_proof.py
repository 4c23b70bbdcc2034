"""Every row that was ever published, of every kind of indicator, is what its own evidence gives: what `bus verify` says of it (R1, R5)."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from bus.events.envelope import Op
from bus.indicators.batch import Batch
from bus.indicators.compose import AnyIndicator
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.loader import load_indicators
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output
from bus.indicators.partial import Partial, encode
from bus.indicators.reference_files import load_references
from bus.indicators.verify import Recomputation, chains, difference
from bus.testing.memory import MemoryLog
from tests.conftest import examples
from tests.model.engine import Found, _batch, log_of, newest
from tests.model.histories import INSTANTS, Choose, Fact, publish, seeded
from tests.model.states import Cell
from tests.model.worlds import CATALOGUE, MODEL, OVERLAY, PARTITIONS, REPORTERS, ROOTS, indicator, loaded, types_of

NAMES = [name for name, raw in MODEL.indicators.items() if raw.get("measure", {}).get("kind") != "register"]
SEEDS = range(examples(2))


def leaves_of(each: AnyIndicator, known: Mapping[str, AnyIndicator]) -> list[Indicator]:
    found = [each] if isinstance(each, Indicator) else [known[name] for name in each.leaves]
    return [leaf for leaf in found if isinstance(leaf, Indicator)]


def everything_published(leaves: Sequence[Indicator], log: MemoryLog, choose: Choose) -> list[Output]:
    """All rows that a merge gives out on its way, over batches of any size."""
    units = [FoldUnit.new(leaf, leaf.topic, partition, PARTITIONS) for leaf in leaves for partition in range(PARTITIONS)]
    merge, outputs = MergeUnit.new(0), []
    records = [record for unit in units for record in encode(unit.full_partial())]
    while True:
        outputs += merge.apply([(merge.offset + 1 + number, record) for number, record in enumerate(records)])
        waiting = [unit for unit in units if unit.offset + 1 < len(log.records(unit.topic, unit.partition))]
        if not waiting:
            return outputs
        unit = choose(waiting)
        partial = unit.apply(batch_of(unit.indicator, log, unit.partition, unit.offset + 1, unit.offset + choose([1, 1, 2, 5, 20])))
        records = [] if partial is None else encode(partial)


def batch_of(leaf: Indicator, log: MemoryLog, partition: int, first: int, last: int) -> Batch:
    return _batch(leaf, list(log.records(leaf.topic, partition))[first : last + 1])


def unproven(each: AnyIndicator, leaves: Sequence[Indicator], log: MemoryLog, outputs: Iterable[Output]) -> list[str]:
    """The rows of an indicator that their evidence does not give; the log is fed piece by piece, as it is wanted."""
    wrong = []
    topics = {leaf.topic: leaf for leaf in leaves}
    for chain in chains(output for output in outputs if output.indicator == each.id):
        again = Recomputation(leaves)
        for vector, held in chain:
            again.advance(vector)
            for topic, partition, first, last in list(again.wanted()):
                again.feed(topic, partition, batch_of(topics[topic], log, partition, first, last))
            for output in held:
                found = difference(output, again.output(each.id, (output.window_start_us, tuple(output.dimensions.values()))))
                wrong += [] if found is None else [f"{found.fields}: {output} is not {found.recomputed}"]
    return wrong


@pytest.mark.parametrize("name", NAMES)
def test_every_row_that_was_ever_published_is_proven(name: str) -> None:
    each = indicator(name)
    leaves = leaves_of(each, loaded())
    for seed in SEEDS:
        log = log_of(seeded(seed, types_of(name)))
        outputs = everything_published(leaves, log, random.Random(seed).choice)
        assert unproven(each, leaves, log, outputs) == []


_NESTED = {
    "top of a ratio": ("flow", "1d", 'kind = "top"\nof = ["uji.share"]\nitem = "place"\nk = 2'),
    "change of a sum": ("flow", "1d", 'kind = "change"\nof = ["uji.total"]\nagainst = "previous"'),
    "sum of composites": ("flow", "1d", 'kind = "sum"\nof = ["uji.total", "uji.net", "uji.part_in"]'),
    "top of a change of closings": ("stand", "1d", 'kind = "top"\nof = ["uji.stand_change"]\nitem = "place"\nk = 2'),
    "sum of a top": ("stand", "1d", 'kind = "sum"\nof = ["uji.stand_top", "uji.stand_top_sum"]'),
    "gap of a change and a ratio": ("stand", "1d", 'kind = "gap"\nof = ["uji.stand_growth", "uji.stand_pressure"]'),
    "top of a reconciliation": ("registers", "now", 'kind = "top"\nof = ["uji.reconciled"]\nitem = "region"\nlevel = "desa"\nk = 3'),
}


@pytest.mark.parametrize("kind", _NESTED)
def test_composites_of_composites_are_published_and_proven(kind: str, tmp_path: Path) -> None:
    root, (family, window, composite) = tmp_path / "schemas", _NESTED[kind]
    shutil.copytree(OVERLAY / "schemas", root)
    (root / "indicators" / "uji.nested.toml").write_text(
        f'id = "uji.nested"\ntitle = {{ id = "Uji", en = "Test" }}\nfamily = "uji.{family}"\nwindow = "{window}"\nunit = "buah"\n'
        f'publish = {{ class = "dikecualikan", basis = "UU 14/2008 Pasal 17 huruf h", until = 2031-12-31 }}\n[composite]\n{composite}\n'
    )
    known = load_indicators([root], CATALOGUE, load_references(ROOTS), reporters=REPORTERS)
    each = known["uji.nested"]
    leaves = leaves_of(each, known)
    for seed in range(examples(4)):
        log = log_of(seeded(seed, [leaf.event_type for leaf in leaves]))
        outputs = everything_published(leaves, log, random.Random(seed).choice)
        assert unproven(each, leaves, log, outputs) == []
        again = Recomputation(leaves)
        ends = {(leaf.topic, number): len(log.records(leaf.topic, number)) - 1 for leaf in leaves for number in range(PARTITIONS)}
        again.advance({(leaf.id, topic, number): end for leaf in leaves for (topic, number), end in ends.items() if topic == leaf.topic})
        for topic, partition, first, last in list(again.wanted()):
            again.feed(topic, partition, batch_of(next(leaf for leaf in leaves if leaf.topic == topic), log, partition, first, last))
        held, wanted = newest(each, outputs), newest(each, again.outputs(each.id))
        assert _numbers(held) == _numbers(wanted)


def _numbers(rows: Found) -> dict[Cell, tuple[str | None, str | None, int]]:
    return {cell: (output.value, output.label, output.n) for cell, output in rows.items() if output.is_row}


def test_readers_are_told_of_the_rows_of_a_reconciliation_that_an_event_touches_and_of_no_others() -> None:
    siak, mcd, other = (loaded()[name] for name in ("uji.register_siak", "uji.register_mcd", "uji.now_mean"))
    assert isinstance(other, Indicator)

    def person(kind: AnyIndicator, number: int, sequence: int, name: str) -> Fact:
        assert isinstance(kind, Indicator)
        code = f"33.09.01.200{1 + number % 2}.00{1 + number % 5}"
        data = {"person": name, "born": None, "alive": True, "kode_wilayah": code}
        return Fact(kind.event_type, "uji/a", sequence, f"s{number}", 256 * (1 + sequence), Op.CREATE, INSTANTS[0], data)

    log = log_of([person(kind, number, number, "ani") for kind in (siak, mcd) for number in range(40)])
    leaves = [leaf for leaf in (siak, mcd) if isinstance(leaf, Indicator)]
    units = [FoldUnit.new(leaf, leaf.topic, partition, PARTITIONS) for leaf in leaves for partition in range(PARTITIONS)]
    merge = MergeUnit.new(0)

    def told(*partials: Partial | None) -> set[Cell]:
        records = [record for partial in partials if partial is not None for record in encode(partial)]
        outputs = merge.apply([(merge.offset + 1 + number, record) for number, record in enumerate(records)])
        return {(output.window_start_us, tuple(output.dimensions.values())) for output in outputs if output.indicator == "uji.reconciled"}

    told(*(unit.full_partial() for unit in units))
    assert len(told(*(unit.apply(batch_of(unit.indicator, log, unit.partition, 0, 99)) for unit in units))) > 10
    assert told(*(FoldUnit.new(other, other.topic, partition, PARTITIONS).full_partial() for partition in range(PARTITIONS))) == set()
    publish(log, [person(mcd, 7, 40, "budi")])
    (behind,) = [unit for unit in units if unit.offset + 1 < len(log.records(unit.topic, unit.partition))]
    codes = ("33.09", "33.09.01", "33.09.01.2002", "33.09.01.2002.003")
    touched = told(behind.apply(batch_of(behind.indicator, log, behind.partition, behind.offset + 1, 99)))
    assert touched == {(0, (match, code)) for match in ("matched", "conflicting") for code in codes}

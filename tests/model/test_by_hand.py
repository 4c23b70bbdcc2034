"""The model itself is right: it gives the rows of every worked example, and those of tiny histories written out here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.events import Entry, Heartbeat
from tests.model.histories import Fact, entries, reordered, seeded
from tests.model.measures import grade, half_up
from tests.model.regions import Fault
from tests.model.sql import evaluate
from tests.model.states import Cell
from tests.model.times import JAKARTA, NOW, micros, window_of
from tests.model.views import Published
from tests.model.worlds import MODEL, types_of

EXAMPLES = [
    pytest.param(name, example, id=f"{name}-{number}")
    for name, raw in MODEL.indicators.items()
    for number, example in enumerate(raw["examples"], 1)
]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_worked_examples(name: str, example: Mapping[str, Any]) -> None:
    raw = MODEL.indicators[name]
    rows = MODEL.rows(name, [_entry(types_of(name)[0], number, each) for number, each in enumerate(example["events"])])
    shown = sorted(((cell, row) for cell, row in rows.items() if row.n or MODEL.closing(name)), key=lambda each: _order(each[0]))
    assert len(shown) == len(example["rows"]), shown
    for (cell, row), wanted in zip(shown, example["rows"], strict=True):
        told = _told(MODEL.dims(name), raw["window"], cell, row)
        assert {key: told[key] for key in wanted} == {key: _read(key, value) for key, value in wanted.items()}


@pytest.mark.parametrize(("value", "wanted"), [("a", True), (None, False)])
def test_is_not_null_is_one_node_of_the_tree(value: str | None, wanted: bool) -> None:
    assert evaluate("place IS NOT NULL", {"place": value}) is wanted
    assert evaluate("place IS NULL", {"place": value}) is not wanted


def _entry(kind: str, number: int, event: Mapping[str, Any]) -> Entry:
    schema = MODEL.schemas[event.get("event") or kind]
    data = {**dict.fromkeys(schema.scales), **event["data"]} if "data" in event else dict.fromkeys(schema.scales)
    envelope = {"source": "example", "sequence": number, "version": event.get("version", number + 1), "subject": event["subject"]}
    at = event["occurred_at"].replace(tzinfo=event["occurred_at"].tzinfo or JAKARTA)
    return schema.topic, 0, number, {**data, **envelope, "op": event.get("op", "CREATE"), "occurred_at": at}


def _order(cell: Cell) -> Any:
    return cell[0], [(value is not None, value or "") for value in cell[1]]


def _told(dims: tuple[str, ...], window: str, cell: Cell, row: Published) -> dict[str, Any]:
    start, end = NOW if window == "now" else window_of(cell[0], window)
    numbers = {"value": row.value, "numerator": row.numerator, "denominator": row.denominator, "n": row.n, "revision": row.revision}
    named = dict(zip(dims, cell[1], strict=True))
    return {"window_start": start, "window_end": end, **numbers, "status": row.status, "label": row.label, **named}


def _read(key: str, value: Any) -> Any:
    if isinstance(value, date):
        return micros(value if isinstance(value, datetime) else datetime(value.year, value.month, value.day))
    if value == "":
        return None
    return Fraction(value) if key in ("value", "numerator", "denominator") else value


# What no worked example can say: sources, partitions, time.

CASE, READING, PERMIT, SURVEY = "uji.case.recorded.v1", "uji.reading.recorded.v1", "uji.permit.moved.v1", "uji.survey.filled.v1"


class Log(list[Entry]):
    """A log written down line by line."""

    def put(self, kind: str, subject: str, at: tuple[int, ...], *, source: str = "a", partition: int = 0, **fields: Any) -> Log:
        """An event; sequence and version are its place in the log unless given."""
        number = len(self)
        named = {"source": source, "sequence": number, "version": number, "op": "CREATE", "subject": subject, "occurred_at": moment(*at)}
        event = {**dict.fromkeys(MODEL.schemas[kind].scales), **named, **fields}
        self.append((f"events.{kind}", partition, number, event))
        return self

    def beat(self, kind: str, at: tuple[int, ...], *, partition: int = 0, source: str = "a") -> Log:
        self.append((f"events.{kind}", partition, len(self), Heartbeat(source, micros(moment(*at)))))
        return self


def moment(*civil: int) -> datetime:
    return datetime(*civil, tzinfo=JAKARTA)  # type: ignore[misc,arg-type]


def start(*civil: int) -> int:
    return micros(moment(*civil))


FIRST, SECOND, THIRD = (2026, 3, 1), (2026, 3, 2), (2026, 3, 3)


def test_a_row_counts_once_for_each_source_and_partition() -> None:
    log = Log().put(READING, "x", FIRST, sequence=5, amount=1).put(READING, "x", FIRST, sequence=5, amount=1)
    log.put(READING, "y", FIRST, sequence=4, amount=10)  # below what its source said before
    log.put(READING, "z", FIRST, sequence=4, amount=100, source="b").put(READING, "z", FIRST, sequence=4, amount=1000, partition=1)
    row = MODEL.rows("uji.reading_mean", log)[start(*FIRST), (None,)]
    assert (row.n, row.numerator) == (3, Fraction(1101))


def test_an_event_is_late_when_its_partition_had_passed_the_end_and_the_grace() -> None:
    log = Log().put(CASE, "x", FIRST, amount=1)
    log.put(CASE, "y", (2026, 3, 3, 23, 59), amount=1)  # one minute before 2 March + 2 days
    log.put(CASE, "z", FIRST, amount=1)  # not late yet
    log.beat(CASE, (2026, 3, 4))
    log.put(CASE, "late", FIRST, amount=1)
    log.put(CASE, "elsewhere", FIRST, amount=1, partition=1)  # that partition has passed nothing
    log.put(CASE, "x", FIRST, amount=2)  # corrected, not late
    row = MODEL.rows("uji.part_in", log)[start(*FIRST), (None,)]
    assert (row.revision, row.late, row.corrected, row.withdrawn) == (5, 1, 1, 0)


def test_what_a_row_tells_itself_makes_it_not_late() -> None:
    log = Log().put(CASE, "x", (2026, 3, 30), amount=1)
    assert MODEL.rows("uji.part_in", log)[start(2026, 3, 30), (None,)].late == 0


def test_a_withdrawal_is_neither_corrected_nor_late() -> None:
    log = Log().put(CASE, "x", FIRST, amount=1, version=256, place="selo")
    log.put(CASE, "x", FIRST, version=257, op="CANCEL", source="bus/withdraw/1")
    row = MODEL.rows("uji.part_in", log)[start(*FIRST), ("selo",)]
    assert (row.n, row.value, row.revision, row.late, row.corrected, row.withdrawn) == (0, None, 2, 0, 0, 1)


def test_a_move_changes_both_cells_and_the_same_again_none() -> None:
    log = Log().put(CASE, "x", FIRST, amount=1, place="selo").put(CASE, "x", SECOND, amount=1, place="selo")
    log.put(CASE, "x", (2026, 3, 2, 5), amount=1, place="selo")  # another time of the same day
    rows = MODEL.rows("uji.part_in", log)
    assert {cell: (row.n, row.revision, row.corrected) for cell, row in rows.items()} == {
        (start(*FIRST), ("selo",)): (0, 2, 1),
        (start(*SECOND), ("selo",)): (1, 1, 1),
    }


def test_of_equal_versions_the_first_stands() -> None:
    log = Log().put(CASE, "x", FIRST, amount=1, version=7).put(CASE, "x", FIRST, amount=2, version=7, source="b")
    row = MODEL.rows("uji.part_in", log)[start(*FIRST), (None,)]
    assert (row.value, row.revision) == (Fraction(1), 1)


def test_a_window_is_final_when_every_partition_has_passed_it() -> None:
    log = Log().put(CASE, "x", FIRST, amount=1).put(CASE, "y", (2026, 3, 9), amount=1)
    cell = (start(*FIRST), (None,))
    assert MODEL.rows("uji.part_in", log)[cell].status == "provisional"
    log.beat(CASE, (2026, 3, 3, 23, 59), partition=1)
    assert MODEL.rows("uji.part_in", log)[cell].status == "provisional"
    log.beat(CASE, (2026, 3, 4), partition=1)
    assert MODEL.rows("uji.part_in", log)[cell].status == "final"
    assert MODEL.rows("uji.now_mean", log)[0, ()].status == "provisional"


def test_a_row_of_too_few_is_never_final() -> None:
    answer: dict[str, Any] = dict.fromkeys(
        ("persyaratan", "prosedur", "waktu", "biaya", "produk", "kompetensi", "perilaku", "pengaduan", "sarana"), 3
    )
    log = Log().put(SURVEY, "x", FIRST, service="ktp", **answer).beat(SURVEY, (2026, 5, 1)).beat(SURVEY, (2026, 5, 1), partition=1)
    cell = (start(2026, 3, 1), ("ktp",))
    assert MODEL.rows("uji.survey_ikm", log)[cell].status == "provisional"
    log.put(SURVEY, "y", FIRST, service="ktp", **answer)
    assert MODEL.rows("uji.survey_ikm", log)[cell].status == "final"
    log.put(SURVEY, "y", FIRST, service="ktp", op="CANCEL")
    assert MODEL.rows("uji.survey_ikm", log)[cell].status == "provisional"


def test_a_sum_is_final_when_its_parts_are() -> None:
    log = Log().put(CASE, "x", FIRST, amount=1).beat(CASE, (2026, 4, 1)).beat(CASE, (2026, 4, 1), partition=1)
    cell = (start(*FIRST), (None,))
    assert MODEL.rows("uji.total", log)[cell].status == "provisional"
    log.beat(READING, (2026, 3, 9)).beat(READING, (2026, 3, 9), partition=1)
    assert MODEL.rows("uji.total", log)[cell].status == "final"


def test_reporters_are_heard_of_whatever_they_say() -> None:
    log = Log().put(READING, "x", FIRST, amount=1, post="p1", place="selo").put(READING, "y", FIRST, amount=-1, post="p2")
    log.put(READING, "z", SECOND, amount=1, post="p3").put(READING, "u", FIRST, amount=1, place="selo")
    log.put(READING, "w", FIRST, amount=1, post="p4", source="bus/withdraw/1", place="ampel")
    rows = MODEL.rows("uji.reading_heard", log)
    assert {cell[0]: row.heard for cell, row in rows.items()} == {start(*FIRST): 2, start(*SECOND): 1}
    assert MODEL.rows("uji.reading_mean", log.put(READING, "v", FIRST, source="a#7", amount=1))[start(*FIRST), ("selo",)].heard == 1


def test_ages_are_counted_to_the_newest_time_of_any_partition() -> None:
    log = Log().put(CASE, "x", FIRST, opened_at=moment(*FIRST)).beat(CASE, THIRD, partition=1)
    row = MODEL.rows("uji.now_age", log)[0, (None,)]
    assert (row.value, row.as_of_us) == (Fraction(2 * 86_400), start(*THIRD))


def test_quantiles_and_ages_are_those_of_the_nearest_rank() -> None:
    log = Log()
    for amount in (30, 10, 20):
        log.put(CASE, f"x{amount}", FIRST, amount=amount, opened_at=moment(2026, 3, 1, amount % 24))
    assert MODEL.rows("uji.case_quantile", log)[start(2026, 3, 1), ()].value == 30  # rank ceil(2.7) = 3
    for amount in range(40, 110, 10):
        log.put(CASE, f"x{amount}", FIRST, amount=amount)
    assert MODEL.rows("uji.case_quantile", log)[start(2026, 3, 1), ()].value == 90  # rank 9 of 10
    assert MODEL.rows("uji.now_age_p90", log.beat(CASE, SECOND))[0, ()].value == 18 * 3600  # opened at 6, 10 and 20 o'clock


@pytest.mark.parametrize(
    ("code", "at", "resolved"),
    [
        ("33.09.01.2001", FIRST, "33.09.01.2001"),
        ("33.09.02.2001", (2026, 3, 9, 23), "33.09.02.2001"),
        ("33.09.02.2001", (2026, 3, 10), "33.09.20.2001"),
        ("33.09.02.2001", (2026, 6, 1), "33.09.20.2004"),
        ("33.09.02.2001.001.002", (2026, 6, 1), "33.09.20.2004.001.002"),
        ("33.09.02.2003", (2026, 3, 10), "33.09.02.2004"),
        ("33.09.02.2003.001", (2026, 3, 10), Fault("retired_region")),
        ("33.09.02.2002", (2026, 3, 10), Fault("retired_region")),
        ("33.09.02.2005", (2026, 3, 10), Fault("retired_region")),
        ("33.09.20.2002", FIRST, Fault("unknown_region")),
        ("33.09.99", FIRST, Fault("unknown_region")),
        ("3309", FIRST, Fault("unknown_region")),
        (None, FIRST, Fault("unknown_region")),
    ],
)
def test_regions(code: str | None, at: tuple[int, ...], resolved: str | Fault) -> None:
    try:
        found: str | Fault = MODEL.regions.resolve(code, start(*at))
    except Fault as fault:
        found = fault
    assert str(found) == str(resolved)
    assert type(found) is type(resolved)


def test_a_row_that_cannot_be_used_leaves_what_stood() -> None:
    log = Log().put(CASE, "x", FIRST, kode_wilayah="33.09.01").put(CASE, "x", FIRST, kode_wilayah="99.99").put(CASE, "y", FIRST)
    state = MODEL.state("uji.region_count", log)
    assert state.faults == [(0, 1), (0, 2)]
    assert MODEL.rows("uji.region_count", log)[start(*FIRST), ("33.09.01",)].n == 1


def test_closings_count_from_one_to_the_next() -> None:
    log = Log().put(CASE, "x", FIRST, place="selo").put(CASE, "x", THIRD, place="selo", urgent=False)
    log.put(CASE, "y", SECOND, place="selo")
    rows = MODEL.rows("uji.daily_count", log)
    assert {cell[0]: (row.n, row.revision, row.corrected) for cell, row in rows.items()} == {
        start(*FIRST): (1, 1, 0),
        start(*SECOND): (2, 2, 0),
        start(*THIRD): (1, 3, 0),  # a later state of the same case corrects nothing
    }
    rows = MODEL.rows("uji.daily_count", log.put(CASE, "x", FIRST, place="selo", urgent=False))
    assert {cell[0]: (row.n, row.revision, row.corrected) for cell, row in rows.items()} == {
        start(*FIRST): (0, 2, 1),
        start(*SECOND): (1, 3, 1),
        start(*THIRD): (1, 5, 2),  # x was closed before: the third day has lost its change
    }


def test_a_closing_that_nobody_is_left_in_is_a_row() -> None:
    log = Log().put(CASE, "c1", (2026, 3, 20), place="selo", urgent=True, amount=4)
    log.put(CASE, "c1", (2026, 3, 25), place="selo", urgent=False, op="CORRECT")
    counted = MODEL.rows("uji.stand_open", log)
    assert {cell[0]: (row.n, row.value) for cell, row in counted.items()} == {
        start(2026, 3, 20): (1, Fraction(1)),
        start(2026, 3, 25): (0, Fraction(0)),
    }
    means = MODEL.rows("uji.stand_mean", log)
    assert {cell[0]: (row.n, row.value) for cell, row in means.items()} == {
        start(2026, 3, 20): (1, Fraction(4)),
        start(2026, 3, 25): (0, None),
    }


def test_composites_of_closings_are_made_of_what_stands() -> None:
    log = Log().put(CASE, "a", FIRST, place="selo", amount=1).put(CASE, "b", (2026, 3, 4), place="selo")
    fourth = start(2026, 3, 4), ("selo",)
    assert MODEL.rows("uji.stand_sum", log)[fourth].value == 3
    assert MODEL.rows("uji.stand_gap", log)[fourth].value == 1
    assert MODEL.rows("uji.stand_change", log)[fourth].value == 1
    assert MODEL.rows("uji.stand_share", log)[fourth].value == 50
    log = Log().put(CASE, "a", FIRST, place="selo").put(CASE, "b", FIRST, place="selo").put(CASE, "c", SECOND, place="ampel")
    ranks = MODEL.rows("uji.stand_top", log)
    assert [(ranks[start(*SECOND), (rank,)].label, ranks[start(*SECOND), (rank,)].value) for rank in "12"] == [
        ("selo", Fraction(2)),
        ("ampel", Fraction(1)),
    ]


def test_of_a_clock_only_corrections_correct() -> None:
    log = Log().put(PERMIT, "x", FIRST, status="10").put(PERMIT, "x", SECOND, status="50").put(PERMIT, "x", THIRD, status="44")
    row = MODEL.rows("uji.permit_longest", log)[start(*FIRST), ()]
    assert (row.n, row.revision, row.corrected) == (0, 2, 0)
    row = MODEL.rows("uji.permit_longest", log.put(PERMIT, "x", SECOND, status="60", op="CORRECT"))[start(*FIRST), ()]
    assert (row.n, row.revision, row.corrected) == (1, 3, 1)


def test_a_step_that_cannot_be_used_is_a_step() -> None:
    log = Log().put(PERMIT, "x", FIRST, status="10", kode_wilayah="33.09").put(PERMIT, "x", SECOND, status="20", kode_wilayah="99.99")
    log.put(PERMIT, "x", SECOND, status="50", kode_wilayah="33.09", op="CORRECT")
    assert MODEL.rows("uji.permit_region", log)[start(*FIRST), ("33.09",)].n == 1
    log.put(PERMIT, "x", SECOND, status="50", kode_wilayah="99.99", op="CORRECT")
    assert MODEL.rows("uji.permit_region", log)[start(*FIRST), ("33.09",)].n == 0


@pytest.mark.parametrize(
    ("grades", "value"),
    [("A", "88.31"), ("B", "88.30"), ("B", "76.61"), ("C", "76.60"), ("C", "65.00"), ("D", "64.99"), (None, "24.99")],
)
def test_grades(grades: str | None, value: str) -> None:
    assert grade(Fraction(value), MODEL.indicators["uji.survey_ikm"]["measure"]["grades"]) == grades


@given(st.decimals(min_value=-1000, max_value=1000, places=4), st.integers(0, 3))
def test_half_up_is_that_of_the_decimal_module(value: Decimal, places: int) -> None:
    assert half_up(Fraction(value), places) == Fraction(value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))


@given(st.integers(0, 2), st.integers(0, 10**9))
def test_numbers_do_not_depend_on_the_order_of_arrival(shuffle: int, seed: int) -> None:
    """Of facts with different versions; revisions and what was late do depend on it."""
    published = [each for each in seeded(seed, (CASE,)) if isinstance(each, Fact)]
    once = list({(each.subject, each.version): each for each in published}.values())
    plain = [replace(each, sequence=number, source=f"s{number}") for number, each in enumerate(once)]
    for name in ("uji.case_count", "uji.daily_count", "uji.now_sum"):
        rows = [MODEL.rows(name, entries(reordered(plain, Random(seed + each).choice))) for each in (0, shuffle)]
        numbers = [{cell: (row.n, row.value) for cell, row in each.items() if row.n} for each in rows]
        shared = numbers[0].keys() & numbers[1].keys()
        assert {cell: numbers[0][cell] for cell in shared} == {cell: numbers[1][cell] for cell in shared}
        assert name == "uji.daily_count" or numbers[0] == numbers[1]  # a closing's row also tells that something was different once

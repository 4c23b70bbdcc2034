"""What readers see of a cell, against fractions, statistics and sorting: worked out without the accumulators."""

import hashlib
import math
import statistics
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.indicators.accumulators import Form, Result, accumulator, merge_summaries, results
from bus.indicators.decimals import quotient, quotient_half_up
from bus.indicators.fold import FoldUnit
from bus.indicators.kinds.distinct import estimate_error, identities, identity
from bus.indicators.kinds.logarithmic import buckets
from bus.indicators.measure import LIMIT
from tests.unit.indicators.worlds import batch, event, indicator

NUMBERS = st.integers(-(10**6), 10**6) | st.integers(1 - LIMIT, LIMIT - 1)
SHARES = st.sampled_from(["0.01", "0.25", "0.5", "0.9", "0.95", "0.999999"])


def shown(form: Form, values: list[tuple[Any, ...]], as_of_us: int | None = None) -> Result:
    made = accumulator(form, correctable=True)
    acc = made.empty()
    for each in values:
        made.add(acc, each)
    return results(form, made.summary(acc), 2, as_of_us)


def ranked(values: list[int], p: str) -> int:
    """The value of the nearest rank."""
    return sorted(values)[max(0, math.ceil(Fraction(p) * len(values)) - 1)]


@given(st.lists(NUMBERS, min_size=1))
def test_a_mean_is_the_fraction_rounded_half_even(values: list[int]) -> None:
    exact = Fraction(statistics.mean([Fraction(each, 100) for each in values]))
    result = shown({"kind": "mean", "scale": 2}, [(each,) for each in values])
    assert Fraction(result.value or "") == Fraction(round(exact * 10**10), 10**10)
    assert Fraction(result.numerator) / Fraction(result.denominator) == exact


@given(st.lists(st.tuples(NUMBERS, st.integers(0, 10**6)), min_size=1))
def test_a_weighted_mean_is_the_fraction(pairs: list[tuple[int, int]]) -> None:
    top = sum(Fraction(value, 10) * Fraction(weight, 100) for value, weight in pairs)
    bottom = sum(Fraction(weight, 100) for _, weight in pairs)
    result = shown({"kind": "weighted_mean", "scale": 3, "denominator_scale": 2}, [*pairs])
    assert (Fraction(result.numerator), Fraction(result.denominator)) == (top, bottom)
    assert result.value is None if not bottom else Fraction(result.value or "") == Fraction(round(top / bottom * 10**10), 10**10)


@given(NUMBERS, NUMBERS.filter(bool), st.integers(0, 12))
def test_quotients_are_rounded_once(top: int, bottom: int, places: int) -> None:
    exact = Fraction(top, bottom)
    assert Fraction(quotient(top, bottom, places)) == Fraction(round(exact * 10**places), 10**places)
    away = math.floor(abs(exact) * 10**places + Fraction(1, 2))
    assert Fraction(quotient_half_up(top, bottom, places)) == Fraction(-away if exact < 0 else away, 10**places)


# --- index: the community satisfaction index of PermenPANRB 14/2017

GRADES = [["A", "88.31"], ["B", "76.61"], ["C", "65.00"], ["D", "25.00"]]


def ikm(weight: str) -> Form:
    return {"kind": "index", "scale": 0, "weight": weight, "factor": "25", "places": 2, "grades": GRADES}


@pytest.mark.parametrize(
    ("weight", "value", "grade"), [("1/9", "89.00", "A"), ("0.111", "88.91", "A"), ("0.11", "88.11", "B"), ("0.1111111", "89.00", "A")]
)
def test_the_trap_of_the_weight(weight: str, value: str, grade: str) -> None:
    """Each of the nine elements has a mean of 3.56 over 25 respondents."""
    respondents = [4] * 14 + [3] * 11
    assert statistics.mean(respondents) == 3.56
    result = shown(ikm(weight), [(9 * each,) for each in respondents])
    assert (result.value, result.label) == (value, grade)


def test_one_set_of_answers_under_three_weights() -> None:
    """The means of the nine elements add up to 32.931; offices that take 0.111 or 0.11 for a ninth publish another index."""
    assert [results(ikm(weight), [1000, 32_931], 2).value for weight in ("1/9", "0.111", "0.11")] == ["91.48", "91.38", "90.56"]


@pytest.mark.parametrize(
    ("total", "n", "value", "grade"),
    [(36, 1, "100.00", "A"), (9, 1, "25.00", "D"), (8831 * 9, 2500, "88.31", "A"), (8831 * 9 - 4, 2500, "88.31", "A"),
     (8831 * 9 - 5, 2500, "88.30", "B"), (7661 * 9 - 5, 2500, "76.60", "C"), (6500 * 9 - 4, 2500, "65.00", "C"), (6500 * 9 - 5, 2500, "64.99", "D")],
)  # fmt: skip
def test_an_index_is_graded_as_it_is_shown(total: int, n: int, value: str, grade: str) -> None:
    result = results(ikm("1/9"), [n, total], 2)
    assert (result.value, result.label) == (value, grade)
    assert Fraction(result.numerator) / Fraction(result.denominator) == Fraction(total, n) * 25 / 9


@given(st.integers(0, 10**9), st.integers(1, 10**6), st.sampled_from(["1/9", "0.111", "3", "2/7"]))
def test_an_index_is_rounded_half_up_as_decimals_are(total: int, n: int, weight: str) -> None:
    exact = Fraction(total, n) * 25 * Fraction(weight)
    result = results(ikm(weight), [n, total], 2)
    digits = (Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert result.value is not None
    assert abs(Fraction(result.value) - exact) <= Fraction(1, 200)
    assert abs(Decimal(result.value) - digits) <= Decimal("0.01")
    if (exact * 200).denominator == 1 and (exact * 200).numerator % 2:
        assert Fraction(result.value) > exact


@pytest.mark.parametrize(("total", "value"), [(1, "0.13"), (3, "0.38"), (-1, "-0.13"), (-3, "-0.38"), (5, "0.63")])
def test_half_a_unit_of_an_index_goes_away_from_zero(total: int, value: str) -> None:
    form = {"kind": "index", "scale": 0, "weight": "1/2", "factor": "2", "places": 2, "grades": []}
    assert results(form, [8, total], 2) == Result(value, str(total), "8")


# --- distinct


@given(st.lists(st.text(max_size=3)))
def test_few_values_are_counted_exactly(texts: list[str]) -> None:
    result = shown({"kind": "distinct", "exact": 64}, [(identity(text),) for text in texts[:64]])
    assert result.value == (str(len(set(texts[:64]))) if texts else None)
    assert result.error == ("0" if texts else None)


def test_an_empty_text_is_a_value_and_null_is_none() -> None:
    assert identities(pl.Series(["", None, "a", "", None])).to_list() == [identity(""), None, identity("a"), identity(""), None]
    assert identities(pl.Series([None, None], dtype=pl.String)).to_list() == [None, None]
    assert identities(pl.Series([], dtype=pl.String)).to_list() == []


def test_a_value_is_known_by_the_same_hash_for_good() -> None:
    """Were this to change, states would count a value twice: ACCUMULATOR_VERSION would have to be raised."""
    digest = hashlib.blake2b(b"Sukorejo", digest_size=16).digest()
    number, digits = int.from_bytes(digest, "big") << 4, "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
    assert identity("Sukorejo") == "".join(digits[number >> shift & 63] for shift in range(126, -1, -6)) == "ON4km6IgHRfPMnC9QDdh1F"


@pytest.mark.parametrize("number", [63, 64, 65, 200, 5_000, 40_000])
def test_many_values_are_estimated_within_the_published_error(number: int) -> None:
    """The error is two standard ones: of twenty sets at most a few are beyond it, none by far."""
    off = []
    for exact in (64, 256, 1024, 4096):
        for run in range(5):
            form = {"kind": "distinct", "exact": exact}
            made = accumulator(form, correctable=False)
            acc = made.begin([number, [identity(f"{run}/{each}") for each in range(number)]])
            result = results(form, made.summary(acc), 0)
            if number <= exact:
                assert (result.value, result.error) == (str(number), "0")
            else:
                off.append(abs(int(result.value or 0) - number) / number / float(result.error or 0))
    assert sum(each > 1 for each in off) <= 3
    assert max(off, default=0) < 2


def test_an_estimate_is_made_of_whole_numbers() -> None:
    texts = [f"keluarga {number}" for number in range(1000)]
    threshold = sorted(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big") for text in texts)[100]
    result = shown({"kind": "distinct", "exact": 100}, [(identity(text),) for text in texts * 2])
    assert result == Result(str(round(Fraction(100 * 2**128, threshold))), result.numerator, "1", error="0.2011")
    assert result.numerator == result.value


def test_the_error_of_an_estimate_is_rounded_up() -> None:
    for exact in (64, 100, 4096, 16_384):
        error = Fraction(estimate_error(exact))
        assert (error - Fraction(1, 10_000)) ** 2 * (exact - 1) < 4 <= error**2 * (exact - 1)
    assert estimate_error(4096) == "0.0313"


# --- quantile


@given(st.lists(NUMBERS, min_size=1), SHARES, st.sampled_from(["0.001", "0.01", "0.1"]))
def test_a_quantile_is_within_its_error_of_the_value_of_the_nearest_rank(values: list[int], p: str, error: str) -> None:
    result = shown({"kind": "quantile", "scale": 0, "p": p, "error": error}, [(each,) for each in values])
    true = ranked(values, p)
    assert abs(int(result.value or "") - true) <= abs(true) * Fraction(result.error or "")
    assert result.error in ("0", error)
    assert (result.numerator, result.denominator) == (result.value, "1")


@pytest.mark.parametrize("error", ["0.001", "0.01", "0.05", "0.1"])
def test_buckets_cover_every_integer_once_and_stand_for_it(error: str) -> None:
    fixed, allowed = buckets(error), Fraction(error)
    least = 1
    for number, (largest, standing) in enumerate(zip(fixed.largest, fixed.standing, strict=True), 1):
        assert least <= standing <= largest
        assert standing - least <= allowed * least
        assert largest - standing <= allowed * largest
        assert (fixed.place(least), fixed.place(largest), fixed.place(-least), fixed.place(-largest)) == (number, number, -number, -number)
        assert (fixed.value(number), fixed.value(-number)) == (standing, -standing)
        assert fixed.exact(number) == fixed.exact(-number) == (least == largest)
        least = largest + 1
    assert least > LIMIT
    assert (fixed.place(0), fixed.value(0), fixed.exact(0)) == (0, 0, True)


def test_boundaries_stay_where_they_are() -> None:
    """Were they to move, states would mix two divisions: ACCUMULATOR_VERSION would have to be raised."""
    fixed = buckets("0.01")
    assert len(fixed.largest) == 3159
    assert fixed.largest[96:102] == (97, 98, 100, 103, 106, 109)
    text = ",".join(map(str, fixed.largest + fixed.standing))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "17e11296e0b98ba1"


# --- ages

HOUR = 3600


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1), st.integers(10**15, 2 * 10**15))
def test_a_mean_age_is_in_seconds(opened: list[int], now: int) -> None:
    exact = Fraction(statistics.mean([Fraction(now - each, 10**6) for each in opened]))
    result = shown({"kind": "age"}, [(each,) for each in opened], now)
    assert Fraction(result.value or "") == Fraction(round(exact * 10**10), 10**10)
    assert Fraction(result.numerator) / Fraction(result.denominator) == exact
    assert result.error is None


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1), st.integers(10**15, 2 * 10**15), SHARES)
def test_a_quantile_of_ages_is_at_most_a_resolution_too_old(opened: list[int], now: int, p: str) -> None:
    result = shown({"kind": "age", "p": p, "resolution": HOUR}, [(each,) for each in opened], now)
    true = Fraction(ranked([now - each for each in opened], p), 10**6)
    assert 0 <= Fraction(result.value or "") - true < HOUR
    assert result.error == "3600"


def test_without_a_moment_there_is_no_age() -> None:
    assert shown({"kind": "age"}, [(0,)]) == Result(None, "0", "1")
    assert shown({"kind": "age", "p": "0.5", "resolution": HOUR}, [(0,)]).value is None


# --- through the fold


@pytest.mark.parametrize("correctable", [True, False], ids=["correctable", "immutable"])
def test_products_beyond_128_bits_are_exact(correctable: bool) -> None:
    spec = indicator(
        correctable=correctable, by=[], window="1y", measure={"kind": "weighted_mean", "of": "amount * 1000", "weight": "amount"}
    )
    unit = FoldUnit.new(spec, "events.test.thing.counted.v1", 0, 1)
    unit.apply(batch([event(number, amount=2**63 - 1) for number in range(4)] + [event(4, amount=None)]))
    big = 2**63 - 1
    assert [summary for summary, _ in unit.cells().values()] == [[4, 4000 * big * big, 4 * big]]


@pytest.mark.parametrize("correctable", [True, False], ids=["correctable", "immutable"])
def test_a_row_enters_an_index_only_whole(correctable: bool) -> None:
    measure = {"kind": "index", "of": ["small", "money", "urgent"], "weight": "1/3", "factor": 1}
    spec = indicator(correctable=correctable, by=[], window="1y", measure=measure)
    unit = FoldUnit.new(spec, "events.test.thing.counted.v1", 0, 1)
    rows = [
        event(0, small=2, money=150, urgent=True),
        event(1, small=2, money=None, urgent=True),
        event(2, small=3, money=-25, urgent=False),
    ]
    unit.apply(batch(rows))
    ((summary, _),) = unit.cells().values()
    assert summary == [2, 450 + 275]
    assert results(spec.form, merge_summaries(spec.form, [summary]), 2).value == "1.21"

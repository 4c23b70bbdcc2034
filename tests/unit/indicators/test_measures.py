"""What a file may say about its measure, and what it is told otherwise."""

from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from bus.errors import ConfigurationError
from bus.indicators.accumulators import accumulator
from bus.indicators.measured import Scope, compile_measure
from bus.indicators.measures import PARTS, Measure
from bus.indicators.typed import Typed, column, columns_of
from tests.unit.indicators.worlds import ENVELOPE, PAYLOAD, indicator

COLUMNS = columns_of({**ENVELOPE, **PAYLOAD}, {"money": 2})
INDEX = {"kind": "index", "of": ["amount", "small"], "weight": "1/2", "factor": 25}


def compiled(measure: dict[str, Any], **scope: bool) -> tuple[dict[str, Any], list[str]]:
    """The form, and the problems."""
    problems: list[str] = []

    def typed(key: str, text: str) -> Typed:
        return column(text, COLUMNS)

    found = compile_measure(
        Measure.model_validate(measure), Scope(typed, lambda key, text, what: problems.append(f"{key}: {text} {what}"), COLUMNS, **scope)
    )
    return dict(found.form), problems


def refusal(measure: dict[str, Any]) -> str:
    with pytest.raises((ValidationError, ConfigurationError)) as caught:
        indicator(measure=measure)
    if isinstance(caught.value, ConfigurationError):
        return "\n".join(f"{problem} [{problem.rule}]" for problem in caught.value.problems)
    return str(caught.value)


@pytest.mark.parametrize(
    ("measure", "parts"),
    [
        ({"kind": "mean"}, ["'mean' takes of beside it, got nothing"]),
        ({"kind": "quantile", "of": "amount"}, ["'quantile' takes of and p beside it (and may have error), got of"]),
        ({"kind": "index", "of": ["amount"]}, ["takes factor and of and weight beside it (and may have grades and places), got of"]),
        ({"kind": "sum", "of": "amount", "exact": 100}, ["takes of beside it, got exact and of"]),
        ({"kind": "sum", "of": ["amount"]}, ["takes one expression, got a list"]),
        ({**INDEX, "of": "amount"}, ["takes a list of expressions, got one"]),
        ({**INDEX, "of": []}, ["must be an expression or, of an index, a list of expressions; got []"]),
        ({**INDEX, "of": ["amount", "level"]}, ["measure.of", "'level'", "is double", "an element of an index", "numeric columns: amount", "[I01]"]),
        ({**INDEX, "of": ["amount", "place"]}, ["'place'", "is text"]),
        ({**INDEX, "weight": "0"}, ["weight", "'0' is not a number above 0", "1/9"]),
        ({**INDEX, "weight": "1/0"}, ["weight", "'1/0' is not a number above 0"]),
        ({**INDEX, "weight": 0.111}, ["weight", "write it in quotes, as in '0.111'"]),
        ({**INDEX, "grades": [{"label": "A", "from": "88.315"}]}, ["from = '88.315' is finer", "places = 2"]),
        ({**INDEX, "grades": [{"label": "A", "from": 88.31}]}, ["write it in quotes, as in '88.31'"]),
        ({**INDEX, "grades": [{"label": "A", "from": "1"}, {"label": "B", "from": "1.0"}]}, ["two grades have the same from"]),
        ({**INDEX, "grades": [{"label": "A", "from": "1"}, {"label": "A", "from": "2"}]}, ["two grades have the same label"]),
        ({"kind": "distinct", "of": "level"}, ["'level'", "is double", "text, integer, boolean or date", "[I01]"]),
        ({"kind": "distinct", "of": "place", "exact": 63}, ["greater than or equal to 64"]),
        ({"kind": "distinct", "of": "place", "exact": 16_385}, ["less than or equal to 16384"]),
        ({"kind": "quantile", "of": "amount", "p": "1"}, ["'1' must lie between 0 and 1", "min and max"]),
        ({"kind": "quantile", "of": "amount", "p": "half"}, ["'half' is not a number"]),
        ({"kind": "quantile", "of": "amount", "p": "0.5", "error": "0.2"}, ["'0.2' must lie between '0.001' and '0.1'"]),
        ({"kind": "quantile", "of": "level", "p": "0.5"}, ["is a double; set measure.scale"]),
        ({"kind": "weighted_mean", "of": "amount", "weight": "place"}, ["measure.weight", "is text; must be a number", "[I01]"]),
        ({"kind": "age", "of": "seen_at"}, ["measure.kind", "is the age of what is open; it needs a stock", "[I01]"]),
        ({"kind": "age", "of": "seen_at", "resolution": "1h"}, ["resolution: only with p"]),
        ({"kind": "age", "of": "seen_at", "p": "0.5", "resolution": "10m"}, ["'10m' is not a resolution", "from '15m' on"]),
        ({"kind": "within"}, ["it needs a [clock]", "[I01]"]),
        ({"kind": "count", "scale": 2}, ["measure.scale", "only a double takes a scale"]),
        ({"kind": "register", "fields": []}, ["fields", "at least 1 item"]),
    ],
)  # fmt: skip
def test_a_wrong_measure_is_told_what_is_allowed(measure: dict[str, Any], parts: list[str]) -> None:
    told = refusal(measure)
    for part in parts:
        assert part in told


@pytest.mark.parametrize(
    ("measure", "form"),
    [
        ({"kind": "weighted_mean", "of": "level", "weight": "money", "scale": 1}, {"scale": 3, "denominator_scale": 2}),
        ({"kind": "weighted_mean", "of": "money", "weight": "small"}, {"scale": 2, "denominator_scale": 0}),
        (INDEX, {"scale": 0, "weight": "1/2", "factor": "25", "places": 2, "grades": []}),
        (
            {**INDEX, "of": ["small", "money", "urgent"], "places": 1,
             "grades": [{"label": "C", "from": 9}, {"label": "A", "from": "88.5"}, {"label": "B", "from": "76.0"}]},
            {"scale": 2, "weight": "1/2", "factor": "25", "places": 1, "grades": [["A", "88.5"], ["B", "76.0"], ["C", "9"]]},
        ),
        ({"kind": "distinct", "of": "place"}, {"exact": 4096}),
        ({"kind": "distinct", "of": "born", "exact": 64}, {"exact": 64}),
        ({"kind": "quantile", "of": "money", "p": "0.90"}, {"scale": 2, "p": "0.90", "error": "0.01"}),
    ],
)  # fmt: skip
def test_the_form_says_all_that_decides_the_numbers(measure: dict[str, Any], form: dict[str, Any]) -> None:
    made = indicator(measure=measure)
    assert made.form == {"kind": measure["kind"], **form}
    assert accumulator(made.form, correctable=True).width == len(made.measured)


def test_what_decides_the_numbers_is_fingerprinted() -> None:
    measures: list[dict[str, Any]] = [
        INDEX, {**INDEX, "weight": "0.5"}, {**INDEX, "factor": "100"}, {**INDEX, "places": 1}, {**INDEX, "of": ["small", "amount"]},
        {**INDEX, "grades": [{"label": "A", "from": 1}]}, {**INDEX, "grades": [{"label": "B", "from": 1}]}, {**INDEX, "grades": [{"label": "A", "from": 2}]},
        {"kind": "distinct", "of": "place"}, {"kind": "distinct", "of": "kind"}, {"kind": "distinct", "of": "place", "exact": 4095},
        {"kind": "quantile", "of": "amount", "p": "0.5"}, {"kind": "quantile", "of": "amount", "p": "0.6"},
        {"kind": "quantile", "of": "amount", "p": "0.5", "error": "0.02"},
    ]  # fmt: skip
    assert len({indicator(measure=measure).fingerprint for measure in measures}) == len(measures)


def test_the_time_of_opening_is_taken_as_it_is_in_utc() -> None:
    form, problems = compiled({"kind": "age", "of": "seen_at", "p": "0.5", "resolution": "1d"}, stock=True)
    assert (form, problems) == ({"kind": "age", "p": "0.5", "resolution": 86_400}, [])
    measured = compile_measure(
        Measure(kind="age", of="seen_at"), Scope(lambda key, text: column(text, COLUMNS), print, COLUMNS, stock=True)
    )
    frame = pl.DataFrame({"seen_at": pl.Series([1_234_567, None], dtype=pl.Datetime("us", "UTC"))})
    assert frame.select(measured.values[0].expression).to_series().to_list() == [1_234_567, None]
    for wrong in ("born", "amount"):
        _, (problem,) = compiled({"kind": "age", "of": wrong}, stock=True)
        assert "must be a column with the time of opening (time columns: occurred_at, seen_at)" in problem


#: What a kind takes that is not the name of a number's column.
TAKES: dict[str, dict[str, Any]] = {
    "index": {"of": ["amount"], "weight": "1", "factor": 1}, "quantile": {"p": "0.5"}, "age": {"of": "seen_at"}, "register": {"fields": ["amount"]}
}  # fmt: skip


@pytest.mark.parametrize("kind", PARTS)
def test_only_what_can_be_taken_back_makes_closings(kind: str) -> None:
    measure = {"kind": kind, **dict.fromkeys(PARTS[kind][0], "amount"), **TAKES.get(kind, {})}
    _, problems = compiled(measure, stock=True, closings=True, clock=kind == "within")
    assert len(problems) == (kind in ("min", "max", "distinct"))
    assert all("cannot be carried from closing to closing" in problem for problem in problems)


def test_a_clock_gives_the_values() -> None:
    assert compiled({"kind": "within"}, clock=True) == ({"kind": "within"}, [])
    assert compiled({"kind": "mean", "of": "clock"}, clock=True) == ({"kind": "mean", "scale": 6}, [])
    assert compiled({"kind": "quantile", "of": "clock", "p": "0.9"}, clock=True)[1] == []
    for wrong in ({"kind": "mean", "of": "amount"}, {"kind": "count"}, {"kind": "distinct", "of": "clock"}):
        _, (problem,) = compiled(wrong, clock=True)
        assert "of a [clock] one measures of = 'clock' with mean, sum, max, min, quantile, or within" in problem


def test_the_fields_of_a_register_are_texts() -> None:
    measured = compile_measure(
        Measure(kind="register", fields=["place", "born", "urgent", "amount"]),
        Scope(lambda key, text: column(text, COLUMNS), print, COLUMNS),
    )
    assert measured.form == {"kind": "register", "fields": 4}
    frame = pl.DataFrame({"place": ["p"], "born": pl.Series(["2021-01-31"]).str.to_date(), "urgent": [True], "amount": [7]})
    assert frame.select(each.expression for each in measured.values).row(0) == ("p", "2021-01-31", "true", "7")
    _, (problem,) = compiled({"kind": "register", "fields": ["level"]})
    assert "measure.fields.0: level is double" in problem

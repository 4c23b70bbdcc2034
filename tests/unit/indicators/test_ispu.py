"""The environment agency's indicators: they load, and do what their files claim."""

import dataclasses
from pathlib import Path

import pytest

from bus.events.catalogue import Catalogue
from bus.indicators.examples import example_problems
from bus.indicators.indicator import Indicator
from bus.indicators.loader import load_indicators

SCHEMAS = Path(__file__).parents[3] / "schemas"
POLLUTANTS = ("pm10", "pm25", "so2", "co", "o3", "no2")


@pytest.fixture(scope="module")
def indicators() -> dict[str, Indicator]:
    found = load_indicators([SCHEMAS], Catalogue.load([SCHEMAS]))
    return {name: each for name, each in found.items() if isinstance(each, Indicator)}


def test_every_indicator_that_was_asked_for_is_there(indicators: dict[str, Indicator]) -> None:
    wanted = {f"dlh.{pollutant}_{kind}" for pollutant in POLLUTANTS for kind in ("mean", "min", "max")}
    wanted |= {"dlh.category_days", "dlh.critical_days", "dlh.unhealthy_days"}
    assert wanted <= set(indicators)
    assert all(indicators[name].window == "1mo" for name in wanted)
    assert {"1d", "1y"} <= {indicator.window for indicator in indicators.values()}
    assert indicators["dlh.critical_days"].definition["dims"] == ["station", "pollutant"]


@pytest.mark.parametrize("path", sorted((SCHEMAS / "indicators").glob("dlh.*.toml")), ids=lambda path: path.stem)
def test_examples_hold(path: Path, indicators: dict[str, Indicator]) -> None:
    indicator = indicators[path.stem]
    assert indicator.spec.examples
    assert indicator.spec.satu_data is not None
    assert not list(example_problems([indicator]))


def test_an_example_that_does_not_hold_is_found(indicators: dict[str, Indicator]) -> None:
    indicator = indicators["dlh.pm10_mean"]
    example = indicator.spec.examples[0]
    wrong = example.model_copy(update={"rows": [{**example.rows[0], "value": "51.0000000000"}, *example.rows[1:]]})
    spec = indicator.spec.model_copy(update={"examples": [wrong]})
    broken = dataclasses.replace(indicator, spec=spec)
    assert "expected" in next(iter(example_problems([broken])))

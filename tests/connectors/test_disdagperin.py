"""Food prices: dates in two forms in one row, and real exports of another regency with the answers that others computed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from connectors.disdagperin.mapping import day_of
from tests.connectors.agency_site import agency_world, numbers
from tests.sources.files_world import changes, reference, take


@pytest.mark.parametrize(
    ("text", "day"), [("2025-09-13", date(2025, 9, 13)), ("9/13/2025", date(2025, 9, 13)), ("10/9/2025", date(2025, 10, 9))]
)
def test_with_strokes_the_month_comes_first(text: str, day: date) -> None:
    assert day_of(text) == day


@pytest.mark.parametrize("text", ["13/9/2025", "13-9-2025", "2025-02-30", "", "2025-9-13"])
def test_no_other_day_is_guessed(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        day_of(text)


async def test_real_exports_give_the_monthly_answers_of_others(tmp_path: Path, bus_test_data: Path) -> None:
    world = agency_world(tmp_path, "disdagperin")
    names = take(world, sorted((bus_test_data / "harga_pangan" / "bandung_versi").glob("*.csv")))
    await world.run()
    assert not await world.quarantine(state=None)
    # what grew by an export is said once: 25 commodities on 49 days
    assert sum(found.total() for found in changes(world).values()) == 49 * 25
    assert len(names) == 4
    answers = {(row["komoditas"], row["month"]): row for row in reference(bus_test_data, "harga_bandung_monthly.csv")}
    found = {
        name: {(row["commodity"], row["window_start"][:7]): row for row in numbers(f"disdagperin.{name}_month", world)}
        for name in ("price_mean", "price_min", "price_max", "days_without_price")
    }
    for key, answer in answers.items():
        mean = found["price_mean"].get(key)
        if answer["days_priced"] != "0":
            assert mean is not None
            assert (mean["numerator"], mean["denominator"]) == (answer["sum"], answer["days_priced"])
            assert (found["price_min"][key]["value"], found["price_max"][key]["value"]) == (answer["min"], answer["max"])
        else:
            assert mean is None
        without = found["days_without_price"].get(key)
        assert (without["value"] if without else "0") == answer["days_zero_price"]
    assert set(found["price_mean"]) | set(found["days_without_price"]) == set(answers)

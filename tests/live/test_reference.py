"""The whole path on the agency's real exports gives the reference answers, every row of them, on both brokers; and all of it is proven."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest

from bus.settings import KafkaSettings
from tests.live.campaign import fed
from tests.live.cli_process import bus, environ_for

_POLLUTANTS = ("pm10", "pm25", "so2", "co", "o3", "no2")

Row = Mapping[str, str]


def _rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _month(row: Row) -> str:
    return row["window_start"][:7]


def _keyed(rows: list[Row], *dimensions: str) -> dict[tuple[str, ...], Row]:
    keyed = {(*(row[name] for name in dimensions), _month(row)): row for row in rows}
    assert len(keyed) == len(rows), "a cell stands twice in an export"
    return keyed


def check_ispu(export: Path, reference: Path) -> None:
    """Every row of the reference is in the export and every row of the export in the reference."""
    _check_monthly(export, _rows(reference / "ispu_monthly.csv"))
    _check_counts(export / "dlh.category_days.csv", _rows(reference / "ispu_category_days.csv"), "category", "category")
    _check_counts(export / "dlh.critical_days.csv", _rows(reference / "ispu_critical_days.csv"), "pollutant", "critical_pollutant")
    _check_city(export, _rows(reference / "ispu_unhealthy_city_days.csv"))


def _check_monthly(export: Path, reference: list[Row]) -> None:
    for pollutant in _POLLUTANTS:
        wanted = {(row["station"], row["month"]): row for row in reference if row["pollutant"] == pollutant and int(row["n_valid"])}
        assert wanted
        means = _keyed(_rows(export / f"dlh.{pollutant}_mean.csv"), "station")
        assert means.keys() == wanted.keys()
        for key, row in wanted.items():
            mean = means[key]
            assert (mean["numerator"], mean["denominator"], mean["n"]) == (row["sum"], row["n_valid"], row["n_valid"]), (pollutant, key)
            assert Decimal(mean["value"]).quantize(Decimal("0.0001"), ROUND_HALF_EVEN) == Decimal(row["mean"]), (pollutant, key)
            assert len(mean["value"].partition(".")[2]) >= 10
        for bound in ("min", "max"):
            found = _keyed(_rows(export / f"dlh.{pollutant}_{bound}.csv"), "station")
            assert {key: (row["value"], row["n"]) for key, row in found.items()} == {
                key: (row[bound], row["n_valid"]) for key, row in wanted.items()
            }


def _check_counts(path: Path, reference: list[Row], dimension: str, column: str) -> None:
    found = {key: (row["value"], row["n"]) for key, row in _keyed(_rows(path), "station", dimension).items()}
    # The reference also lists, under its own name, the days without data; they enter no cell of ours.
    wanted = {
        (row["station"], row[column], row["month"]): (row["days"], row["days"])
        for row in reference
        if row[column] not in ("", "TIDAK ADA DATA")
    }
    assert wanted
    assert found == wanted


def _check_city(export: Path, reference: list[Row]) -> None:
    found = {_month(row): row["value"] for row in _rows(export / "dlh.unhealthy_days.csv")}
    assert found == {row["month"]: row["station_days"] for row in reference if int(row["station_days"])}
    days = Counter(_month(row) for row in _rows(export / "dlh.highest_index_daily.csv") if int(row["value"]) > 100)
    assert days == {row["month"]: int(row["days_with_any_station_max_gt_100"]) for row in reference if int(row["station_days"])}


@pytest.mark.timeout(400)
def test_the_real_exports_give_the_reference_answers(clean_broker: KafkaSettings, bus_test_data: Path, tmp_path: Path) -> None:
    environ = environ_for(tmp_path / "data", clean_broker)
    ended = bus(["run", "--until-idle", "--input", f"dlh={bus_test_data / 'ispu'}", "--export", str(tmp_path / "out"), "--strict"], environ)
    assert ended.code == 0, ended.err
    assert "1,365 events of dlh" in ended.err
    check_ispu(tmp_path / "out", bus_test_data / "reference")
    proven = bus(["verify", "--all", "--json"], environ)
    assert proven.code == 0, proven.err
    reports = json.loads(proven.out)
    assert {report["indicator"] for report in reports} == {path.stem for path in (tmp_path / "out").glob("*.csv")}
    for report in reports:
        assert (report["cells"] > 0) == fed(report["indicator"]), report
        assert report["mismatches"] == []

"""Air-quality exports as the environment agency makes them, from a seed: for campaigns where the real files are not there.

Same file names, columns and kinds of mess as the real daily ISPU exports (data/SOURCES.md §1): `---` and blanks for a missing reading,
a day without data as `0` with TIDAK ADA DATA, a station in two spellings, a `critical` column that names the wrong pollutant, files
with a byte-order mark, CRLF or `;`, and one malformed line, which belongs in quarantine. No number here is a real measurement.
"""

from __future__ import annotations

import calendar
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

MONTHS = (
    "januari", "februari", "maret", "april", "mei", "juni", "juli", "agustus", "september", "oktober", "november", "desember",
)  # fmt: skip
POLLUTANTS = ("pm10", "pm25", "so2", "co", "o3", "no2")
STATIONS = (
    "DKI1 (Bunderan HI)",
    "DKI2 (Kelapa Gading)",
    "DKI3 (Jagakarsa)",
    "DKI4 (Lubang Buaya)",
    "DKI5 (Kebon Jeruk) Jakarta Barat",
)
_OTHER_SPELLING = "DKI5 (Kebon Jeruk)"
_HEADER = ("tanggal", "stasiun", *POLLUTANTS, "max", "critical", "categori")
_CATEGORIES = ((50, "BAIK"), (100, "SEDANG"), (200, "TIDAK SEHAT"), (300, "SANGAT TIDAK SEHAT"))
#: Mean and spread of a day's index, by pollutant.
_LEVELS = {"pm10": (50, 12), "pm25": (76, 20), "so2": (30, 8), "co": (13, 5), "o3": (32, 12), "no2": (18, 7)}


@dataclass(frozen=True, slots=True)
class Export:
    """One monthly file: its name, its bytes, and how many of its lines no mapping can accept."""

    name: str
    content: bytes
    malformed: int


def exports(*, year: int = 2024, months: int = 9, seed: int = 7) -> Iterator[Export]:
    """`months` files from January on, in the order of time; the same bytes for the same arguments."""
    chance = random.Random(seed)
    for month in range(1, months + 1):
        rows = [row for station in STATIONS for row in _station_rows(chance, station, year, month)]
        lines = [",".join(_HEADER), *(",".join(row) for row in rows)]
        malformed = 0
        if month == 2:
            # As when a clerk types into the wrong cell: a date that does not exist and a reading that is text.
            lines.insert(len(lines) // 2, f"{year}-02-31,{STATIONS[2]},empat puluh,60,25,10,30,20,60,PM25,SEDANG")
            malformed = 1
        yield Export(f"indeks-standar-pencemar-udara-di-spku-bulan-{MONTHS[month - 1]}-tahun-{year}.csv", _dressed(lines, month), malformed)


def _dressed(lines: list[str], month: int) -> bytes:
    """The month's file in one of the shapes that spreadsheets leave behind."""
    separator = ";" if month % 4 == 3 else ","
    newline = "\r\n" if month % 3 == 0 else "\n"
    mark = "\ufeff" if month % 5 == 2 else ""
    return (mark + newline.join(line.replace(",", separator) for line in lines) + newline).encode("utf-8")


def _station_rows(chance: random.Random, station: str, year: int, month: int) -> Iterator[list[str]]:
    drift = chance.uniform(-6, 6)
    for day in range(1, calendar.monthrange(year, month)[1] + 1):
        name = _OTHER_SPELLING if station.startswith("DKI5") and (month + day) % 2 else station
        yield [date(year, month, day).isoformat(), name, *_readings(chance, drift, month)]


def _readings(chance: random.Random, drift: float, month: int) -> list[str]:
    if chance.random() < 0.01:
        return ["---"] * len(POLLUTANTS) + ["0", "", "TIDAK ADA DATA"]
    values: dict[str, int | None] = {}
    for pollutant in POLLUTANTS:
        mean, spread = _LEVELS[pollutant]
        missing = chance.random() < 0.03
        values[pollutant] = None if missing else max(1, round(chance.gauss(mean + drift, spread)))
    present = {pollutant: value for pollutant, value in values.items() if value is not None}
    if not present:
        return ["---"] * len(POLLUTANTS) + ["0", "", "TIDAK ADA DATA"]
    highest = max(present.values())
    critical = next(pollutant for pollutant, value in present.items() if value == highest).upper()
    if month == 1 and chance.random() < 0.2:
        critical = "CO"
    blank = "" if month == 1 and chance.random() < 0.3 else "---"
    cells = [blank if value is None else str(value) for value in values.values()]
    return [*cells, str(highest), critical, next(name for limit, name in _CATEGORIES if highest <= limit)]

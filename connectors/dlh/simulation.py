"""The environment agency's air of a made-up regency: the daily exports of Jakarta's stations, the only ones that are published, with all their mess,
and three sensors. PM2.5 comes hourly, the others at 09:00 and 15:00. Levels are about those of the exports; no number is a measurement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

from bus.events.envelope import Event, Op
from bus.simulation.regency import Regency, at
from bus.simulation.story import Fact, Story, Telling
from bus.simulation.systems.form import FileForm

#: How the agency's files look.
FILES: Mapping[str, FileForm] = {
    "ispu": FileForm("indeks-standar-pencemar-udara-di-spku-{at:%Y-%m-%d}.csv", {"tanggal": "tanggal", "stasiun": "stasiun", "pm10": "pm_10",
                     "pm25": "pm_duakomalima", "so2": "so2", "co": "co", "o3": "o3", "no2": "no2", "max": "max",
                     "critical": "parameter_pencemar_kritis", "categori": "kategori"}),
}  # fmt: skip
#: Code of a station -> how the exports have spelt it.
_STATIONS = {
    "DKI1": ("DKI1 (Bunderan HI)", "DKI1 Bunderan HI"), "DKI2": ("DKI2 (Kelapa Gading)",), "DKI3": ("DKI3 (Jagakarsa)",),
    "DKI4": ("DKI4 (Lubang Buaya)",), "DKI5": ("DKI5 (Kebon Jeruk) Jakarta Barat", "DKI5 (Kebon Jeruk)"),
}  # fmt: skip
#: In the order that decides a tie.
_POLLUTANTS = ("pm10", "pm25", "so2", "co", "o3", "no2")
#: How often each is the worst, and between which indices the worst one lies, as often as its number says.
_WORST = {"pm10": 2, "pm25": 12, "so2": 1, "co": 1, "o3": 3, "no2": 1}
_INDICES = {(3, 50, "BAIK"): 20, (51, 100, "SEDANG"): 55, (101, 200, "TIDAK SEHAT"): 20, (201, 300, "SANGAT TIDAK SEHAT"): 2}
_BLANKS = ("---", "", "0")
#: Where a sensor stands; what it measures, by its topic, and the most that it usually says, in thousandths.
_SENSORS = {"BYL1": "33.09.05", "SLO1": "33.09.01", "NGP1": "33.09.11"}
_LEVELS = {"pm25": 90_000, "pm10": 150_000, "so2": 80_000, "no2": 90_000, "o3": 200_000, "co": 4_000_000, "hc": 150_000}
_UNIT = "µg/m3"
_NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class _Day:
    """What a station measured on a day; without the worst, nothing."""

    indices: Mapping[str, int]
    worst: str | None
    category: str | None

    @property
    def highest(self) -> int | None:
        return None if self.worst is None else self.indices[self.worst]


def stories(regency: Regency) -> Iterator[Story]:
    """All that the agency's stations and sensors tell in the period."""
    for day in regency.dates:
        yield from (_exported(regency, station, day) for station in _STATIONS)
    slots = [(station, "pm25", hour) for station in _SENSORS for hour in range(24)]
    slots += [(station, parameter, hour) for station in _SENSORS for parameter in _LEVELS if parameter != "pm25" for hour in (9, 15)]
    for day in regency.dates:
        # all sensors of the regency at scale 1, at others some of their readings
        for station, parameter, hour in regency.chance.sample(slots, min(len(slots), regency.at_least(len(slots), 4))):
            yield _reading(regency.chance, station, parameter, at(day, hour))


def _exported(regency: Regency, station: str, day: date) -> Story:
    """A line of the month's file, which is made when the month, or the period, is over; a file with a mistake is delivered again days later."""
    chance = regency.chance
    after = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    told_at = at(min(after, regency.end - timedelta(days=1)), 16)
    mended_at = min(told_at + timedelta(days=chance.randint(1, 4)), at(regency.end) - timedelta(hours=1))

    def telling(measured: _Day, op: Op, mistake: Mapping[str, str] = _NONE) -> Telling:
        said = {name: str(measured.indices[name]) if name in measured.indices else chance.choice(_BLANKS) for name in _POLLUTANTS}
        record = {
            "tanggal": day.isoformat(), "stasiun": chance.choice(_STATIONS[station]), **said, "max": str(measured.highest or 0),
            "critical": _critical(chance, measured), "categori": measured.category or "TIDAK ADA DATA", **mistake,
        }  # fmt: skip
        data = {
            "station": station, **{name: measured.indices.get(name) for name in _POLLUTANTS}, "max_index": measured.highest,
            "category": measured.category, "critical": None if measured.worst is None else measured.worst.upper(),
        }  # fmt: skip
        return Telling("ispu", told_at, record, (Fact(Event("dlh.air_quality.recorded.v1", f"{station}/{day}", at(day), data), op),))

    first = _measured(chance)
    column, text = chance.choice([("pm10", "empat puluh"), ("o3", "777"), ("no2", "-3"), ("categori", "KABUT"), ("max", "61,5")])
    return Story(
        (telling(first, Op.CREATE),),
        mended=replace(telling(_measured(chance), Op.CORRECT), at=mended_at),
        broken=telling(first, Op.CREATE, {column: text}),
    )


def _measured(chance: Random) -> _Day:
    """The worst pollutant first, and no other above it; one that comes before it stays below, for on a tie the first is the worst."""
    if chance.random() < 0.06:
        return _Day({}, None, None)
    low, high, category = chance.choices(list(_INDICES), list(_INDICES.values()))[0]
    worst, highest = chance.choices(list(_WORST), list(_WORST.values()))[0], chance.randint(low, high)
    others = {name: chance.randint(1, highest - (_POLLUTANTS.index(name) < _POLLUTANTS.index(worst))) for name in _POLLUTANTS}
    kept = [name for name in _POLLUTANTS if name != worst and chance.random() < 0.93]
    return _Day({**{name: others[name] for name in kept}, worst: highest}, worst, category)


def _critical(chance: Random, measured: _Day) -> str:
    """As the exports have it: often wrong, in more than one spelling, sometimes nothing."""
    if measured.worst is None or chance.random() < 0.05:
        return chance.choice(("", "---"))
    name = chance.choice(_POLLUTANTS) if chance.random() < 0.2 else measured.worst
    return "PM2.5" if name == "pm25" and chance.random() < 0.5 else name.upper()


def _reading(chance: Random, station: str, parameter: str, hour: datetime) -> Story:
    """Some seconds after the hour. One that is said again is not read, so that it cannot be mended; one with a mistake is another message."""
    when = hour + timedelta(seconds=chance.randrange(600))
    thousandths = round(_LEVELS[parameter] * chance.betavariate(2, 3))

    def telling(moment: datetime, mistake: Mapping[str, object] = _NONE) -> Telling:
        payload = {"waktu": _written(chance, moment), "nilai": _number(chance, thousandths), "satuan": _UNIT}
        record = {"stasiun": station, "parameter": parameter, **payload, **mistake}
        data = {
            "station": station, "parameter": parameter.upper(), "level": Decimal(thousandths) / 1_000, "hour": hour.hour,
            "kode_wilayah": _SENSORS[station],
        }  # fmt: skip
        subject = f"{station}/{parameter.upper()}/{moment:%Y-%m-%dT%H:%M:%S}"
        return Telling("sensor", when + timedelta(seconds=2), record, (Fact(Event("dlh.reading.measured.v1", subject, moment, data)),))

    mistakes: Sequence[Mapping[str, object]] = ({"nilai": -1}, {"nilai": 1e6}, {"satuan": "ppm"}, {"nilai": "rusak"}, {"parameter": "pm1"})
    return Story((telling(when),), broken=telling(when - timedelta(minutes=20), chance.choice(mistakes)))


def _written(chance: Random, moment: datetime) -> str:
    """With the zone of the regency, or in UTC as some instruments do."""
    return moment.isoformat() if chance.random() < 0.8 else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _number(chance: Random, thousandths: int) -> object:
    """As a number of JSON, or as text, with a comma or a point."""
    text = f"{thousandths // 1_000}.{thousandths % 1_000:03d}"
    return chance.choices([thousandths / 1_000, text, text.replace(".", ",")], [8, 1, 1])[0]

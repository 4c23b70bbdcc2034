"""The public works agency's systems of a made-up regency: a survey of its roads, and reports of damage until they are repaired or refused.

How long the regency's roads are and how many reports come was not found; about 700 km in 230 roads and nine reports a day are assumed
[unverified].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from bus.events.envelope import Event, Op
from bus.simulation.regency import Place, Regency, at
from bus.simulation.story import Fact, Story, Telling
from bus.simulation.systems.form import FileForm

#: How the agency's files look.
FILES: Mapping[str, FileForm] = {
    "survei": FileForm("survei-jalan-{at:%Y-%m-%d}.csv", {
        "survei": "Survei", "no_ruas": "No. Ruas", "nama_ruas": "Nama Ruas", "segmen": "STA Awal", "kecamatan": "Kecamatan",
        "panjang_km": "Panjang (km)", "permukaan": "Jenis Permukaan", "kondisi": "Kondisi", "tanggal": "Tanggal Survei",
    }, delimiter=";"),
}  # fmt: skip
_ROADS, _REPORTS_A_DAY = 230, 8
#: Condition as people type it -> whether it is steady (mantap), and how much of the network is so.
_CONDITIONS: Mapping[str, tuple[bool, int]] = {
    "Baik": (True, 55),
    "SEDANG": (True, 20),
    "Rusak Ringan": (False, 15),
    "rusak berat": (False, 10),
}
_SURFACES = {"Aspal": 70, "BETON": 20, "Kerikil": 7, "tanah": 3}
_SEVERITIES = {"RINGAN": 50, "SEDANG": 35, "BERAT": 15}
_SECONDS_A_DAY = 86_400


def stories(regency: Regency) -> Iterator[Story]:
    """All that the agency's systems tell in the period."""
    for number in range(1, regency.at_least(_ROADS, 6) + 1):
        yield from _road(regency, f"{number:03d}")
    number = 0
    for day in regency.dates:
        for _ in range(1 + regency.some(_REPORTS_A_DAY)):
            number += 1
            yield _damage(regency, day, number)


def _road(regency: Regency, road: str) -> Iterator[Story]:
    """A road in segments, one after the other, surveyed on one day. It runs through two kecamatan."""
    chance, day = regency.chance, regency.chance.choice(regency.dates)
    first, second = regency.some_kecamatan(), regency.some_kecamatan()
    begins = 0
    for part in range(chance.randint(2, 5)):
        metres = chance.choice((500, 750, 1_000, 1_000, chance.randint(100, 1_999)))
        yield _segment(regency, day, road, f"{first.name} - {second.name}", begins, metres, second if part > 1 else first)
        begins += metres


def _segment(regency: Regency, day: date, road: str, name: str, begins: int, metres: int, place: Place) -> Story:
    chance = regency.chance
    survey, segment = f"{day.year}-{1 if day.month <= 6 else 2}", f"{begins // 1000}+{begins % 1000:03d}"
    kecamatan = chance.choice((place.name, place.name.upper()))
    (surface,) = chance.choices(list(_SURFACES), list(_SURFACES.values()))
    written = chance.choice((f"{day:%d/%m/%Y}", f"{day}", f"{day:%d-%m-%Y}"))
    kilometres = Decimal(metres) / 1000

    def telling(condition: str, op: Op, *, later: int = 0, wrong: Mapping[str, str] | None = None) -> Telling:
        record = {
            "survei": survey, "no_ruas": road, "nama_ruas": name, "segmen": segment, "kecamatan": kecamatan,
            "panjang_km": str(kilometres).replace(".", ","), "permukaan": surface, "kondisi": condition, "tanggal": written, **(wrong or {}),
        }  # fmt: skip
        data = {
            "survey": survey, "road": road, "road_name": name, "segment": segment, "length_km": kilometres, "surface": surface.upper(),
            "condition": condition.upper(), "steady": _CONDITIONS[condition][0], "kode_wilayah": place.code,
        }  # fmt: skip
        event = Event("dpupr.segment.surveyed.v1", f"{survey}/{road}/{segment}", at(day), data)
        told_at = min(at(day, 16) + timedelta(days=later), at(regency.end) - timedelta(hours=1))
        return Telling("survei", told_at, record, (Fact(event, op),))

    (found,) = chance.choices(list(_CONDITIONS), [weight for _, weight in _CONDITIONS.values()])
    wrong: Mapping[str, str] = chance.choice(
        ({"kondisi": "Hancur"}, {"panjang_km": "0"}, {"survei": "Semester I"}, {"kecamatan": "Kartasura"})
    )
    return Story(
        (telling(found, Op.CREATE),),
        mended=telling(chance.choice([other for other in _CONDITIONS if other != found]), Op.CORRECT, later=3),
        broken=telling(found, Op.CREATE, wrong=wrong),
    )


def _damage(regency: Regency, day: date, number: int) -> Story:
    """A report, posted at each change, as far as it came in the period."""
    chance, reported = regency.chance, regency.moment(day, 6, 21)
    subject, desa, reporter = f"JLN-{reported.year}-{number:05d}", regency.some_desa(), regency.person(300_000 + number % 5_000)
    road = chance.choice(("", f"{chance.randint(1, _ROADS):03d}"))
    (severity,) = chance.choices(list(_SEVERITIES), list(_SEVERITIES.values()))

    def telling(state: str, since: datetime, op: Op, *, severe: str = severity, wrong: Mapping[str, object] | None = None) -> Telling:
        record = {
            "no_laporan": subject, "status": state, "waktu_lapor": reported, "waktu_status": since, "no_ruas": road, "tingkat": severe,
            "kode_desa": desa.code, "nama_pelapor": reporter.name, "telepon_pelapor": reporter.phone, "keterangan": "lubang di tikungan",
            **(wrong or {}),
        }  # fmt: skip
        data = {
            "state": state, "reported_at": reported, "road": road or None, "severity": severe,
            "repair_days": _days(since - reported) if state == "SELESAI" else None, "kode_wilayah": desa.code,
        }  # fmt: skip
        told_at = since + timedelta(seconds=20)
        return Telling("laporan", told_at, record, (Fact(Event("dpupr.damage.changed.v1", subject, since, data), op),))

    life = _life(regency, reported)
    state, since = life[-1]
    worse = chance.choice([other for other in _SEVERITIES if other != severity])
    wrong: Mapping[str, object] = chance.choice(
        ({"status": "HILANG"}, {"tingkat": "PARAH"}, {"waktu_status": reported - timedelta(days=1)}, {"kode_desa": desa.name})
    )
    return Story(
        tuple(telling(each, when, Op.CORRECT if when > reported else Op.CREATE) for each, when in life),
        mended=telling(state, since + timedelta(minutes=5), Op.CORRECT, severe=worse),
        # the application knows no way to take a report back but to refuse it
        taken_back=telling("DITOLAK", since + timedelta(minutes=30), Op.CORRECT) if state != "DITOLAK" else None,
        broken=telling("MASUK", reported, Op.CREATE, wrong=wrong),
    )


def _life(regency: Regency, reported: datetime) -> Sequence[tuple[str, datetime]]:
    """The states of a report and since when it is in them."""
    chance, until = regency.chance, at(regency.end) - timedelta(hours=1)
    states = chance.choices((("DIVERIFIKASI", "DIKERJAKAN", "SELESAI"), ("DITOLAK",), ("DIVERIFIKASI", "DITOLAK")), (80, 12, 8))[0]
    life, when = [("MASUK", reported)], reported
    for state in states:
        when += timedelta(seconds=chance.randint(3_600, (2 if state == "DIVERIFIKASI" else 9) * _SECONDS_A_DAY))
        if when > until:
            break
        life.append((state, when))
    return life


def _days(length: timedelta) -> Decimal:
    """Days of 24 hours to the hundredth, halves upwards, in whole numbers all the way."""
    seconds = length.days * _SECONDS_A_DAY + length.seconds
    return Decimal((200 * seconds + _SECONDS_A_DAY) // (2 * _SECONDS_A_DAY)) / 100

"""The hospitals' systems of a made-up regency: rooms as SIRANAP has them through the day, and the census of each ward and day.

Which beds each hospital has is published on SIRANAP and was not looked up [unverified]: about 600 in all. Occupancy lies around the
60-85 percent that are thought ideal, stays around the 6-9 days.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from bus.events.envelope import Event, Op
from bus.simulation.regency import Regency, at
from bus.simulation.story import Fact, Story, Telling

#: Hospital -> its kecamatan, and how many wards it has [unverified].
_HOSPITALS: Mapping[str, tuple[str, int]] = {"PANDANARANG": ("33.09.05", 18), "SIMO": ("33.09.13", 10), "WARASWIRIS": ("33.09.16", 10)}
_WARDS = (
    "Anggrek", "Melati", "ICU", "Mawar", "Dahlia", "Flamboyan", "Kenanga", "Cempaka", "Teratai", "Bougenvil", "Seruni", "Kamboja", "Aster",
    "Edelweis", "Tulip", "Sakura", "Lavender", "Wijaya Kusuma",
)  # fmt: skip
#: id_tt, tt and kode_siranap [unverified but the first three].
_KINDS = ((24, "Kelas I", "0005"), (26, "Kelas III", "0007"), (25, "Kelas II", "0006"), (23, "VIP", "0004"))
_ICU = (1, "ICU", "0017")
#: How often a room changes on a day.
_CHANGES = 5


@dataclass(frozen=True, slots=True)
class Ward:
    """A ward of a hospital, its beds by kind."""

    hospital: str
    place: str
    name: str
    beds: Mapping[tuple[int, str, str], int]

    @property
    def total(self) -> int:
        return sum(self.beds.values())

    def count(self, number: int) -> int | str:
        """A number as this hospital's application writes it: one writes texts."""
        return str(number) if self.hospital == "SIMO" else number


def stories(regency: Regency) -> Iterator[Story]:
    """All that the hospitals tell in the period."""
    for hospital, (place, wards) in _HOSPITALS.items():
        for name in _WARDS[: regency.at_least(wards, 3)]:
            ward = Ward(hospital, place, name, _beds(regency, name))
            for kind in ward.beds:
                yield _room(regency, ward, kind)
            yield from _census(regency, ward)


def _beds(regency: Regency, name: str) -> Mapping[tuple[int, str, str], int]:
    if name == "ICU":
        return {_ICU: regency.chance.randint(4, 12)}
    return {kind: regency.chance.randint(4, 14) for kind in regency.chance.sample(_KINDS, regency.chance.randint(1, 2))}


def _room(regency: Regency, ward: Ward, kind: tuple[int, str, str]) -> Story:
    """A room's states; only the newest is ever seen, for it is asked for."""
    chance, beds = regency.chance, ward.beds[kind]
    id_tt, title, siranap = kind

    def telling(when: datetime, occupied: int, op: Op, *, dengue: int | None = None, gone: bool = False, later: int = 1) -> Telling:
        preparing, queue = min(beds - occupied, occupied % 2), occupied // 4 if occupied == beds else 0
        # what is reported as free is not always what is left: the number that is reported counts
        free = beds - occupied - preparing + (occupied % 7 == 6)
        dbd = occupied // 8 if dengue is None else dengue
        record = {
            "kode_rs": ward.hospital, "id_tt": id_tt, "tt": title, "ruang": ward.name, "kode_siranap": siranap, "jumlah_ruang": 1 + beds // 6,
            "jumlah": ward.count(beds), "terpakai": ward.count(occupied), "antrian": queue, "prepare": preparing, "kosong": ward.count(free),
            "covid": int(title == "ICU"), "terpakai_dbd": dbd, "tglupdate": f"{when:%Y-%m-%d %H:%M:%S}",
        }  # fmt: skip
        data = {
            "hospital": ward.hospital, "bed_type": title, "siranap": siranap, "ward": ward.name, "rooms": 1 + beds // 6, "beds": beds,
            "occupied": occupied, "queue": queue, "in_preparation": preparing, "free": free, "covid": title == "ICU",
            "occupied_dengue": dbd, "kode_wilayah": ward.place,
        }  # fmt: skip
        event = Event("rsud.beds.recorded.v1", f"{ward.hospital}/{id_tt}/{ward.name}", when, data)
        return Telling("tempat_tidur", when + timedelta(minutes=later), record, (Fact(event, op),), gone=gone)

    times = sorted({regency.moment(day, 5, 18) for day in regency.dates for _ in range(1 + regency.some(_CHANGES))})
    steps: list[Telling] = []
    taken = 0
    for when in times:
        taken = min(beds, max(beds // 2, taken + chance.choice((-2, -1, 1, 2))))
        steps.append(telling(when, taken, Op.CORRECT if steps else Op.CREATE))
    last = times[-1]
    return Story(
        tuple(steps),
        mended=telling(last, taken - 1, Op.CORRECT, later=10),
        taken_back=telling(last, taken, Op.CANCEL, gone=True, later=120),
        broken=telling(times[0], beds // 2, Op.CREATE, dengue=beds // 2 + 1),
    )


def _census(regency: Regency, ward: Ward) -> Iterator[Story]:
    """Day after day: who is there at midnight is there in the morning. A day is told on the next."""
    chance, inside = regency.chance, ward.total * 7 // 10
    for day in regency.dates[:-1]:
        left = sum(chance.random() < 0.15 for _ in range(inside))
        admitted = min(ward.total - inside + left, sum(chance.random() < 0.15 for _ in range(ward.total)))
        yield _ward_day(regency, ward, day, inside, admitted, left)
        inside += admitted - left


def _ward_day(regency: Regency, ward: Ward, day: date, inside: int, admitted: int, left: int) -> Story:
    chance, told_at = regency.chance, at(day + timedelta(days=1), 7, regency.chance.randrange(60))
    died = sum(chance.random() < 0.03 for _ in range(left))
    stay_days = sum(chance.randint(3, 11) for _ in range(left))

    def telling(admitted: int, op: Op, *, later: int = 0, wrong: Mapping[str, int] | None = None) -> Telling:
        patient_days = inside + admitted - left + died  # who died on the day was cared for on it
        record = {
            "kode_rs": ward.hospital, "ruang": ward.name, "tanggal": f"{day:%d-%m-%Y}" if ward.hospital == "SIMO" else f"{day}",
            "tempat_tidur": ward.count(ward.total), "pasien_awal": inside, "masuk": admitted, "keluar_hidup": left - died,
            "meninggal": died, "hari_perawatan": ward.count(patient_days), "lama_dirawat": stay_days,
            "diubah": told_at + timedelta(hours=later), **(wrong or {}),
        }  # fmt: skip
        data = {
            "hospital": ward.hospital, "ward": ward.name, "beds": ward.total, "before": inside, "admitted": admitted, "discharged": left,
            "died": died, "patient_days": patient_days, "stay_days": stay_days,
            "days_in_month": calendar.monthrange(day.year, day.month)[1], "kode_wilayah": ward.place,
        }  # fmt: skip
        event = Event("rsud.census.recorded.v1", f"{ward.hospital}/{ward.name}/{day}", at(day), data)
        return Telling("sensus", told_at + timedelta(hours=later), record, (Fact(event, op),))

    nobody = {"keluar_hidup": 0, "meninggal": 0, "lama_dirawat": 5}
    return Story(
        (telling(admitted, Op.CREATE),),
        mended=telling(admitted + 1, Op.CORRECT, later=3),
        broken=telling(admitted, Op.CREATE, wrong=chance.choice(({"keluar_hidup": inside + admitted + 1}, nobody))),
    )

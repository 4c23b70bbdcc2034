"""The livestock agency's systems of a made-up regency: milk by the published 133,000 litres a day, herd by the month, disease now and then."""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal

from bus.events.envelope import Event, Op
from bus.simulation.regency import Person, Place, Regency, at
from bus.simulation.story import Fact, Story, Telling
from bus.simulation.systems.form import FileForm
from connectors.disnakkan.places import LOOKUPS

#: How the agency's files look.
FILES: Mapping[str, FileForm] = {
    "populasi": FileForm("populasi-{at:%Y-%m-%d}.csv", {"bulan": "Bulan", "kud": "KUD", "kecamatan": "Kecamatan",
                         "sapi_perah": "Populasi Sapi Perah", "sapi_laktasi": "Laktasi"}, delimiter=";"),
    "penyakit": FileForm("penyakit-{at:%Y-%m-%d}.csv", {"tanggal": "Tanggal", "kecamatan": "Kecamatan", "penyakit": "Nama Penyakit",
                         "ternak": "Jenis Ternak", "kasus_baru": "Kasus Baru", "sembuh": "Sembuh", "mati": "Mati"}, delimiter=";"),
}  # fmt: skip
#: Where most of the milk comes from.
_MILK = ("33.09.01", "33.09.03", "33.09.04", "33.09.06", "33.09.21")
_LITRES_A_DAY, _LITRES_A_DELIVERY = 133_000, 12.5


def stories(regency: Regency) -> Iterator[Story]:
    """All that the agency's systems tell in the period."""
    farmers = [regency.person(100_000 + number) for number in range(regency.at_least(5_000, 8))]
    places = [place for place in regency.kecamatan if place.code in _MILK]
    number = 0
    for day in regency.dates:
        for _ in range(regency.some(_LITRES_A_DAY / _LITRES_A_DELIVERY)):
            number += 1
            yield _delivery(regency, day, number, regency.chance.choice(farmers), regency.chance.choice(places))
        ill = [
            (place, disease, species) for place in regency.kecamatan for disease in LOOKUPS["diseases"] for species in LOOKUPS["species"]
        ]
        for place, disease, species in regency.chance.sample(ill, regency.some(8) + 1):
            yield _disease(regency, day, place, disease, species)
    for month in regency.months:
        for place in places:
            yield _herd(regency, month, place)


def _delivery(regency: Regency, day: date, number: int, farmer: Person, place: Place) -> Story:
    chance = regency.chance
    session = chance.choice(LOOKUPS["sessions"])
    when = regency.moment(day, *((5, 8) if session == "PAGI" else (14, 17)))
    kud = chance.choice(LOOKUPS["kud"])

    def telling(litres: Decimal, *, op: Op, later: timedelta = timedelta(minutes=1), cancelled: bool = False, told: str = "") -> Telling:
        record = {
            "no_setoran": f"{kud[4:7]}-{number:08d}", "kud": kud.title(), "nik_peternak": farmer.nik, "nama_peternak": farmer.name,
            "kecamatan": place.name, "waktu": when, "sesi": session, "liter": told or litres, "batal": int(cancelled), "diubah": when + later,
        }  # fmt: skip
        data = {"farmer": farmer.nik, "kud": kud, "session": session, "litres": litres, "kode_wilayah": place.code}
        return Telling(
            "setoran", when + later, record, (Fact(Event("disnakkan.milk.delivered.v1", f"{kud[4:7]}-{number:08d}", when, data), op),)
        )

    litres = Decimal(chance.randint(200, 3_000)) / 100
    return Story(
        (telling(litres, op=Op.CREATE),),
        mended=telling(litres + 1, op=Op.CORRECT, later=timedelta(hours=3)),
        taken_back=telling(litres, op=Op.CANCEL, later=timedelta(days=1), cancelled=True),
        broken=telling(litres, op=Op.CREATE, told="dua belas"),
    )


def _disease(regency: Regency, day: date, place: Place, disease: str, species: str) -> Story:
    def telling(cases: int, op: Op, *, told: str = "") -> Telling:
        record = {
            "tanggal": f"{day:%d/%m/%Y}", "kecamatan": place.name, "penyakit": told or disease, "ternak": species.title(),
            "kasus_baru": str(cases), "sembuh": str(cases // 2), "mati": str(cases // 9),
        }  # fmt: skip
        data = {"disease": disease, "species": species, "new_cases": cases, "recovered": cases // 2, "dead": cases // 9,
                "kode_wilayah": place.code}  # fmt: skip
        subject = f"{day}/{place.code}/{disease}/{species}"
        return Telling("penyakit", at(day, 16), record, (Fact(Event("disnakkan.disease.counted.v1", subject, at(day), data), op),))

    cases = regency.chance.randint(1, 20)
    return Story(
        (telling(cases, Op.CREATE),),
        mended=telling(cases + 1, Op.CORRECT).later(timedelta(days=1)),
        broken=telling(cases, Op.CREATE, told="FLU"),
    )


def _herd(regency: Regency, month: date, place: Place) -> Story:
    kud, days = regency.chance.choice(LOOKUPS["kud"]), calendar.monthrange(month.year, month.month)[1]
    told_at = at(min(month + timedelta(days=days), regency.end - timedelta(days=1)), 9)

    def telling(cows: int, op: Op, *, productive: int | None = None) -> Telling:
        laktasi = cows * 6 // 10 if productive is None else productive
        record = {
            "bulan": f"{month:%Y-%m}",
            "kud": kud,
            "kecamatan": place.name.upper(),
            "sapi_perah": f"{cows}",
            "sapi_laktasi": f"{laktasi}",
        }
        data = {"kud": kud, "cows": cows, "productive": laktasi, "days_in_month": days, "kode_wilayah": place.code}
        subject = f"{month:%Y-%m}/{kud}/{place.code}"
        return Telling("populasi", told_at, record, (Fact(Event("disnakkan.herd.counted.v1", subject, at(month), data), op),))

    cows = regency.chance.randint(500, 9_000)
    return Story(
        (telling(cows, Op.CREATE),),
        mended=telling(cows + 10, Op.CORRECT).later(timedelta(days=1)),
        broken=telling(cows, Op.CREATE, productive=cows + 1),
    )

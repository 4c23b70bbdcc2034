"""The health agency's systems of a made-up regency: visits as they change, weighing in e-PPGBM with its targets, and COVID-19 by kelurahan.

Children under five are about 7 percent of the published 1,099,850 people; how many visits a day there are was not found: about a hundred
in each of the 25 puskesmas are assumed [unverified].
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate

from bus.events.envelope import Event, Op
from bus.simulation.regency import Place, Regency, at
from bus.simulation.story import Fact, Story, Telling
from bus.simulation.systems.form import FileForm

#: How the agency's files look.
FILES: Mapping[str, FileForm] = {
    "penimbangan": FileForm("ppgbm-{at:%Y-%m-%d}.csv", {
        "nik": "NIK", "jk": "JK", "tgl_lahir": "Tgl Lahir", "kec": "Kec", "puskesmas": "Pukesmas", "desa": "Desa/Kel",
        "usia": "Usia Saat Ukur", "tanggal": "Tanggal Pengukuran", "tbu": "TB/U", "zs_tbu": "ZS TB/U",
    }, delimiter=";"),
    "sasaran": FileForm("sasaran-{at:%Y-%m-%d}.csv", {
        "bulan": "Bulan", "kec": "Kecamatan", "puskesmas": "Pukesmas", "desa": "Desa/Kel", "sasaran": "Jumlah Sasaran",
    }, delimiter=";"),
    "covid": FileForm("Standar Kelurahan Data Corona ({tanggal} Pukul {at:%H.%M}) {at:%Y-%m-%d}.xlsx", {
        "kode": "ID_KEL", "kecamatan": "nama_kecamatan", "positif": "POSITIF", "sembuh": "Sembuh", "meninggal": "Meninggal",
    }),
}  # fmt: skip
_CHILDREN, _VISITS_A_DAY, _PATIENTS = 75_000, 2_500, 400_000
#: Kecamatan with two puskesmas.
_TWO = ("BOYOLALI", "BANYUDONO", "KLEGO")
_CLASSES = {"AMB": ("RAWAT JALAN", 88), "EMER": ("GAWAT DARURAT", 7), "IMP": ("RAWAT INAP", 3), "HH": ("KUNJUNGAN RUMAH", 2)}
#: Category of height -> how the export writes it, z-scores in hundredths from and to, and how many children have it.
_HEIGHTS: Mapping[str, tuple[Sequence[str], int, int, int]] = {
    "SANGAT PENDEK": (("Sangat Pendek", "Severely Stunted"), -599, -301, 3),
    "PENDEK": (("Pendek", "Stunted"), -300, -201, 9),
    "NORMAL": (("Normal",), -200, 300, 80),
    "TINGGI": (("Tinggi",), 301, 500, 3),
}
_BANDS = {"0-5": 6, "6-11": 12, "12-23": 24, "24-35": 36, "36-47": 48, "48-59": 60}
_MONTHS = ("JANUARI", "FEBRUARI", "MARET", "APRIL", "MEI", "JUNI", "JULI", "AGUSTUS", "SEPTEMBER", "OKTOBER", "NOVEMBER", "DESEMBER")
_ELSEWHERE = ("LUAR BOYOLALI", "BELUM DIKETAHUI")


@dataclass(frozen=True, slots=True)
class Child:
    """A child under five, with the desa where it lives and the puskesmas to which that belongs."""

    nik: str
    female: bool
    born: date
    desa: Place
    puskesmas: str
    kecamatan: str

    def months(self, on: date) -> int:
        """Its age in whole months. It was not born on a day that some months do not have."""
        months = 12 * (on.year - self.born.year) + on.month - self.born.month
        return months if on.day >= self.born.day else months - 1


def stories(regency: Regency) -> Iterator[Story]:
    """All that the agency's systems tell in the period."""
    chance = regency.chance
    served = chance.sample(regency.desa, regency.at_least(len(regency.desa), 25))
    children = [_child(regency, number, chance.choice(served)) for number in range(regency.at_least(_CHILDREN, 60))]
    living = Counter(child.desa for child in children)
    for month in regency.months:
        for desa in served:
            yield _target(regency, month, desa, living[desa] + chance.randint(0, 2))
        for child in children:
            if chance.random() < 0.85:
                yield from _weighing(regency, month, child)
    for day in regency.dates:
        for _ in range(regency.some(_VISITS_A_DAY if day.weekday() < 6 else _VISITS_A_DAY / 10)):
            yield _visit(regency, day)
    yield from _covid(regency)


def _names(regency: Regency) -> Mapping[str, str]:
    """Kecamatan by their codes, in capitals."""
    return {place.code: place.name.upper() for place in regency.kecamatan}


def _puskesmas(kecamatan: str, number: int) -> str:
    return f"{kecamatan} {'I' * (number % 2 + 1)}" if kecamatan in _TWO else kecamatan


def _child(regency: Regency, number: int, desa: Place) -> Child:
    """Between two months and four years and ten months old when the period begins."""
    chance, person = regency.chance, regency.person(700_000 + number)
    years, month = divmod(regency.begin.year * 12 + regency.begin.month - 1 - chance.randint(1, 57), 12)
    born = date(years, month + 1, chance.randint(1, 28))
    nik = f"{person.nik[:6]}{born.day + 40 * person.female:02d}{born:%m%y}{person.nik[12:]}"
    kecamatan = _names(regency)[desa.kecamatan]
    return Child(nik, person.female, born, desa, _puskesmas(kecamatan, int(desa.code[-1])), kecamatan)


def _target(regency: Regency, month: date, desa: Place, children: int) -> Story:
    chance, kecamatan = regency.chance, _names(regency)[desa.kecamatan]
    puskesmas, written = _puskesmas(kecamatan, int(desa.code[-1])), chance.choice((desa.name, desa.name.upper()))
    first = max(month, regency.begin)
    told_at = at(min(first + timedelta(days=chance.randint(0, 2)), regency.dates[-1]), 8)

    def telling(children: int, op: Op, *, later: int = 0, told: str = "") -> Telling:
        record = {"bulan": told or f"{month:%Y-%m}", "kec": kecamatan, "puskesmas": puskesmas, "desa": written, "sasaran": str(children)}
        data = {"children": children, "puskesmas": puskesmas, "kode_wilayah": desa.code}
        event = Event("dinkes.target.set.v1", f"{desa.code}/{month:%Y-%m}", at(month), data)
        return Telling("sasaran", told_at + timedelta(hours=later), record, (Fact(event, op),))

    return Story(
        (telling(children, Op.CREATE),),
        mended=telling(children + 3, Op.CORRECT, later=5),
        broken=telling(children, Op.CREATE, told=_MONTHS[month.month - 1].title()),
    )


def _weighing(regency: Regency, month: date, child: Child) -> Iterator[Story]:
    """The child's measurement of that month, if a day of weighing lies in the period; exported some days after."""
    chance, days = regency.chance, [day for day in regency.dates if day.replace(day=1) == month and day.day <= 20]
    day = chance.choice(days or [regency.begin])
    if not days or child.months(day) > 59:
        return
    told_at = at(min(day + timedelta(days=chance.randint(0, 4)), regency.dates[-1]), 16)
    age = _written_age(regency, child, day)
    form = chance.choice(("%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y"))
    prefix, sex = chance.choice(("", "PUSKESMAS ", "UPT Puskesmas ", "PKM ")), chance.choice((("L", "P"), ("Laki-laki", "Perempuan")))

    def telling(height: str | None, op: Op, *, later: int = 0, wrong: Mapping[str, str] | None = None) -> Telling:
        said, score = _height(regency, height)
        record = {
            "nik": child.nik, "jk": sex[child.female], "tgl_lahir": f"{child.born:{form}}", "kec": child.kecamatan.title(),
            "puskesmas": prefix + child.puskesmas, "desa": child.desa.name.upper(), "usia": age, "tanggal": f"{day:{form}}", "tbu": said,
            "zs_tbu": score, **(wrong or {}),
        }  # fmt: skip
        band = next(name for name, below in _BANDS.items() if child.months(day) < below)
        data = {"sex": "LP"[child.female], "age_months": band, "height_for_age": height, "puskesmas": child.puskesmas,
                "kode_wilayah": child.desa.code}  # fmt: skip
        event = Event("dinkes.child.measured.v1", f"{child.nik}/{month:%Y-%m}", at(day), data)
        return Telling("penimbangan", told_at + timedelta(hours=later), record, (Fact(event, op),))

    heights: Sequence[str | None] = [*_HEIGHTS, None]
    (height,) = chance.choices(heights, [*(weight for *_, weight in _HEIGHTS.values()), 5])
    old = child.born.replace(year=child.born.year - 6)
    wrong: Mapping[str, str] = chance.choice(
        ({"usia": "sepuluh bulan"}, {"zs_tbu": "7,20"}, {"desa": "KARTASURA"}, {"nik": child.nik[:15]}, {"tgl_lahir": f"{old:{form}}"})
    )
    yield Story(
        (telling(height, Op.CREATE),),
        mended=telling(chance.choice([each for each in heights if each != height]), Op.CORRECT, later=6),
        broken=telling(height, Op.CREATE, wrong=wrong),
    )


def _written_age(regency: Regency, child: Child, day: date) -> str:
    """As e-PPGBM writes it; the age that counts is that of the days."""
    years, months = divmod(child.months(day), 12)
    days = (day - child.born).days % 28
    return regency.chance.choice(
        (f"{years} Tahun - {months} Bulan - {days} Hari", f"{years} Tahun - {months} Bulan", f"{years * 12 + months} bulan")
    )


def _height(regency: Regency, category: str | None) -> tuple[str, str]:
    """Category and z-score as the export has them, with a decimal comma; of one in thirty the category is another."""
    chance = regency.chance
    if category is None:
        return chance.choice((("-", "-"), ("", "")))
    spellings, lowest, highest, _ = _HEIGHTS[category]
    said = "Normal" if chance.random() < 0.03 else chance.choice(spellings)
    return said, str(Decimal(chance.choice((lowest, highest, chance.randint(lowest, highest)))) / 100).replace(".", ",")


def _visit(regency: Regency, day: date) -> Story:
    """A visit from the door to its end, posted at each change."""
    chance, place = regency.chance, regency.some_kecamatan()
    (code,) = chance.choices(list(_CLASSES), [weight for _, weight in _CLASSES.values()])
    begun = regency.moment(day, *((7, 14) if code in ("AMB", "HH") else (0, 22)))
    number, identity = chance.randrange(regency.at_least(_PATIENTS, 150)), str(uuid.UUID(int=chance.getrandbits(128), version=4))
    puskesmas, utc = _puskesmas(place.name.upper(), chance.randrange(2)), chance.random() < 0.3
    provider = chance.choice(("UPT Puskesmas ", "Puskesmas ", "PKM ")) + puskesmas.title().replace("Ii", "II")

    def moment(when: datetime) -> str:
        return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if utc else when.isoformat()

    def telling(status: str, when: datetime, op: Op, *, kind: str = code, wrong: Mapping[str, object] | None = None) -> Telling:
        end = when if status == "finished" else None
        record = {
            "resourceType": "Encounter", "id": identity, "status": status, "class": {"code": kind},
            "subject": {"reference": f"Patient/P{number:011d}", "display": chance.choice(("CONTOH PASIEN", ""))},
            "period": {"start": moment(begun), "end": moment(end) if end else None}, "serviceProvider": {"display": provider}, **(wrong or {}),
        }  # fmt: skip
        data = {"patient": f"P{number:011d}", "puskesmas": puskesmas, "visit_class": _CLASSES[kind][0], "status": status, "ended_at": end,
                "kode_wilayah": place.code}  # fmt: skip
        event = Event("dinkes.visit.changed.v1", identity, begun, data)
        return Telling("kunjungan", when + timedelta(seconds=5), record, (Fact(event, op),))

    course = _course(regency, code, begun)
    status, last = course[-1]
    other = chance.choice([each for each in _CLASSES if each != code])
    wrong: Mapping[str, object] = chance.choice(
        ({"status": "selesai"}, {"class": {"code": "XYZ"}}, {"serviceProvider": {"display": "Puskesmas Kartasura"}}, {"id": identity[:-1]})
    )
    return Story(
        tuple(telling(each, when, Op.CORRECT if when > begun else Op.CREATE) for each, when in course),
        mended=telling(status, last, Op.CORRECT, kind=other),
        taken_back=telling("entered-in-error", last + timedelta(minutes=15), Op.CANCEL),
        broken=telling("arrived", begun, Op.CREATE, wrong=wrong),
    )


def _course(regency: Regency, code: str, begun: datetime) -> Sequence[tuple[str, datetime]]:
    """What becomes of a visit of that class and when, as far as it lies in the period."""
    chance, until = regency.chance, at(regency.end) - timedelta(minutes=30)
    states = ("triaged", "in-progress", "finished") if code == "EMER" else ("in-progress", "finished")
    course, when = [("arrived", begun)], begun
    for status in ("cancelled",) if chance.random() < 0.06 else states:
        when += timedelta(minutes=chance.randint(300, 4_000) if code == "IMP" and status == "finished" else chance.randint(3, 25))
        if when > until:
            break
        course.append((status, when))
    return course


def _covid(regency: Regency) -> Iterator[Story]:
    """Of each kelurahan and day how many there were until then; who lives elsewhere; and the line of the total, which means nothing."""
    chance, names = regency.chance, _names(regency)
    lines = [
        (desa.code.replace(".", ""), names[desa.kecamatan], desa.code) for desa in chance.sample(regency.desa, regency.at_least(267, 3))
    ]
    for code, district, region in (*lines, *((each, "", None) for each in _ELSEWHERE)):
        positive = accumulate([chance.randint(5, 400), *(chance.randint(0, 3) for _ in regency.dates[1:])])
        for day, count in zip(regency.dates, positive, strict=True):
            yield _covid_line(regency, day, code, district, region, count)
    for day in regency.dates:
        record = _covid_record(day, chance.choice(("TOTAL", "")), "", (1, 1, 0))
        yield Story((Telling("covid", at(day, 9), record),))


def _covid_record(day: date, code: str, district: str, counts: Sequence[int]) -> Mapping[str, object]:
    positive, recovered, dead = map(str, counts)
    return {"tanggal": f"{day.day} {_MONTHS[day.month - 1]} {day.year}", "kode": code, "kecamatan": district, "positif": positive,
            "sembuh": recovered, "meninggal": dead}  # fmt: skip


def _covid_line(regency: Regency, day: date, code: str, district: str, region: str | None, positive: int) -> Story:
    def telling(positive: int, op: Op, *, told: str = "", hour: int = 9) -> Telling:
        recovered, dead = positive * 9 // 10, positive // 30
        data = {"kode_wilayah": region, "district": district or code, "positive": positive, "recovered": recovered, "dead": dead}
        event = Event("dinkes.covid.counted.v1", f"{day}/{code}", at(day), data)
        return Telling("covid", at(day, hour), _covid_record(day, told or code, district, (positive, recovered, dead)), (Fact(event, op),))

    return Story(
        (telling(positive, Op.CREATE),),
        mended=telling(positive + 1, Op.CORRECT, hour=15),
        broken=telling(positive, Op.CREATE, told=regency.chance.choice((code[:-1], "LUAR NEGERI"))),
    )

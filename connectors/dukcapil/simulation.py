"""SIAK of a made-up regency: what happens to its people, the register, and the half-yearly count of children.

No totals of vital events are published for the regency: of 1,103,855 people (2023) thirteen a thousand are born in a year and nine die;
moves, and what civil registration keeps of marriages (those of Muslims are the KUA's), are guesses. The register is that of the first
100,000 people, whom MCD lists too: of each hundred the same ones are missing, elsewhere, dead or away, so that the two can be held
against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from bus.events.envelope import Event, Op
from bus.simulation.regency import Place, Regency, Rt, at
from bus.simulation.story import Fact, Story, Telling
from bus.simulation.systems.form import FileForm

#: How the agency's files look.
FILES: Mapping[str, FileForm] = {
    "dkb": FileForm("dkb-{at:%Y-%m-%d}.csv", {"semester": "Semester DKB", "no_kec": "No Kec", "kelompok_umur": "Kel. Umur",
                    "jenis_kelamin": "Jenis Kelamin", "jumlah": "Jumlah Penduduk"}, delimiter=";"),
}  # fmt: skip
_PEOPLE = 1_103_855
#: Kind -> how many a day, and how many days the report comes after it, on average.
_EVENTS = {
    "LAHIR": (_PEOPLE * 0.013 / 365, 14), "MATI": (_PEOPLE * 0.009 / 365, 20), "KAWIN": (0.8, 10), "CERAI": (0.1, 25),
}  # fmt: skip
#: Letters a day of families who come, leave, or stay within the regency; a letter has two persons on average.
_LETTERS = {"DATANG": 13, "PINDAH": 14, "ANTAR": 12}
#: Kind -> SIAK's source, and its names of the number, the day and the day of the report.
_COLUMNS = {
    "LAHIR": ("kelahiran", "bayi_no", "tgl_lahir", "plpr_tgl_lapor"), "MATI": ("kematian", "mati_no", "tgl_mati", "plpr_tgl_lapor"),
    "DATANG": ("datang", "datang_no", "tgl_datang", "created_date"), "PINDAH": ("pindah", "pindah_no", "tgl_pindah", "created_date"),
    "KAWIN": ("kawin", "kawin_no", "tgl_kawin", "kawin_tgl_lapor"), "CERAI": ("cerai", "cerai_no", "tgl_cerai", "cerai_tgl_lapor"),
}  # fmt: skip
_RESIDENTS = 100_000
#: Of each hundred people: whom SIAK does not have, whom it has in another desa, with the other sex or without RT, and who is dead or away.
_UNKNOWN, _ELSEWHERE, _OTHER_SEX, _WITHOUT_RT = range(4), (4, 5, 6, 9, 11, 26, 28), (7,), (13,)
_GONE = {
    **dict.fromkeys((8, 9, 18, 25, 26), "MENINGGAL"), **dict.fromkeys((10, 11, 20, 27, 28), "PINDAH"), 12: "GANDA",
}  # fmt: skip
_FLAGS = {"AKTIF": 0, "MENINGGAL": 1, "PINDAH": 2, "GANDA": 3}
#: Age group -> its share of the people.
_CHILDREN = {"5-6": 0.030, "7-12": 0.093, "13-15": 0.047}


def stories(regency: Regency) -> Iterator[Story]:
    """All that SIAK tells in the period. What happened in it and is reported after it is not told."""
    for row in (*_vital(regency), *_moves(regency)):
        if row.reported < regency.end:
            yield _registration(row)
    for number in range(regency.at_least(_RESIDENTS, 200)):
        if number % 100 not in _UNKNOWN:
            yield _resident(regency, number)
    yield from _children(regency)


@dataclass(frozen=True, slots=True)
class _Row:
    """Something that was registered."""

    kind: str
    number: str | int
    nik: str | None
    female: bool
    desa: Place
    happened: date
    registered: datetime
    classified: int = 0

    @property
    def reported(self) -> date:
        return self.registered.date()


def _vital(regency: Regency) -> Iterator[_Row]:
    chance = regency.chance
    for kind, (a_day, delay) in _EVENTS.items():
        for number in range(1, regency.at_least(a_day * regency.days, 20) + 1):
            happened, own = chance.choice(regency.dates), chance.randrange(_RESIDENTS)
            registered = _registered(regency, happened, delay)
            person, desa = regency.person(own), regency.home(own).desa
            nik: str | None = person.nik
            if kind == "LAHIR":  # most newborn have none yet
                day = happened.day + (40 if person.female else 0)
                nik = None if chance.random() < 0.7 else f"{person.nik[:6]}{day:02d}{happened:%m%y}{person.nik[12:]}"
            yield _Row(kind, int(f"{happened:%Y}{number:05d}"), nik, person.female, desa, happened, registered)


def _moves(regency: Regency) -> Iterator[_Row]:
    chance, letter = regency.chance, 0
    for what, a_day in _LETTERS.items():
        for _ in range(regency.at_least(a_day * regency.days, 10)):
            letter, happened, head = letter + 1, chance.choice(regency.dates), chance.randrange(0, _RESIDENTS, 4)
            registered, came = (_registered(regency, happened, 2) for _ in range(2))
            old, new = regency.home(head).desa, chance.choice((regency.home(head).desa, regency.some_desa()))
            within = 1 if new == old else 2 if new.kecamatan == old.kecamatan else 3
            code = within if what == "ANTAR" else chance.choice((4, 5))
            for place in range(1, chance.randint(1, 3) + 1):
                person = regency.person(head + place)
                row = _Row("PINDAH", f"SKPWNI/{happened:%Y}/{letter}/{place}", person.nik, person.female, old, happened, registered, code)
                if what != "DATANG":
                    yield row
                if what != "PINDAH":
                    yield replace(row, kind="DATANG", number=f"SKDWNI/{happened:%Y}/{letter}/{place}", desa=new, registered=came)


def _registered(regency: Regency, happened: date, delay: float) -> datetime:
    """When the office, which is closed on Saturday and Sunday, registers it."""
    day = happened + timedelta(days=int(regency.chance.expovariate(1 / delay)))
    return regency.moment(day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0), 8, 15)


def _registration(row: _Row) -> Story:
    source, number, happened, reported = _COLUMNS[row.kind]

    def telling(row: _Row, op: Op, *, later: timedelta = timedelta(), cancelled: bool = False, told: date | None = None) -> Telling:
        changed = row.registered + later
        record: dict[str, object] = {
            number: row.number, happened: told or row.happened, reported: row.registered if reported == "created_date" else row.reported,
            "no_kec": int(row.desa.code[6:8]), "no_kel": int(row.desa.code[9:]), "batal": int(cancelled), "diubah": changed,
        }  # fmt: skip
        if row.kind in ("KAWIN", "CERAI"):
            return Telling(source, changed, record, (Fact(_civil_status(row), op),))
        record |= {"nik": row.nik, "jenis_klmin": 2 if row.female else 1}
        if row.kind in ("DATANG", "PINDAH"):
            record |= {"klasifikasi": row.classified}
        return Telling(source, changed, record, tuple(Fact(event, op) for event in _change(row)))

    better = replace(row, happened=min(row.happened + timedelta(days=1), row.reported), female=not row.female)
    return Story(
        (telling(row, Op.CREATE),),
        mended=telling(better, Op.CORRECT, later=timedelta(hours=2)),
        taken_back=telling(row, Op.CANCEL, later=timedelta(hours=3), cancelled=True),
        broken=telling(row, Op.CREATE, told=row.reported + timedelta(days=1)),
    )


def _change(row: _Row) -> tuple[Event, Event]:
    """The change of the people, by the day and by the day of the report."""
    scope = {0: None, 4: "LUAR_KABUPATEN", 5: "LUAR_KABUPATEN"}.get(row.classified, "DALAM_KABUPATEN")
    data = {"kind": row.kind, "sex": "P" if row.female else "L", "scope": scope, "kode_wilayah": row.desa.code}
    subject, late = f"{row.kind}/{row.number}", (row.reported - row.happened).days
    return (
        Event("dukcapil.population_change.occurred.v1", subject, at(row.happened), {**data, "reported_date": row.reported}),
        Event("dukcapil.population_change.reported.v1", subject, at(row.reported), {**data, "days_late": late}),
    )


def _civil_status(row: _Row) -> Event:
    data = {"kind": row.kind, "kode_wilayah": row.desa.code, "days_late": (row.reported - row.happened).days}
    return Event("dukcapil.civil_status.registered.v1", f"{row.kind}/{row.number}", at(row.reported), data)


def _resident(regency: Regency, number: int) -> Story:
    """Somebody in the register. Who is dead or away in the end was a resident before."""
    person, card, of_hundred = regency.person(number), regency.card(number), number % 100
    home = regency.home(number + 50 if of_hundred in _ELSEWHERE else number)
    female = person.female != (of_hundred in _OTHER_SEX)

    def telling(when: datetime, home: Rt, status: str, op: Op, *, card: str = card) -> Telling:
        rw, rt = (0, 0) if of_hundred in _WITHOUT_RT else (home.rw, home.rt)
        record = {
            "nik": person.nik, "no_kk": card, "jenis_klmin": 2 if female else 1, "flag_status": _FLAGS[status],
            "no_kec": int(home.desa.code[6:8]), "no_kel": int(home.desa.code[9:]), "no_rw": rw, "no_rt": rt, "diubah": when,
        }  # fmt: skip
        data = {"household": card, "sex": "P" if female else "L", "status": status, "kode_wilayah": home.code if rt else home.desa.code}
        return Telling("biodata", when, record, (Fact(Event("dukcapil.person.registered.v1", person.nik, when, data), op),))

    first = regency.moment(regency.chance.choice(regency.dates[: max(1, len(regency.dates) - 1)]), 8, 15)
    status = _GONE.get(of_hundred, "AKTIF")
    steps = [telling(first, home, "AKTIF", Op.CREATE)]
    if status != "AKTIF":
        steps.append(telling(first + timedelta(hours=3), home, status, Op.CORRECT))
    other = (number + 104) % _RESIDENTS
    return Story(
        tuple(steps),
        mended=telling(first + timedelta(hours=5), regency.home(other), status, Op.CORRECT, card=regency.card(other)),
        broken=telling(first, home, "AKTIF", Op.CREATE, card=card[:12]),
    )


def _children(regency: Regency) -> Iterator[Story]:
    """The count of the half-year that ended last when the period began, told when it has been consolidated."""
    begin = date(regency.begin.year, 1 if regency.begin.month < 7 else 7, 1)
    semester = f"{begin.year - 1}-2" if begin.month == 1 else f"{begin.year}-1"
    told_at = at(regency.dates[len(regency.dates) // 4], 10)
    for place, people in zip(regency.kecamatan, regency.weights, strict=True):
        for group, share in _CHILDREN.items():
            for sex, spelled in (("L", "Laki-laki"), ("P", "PEREMPUAN")):
                children = round(people * share / 2) + regency.chance.randint(-20, 20)
                subject = f"{semester}/{place.code}/{group}/{sex}"
                data = {"semester": semester, "age_group": group, "sex": sex, "kode_wilayah": place.code}
                key = {"semester": semester, "no_kec": place.code[6:8].lstrip("0"), "kelompok_umur": group, "jenis_kelamin": spelled}
                yield _count(told_at, key, Event("dukcapil.school_age.counted.v1", subject, at(begin), data), children)


def _count(told_at: datetime, key: Mapping[str, str], event: Event, children: int) -> Story:
    def telling(number: int, op: Op, *, later: timedelta = timedelta(), told: str = "", gone: bool = False) -> Telling:
        fact = Fact(replace(event, data={**event.data, "children": number}), op)
        return Telling("dkb", told_at + later, {**key, "jumlah": told or str(number)}, (fact,), gone=gone)

    return Story(
        (telling(children, Op.CREATE),),
        mended=telling(children + 7, Op.CORRECT, later=timedelta(days=1)),
        taken_back=telling(children, Op.CANCEL, later=timedelta(days=2), gone=True),
        broken=telling(children, Op.CREATE, told="-"),
    )

"""The education agency's systems of a made-up regency: registrations and classes of Dapodik, and the attendance of schools.

Numbers of schools and pupils are not in the published material that is used here: 1,250 schools with 150,000 pupils are assumed, about the share
of children of these ages in a population of 1.1 million.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random

from bus.events.envelope import Event, Op
from bus.simulation.regency import Place, Regency, at
from bus.simulation.story import Fact, Story, Telling

_SCHOOLS, _PUPILS, _MOVES_A_DAY = 1_250, 150_000, 12
#: Level -> how many of ten schools, and the ages of its pupils.
_LEVELS = {"TK": (4, (4, 6)), "SD": (5, (6, 12)), "SMP": (1, (12, 16))}
#: Codes of Dapodik -> what they mean, and how often they are said.
_ADMISSIONS = {1: ("BARU", 3), 2: ("PINDAHAN", 10), 3: ("NAIK KELAS", 1), 5: ("MENGULANG", 1)}
_LEAVINGS = {1: ("LULUS", 1), 2: ("MUTASI", 10), 3: ("DIKELUARKAN", 1), 4: ("MENGUNDURKAN DIRI", 3), 5: ("PUTUS SEKOLAH", 3), 6: ("WAFAT", 1),
             7: ("HILANG", 1), 9: ("LAINNYA", 1)}  # fmt: skip
_NONE: Mapping[str, object] = {}
#: Where the numbers of one kind begin.
_REGISTRATIONS, _MEMBERS, _CLASSES, _MOVING, _STUDYING, _SECONDS = (each << 24 for each in range(1, 7))


@dataclass(frozen=True, slots=True)
class _School:
    """A school."""

    npsn: str
    level: str
    place: Place
    pupils: int

    @property
    def columns(self) -> Mapping[str, object]:
        """As Dapodik says it, with its own code of the kecamatan."""
        return {"npsn": self.npsn, "bentuk_pendidikan": self.level, "kode_wilayah": f"0309{self.place.code[-2:]}"}

    @property
    def facts(self) -> Mapping[str, object]:
        return {"school": self.npsn, "level": self.level, "kode_wilayah": self.place.code}


def stories(regency: Regency) -> Iterator[Story]:
    """All that the agency's systems tell in the period."""
    chance, schools = regency.chance, _schools(regency)
    for number in range(regency.at_least(_MOVES_A_DAY * regency.days, 80)):
        yield _registration(regency, chance.choice(schools), number)
    alike = {level: [school for school in schools if school.level == level] for level in _LEVELS}
    for number in range(regency.at_least(_PUPILS, 100)):
        school = chance.choice(schools)
        yield _member(regency, school, chance.choice(alike[school.level]), number)
    for day in regency.dates:
        if day.weekday() < 5:
            # some send nothing that day
            yield from (_attendance(regency, school, day) for school in schools if chance.random() < 0.97)


def _schools(regency: Regency) -> Sequence[_School]:
    """At least one of each level; a kindergarten's number begins with a letter."""
    levels = [level for level, (share, _) in _LEVELS.items() for _ in range(share)]
    regency.chance.shuffle(levels)
    found = []
    for number in range(regency.at_least(_SCHOOLS, 5)):
        level = list(_LEVELS)[number] if number < len(_LEVELS) else levels[number % len(levels)]
        npsn = f"{'P' if level == 'TK' else '2'}{330_0000 + number:07d}"
        found.append(_School(npsn, level, regency.some_kecamatan(), regency.chance.randint(20, 400)))
    return found


@dataclass(frozen=True, slots=True)
class _Registration:
    """A pupil who came to a school, and of some the leaving."""

    number: int
    school: _School
    sex: str
    kind: int
    came: date
    reason: int | None = None
    left: date | None = None

    def record(self, told_at: datetime, *, deleted: bool = False) -> Mapping[str, object]:
        """registrasi_peserta_didik."""
        return {
            "registrasi_id": _uuid(_REGISTRATIONS + self.number), "peserta_didik_id": _uuid(_MOVING + self.number),
            "nisn": f"000{self.number:07d}" if self.number % 5 else None, **self.school.columns, "jenis_kelamin": self.sex,
            "jenis_pendaftaran_id": self.kind if self.number % 3 else str(self.kind), "tanggal_masuk_sekolah": self.came.isoformat(),
            "jenis_keluar_id": self.reason, "tanggal_keluar": self.left, "soft_delete": int(deleted), "last_update": told_at,
        }  # fmt: skip

    def admitted(self, op: Op) -> Fact:
        data = {"sex": self.sex, **self.school.facts, "kind": _ADMISSIONS[self.kind][0]}
        return Fact(Event("disdikbud.pupil.admitted.v1", _uuid(_REGISTRATIONS + self.number), at(self.came), data), op)

    def gone(self, op: Op) -> Sequence[Fact]:
        """Nothing of one who is still there."""
        if self.reason is None or self.left is None:
            return ()
        data = {"sex": self.sex, **self.school.facts, "reason": _LEAVINGS[self.reason][0]}
        return (Fact(Event("disdikbud.pupil.left.v1", _uuid(_REGISTRATIONS + self.number), at(self.left), data), op),)


def _registration(regency: Regency, school: _School, number: int) -> Story:
    """Who comes within the period; the leaving changes the row, and what it says of the coming stays."""
    chance = regency.chance
    came = chance.choice(regency.dates)
    only = _Registration(number, school, chance.choice("LP"), _drawn(chance, _ADMISSIONS), came)
    here = regency.moment(came, 11, 16)
    steps, last = [Telling("registrasi", here, only.record(here), (only.admitted(Op.CREATE),))], only
    left = came + timedelta(days=chance.randint(1, 30))
    if chance.random() < 0.6 and left < regency.end:
        last = replace(only, reason=_drawn(chance, _LEAVINGS), left=left)
        away = regency.moment(left, 11, 16)
        steps.append(Telling("registrasi", away, last.record(away), tuple(last.gone(Op.CREATE))))
    mended_at, cancelled_at = (steps[-1].at + timedelta(hours=hours) for hours in (2, 5))
    other = replace(last, sex="L" if last.sex == "P" else "P", kind=_drawn(chance, _ADMISSIONS))
    mistakes: Sequence[tuple[str, object]] = (
        ("jenis_pendaftaran_id", 8), ("tanggal_keluar", came), ("nisn", "12"), ("tanggal_masuk_sekolah", "30/02/2026"),
    )  # fmt: skip
    return Story(
        tuple(steps),
        mended=Telling("registrasi", mended_at, other.record(mended_at), (other.admitted(Op.CORRECT), *other.gone(Op.CORRECT))),
        taken_back=Telling(
            "registrasi", cancelled_at, last.record(cancelled_at, deleted=True), (last.admitted(Op.CANCEL), *last.gone(Op.CANCEL))
        ),
        broken=Telling("registrasi", here, {**only.record(here), **dict([chance.choice(mistakes)])}),
    )


def _member(regency: Regency, school: _School, other: _School, number: int) -> Story:
    """Who is in a class of the semester, in truth perhaps at the other school; some are in two classes, which are one pupil."""
    chance, (begins, semester) = regency.chance, _semester(regency.begin)
    sex = chance.choice("LP")
    when = regency.moment(chance.choice(regency.dates[: regency.days // 3 + 1]), 8, 16)
    subject = f"{_uuid(_STUDYING + number)}/{semester}"
    age, other_age = (chance.randint(*_LEVELS[school.level][1]) for _ in range(2))
    born = {each: _born(chance, begins, each) for each in (age, other_age)}

    def telling(
        within: _School, age: int, later: timedelta, op: Op, *, second: bool = False, mistake: Mapping[str, object] = _NONE
    ) -> Telling:
        record = {
            "anggota_rombel_id": _uuid((_SECONDS if second else _MEMBERS) + number), "rombongan_belajar_id": _uuid(_CLASSES + number // 28),
            "peserta_didik_id": _uuid(_STUDYING + number), "semester_id": semester, **within.columns, "jenis_kelamin": sex,
            "tanggal_lahir": born[age], "soft_delete": int(op is Op.CANCEL), "last_update": when + later, **mistake,
        }  # fmt: skip
        event = Event("disdikbud.pupil.studying.v1", subject, at(begins), {"sex": sex, "age_group": _band(age), **within.facts})
        return Telling("rombel", when + later, record, (Fact(event, op),))

    first = telling(school, age, timedelta(), Op.CREATE)
    wrong = dict([chance.choice([("semester_id", "2025-2"), ("jenis_kelamin", "X"), ("npsn", "123"), ("tanggal_lahir", "31/02/2015")])])
    broken = telling(school, age, timedelta(), Op.CREATE, mistake=wrong)
    if chance.random() < 0.04:
        # which of two rows of a pupil is read first is not known, so that neither changes
        return Story((first, telling(school, age, timedelta(hours=1), Op.CREATE, second=True)), broken=broken)
    return Story(
        (first,),
        mended=telling(other, other_age, timedelta(hours=3), Op.CORRECT),
        taken_back=telling(school, age, timedelta(days=1), Op.CANCEL),
        broken=broken,
    )


def _semester(day: date) -> tuple[date, str]:
    """The first day of the semester of that day, and what Dapodik calls it: the school year, and which of its two."""
    return (date(day.year, 1, 1), f"{day.year - 1}2") if day.month <= 6 else (date(day.year, 7, 1), f"{day.year}1")


def _born(chance: Random, begins: date, age: int) -> str:
    """A birthday of somebody who became so old on that day or in the year before it, as one of two forms writes it."""
    born = date(begins.year - age, begins.month, 1) - timedelta(days=chance.randint(0, 364))
    return born.isoformat() if chance.random() < 0.7 else f"{born:%d/%m/%Y}"


def _band(age: int) -> str:
    return "0-4" if age < 5 else "5-6" if age < 7 else "7-12" if age < 13 else "13-15" if age < 16 else "16+"


def _attendance(regency: Regency, school: _School, day: date) -> Story:
    chance = regency.chance

    def telling(later: timedelta, op: Op, mistake: Mapping[str, object] = _NONE) -> Telling:
        excused, ill, unexcused = (chance.randint(0, most) for most in (4, 6, 5))
        present = school.pupils - excused - ill - unexcused
        record = {
            **school.columns, "tanggal": day, "siswa_aktif": school.pupils, "hadir": present, "izin": excused, "sakit": ill, "alpa": unexcused,
            **mistake,
        }  # fmt: skip
        data = {**school.facts, "pupils": school.pupils, "present": present, "excused": excused, "ill": ill, "unexcused": unexcused}
        event = Event("disdikbud.attendance.recorded.v1", f"{school.npsn}/{day}", at(day), data)
        return Telling("kehadiran", at(day, 11) + later, record, (Fact(event, op),))

    wrong = dict(
        [chance.choice([("siswa_aktif", school.pupils + 1), ("hadir", -1), ("bentuk_pendidikan", "SMA"), ("kode_wilayah", "030999")])]
    )
    sent = timedelta(seconds=chance.randrange(7_200))
    return Story(
        (telling(sent, Op.CREATE),), mended=telling(timedelta(hours=6), Op.CORRECT), broken=telling(timedelta(), Op.CREATE, mistake=wrong)
    )


def _uuid(number: int) -> str:
    return f"{number:08x}-3309-4000-8000-000000000000"


def _drawn(chance: Random, codes: Mapping[int, tuple[str, int]]) -> int:
    (found,) = chance.choices(list(codes), [often for _, often in codes.values()])
    return found

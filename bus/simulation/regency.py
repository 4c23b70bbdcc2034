"""The made-up regency that stories are about: its places by their published weights, its invented people, its days. Pure but for two tables.

Nobody here exists: a NIK has the province code 00 and a telephone number begins with 0800, which the bus refuses unless `BUS_SIMULATION`
is set; names are numbered.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from random import Random

from bus.clock import LOCAL_ZONE

#: So many RW a desa has, and RT an RW: 25 a desa are about the published 6,632 in all.
_RTS = 5
_FAMILY = 4


@dataclass(frozen=True, slots=True)
class Place:
    """A kecamatan, desa or kelurahan."""

    code: str
    name: str

    @property
    def kecamatan(self) -> str:
        """The code of the kecamatan that it is, or lies in."""
        return self.code[:8]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who does not exist."""

    nik: str
    name: str
    phone: str
    born: date
    female: bool


@dataclass(frozen=True, slots=True)
class Rt:
    """An RT of a desa."""

    desa: Place
    rw: int
    rt: int

    @property
    def code(self) -> str:
        """PP.KK.CC.DDDD.RW3.RT3."""
        return f"{self.desa.code}.{self.rw:03d}.{self.rt:03d}"


@dataclass(frozen=True)
class Regency:
    """What an agency's module makes its stories of: the period, the size, and chance, which is the agency's own.

    `scale` 1 is the whole regency by published totals; a module multiplies its numbers of things, never its values, by it (`some`).
    """

    begin: date
    days: int
    chance: Random
    scale: float = 1.0
    kecamatan: Sequence[Place] = ()
    desa: Sequence[Place] = ()
    weights: Sequence[int] = field(default=(), repr=False)

    @classmethod
    def of(cls, references: Path, begin: date, days: int, chance: Random, scale: float = 1.0) -> Regency:
        """With the places of the tables in that folder (`schemas/reference`)."""
        rows = _rows(references / "wilayah.csv")
        people = {row["kode"]: int(row["jiwa"]) for row in _rows(references / "penduduk_kecamatan.csv")}
        kecamatan = [Place(row["kode"], row["nama"]) for row in rows if row["tingkat"] == "kecamatan"]
        desa = [Place(row["kode"], row["nama"]) for row in rows if row["tingkat"] in ("desa", "kelurahan")]
        return cls(begin, days, chance, scale, kecamatan, desa, [people[each.code] for each in kecamatan])

    @cached_property
    def dates(self) -> Sequence[date]:
        """Every day of the period."""
        return [self.begin + timedelta(days=number) for number in range(self.days)]

    @property
    def months(self) -> Sequence[date]:
        """The first day of every month that has a day in the period."""
        return sorted({day.replace(day=1) for day in self.dates})

    @property
    def end(self) -> date:
        """The day after the last."""
        return self.begin + timedelta(days=self.days)

    def some(self, number: float) -> int:
        """So many at this scale: what is left of a whole one is decided by chance, so that small scales lose nothing on average."""
        whole, rest = divmod(number * self.scale, 1)
        return int(whole) + (self.chance.random() < rest)

    def at_least(self, number: float, least: int) -> int:
        """So many at this scale, but not fewer than `least`: of what there has to be whatever the size."""
        return max(least, round(number * self.scale))

    def some_kecamatan(self) -> Place:
        """One, more often where more people live."""
        (found,) = self.chance.choices(self.kecamatan, cum_weights=self._cumulated)
        return found

    def some_desa(self, kecamatan: Place | None = None) -> Place:
        """One of that kecamatan, or of any."""
        within = kecamatan or self.some_kecamatan()
        return self.chance.choice(self._within[within.code])

    def moment(self, day: date, begin: int = 7, end: int = 15) -> datetime:
        """Some second of that day, from the hour `begin` (inclusive) until `end` (exclusive)."""
        return at(day) + timedelta(hours=begin, seconds=self.chance.randrange((end - begin) * 3600))

    def person(self, number: int) -> Person:
        """The same for the same number, whatever the seed; different numbers are different people (below a million)."""
        own = Random(number)  # noqa: S311 - nobody's secret
        born, female = date(1945, 1, 1) + timedelta(days=own.randrange(29_000)), own.random() < 0.5
        district, serial = divmod(number, 9_999)
        day = born.day + (40 if female else 0)
        nik = f"00{district:04d}{day:02d}{born:%m%y}{serial + 1:04d}"
        return Person(nik, f"CONTOH {number}", f"0800{number:07d}", born, female)

    def home(self, number: int) -> Rt:
        """Where that person lives, with three others: the same whatever the seed, so that two agencies can say it of one."""
        own = Random(f"family {number // _FAMILY}")  # noqa: S311
        (kecamatan,) = own.choices(self.kecamatan, cum_weights=self._cumulated)
        desa = own.choice(self._within[kecamatan.code])
        return Rt(desa, own.randint(1, _RTS), own.randint(1, _RTS))

    def card(self, number: int) -> str:
        """The number of the card (No. KK) of that person's family."""
        head = self.person(number // _FAMILY * _FAMILY)
        return f"{head.nik[:6]}{head.born:%d%m%y}{head.nik[12:]}"

    @property
    def rts(self) -> Sequence[Rt]:
        """Every RT, those of one desa far from each other."""
        numbers = range(1, _RTS + 1)
        return [Rt(desa, rw, rt) for rw in numbers for rt in numbers for desa in self.desa]

    @cached_property
    def _within(self) -> Mapping[str, Sequence[Place]]:
        """Code of a kecamatan -> its desa."""
        return {place.code: [each for each in self.desa if each.kecamatan == place.code] for place in self.kecamatan}

    @cached_property
    def _cumulated(self) -> Sequence[int]:
        return list(accumulate(self.weights))


def at(day: date, hour: int = 0, minute: int = 0) -> datetime:
    """That time of the day in Asia/Jakarta."""
    return datetime.combine(day, time(hour, minute), LOCAL_ZONE)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))

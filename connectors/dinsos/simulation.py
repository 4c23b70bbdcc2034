"""The social agency's application of a made-up regency: families are granted aid when a stage begins, paid in it, and leave at last.

How many families a programme has in Boyolali is not known: these are the national numbers (PKH 10 million, Sembako 18.8 million families,
PBI-JK 96.8 million people) by the regency's share of the country's people. Of PBI-JK nothing is paid to a family.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

from bus.events.envelope import Event, Op
from bus.simulation.regency import Person, Place, Regency, at
from bus.simulation.story import Fact, Story, Telling

_LOOKUPS = tomllib.loads(Path(__file__).with_name("lookups.toml").read_text(encoding="utf-8"))
_FAMILIES = {"PKH": 39_000, "SEMBAKO": 73_000, "PBI-JK": 114_000}
#: What a stage pays to a family, by the programme.
_RUPIAH = {"PKH": (225_000, 375_000, 500_000, 600_000, 750_000), "SEMBAKO": (200_000, 400_000, 600_000)}
_FIRST = 600_000


@dataclass(frozen=True, slots=True)
class Family:
    """Who receives aid. `decile` is None where DTSEN does not know the family."""

    card: str
    head: Person
    desa: Place
    decile: int | None


@dataclass(frozen=True, slots=True)
class Aid:
    """A programme and stage of one family."""

    family: Family
    program: str
    stage: str


def stories(regency: Regency) -> Iterator[Story]:
    """All that the agency's application tells in the period."""
    # a small regency has few villages, rather than many with one family each
    desa = [regency.some_desa() for _ in range(regency.at_least(4_000, 8))]
    families = [_family(regency, number, regency.chance.choice(desa)) for number in range(regency.at_least(max(_FAMILIES.values()), 20))]
    numbers = count(1)
    for stage, days in _stages(regency).items():
        for program in _LOOKUPS["programs"]:
            # the poorest have several programmes
            for family in families[: regency.at_least(_FAMILIES[program], 10)]:
                yield from _life(regency, Aid(family, program, stage), days, numbers)


def _stages(regency: Regency) -> Mapping[str, list[date]]:
    """Quarters of the year -> their days in the period."""
    found: dict[str, list[date]] = {}
    for day in regency.dates:
        found.setdefault(f"{day.year}-{(day.month + 2) // 3}", []).append(day)
    return found


def _family(regency: Regency, number: int, desa: Place) -> Family:
    district, serial = divmod(_FIRST + number, 9_999)
    card = f"00{district:04d}{1 + number % 28:02d}{1 + number % 12:02d}{10 + number % 15:02d}{serial + 1:04d}"
    decile = regency.chance.choices((1, 2, 3, 4, 5, 6, 8, None), (20, 20, 20, 15, 10, 6, 3, 6))[0]
    return Family(card, regency.person(_FIRST + number), desa, decile)


def _life(regency: Regency, aid: Aid, days: list[date], numbers: Iterator[int]) -> Iterator[Story]:
    chance = regency.chance
    last = len(days) - 1
    granted = chance.randrange(min(8, len(days)))
    yield _happened(regency, aid, "PENETAPAN", days[granted], f"T{next(numbers)}")
    if aid.program in _RUPIAH:
        paid = min(last, granted + chance.randint(1, 20))
        if chance.random() < 0.12:
            yield _happened(regency, aid, "GAGAL SALUR", days[paid], f"T{next(numbers)}")
            paid = min(last, paid + 5) if chance.random() < 0.5 else last + 1
        if paid <= last and chance.random() < 0.9:
            yield _happened(regency, aid, "SALUR", days[paid], f"T{next(numbers)}")
    if chance.random() < 0.04:
        yield _happened(regency, aid, "GRADUASI", days[min(last, granted + 25)], f"T{next(numbers)}")


def _happened(regency: Regency, aid: Aid, kind: str, day: date, transaction: str) -> Story:
    """One row of the application, which may be mended and taken back."""
    chance = regency.chance
    reasons = {"GAGAL SALUR": ("", "01", "02", "03", "04"), "GRADUASI": ("03", "04", "05", "06")}.get(kind, ("",))
    reason, other = chance.choice(reasons), chance.choice(reasons)
    rupiah = chance.choice(_RUPIAH.get(aid.program, (0,)))
    decile = aid.family.decile
    told_at = regency.moment(day, 8, 16)

    def telling(*, decile: int | None = decile, rupiah: int = rupiah, reason: str = reason, op: Op = Op.CREATE, later: int = 0,
                card: str = aid.family.card) -> Telling:  # fmt: skip
        changed = told_at + timedelta(hours=later)
        record = {
            "id_transaksi": transaction, "jenis": kind, "program": aid.program, "tahap": aid.stage, "no_kk": card,
            "nama_penerima": aid.family.head.name, "no_rekening": f"0000{transaction[1:]}", "no_hp": aid.family.head.phone, "desil": decile,
            "kode_desa": _spelt(aid.family.desa.code, transaction), "tanggal": day,
            "nominal": Decimal(rupiah).quantize(Decimal("0.01")) if "SALUR" in kind else None,
            "alasan": reason, "batal": int(op is Op.CANCEL), "diubah": changed,
        }  # fmt: skip
        return Telling("bantuan", changed, record, (Fact(_event(aid, kind, at(day), transaction, decile, rupiah, reason), op),))

    return Story(
        (telling(),),
        mended=telling(decile=1 if decile is None or decile > 4 else 9, rupiah=rupiah + 50_000, reason=other, op=Op.CORRECT, later=6),
        taken_back=telling(op=Op.CANCEL, later=30),
        broken=telling(card=aid.family.card[:11]),
    )


def _spelt(code: str, transaction: str) -> str:
    """The desa as the clerk of the row writes it: with dots or without."""
    return code.replace(".", "") if int(transaction[1:]) % 3 == 0 else code


def _event(aid: Aid, kind: str, when: datetime, transaction: str, decile: int | None, rupiah: int, reason: str) -> Event:
    card = aid.family.card
    subject = f"{aid.program}/{aid.stage}/{card}"
    data: dict[str, object] = {"program": aid.program, "stage": aid.stage, "kode_wilayah": aid.family.desa.code}
    match kind:
        case "PENETAPAN":
            meant_for = {"PKH": range(1, 5), "SEMBAKO": range(1, 6), "PBI-JK": range(1, 6)}[aid.program]
            data["target"] = "TIDAK DIKETAHUI" if decile is None else "SASARAN" if decile in meant_for else "DI LUAR SASARAN"
        case "SALUR":
            data |= {"family": card, "amount": Decimal(rupiah)}
        case "GAGAL SALUR":
            data |= {"family": card, "reason": _LOOKUPS["reasons"][reason]}
        case _:
            data["reason"] = _LOOKUPS["reasons"][reason]
    paying = "SALUR" in kind
    return Event(_LOOKUPS["kinds"][kind], f"{subject}/{transaction}" if paying else subject, when, data)

"""The revenue agency's SISMIOP of a made-up regency: land and building tax is assessed first and paid by and by, some late.

How many tax objects Boyolali has was not found: one for three inhabitants, or each family, is assumed. The assessments of the year are
printed in the first days of the period, whenever it begins. Numbers of objects have the province 00, which does not exist.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from bus.events.envelope import Event, Op
from bus.simulation.regency import Regency, at
from bus.simulation.story import Fact, Story, Telling

_OBJECTS = 370_000
#: Of a hundred objects, those whose tax is paid in the month after it was assessed, and those of which something older is paid.
_PAID, _ARREARS = 0.06, 0.02
#: Nearly all are printed in one go.
_PRINTED = (92, 8)


@dataclass(frozen=True, slots=True)
class Land:
    """A tax object by SISMIOP's numbers, and where it lies by Kemendagri's."""

    nop: str
    kecamatan: str
    kelurahan: str
    desa: str


def stories(regency: Regency) -> Iterator[Story]:
    """All that the agency's views tell in the period."""
    chance = regency.chance
    year = regency.begin.year
    places = _places()
    # a small regency has few villages, rather than many with one object each
    places = chance.sample(places, min(len(places), regency.at_least(len(places) * 5, 3)))
    for number in range(regency.at_least(_OBJECTS, 30)):
        land = _land(number, *chance.choice(places))
        tax = Decimal(chance.randrange(10_000, 900_000, 500)) + chance.choice((Decimal(0), Decimal("0.50")))
        (printed,) = chance.choices(regency.dates[: len(_PRINTED)], _PRINTED[: regency.days])
        later = [day for day in regency.dates if day > printed]
        paid = sorted(chance.sample(later, 2)) if len(later) > 1 and chance.random() < _PAID else []
        yield _assessment(regency, land, year, tax, printed, paid[-1] if paid else None)
        # some pay in two parts, and one who pays in the next year pays arrears
        parts = (tax,) if chance.random() < 0.8 else (tax // 2, tax - tax // 2)
        for part, (amount, day) in enumerate(zip(parts, paid, strict=False), 1):
            yield _payment(regency, land, year, part, amount, day)
        if chance.random() < _ARREARS:
            yield _payment(regency, land, year - chance.randint(1, 4), 1, tax, chance.choice(regency.dates))


def _places() -> list[tuple[str, str]]:
    """(SISMIOP's kecamatan/kelurahan, Kemendagri's code of the desa)."""
    with Path(__file__).with_name("kode_pbb.csv").open(encoding="utf-8", newline="") as lines:
        return [(row["kode_asal"], row["kode"]) for row in csv.DictReader(lines) if not row["berlaku_dari"] and not row["berlaku_sampai"]]


def _land(number: int, place: str, desa: str) -> Land:
    kecamatan, kelurahan = place.split("/")
    block, serial = divmod(number, 9_999)
    return Land(f"0009{kecamatan}{kelurahan}{block + 1:03d}{serial + 1:04d}0", kecamatan, kelurahan, desa)


def _assessment(regency: Regency, land: Land, year: int, tax: Decimal, printed: date, settled: date | None) -> Story:
    """SPPT: printed, and marked as paid when all of it is; an objection may lower it, and one that was printed twice is cancelled."""
    printed_at = regency.moment(printed, 8, 15)

    def telling(when: datetime, *, tax: Decimal = tax, status: str = "0", op: Op | None = Op.CREATE, due: date | None = None) -> Telling:
        record = {
            "nop": land.nop, "kd_kecamatan": land.kecamatan, "kd_kelurahan": land.kelurahan, "thn_pajak_sppt": f"{year}",
            "pbb_yg_harus_dibayar_sppt": tax, "tgl_terbit_sppt": printed, "tgl_jatuh_tempo_sppt": due or printed + timedelta(days=240),
            "status_pembayaran_sppt": status, "diubah": when,
        }  # fmt: skip
        data = {"assessment_year": f"{year}", "assessed_amount": tax, "kode_wilayah": land.desa}
        event = Event("bapenda.sppt.issued.v1", f"{land.nop}/{year}", at(printed), data)
        return Telling("sppt", when, record, () if op is None else (Fact(event, op),))

    # that it is paid changes the row, but nothing of what was assessed
    marked = () if settled is None else (telling(at(settled, 17), status="1", op=None),)
    lowered = (tax * Decimal("0.75")).quantize(Decimal("0.01"))
    return Story(
        (telling(printed_at), *marked),
        mended=telling(printed_at + timedelta(days=1), tax=lowered, status="1" if settled else "0", op=Op.CORRECT),
        taken_back=telling(printed_at + timedelta(days=2), status="2", op=Op.CANCEL),
        broken=telling(printed_at, due=printed - timedelta(days=1), op=None),
    )


def _payment(regency: Regency, land: Land, year: int, part: int, principal: Decimal, day: date) -> Story:
    """A payment of the tax of a year; after it, each month costs two in a hundred, at most 24 months."""
    months = min(24, 12 * (day.year - year))
    penalty = (principal * 2 * months / 100).quantize(Decimal("0.01"))
    paid_at = regency.moment(day, 8, 16)

    def telling(principal: Decimal, op: Op, *, later: int = 0, paid: Decimal | None = None, penalty: Decimal = penalty) -> Telling:
        changed = paid_at + timedelta(hours=later)
        record = {
            "nop": land.nop, "kd_kecamatan": land.kecamatan, "kd_kelurahan": land.kelurahan, "thn_pajak_sppt": f"{year}",
            "pembayaran_sppt_ke": part, "tgl_pembayaran_sppt": day, "jml_sppt_yg_dibayar": principal + penalty if paid is None else paid,
            "denda_sppt": penalty, "batal": int(op is Op.CANCEL), "diubah": changed,
        }  # fmt: skip
        data = {
            "assessment_year": f"{year}", "principal_amount": principal, "penalty_amount": penalty, "arrears": months > 0,
            "kode_wilayah": land.desa,
        }  # fmt: skip
        event = Event("bapenda.sppt.paid.v1", f"{land.nop}/{year}/{part}", at(day), data)
        return Telling("pembayaran", changed, record, (Fact(event, op),))

    return Story(
        (telling(principal, Op.CREATE),),
        mended=telling(principal + 1_000, Op.CORRECT, later=4),
        taken_back=telling(principal, Op.CANCEL, later=26),
        broken=telling(principal, Op.CREATE, paid=Decimal(1_000), penalty=Decimal(2_500)),
    )

"""The trade agency's price exports of a made-up regency: daily the seventeen commodities of SP2KP, on each market and as an average.

Names and numbers of commodities are those of the exports seen, where one was seen; the prices are invented around what they cost in 2025.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from bus.events.envelope import Event, Op
from bus.simulation.regency import Regency, at
from bus.simulation.story import Fact, Story, Telling
from bus.simulation.systems.form import FileForm

#: How the agency's files look. Of the average the market is blank.
FILES: Mapping[str, FileForm] = {
    "harga": FileForm("harga-pangan-{at:%Y-%m-%d}.csv", {"tanggal": "Tanggal", "pasar": "Nama Pasar", "id": "ID Komoditas",
                      "komoditas": "Nama Komoditas", "satuan": "Satuan", "harga": "Harga Hari Ini", "harga_kemarin": "Harga Kemarin",
                      "tanggal_kemarin": "Tanggal Kemarin", "gap": "Gap", "gap_persen": "Gap Persen", "gap_perubahan": "Gap Perubahan"},
                      delimiter=";"),
}  # fmt: skip
_LOOKUPS = tomllib.loads(Path(__file__).with_name("lookups.toml").read_text(encoding="utf-8"))
_AVERAGE = ""
_SPELLINGS = {"Rp/kg": ("Rp./Kg", "Rp/Kg", "Rp/kg"), "Rp/liter": ("Rp./Liter", "Rp/Liter")}


@dataclass(frozen=True, slots=True)
class Commodity:
    """What is sold, and what it costs on a usual day."""

    number: int
    name: str
    rupiah: int
    unit: str = "Rp/kg"


#: Those with a threshold first, so that a small world has alerts.
_COMMODITIES = (
    Commodity(27, "Beras Premium", 14_800), Commodity(127, "Minyakita", 15_600, "Rp/liter"), Commodity(33, "Cabai Rawit Merah", 58_000),
    Commodity(28, "Beras Medium", 12_400), Commodity(109, "Beras SPHP", 12_300), Commodity(102, "Jagung Tk Peternak", 5_900),
    Commodity(32, "Cabai Merah Keriting", 41_000), Commodity(34, "Daging Sapi Murni", 130_000),
    Commodity(38, "Minyak Goreng Kemasan", 18_900, "Rp/liter"), Commodity(107, "Ikan Bandeng", 34_000),
    Commodity(901, "Kedelai Impor", 11_500), Commodity(902, "Bawang Merah", 36_000), Commodity(903, "Bawang Putih Honan", 38_500),
    Commodity(904, "Daging Ayam Ras", 35_000), Commodity(905, "Telur Ayam Ras", 28_000), Commodity(906, "Gula Pasir Curah", 17_500),
    Commodity(907, "Tepung Terigu", 10_200),
)  # fmt: skip


def stories(regency: Regency) -> Iterator[Story]:
    """All that the agency's exports tell in the period."""
    markets = [market for market in _LOOKUPS["markets"] if market != _AVERAGE]
    for market in (_AVERAGE, *markets[: regency.at_least(len(markets), 2)]):
        for commodity in _COMMODITIES[: regency.at_least(len(_COMMODITIES), 3)]:
            before = commodity.rupiah
            for day in regency.dates:
                # now and then nobody asked, or the service was out: the export says 0
                price = 0 if regency.chance.random() < 0.04 else _next(regency, before or commodity.rupiah)
                yield _price(regency, day, market, commodity, price, before)
                before = price


def _next(regency: Regency, before: int) -> int:
    return before + round(before * regency.chance.choice((-0.03, -0.01, 0, 0, 0, 0.01, 0.03)) / 50) * 50


def _price(regency: Regency, day: date, market: str, commodity: Commodity, price: int, before: int) -> Story:
    chance = regency.chance
    place = _LOOKUPS["markets"][market]
    alert = _LOOKUPS["alerts"].get(str(commodity.number))
    exported_at = at(day, 14)
    iso = bool(market) and chance.random() < 0.8

    def telling(price: int, op: Op, *, iso: bool, told: str = "") -> Telling:
        yesterday, gap = day - timedelta(days=1), price - before
        percent = f"{round(Decimal(100 * gap) / before, 2) if before else 0}"
        record = {
            "tanggal": f"{day}" if iso else f"{day.month}/{day.day}/{day.year}", "pasar": market.title() if iso else market,
            "id": f"{commodity.number}", "komoditas": commodity.name, "satuan": chance.choice(_SPELLINGS[commodity.unit]),
            "harga": told or f"{price}", "harga_kemarin": f"{before}",
            "tanggal_kemarin": f"{yesterday.day}{'-' if iso else '/'}{yesterday.month}{'-' if iso else '/'}{yesterday.year}",
            "gap": f"{gap}", "gap_persen": percent.replace(".", ",") if market else percent,
            "gap_perubahan": "up" if gap > 0 else "down" if gap < 0 else "no_change",
        }  # fmt: skip
        data = {
            "market": place["name"], "commodity_id": commodity.number, "commodity": commodity.name, "unit": commodity.unit,
            "price": Decimal(price) if price else None, "alert_price": None if alert is None else Decimal(alert),
            "kode_wilayah": place["kode_wilayah"],
        }  # fmt: skip
        subject = f"{day}/{place['name']}/{commodity.number}"
        return Telling("harga", exported_at, record, (Fact(Event("disdagperin.price.recorded.v1", subject, at(day), data), op),))

    better = price + 150 if price else commodity.rupiah
    return Story(
        (telling(price, Op.CREATE, iso=iso),),
        # another export may spell the day and the market otherwise
        mended=telling(better, Op.CORRECT, iso=not iso).later(timedelta(hours=5)),
        broken=telling(price, Op.CREATE, iso=iso, told=f"{price:,}".replace(",", ".") + ",00"),
    )

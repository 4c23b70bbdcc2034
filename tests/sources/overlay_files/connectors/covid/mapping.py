"""COVID-19 per kelurahan of Jakarta: workbooks whose columns change, with one name up to five times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from bus.events.envelope import Event

_MONTHS = ["januari", "februari", "maret", "april", "mei", "juni", "juli", "agustus", "september", "oktober", "november", "desember"]


def _is_total(record: Mapping[str, str]) -> bool:
    places = [record[name] for name in ("kode", "kota", "kecamatan", "kelurahan")]
    return "TOTAL" in places or not any(places)


def _time(text: str) -> datetime:
    day, month, year = text.split()
    return datetime(int(year), _MONTHS.index(month.lower()) + 1, int(day), tzinfo=UTC)


def key_of(record: Mapping[str, str]) -> Sequence[str]:
    return (record["tanggal"], "TOTAL" if _is_total(record) else record["kode"])


def to_events(record: Mapping[str, str]) -> Iterator[Event]:
    at = _time(record["tanggal"])
    if _is_total(record):
        data = dict.fromkeys(("city", "district", "positive", "recovered", "dead"))
        yield Event("covid.cases.recorded.v1", f"{at:%Y-%m-%d}/TOTAL", at, {**data, "total": record["positif"]})
        return
    known = record["kode"].isdigit()
    data = {
        "city": record["kota"] if known else "(bukan kelurahan)", "district": record["kecamatan"] if known else record["kode"],
        "positive": record["positif"], "recovered": record["sembuh"], "dead": record["meninggal"], "total": None,
    }  # fmt: skip
    yield Event("covid.cases.recorded.v1", f"{at:%Y-%m-%d}/{record['kode']}", at, data)

"""The complaints of a made-up regency in SP4N-LAPOR!: each step of a report with category, agency and place as they were then.

How many there are is not published: 15 reports a day are assumed. By the rules a report is verified within 3 working days and answered within
5; here some take longer, and some stay open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bus.events.envelope import Event, Op
from bus.simulation.regency import Person, Place, Regency, at
from bus.simulation.story import Fact, Story, Telling

_REPORTS_A_DAY = 15
_REPORTERS = 650_000
_AGENCIES = ("DISDUKCAPIL", "DINKES", "DISDIKBUD", "DPUPR", "DINSOS", "DLH", "DPMPTSP", "DISKOMINFO", "BAPENDA", "BPBD")
_CATEGORIES = ("INFRASTRUKTUR", "KESEHATAN", "PENDIDIKAN", "KEPENDUDUKAN", "SOSIAL", "LINGKUNGAN", "PERIZINAN", "LAINNYA")
#: What the interface calls a kind or a status, in one of its spellings -> what the bus calls it.
_KINDS = {"Pengaduan": "PENGADUAN", "Aspirasi": "ASPIRASI", "Permintaan Informasi": "INFORMASI"}
_STATUS = {"Masuk": "MASUK", "Verifikasi": "VERIFIKASI", "Disposisi": "DISPOSISI", "Tindak Lanjut": "TINDAK_LANJUT", "Selesai": "SELESAI"}
#: A step follows the one before after so many hours, at least and at most: some of them within what the rules allow, some not.
_HOURS = {"Verifikasi": (1, 140), "Disposisi": (0.1, 30), "Tindak Lanjut": (4, 260), "Selesai": (2, 120)}
_GIVEN = ("Disposisi", "Tindak Lanjut", "Selesai")


@dataclass(frozen=True, slots=True)
class _Report:
    """A report; `place` is None where it names none."""

    number: str
    kind: str
    category: str
    agency: str
    place: Place | None
    received: datetime
    who: Person | None
    shouting: bool


def stories(regency: Regency) -> Iterator[Story]:
    """All reports that come in the period; what comes after it is not told."""
    chance = regency.chance
    for number in range(1, regency.at_least(_REPORTS_A_DAY * regency.days, 60) + 1):
        report = _Report(
            number=f"{9_000_000 + number}",
            kind=chance.choices(list(_KINDS), [8, 1, 2])[0],
            category=chance.choice(_CATEGORIES),
            agency=chance.choice(_AGENCIES),
            place=None if chance.random() < 0.1 else regency.some_kecamatan(),
            received=regency.moment(chance.choice(regency.dates), 6, 22),
            who=None if chance.random() < 0.2 else regency.person(_REPORTERS + number),
            shouting=chance.random() < 0.3,
        )
        yield _life(regency, report)


def _life(regency: Regency, report: _Report) -> Story:
    chance = regency.chance
    history = _history(regency, report)
    steps = [_told(report, status, when) for status, when in history]
    # the last step is said otherwise within the hour: what is older than a day is not asked for again
    other = replace(report, category=chance.choice(_CATEGORIES), agency=chance.choice(_AGENCIES), place=regency.some_kecamatan())
    field, said = chance.choice([("kategori", "Jalan"), ("jenis", "Curhat"), ("kode_kecamatan", "331001"), ("opd", "DINAS LAIN")])
    return Story(
        tuple(steps),
        mended=_told(other, *history[-1], Op.CORRECT).later(timedelta(minutes=50)),
        broken=replace(steps[0], record={**steps[0].record, field: said}, facts=()),
        punctual=True,
    )


def _history(regency: Regency, report: _Report) -> Sequence[tuple[str, datetime]]:
    """The statuses that it enters within the period, and when. Who answers quickly may leave steps out; one in six stays open somewhere."""
    chance, now = regency.chance, report.received
    steps = ["Masuk", "Verifikasi", "Disposisi", "Tindak Lanjut", "Selesai"]
    if chance.random() < 0.25:
        steps.remove(chance.choice(["Verifikasi", "Tindak Lanjut"]))
    if chance.random() < 0.17:
        steps = steps[: chance.randint(1, len(steps) - 1)]
    found = [("Masuk", now)]
    for status in steps[1:]:
        now += timedelta(seconds=round(3_600 * chance.uniform(*_HOURS[status])))
        if now >= at(regency.end) - timedelta(hours=2):
            break
        found.append((status, now))
    return found


def _told(report: _Report, status: str, when: datetime, op: Op = Op.CREATE) -> Telling:
    agency, place, who = report.agency if status in _GIVEN else None, report.place, report.who
    record = {
        "nomor_laporan": report.number, "jenis": _spelt(report, report.kind), "kategori": _spelt(report, report.category.title()),
        "opd": agency, "kode_kecamatan": None if place is None else place.code.replace(".", ""),
        "tanggal_masuk": report.received, "status": _spelt(report, status), "waktu": when, "judul": "contoh judul", "isi": "contoh isi",
        "pelapor": None if who is None else {"nama": who.name, "telepon": who.phone, "email": "contoh@example.go.id"},
    }  # fmt: skip
    data = {
        "kind": _KINDS[report.kind], "category": report.category, "agency": agency or "ADMIN", "status": _STATUS[status],
        "received_at": report.received, "kode_wilayah": "33.09" if place is None else place.code,
    }  # fmt: skip
    fact = Fact(Event("diskominfo.complaint.moved.v1", report.number, when, data), op)
    return Telling("laporan", when + timedelta(minutes=1), record, (fact,))


def _spelt(report: _Report, word: str) -> str:
    """As the interface writes it that day."""
    return word.upper() if report.shouting else word

"""The PPID of a made-up regency: what people write about datasets with the answers, and requests for information through their steps.

How many there are is not published: 20 feedbacks a week and 25 requests a month are assumed. Most are answered in time, some late, some not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from bus.events.envelope import Event, Op
from bus.simulation.regency import Person, Regency, at
from bus.simulation.story import Fact, Story, Telling

_FEEDBACKS_A_DAY, _REQUESTS_A_DAY = 20 / 7, 25 / 30
_APPLICANTS = 700_000
_SIGNS = "BCDFGHJKLMNPQRSTVWXZ"
_ABOUT = (
    "dlh.pm10_max",
    "mpp.wait_median_day",
    "disdagperin.price_mean_day",
    "rsud.bor_day",
    "diskominfo.open_now",
    "dpupr.road_steady_survey",
)
_WRITTEN = {
    "KESALAHAN": "Contoh: nilai bulan lalu tampak tidak wajar dibanding bulan sebelumnya.",
    "SARAN": "Contoh: tambahkan rincian per kecamatan pada tabel ini.",
    "PERTANYAAN": "Contoh: apakah angka ini sudah memuat data akhir pekan?",
}
_ANSWERS = {
    "DIPERBAIKI": "Contoh jawaban: datanya sudah diperbaiki.", "DIJELASKAN": "Contoh jawaban: angka ini memang demikian.",
    "TIDAK_DITERIMA": "Contoh jawaban: usul ini belum dapat dipenuhi.",
}  # fmt: skip
_AGENCIES = ("BAPENDA", "BPKAD", "DINKES", "DISDIKBUD", "DISKOMINFO", "DPUPR", "SETDA")
_CATEGORIES = ("ANGGARAN", "ASET", "KEPEGAWAIAN", "PENGADAAN", "PERIZINAN", "PROGRAM", "STATISTIK", "LAINNYA")
#: What the register calls a channel, in one of its spellings -> what the bus calls it.
_CHANNELS = {"Langsung": "LANGSUNG", "Surat": "SURAT", "Surel": "SUREL", "EMAIL": "SUREL", "Situs": "SITUS"}
_ENDS = {"DIKABULKAN": 6, "SEBAGIAN": 2, "DITOLAK": 1, "DICABUT": 1, "": 2}


def stories(regency: Regency) -> Iterator[Story]:
    """All feedbacks and requests that come in the period; what comes after it is not told."""
    for _ in range(regency.at_least(_FEEDBACKS_A_DAY * regency.days, 80)):
        yield _feedback(regency)
    for number in range(1, regency.at_least(_REQUESTS_A_DAY * regency.days, 60) + 1):
        yield _request(regency, number)


@dataclass(frozen=True, slots=True)
class _Letter:
    """What somebody wrote, and when."""

    number: str
    about: str
    kind: str
    received: datetime

    @property
    def common(self) -> dict[str, object]:
        agency = self.about.partition(".")[0].upper()
        return {"number": self.number, "about": self.about, "agency": agency, "kind": self.kind, "received_at": self.received}


def _feedback(regency: Regency) -> Story:
    chance = regency.chance
    number = "M-" + "-".join("".join(chance.choices(_SIGNS, k=4)) for _ in range(3))
    letter = _Letter(number, chance.choice(_ABOUT), chance.choice(list(_WRITTEN)), regency.moment(chance.choice(regency.dates), 5, 22))
    record = {
        "nomor": number, "waktu": letter.received, "tentang": letter.about, "jenis": letter.kind, "isi": _WRITTEN[letter.kind],
    }  # fmt: skip
    written = {name: letter.common[name] for name in ("about", "agency", "kind")}
    facts = (
        Fact(Event("ppid.feedback.received.v1", number, letter.received, written)),
        Fact(Event("ppid.feedback.moved.v1", f"{number}/MASUK", letter.received, {**letter.common, "status": "MASUK"})),
    )
    came = Telling("masukan", letter.received + timedelta(seconds=1), record, facts)
    field, said = chance.choice([("isi", "Contoh: surel saya contoh@example.go.id"), ("jenis", "PUJIAN"), ("tentang", "Judul dataset")])
    broken = replace(came, record={**record, field: said}, facts=())
    answered = letter.received + timedelta(hours=chance.uniform(2, 420))
    # what happened in the last hours of the period is told after it
    if chance.random() < 0.2 or answered >= at(regency.end) - timedelta(hours=3):
        return Story((came,), broken=broken)
    answered = answered.replace(microsecond=0)
    outcome, other = chance.sample(list(_ANSWERS), 2)
    first = _answer(letter, answered, outcome)
    return Story((came, first), mended=_answer(letter, answered, other, Op.CORRECT).later(timedelta(hours=1)), broken=broken)


def _answer(letter: _Letter, when: datetime, outcome: str, op: Op = Op.CREATE) -> Telling:
    record = {
        "nomor": letter.number, "tentang": letter.about, "jenis": letter.kind, "diterima": letter.received, "waktu": when,
        "hasil": outcome, "jawaban": _ANSWERS[outcome],
    }  # fmt: skip
    facts = [
        Fact(
            Event("ppid.feedback.answered.v1", letter.number, when, {**letter.common, "outcome": outcome, "answer": _ANSWERS[outcome]}), op
        )
    ]
    if op is Op.CREATE:
        moved = Event("ppid.feedback.moved.v1", f"{letter.number}/DIJAWAB", when, {**letter.common, "status": "DIJAWAB"})
        facts.append(Fact(moved))
    return Telling("jawaban", when + timedelta(seconds=30), record, tuple(facts))


@dataclass(frozen=True, slots=True)
class _Request:
    """A request for information; `extended`: by 7 working days."""

    number: str
    agency: str
    category: str
    channel: str
    received: datetime
    who: Person
    extended: bool = False


def _request(regency: Regency, number: int) -> Story:
    chance = regency.chance
    received = regency.moment(chance.choice(regency.dates), 8, 15)
    request = _Request(
        f"{number}/PPID/{received.year}", chance.choice(_AGENCIES), chance.choice(_CATEGORIES), chance.choice(list(_CHANNELS)), received,
        regency.person(_APPLICANTS + number),
    )  # fmt: skip
    history = _history(regency, received)
    steps = [_step(request, status, when, extended=extended) for status, when, extended in history]
    status, when, extended = history[-1]
    other = replace(request, category=chance.choice([each for each in _CATEGORIES if each != request.category]))
    field, said = chance.choice([("status", "SELESAI"), ("opd", "KELURAHAN"), ("kanal", "Telegram"), ("perpanjangan_hari", 14)])
    return Story(
        tuple(steps),
        mended=_step(other, status, when, Op.CORRECT, extended=extended).later(timedelta(minutes=40)),
        broken=replace(steps[0], record={**steps[0].record, field: said}, facts=()),
    )


def _history(regency: Regency, received: datetime) -> Sequence[tuple[str, datetime, bool]]:
    """The statuses that it enters within the period, when, and whether it is extended then."""
    chance, found, now, extended = regency.chance, [("DITERIMA", received, False)], received, False
    if chance.random() < 0.25:
        now += timedelta(hours=chance.randint(100, 300))
        extended = True
        found.append(("DIPERPANJANG", now, True))
    (end,) = chance.choices(list(_ENDS), list(_ENDS.values()))
    if end:
        found.append((end, now + timedelta(hours=chance.randint(20, 420)), extended))
    return [each for each in found if each[1] < at(regency.end) - timedelta(hours=1)] or found[:1]


def _step(request: _Request, status: str, when: datetime, op: Op = Op.CREATE, *, extended: bool) -> Telling:
    due = _weekdays_after(request.received.date(), 17 if extended else 10)
    record = {
        "nomor": request.number, "opd": request.agency, "kategori": request.category.title(), "kanal": request.channel,
        "tanggal_masuk": request.received, "batas_waktu": due, "perpanjangan_hari": 7 if extended else 0, "status": status, "waktu": when,
        "nama": request.who.name, "nik": request.who.nik, "kontak": request.who.phone, "rincian": "contoh rincian", "tujuan": None,
    }  # fmt: skip
    common = {"agency": request.agency, "category": request.category, "channel": _CHANNELS[request.channel]}
    moved = {**common, "status": status, "received_at": request.received, "due_on": due, "limit_days": 17 if extended else 10}
    facts = [Fact(Event("ppid.request.moved.v1", request.number, when, moved), op)]
    if status == "DITERIMA":
        facts.append(Fact(Event("ppid.request.received.v1", request.number, when, common), op))
    return Telling("permohonan", when + timedelta(seconds=20), record, tuple(facts))


def _weekdays_after(day: date, number: int) -> date:
    """The day that many working days later, holidays apart."""
    while number:
        day += timedelta(days=1)
        number -= day.weekday() < 5
    return day

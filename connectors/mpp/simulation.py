"""The public service mall of a made-up regency: queue tickets through their states, and surveys.

27 tenants and 186 services are published, their visitors are not: 400 tickets a working day are assumed, one in eight with a survey.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from bus.events.envelope import Event, Op
from bus.simulation.regency import Person, Regency
from bus.simulation.story import Fact, Story, Telling
from connectors.mpp.catalogue import SERVICES

_TICKETS_A_DAY, _SURVEYS_A_DAY = 400, 50
_VISITORS = 600_000
#: What the form calls an element -> what the bus calls it.
_ELEMENTS = {
    "persyaratan": "persyaratan", "prosedur": "prosedur", "waktu_penyelesaian": "waktu_penyelesaian", "biaya": "kewajaran_tarif",
    "produk": "produk", "kompetensi_pelaksana": "kompetensi_pelaksana", "perilaku_pelaksana": "perilaku_pelaksana",
    "penanganan_pengaduan": "penanganan_pengaduan", "sarana_prasarana": "sarana_prasarana",
}  # fmt: skip
_NONE: Mapping[str, object] = {}
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Ticket:
    """A visitor with a number: when it was taken, and for how many seconds there was waiting and service, as far as there was any."""

    day: date
    prefix: str
    number: int
    taken: datetime
    service: str
    who: Person
    state: str = "MENUNGGU"
    waited: int | None = None
    served: int | None = None

    @property
    def tenant(self) -> str:
        return SERVICES[self.service]["instansi"]

    @property
    def called_at(self) -> datetime | None:
        return None if self.waited is None else self.taken + self.waited * _SECOND

    @property
    def done_at(self) -> datetime | None:
        return None if self.called_at is None or self.served is None else self.called_at + self.served * _SECOND


def stories(regency: Regency) -> Iterator[Story]:
    """All that the mall's systems tell in the period; it is open from Monday to Friday."""
    services, answered = list(SERVICES), 0
    for day in regency.dates:
        if day.weekday() >= 5:
            continue
        tickets = regency.at_least(_TICKETS_A_DAY, 4)
        for number in range(tickets):
            who = regency.person(_VISITORS + regency.chance.randrange(90_000))
            # numbers begin anew each day, in each of three rows of counters
            ticket = _Ticket(day, "ABC"[number % 3], number // 3 + 1, regency.moment(day, 8, 14), regency.chance.choice(services), who)
            # the counters close before the last one is called
            yield _visit(regency, ticket, called=number < tickets - 1)
        for _ in range(regency.at_least(_SURVEYS_A_DAY, 2)):
            answered += 1
            yield _survey(regency, regency.moment(day, 8, 15), answered, regency.chance.choice(services))


def _visit(regency: Regency, ticket: _Ticket, *, called: bool) -> Story:
    chance = regency.chance
    waited, served = round(chance.lognormvariate(6.5, 0.8)) % 7_200 + 1, round(chance.lognormvariate(6.2, 0.7)) % 3_600 + 20
    at_counter = replace(ticket, state="DIPANGGIL", waited=waited)
    done = replace(at_counter, state="SELESAI", served=served)
    later = ticket.taken + (waited + 120) * _SECOND
    end = chance.choices(["SELESAI", "LEWAT", "BATAL", "DIPANGGIL", "MENUNGGU"], [80, 7, 6, 3, 4])[0] if called else "MENUNGGU"
    steps = [_told(ticket, ticket.taken)]
    last = ticket
    if end in ("SELESAI", "LEWAT", "DIPANGGIL"):
        last = at_counter
        steps.append(_told(at_counter, ticket.taken + waited * _SECOND, Op.CORRECT))
    if end in ("LEWAT", "BATAL"):
        last = replace(last, state=end)
        steps.append(_told(last, later, Op.CORRECT))
    if end == "SELESAI":
        last = done
        steps.append(_told(done, ticket.taken + (waited + served) * _SECOND, Op.CORRECT))
    after = steps[-1].at + timedelta(hours=1)
    # the clerk had chosen another service of the same tenant
    other = chance.choice([code for code, row in SERVICES.items() if row["instansi"] == ticket.tenant and code != ticket.service])
    wrong = _told(ticket, ticket.taken)
    mistakes: Sequence[tuple[str, object]] = [
        ("status", "SELESAI"),
        ("layanan", "L999"),
        ("waktu_panggil", ticket.taken - _SECOND),
        ("nomor", 0),
    ]
    field, said = chance.choice(mistakes)
    return Story(
        tuple(steps),
        mended=_told(replace(last, service=other), after, Op.CORRECT),
        # a ticket that was only a test
        taken_back=replace(_told(last, after + timedelta(hours=1), Op.CANCEL), gone=True),
        broken=replace(wrong, record={**wrong.record, field: said}, facts=()),
    )


def _told(ticket: _Ticket, at: datetime, op: Op = Op.CREATE) -> Telling:
    record = {
        "tanggal": ticket.day, "prefix": ticket.prefix, "nomor": ticket.number, "instansi": ticket.tenant, "layanan": ticket.service,
        "status": ticket.state, "waktu_ambil": ticket.taken, "waktu_panggil": ticket.called_at, "waktu_selesai": ticket.done_at,
        "nik": ticket.who.nik, "telepon": ticket.who.phone,
    }  # fmt: skip
    data = {
        "tenant": ticket.tenant, "service": ticket.service, "state": ticket.state, "wait_minutes": _minutes(ticket.waited),
        "service_minutes": _minutes(ticket.served),
    }  # fmt: skip
    subject = f"{ticket.day}/{ticket.prefix}/{ticket.number}"
    return Telling("antrean", at, record, (Fact(Event("mpp.ticket.changed.v1", subject, ticket.taken, data), op),))


def _minutes(seconds: int | None) -> Decimal | None:
    """In hundredths, of which five are three seconds; a half is one more."""
    return None if seconds is None else Decimal((10 * seconds + 3) // 6) / 100


def _survey(regency: Regency, when: datetime, number: int, service: str) -> Story:
    chance, who = regency.chance, regency.person(_VISITORS + number)
    tenant, subject = SERVICES[service]["instansi"], f"{number:08x}-3309-4000-8000-{chance.getrandbits(48):012x}"
    open_hearted = chance.random() < 0.5

    def telling(scores: dict[str, int], later: timedelta, op: Op = Op.CREATE, mistake: Mapping[str, object] = _NONE) -> Telling:
        record = {
            "id_survei": subject, "waktu": when, "instansi": tenant, "layanan": service, **scores,
            "nama": who.name if open_hearted else None, "telepon": who.phone if open_hearted else "",
            "saran": "contoh saran" if open_hearted else None, **mistake,
        }  # fmt: skip
        data = {"tenant": tenant, "service": service, **{_ELEMENTS[name]: score for name, score in scores.items()}}
        return Telling("survei", when + later, record, (Fact(Event("mpp.survey.answered.v1", subject, when, data), op),))

    first, again = (dict(zip(_ELEMENTS, chance.choices([1, 2, 3, 4], [2, 8, 45, 45], k=len(_ELEMENTS)), strict=True)) for _ in range(2))
    return Story(
        (telling(first, timedelta(minutes=1)),),
        mended=telling(again, timedelta(hours=2), Op.CORRECT),
        broken=telling(first, timedelta(), mistake={chance.choice(list(_ELEMENTS)): chance.choice([0, 5, "baik"])}),
    )

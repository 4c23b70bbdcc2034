"""The licensing agency's system of a made-up regency: applications through the status codes of OSS-RBA, with pauses and returns to zero.

How many there are is not published: 40 applications a day are assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from bus.events.envelope import Event, Op
from bus.simulation.regency import Regency, at
from bus.simulation.story import Fact, Story, Telling
from connectors.dpmptsp.mapping import STANDARDS

_APPLICATIONS_A_DAY = 40
_AGENCIES = ("DPMPTSP", "DINKES", "DPUPR", "DLH", "DISDAGPERIN", "DISNAKKAN")
#: Until the documents are complete, how it is examined, and how it ends, each as often as its number says.
_BEFORE = {("05", "10"): 4, ("05", "11", "09", "10"): 3, ("12", "10"): 1, ("10",): 6}
_EXAMINED = {
    (): 6, ("20",): 4, ("20", "40", "45"): 4, ("30", "31", "32"): 1, ("41", "42"): 5, ("20", "41", "42", "40", "41", "42", "45"): 2,
    ("43", "44"): 3, ("40", "43", "44", "41", "42"): 1,
}  # fmt: skip
_END = {("50",): 12, ("49", "50"): 2, ("52", "50"): 1, ("57",): 2, ("90",): 2, ("93",): 1, ("50", "60"): 1, (): 2}
_OUTCOMES = {"50": "TERBIT", "57": "TERBIT_OTOMATIS", "90": "DITOLAK", "93": "DITOLAK"}
#: A status follows the one before after so many hours; the examiner's own are the shortest.
_HOURS = {"10": (0.1, 30), "11": (1, 24), "40": (12, 100), "42": (12, 200), "44": (12, 200), "57": (100, 300)}
_ORDINARY_HOURS = (0.2, 48)


@dataclass(frozen=True, slots=True)
class _Application:
    """An application for a licence, and the agency that examines it."""

    number: int
    permit: str
    type: str
    agency: str


def stories(regency: Regency) -> Iterator[Story]:
    """All applications that are made in the period; what comes after it is not told."""
    chance = regency.chance
    for number in range(1, regency.at_least(_APPLICATIONS_A_DAY * regency.days, 80) + 1):
        day = chance.choice(regency.dates)
        permit = f"I-{day:%Y%m%d}{number:012d}"
        application = _Application(number, permit, chance.choice(list(STANDARDS)), chance.choice(_AGENCIES))
        yield _application(regency, application, _history(regency, day))


def _history(regency: Regency, day: date) -> Sequence[tuple[str, datetime]]:
    """The statuses that it enters within the period, and when."""
    chance, now = regency.chance, regency.moment(day)
    parts = [chance.choices(list(each), list(each.values()))[0] for each in (_BEFORE, _EXAMINED, _END)]
    found: list[tuple[str, datetime]] = []
    for status in (each for part in parts for each in part):
        if found:
            low, high = _HOURS.get(status, _ORDINARY_HOURS)
            now += timedelta(seconds=round(3_600 * chance.uniform(low, high)))
        # what happened in the last hour of the period is told after it
        if now < at(regency.end) - timedelta(hours=1):
            found.append((status, now))
    return found


def _application(regency: Regency, application: _Application, history: Sequence[tuple[str, datetime]]) -> Story:
    chance = regency.chance
    steps = [_told(application, status, when) for status, when in history]
    status, when = history[-1]
    # a step that is said otherwise has its key: licence, status and time
    other = _told(
        replace(application, type=chance.choice([each for each in STANDARDS if each != application.type])), status, when, Op.CORRECT
    )
    field, said = chance.choice([("kd_status", "47"), ("kd_izin", "SIP_DUKUN"), ("kd_instansi", "KELURAHAN"), ("tgl_status", "kemarin")])
    return Story(
        tuple(steps),
        mended=other.later(timedelta(minutes=40)),
        broken=replace(steps[0], record={**steps[0].record, field: said}, facts=()),
    )


def _told(application: _Application, status: str, when: datetime, op: Op = Op.CREATE) -> Telling:
    number = application.number
    record = {
        "nib": f"00{number:011d}", "id_produk": f"P-{number}", "id_proyek": f"R-{number}", "oss_id": f"U-{number}",
        "id_izin": application.permit, "kd_izin": application.type, "kd_instansi": application.agency, "kd_status": status,
        "tgl_status": f"{when:%Y-%m-%d %H:%M:%S}", "nip_status": "", "nama_status": f"CONTOH PETUGAS {number % 9}",
        "keterangan": "contoh keterangan" if status in ("41", "43", "90", "93") else None,
    }  # fmt: skip
    common = {"permit_type": application.type, "agency": application.agency}
    moved = {**common, "status": status, "standard_days": STANDARDS[application.type]}
    facts = [Fact(Event("dpmptsp.permit.moved.v1", application.permit, when, moved), op)]
    if status in _OUTCOMES:
        decided = {**common, "outcome": _OUTCOMES[status]}
        facts.append(Fact(Event("dpmptsp.permit.decided.v1", application.permit, when, decided), op))
    return Telling("izin", when + timedelta(seconds=20), record, tuple(facts))

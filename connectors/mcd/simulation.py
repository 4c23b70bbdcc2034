"""MCD of a made-up regency: the monthly reports of its 6,632 RTs (2021), and the residents whom they list.

Listed are the first 100,000 people, whom Disdukcapil registers too; of each hundred the same ones are not listed, dead, away, or in the
lists of two RTs. The regency found 5,353 doubles, 16,267 dead and 6,626 moved in 2021: here there are more of each, so that few people
have all.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from bus.events.envelope import Event, Op
from bus.simulation.regency import Regency, Rt, at
from bus.simulation.story import Fact, Story, Telling
from bus.simulation.systems.form import FileForm

#: How the agency's files look; their names tell their order, for what was said last of a person stands.
FILES: Mapping[str, FileForm] = {
    "warga": FileForm("data-warga-{at:%Y-%m-%d-%H%M%S}.csv", {"nik": "NIK", "no_kk": "No. KK", "jk": "L/P", "kode_desa": "Kode Desa",
                      "rw": "RW", "rt": "RT", "status": "Status Warga", "bulan": "Bulan Laporan"}, delimiter=";"),
}  # fmt: skip
_TABLE = tomllib.loads(Path(__file__).with_name("parameter.toml").read_text(encoding="utf-8"))
_PARAMETERS: Mapping[str, Mapping[str, Any]] = _TABLE["parameters"]
_RTS, _RESIDENTS = 6_632, 100_000
#: Of each hundred people: whom no RT lists, who is dead or away in the end, and whom two RTs list.
_UNLISTED, _TWICE = range(14, 18), (22, 23, 24)
_GONE = {18: "MENINGGAL", 19: "MENINGGAL", 20: "PINDAH", 21: "PINDAH"}
#: What an RT writes of who lives there.
_LIVING = ("Tetap", "TINGGAL", "Kontrak", "tetap")


def stories(regency: Regency) -> Iterator[Story]:
    """All that the desa send in the period."""
    months = [(regency.months[0] - timedelta(days=1)).replace(day=1), *regency.months]
    for rt in regency.rts[: regency.at_least(_RTS, 12)]:
        for month in months:
            if days := [day for day in _when_reported(month) if day in regency.dates]:
                yield _report(regency, rt, month, regency.chance.choice(days))
    for number in range(regency.at_least(_RESIDENTS, 200)):
        if number % 100 not in _UNLISTED:
            yield _resident(regency, number)


def _when_reported(month: date) -> list[date]:
    """From the 26th until the 14th; in time is until the 10th."""
    following = (month + timedelta(days=31)).replace(day=1)
    return [following + timedelta(days=number) for number in range(-5, 14)]


def _spelled(rt: Rt) -> dict[str, object]:
    """As the desa, always in the same way, writes its RT: with zeros and dots, or without."""
    if int(rt.desa.code[-1]) % 2:
        return {"kode_desa": rt.desa.code, "rw": f"{rt.rw:03d}", "rt": f"{rt.rt:03d}"}
    return {"kode_desa": rt.desa.code.replace(".", ""), "rw": rt.rw, "rt": rt.rt}


def _report(regency: Regency, rt: Rt, month: date, day: date) -> Story:
    chance, sent = regency.chance, regency.moment(day, 8, 21)
    scores = {code: chance.randint(0, int(known["highest"])) for code, known in _PARAMETERS.items()}
    first = next(iter(scores))
    as_text = chance.random() < 0.3

    def telling(scores: Mapping[str, int], when: datetime, op: Op, *, told: int | None = None) -> Telling:
        answers: dict[str, object] = {code: str(score) if as_text else score for code, score in scores.items()}
        if told is not None:
            answers[first] = told
        record = {"waktu": when, "bulan": f"{month:%Y-%m}", **_spelled(rt), "jawaban": answers}
        subject = f"{rt.code}/{month:%Y-%m}"
        report = Event("mcd.rt_report.submitted.v1", subject, at(month), {"kode_wilayah": rt.code, "submitted_at": when})
        parameters = [_score(rt, month, code, score) for code, score in scores.items()]
        return Telling("laporan", when, record, tuple(Fact(event, op) for event in (report, *parameters)))

    highest = int(_PARAMETERS[first]["highest"])
    return Story(
        (telling(scores, sent, Op.CREATE),),
        mended=telling({**scores, first: (scores[first] + 1) % (highest + 1)}, sent + timedelta(hours=2), Op.CORRECT),
        broken=telling(scores, sent, Op.CREATE, told=highest + 5),
    )


def _score(rt: Rt, month: date, code: str, score: int) -> Event:
    known = _PARAMETERS[code]
    data = {
        "kode_wilayah": rt.code, "parameter": code, "group": known["group"], "score": score, "highest": known["highest"],
        "weight": Decimal(known["weight"]),
    }  # fmt: skip
    return Event("mcd.parameter.reported.v1", f"{rt.code}/{month:%Y-%m}/{code}", at(month), data)


def _resident(regency: Regency, number: int) -> Story:
    """Somebody whom an RT lists; who is dead or away in the end was listed as a resident before."""
    chance, home, of_hundred = regency.chance, regency.home(number), number % 100
    # a desa's office collects a day's sheets, and uploads them in the afternoon
    first = at(chance.choice(regency.dates[: max(1, len(regency.dates) - 2)]), 14)
    next_day = first + timedelta(days=1)
    steps = [_listing(regency, number, home, first, chance.choice(_LIVING), Op.CREATE)]
    last, gone = home, _GONE.get(of_hundred)
    if gone is not None:
        steps.append(_listing(regency, number, home, next_day, gone.title(), Op.CORRECT))
    elif of_hundred in _TWICE:
        # one record more, and so one more time the first of that record, of the same person; neighbours, or in another desa
        last = Rt(home.desa, home.rw, home.rt % 5 + 1) if number % 2 else regency.home(number + 60)
        steps.append(_listing(regency, number, last, next_day, "TETAP", Op.CREATE))
    return Story(
        tuple(steps),
        mended=_listing(regency, number, last, next_day + timedelta(hours=4), "Tetap" if gone else "Pindah", Op.CORRECT),
        broken=_listing(regency, number, home, first, "Tetap", Op.CREATE, month="Januari"),
    )


def _listing(regency: Regency, number: int, rt: Rt, when: datetime, written: str, op: Op, *, month: str = "") -> Telling:
    """A line of an RT's list: it lists the person, and how the person stands."""
    person, card, begin = regency.person(number), regency.card(number), when.date().replace(day=1)
    record = {
        # of a number that long a spreadsheet keeps the digits after an apostrophe only
        "nik": f"'{person.nik}" if number % 10 == 3 else person.nik, "no_kk": card,
        "jk": ("Perempuan", "P")[number % 2] if person.female else ("Laki-laki", "L")[number % 2],
        **{name: str(value) for name, value in _spelled(rt).items()}, "status": written, "bulan": month or f"{begin:%Y-%m}",
    }  # fmt: skip
    status = written.upper() if written.upper() in _GONE.values() else "TINGGAL"
    data = {"household": card, "status": status, "kode_wilayah": rt.code}
    listed = Event("mcd.resident.listed.v1", f"{rt.code}/{person.nik}", at(begin), {**data, "person": person.nik})
    stands = Event("mcd.person.reported.v1", person.nik, at(begin), {**data, "sex": "P" if person.female else "L"})
    return Telling("warga", when, record, (Fact(listed, op), Fact(stands, op)))

"""The disaster agency's systems of a made-up regency: disasters that are mended for weeks, posts of refugees, Merapi, and floods by the hour.

How many disasters a year there are was not found: one a day is assumed [unverified]. Merapi was at level III for years; here it moves, so
that there is something to see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

from bus.events.envelope import Event, Op
from bus.simulation.regency import Place, Regency, at
from bus.simulation.story import Fact, Story, Telling
from bus.simulation.systems.form import FileForm

#: How the agency's files look.
FILES: Mapping[str, FileForm] = {
    "banjir": FileForm("boyolali_floods_{at:%Y-%m-%dT%H}.geojson", {"geom_id": "geom_id", "state": "state", "changed": "changed"}),
}
_DISASTERS_A_DAY, _POSTS, _AREAS = 1, 30, 150
_KINDS = {
    "BANJIR": 25,
    "TANAH LONGSOR": 25,
    "ANGIN KENCANG": 25,
    "KEBAKARAN": 15,
    "KEKERINGAN": 3,
    "GEMPA BUMI": 2,
    "ERUPSI": 2,
    "KECELAKAAN AIR": 3,
}
_LEVELS = {1: "Level I (Normal)", 2: "Level II (Waspada)", 3: "Level III (Siaga)", 4: "Level IV (Awas)"}
_DEPTHS = {"1": "TIDAK DIKETAHUI", "2": "10-70 CM", "3": "71-150 CM", "4": "> 150 CM"}
#: Districts around the regency that stand in the snapshots too, by BPS's codes: Klaten, Sukoharjo, Grobogan.
_UPSTREAM = ("3310260", "3311110", "3315020")
#: What a disaster does, as the service names it, and at most how much of it.
_LOSSES = {
    "korban_meninggal": 1, "korban_hilang": 1, "korban_luka_berat": 3, "korban_luka_ringan": 8, "rumah_rusak_berat": 4, "rumah_rusak_sedang": 8,
    "rumah_rusak_ringan": 20, "rumah_terendam": 60, "fasilitas_kesehatan_rusak": 1, "fasilitas_pendidikan_rusak": 2, "jembatan_rusak": 1,
}  # fmt: skip


def stories(regency: Regency) -> Iterator[Story]:
    """All that the agency's systems tell in the period."""
    for number in range(1, regency.at_least(_DISASTERS_A_DAY * regency.days, 25) + 1):
        yield _disaster(regency, number)
    for number in range(1, regency.at_least(_POSTS, 6) + 1):
        yield _post(regency, number)
    yield _merapi(regency)
    for number in range(1, regency.at_least(_AREAS, 18) + 1):
        yield _flood(regency, number)


def _disaster(regency: Regency, number: int) -> Story:
    """Reported at once, verified with what was found, and over some day; of all of it the newest is seen."""
    chance, desa = regency.chance, regency.some_desa()
    (kind,) = chance.choices(list(_KINDS), list(_KINDS.values()))
    happened, key = regency.moment(chance.choice(regency.dates), 0, 20), f"BA-{regency.begin.year}-{number:04d}"
    typed = chance.choice((int, str))

    def telling(
        when: datetime, verification: str, losses: Sequence[int], op: Op, *, state: str = "AKTIF", wrong: Mapping[str, object] | None = None
    ) -> Telling:
        record = {
            "id_kejadian": key, "jenis_bencana": kind, "kode_desa": desa.code, "waktu_kejadian": happened, "status": state,
            "status_verifikasi": verification, **{name: typed(lost) for name, lost in zip(_LOSSES, losses, strict=True)},
            "updated_at": when, **(wrong or {}),
        }  # fmt: skip
        dead, missing, badly, slightly, heavy, moderate, light, flooded, health, schools, bridges = losses
        data = {
            "kind": kind, "state": state, "verification": verification, "dead": dead, "missing": missing, "badly_hurt": badly,
            "slightly_hurt": slightly, "houses_heavy": heavy, "houses_moderate": moderate, "houses_light": light, "houses_flooded": flooded,
            "health_facilities": health, "schools": schools, "bridges": bridges, "reported_at": when, "kode_wilayah": desa.code,
        }  # fmt: skip
        return Telling("kejadian", when, record, (Fact(Event("bpbd.disaster.recorded.v1", key, happened, data), op),))

    first = [0 if chance.random() < 0.7 else chance.randint(0, most) for most in _LOSSES.values()]
    found = [lost + chance.randint(0, most) // 2 for lost, most in zip(first, _LOSSES.values(), strict=True)]
    begun = happened + timedelta(minutes=chance.randint(5, 90))
    steps = [telling(begun, "MENUNGGU_VERIFIKASI", first, Op.CREATE)]
    verified, over = begun + timedelta(hours=chance.randint(2, 60)), begun + timedelta(days=chance.randint(3, 20))
    if (until := at(regency.end) - timedelta(hours=2)) > verified:
        steps.append(telling(verified, "TERVERIFIKASI", found, Op.CORRECT))
        if over < until:
            steps.append(telling(over, "TERVERIFIKASI", found, Op.CORRECT, state="SELESAI"))
    last = steps[-1].at + timedelta(minutes=30)
    more = [lost + 1 for lost in (found if len(steps) > 1 else first)]
    wrong: Mapping[str, object] = chance.choice(({"jenis_bencana": "TSUNAMI"}, {"korban_hilang": -1}, {"status": "DARURAT"}))
    return Story(
        tuple(steps),
        mended=telling(last, "TERVERIFIKASI", more, Op.CORRECT, state="SELESAI" if len(steps) > 2 else "AKTIF"),
        taken_back=telling(last + timedelta(minutes=30), "DITOLAK", first, Op.CANCEL),
        broken=telling(begun, "MENUNGGU_VERIFIKASI", first, Op.CREATE, wrong=wrong),
    )


def _post(regency: Regency, number: int) -> Story:
    """A post of refugees, counted day by day until it is closed. One that is closed is not mended any more."""
    chance, desa = regency.chance, regency.some_desa()
    opened = chance.randrange(regency.days)
    length = chance.randint(2, 12)
    days = regency.dates[opened : opened + length]
    key, disaster = f"POS-{desa.name.upper()}-{number}", f"BA-{regency.begin.year}-{chance.randint(1, 25):04d}"

    def telling(when: datetime, persons: int, op: Op, *, children: int | None = None, gone: bool = False, later: int = 1) -> Telling:
        women, young = persons // 2 + persons % 3, persons // 4 if children is None else children
        old, disabled, pregnant = persons // 9, persons // 40, persons // 30
        # men and women are counted apart, and are not always the total
        record = {
            "id_pos": key, "id_kejadian": disaster, "kode_desa": desa.code, "waktu_laporan": when, "total_pengungsi": str(persons),
            "laki_laki": persons // 2, "perempuan": women, "anak": young, "lansia": old, "disabilitas": disabled, "ibu_hamil": pregnant,
        }  # fmt: skip
        data = {
            "disaster": disaster, "persons": persons, "men": persons // 2, "women": women, "children": young, "elderly": old,
            "disabled": disabled, "pregnant": pregnant, "kode_wilayah": desa.code,
        }  # fmt: skip
        event = Event("bpbd.refugees.counted.v1", key, when, data)
        return Telling("pengungsi", when + timedelta(minutes=later), record, (Fact(event, op),), gone=gone)

    persons = [chance.randint(10, 240) for _ in days]
    times = [regency.moment(day, 6, 18) for day in days]
    steps = [telling(when, count, Op.CORRECT if when > times[0] else Op.CREATE) for when, count in zip(times, persons, strict=True)]
    last, closed = times[-1], telling(times[-1], persons[-1], Op.CANCEL, gone=True, later=150)
    is_closed = opened + length < regency.days
    return Story(
        (*steps, closed) if is_closed else tuple(steps),
        mended=None if is_closed else telling(last, persons[-1] + 5, Op.CORRECT, later=30),
        taken_back=None if is_closed else closed,
        broken=telling(times[0], persons[0], Op.CREATE, children=persons[0] + 1),
    )


def _merapi(regency: Regency) -> Story:
    """The volcano goes up and down by one level, now and then."""
    chance, name = regency.chance, regency.chance.choice(("Merapi", "Gunung Merapi", "MERAPI"))

    def telling(since: datetime, level: int, op: Op, *, told: str = "", later: int = 2) -> Telling:
        record = {"gunung": name, "tingkat": told or _LEVELS[level], "sejak": since}
        data = {"volcano": "MERAPI", "level": level, "level_name": _LEVELS[level], "kode_wilayah": "33.09.01"}
        event = Event("bpbd.merapi_level.declared.v1", "MERAPI", since, data)
        return Telling("merapi", since + timedelta(minutes=later), record, (Fact(event, op),))

    level, begun = 3, at(regency.begin, 6)
    steps = [telling(begun, level, Op.CREATE)]
    for day in regency.dates[4::9]:
        level = {1: 2, 4: 3}.get(level) or chance.choice((level - 1, level + 1))
        steps.append(telling(regency.moment(day, 0, 22), level, Op.CORRECT))
    return Story(
        tuple(steps),
        mended=telling(steps[-1].facts[0].event.occurred_at, {1: 2, 2: 1, 3: 4, 4: 3}[level], Op.CORRECT, later=20),
        broken=telling(begun, 3, Op.CREATE, told="Siaga"),
    )


def _flood(regency: Regency, number: int) -> Story:
    """An area that is under water, deeper or less so from one snapshot to the next, until it is dry. A snapshot is of its hour, never late."""
    chance, place, day = regency.chance, _flooded_place(regency, number), _flooded_day(regency, number)
    district = f"3309{place.code[6:]}0" if place else chance.choice(_UPSTREAM)

    def telling(changed: datetime, state: str, op: Op, *, hours: int = 0, told: str = "", gone: bool = False) -> Telling:
        written = changed.replace(tzinfo=None).isoformat(timespec="milliseconds" if changed.microsecond else "seconds")
        record = {"geom_id": f"{district}{number:09d}", "state": told or state, "changed": written}
        data = {"district": district, "depth": _DEPTHS[state], "kode_wilayah": place.code if place else None}
        event = Event("bpbd.flood.recorded.v1", f"RW-{district}-{number:09d}", changed, data)
        snapshot = changed.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1 + hours)
        return Telling("banjir", snapshot, record, (Fact(event, op),), gone=gone)

    changed, state, until = regency.moment(day, 0, 12), chance.choice("12"), at(regency.end) - timedelta(hours=6)
    steps = [telling(changed, state, Op.CREATE)]
    for _ in range(chance.randint(0, 3)):
        later = changed + timedelta(hours=chance.randint(1, 4), milliseconds=chance.randrange(1_000))
        if later > until:
            break
        changed, state = later, chance.choice([each for each in _DEPTHS if each != state])
        steps.append(telling(changed, state, Op.CORRECT))
    dry = telling(changed, state, Op.CANCEL, hours=4, gone=True)
    is_dry = day != regency.dates[-1]
    return Story(
        (*steps, dry) if is_dry else tuple(steps),
        mended=None if is_dry else telling(changed, {"1": "2", "2": "1", "3": "4", "4": "3"}[state], Op.CORRECT, hours=1),
        taken_back=None if is_dry else dry,
        broken=telling(steps[0].facts[0].event.occurred_at, "1", Op.CREATE, told="5"),
        punctual=True,
    )


def _flooded_place(regency: Regency, number: int) -> Place | None:
    """A kecamatan, or None: every fourth area lies outside the regency."""
    return regency.some_kecamatan() if number % 4 else None


def _flooded_day(regency: Regency, number: int) -> date:
    """A day of the period; a third of the areas are under water on its last one, so that something is now."""
    return regency.dates[-1] if number % 3 == 0 else regency.chance.choice(regency.dates)

"""The minutes of a reconciliation (Berita Acara Rekonsiliasi) as an HTML page to print and sign: the figures, their hash, and places for names."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Literal

from bus.indicators.windows import LOCAL_ZONE
from bus.ingest.manifest import Agency
from bus.ingest.totals import Line, Reconciliation

Language = Literal["id", "en"]

_MONTHS_ID = ("Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober", "November", "Desember")
WORDS: dict[Language, dict[str, str]] = {
    "id": {
        "title": "Berita Acara Rekonsiliasi Data", "agency": "Perangkat daerah", "made": "Dibuat pada", "type": "Jenis peristiwa",
        "day": "Tanggal", "theirs": "Perangkat daerah", "bus": "Simpul", "indicator": "Indikator", "difference": "Selisih", "none": "tidak dilaporkan",
        "agrees": "Semua jumlah sama.", "differs": "hari berselisih; jumlah selisih", "faults": "Baris yang tidak dapat dibaca",
        "quarantined": "Catatan dalam karantina (belum masuk hitungan)", "positions": "Posisi log yang dihitung", "hash": "Sidik angka (SHA-256)",
        "empty": "Perangkat daerah belum melaporkan jumlah apa pun.", "first": "Pihak Pertama (perangkat daerah)", "second": "Pihak Kedua (walidata)",
        "name": "Nama", "nip": "NIP", "sign": "Tanda tangan", "notes": "Catatan dan tindak lanjut", "file": "berkas", "line": "baris",
    },
    "en": {
        "title": "Minutes of Data Reconciliation", "agency": "Agency", "made": "Made on", "type": "Event type", "day": "Day", "theirs": "Agency",
        "bus": "Simpul", "indicator": "Indicator", "difference": "Difference", "none": "not reported", "agrees": "All counts agree.",
        "differs": "days differ; facts by which they differ", "faults": "Lines that cannot be read",
        "quarantined": "Records in quarantine (not counted yet)", "positions": "Log positions that were counted", "hash": "Hash of the figures (SHA-256)",
        "empty": "The agency has not reported any counts.", "first": "First party (agency)", "second": "Second party (data steward)", "name": "Name",
        "nip": "Employee number", "sign": "Signature", "notes": "Notes and what follows", "file": "file", "line": "line",
    },
}  # fmt: skip
_STYLE = """body{font:11pt/1.4 serif;max-width:50em;margin:2em auto}table{border-collapse:collapse;width:100%;margin:1em 0}
th,td{border:1px solid #888;padding:.2em .5em;text-align:left}td.n{text-align:right}tr.x{background:#fdd;font-weight:bold}
code{font-size:9pt;word-break:break-all}.sign td{height:4em;width:50%;vertical-align:top}@media print{tr{break-inside:avoid}}"""


def summary(found: Reconciliation, lang: Language) -> str:
    """One sentence: whether they agree."""
    words = WORDS[lang]
    if not found.lines and not found.faults:
        return words["empty"]
    wrong = [line for line in found.lines if not line.agrees]
    if found.agrees:
        return words["agrees"]
    parts = [f"{len(wrong)} {words['differs']} {sum(abs(line.difference) for line in wrong)}"] if wrong else []
    parts += [f"{words['faults']}: {len(found.faults)}"] if found.faults else []
    return "; ".join(parts) + "."


def cells(line: Line, lang: Language, *, indicator: bool) -> list[str]:
    """A line as it is shown: type, day, the counts and the difference."""
    theirs = WORDS[lang]["none"] if line.agency is None else str(line.agency)
    shown = [] if not indicator else ["" if line.indicator is None else str(line.indicator)]
    return [line.event_type, line.day.isoformat(), theirs, str(line.bus), *shown, f"{line.difference:+d}" if line.difference else "0"]


def header(lang: Language, *, indicator: bool) -> list[str]:
    """The names of the cells."""
    words = WORDS[lang]
    return [words[name] for name in ("type", "day", "theirs", "bus", *(["indicator"] if indicator else []), "difference")]


def minutes(found: Reconciliation, agency: Agency, at: datetime, lang: Language) -> str:
    """The page. Pure: the same figures at the same time give the same bytes."""
    words = WORDS[lang]
    title = agency.manifest.title
    name = title if isinstance(title, str) else getattr(title, lang)
    indicator = any(line.indicator is not None for line in found.lines)
    head = "".join(f"<th>{escape(each)}</th>" for each in header(lang, indicator=indicator))
    rows = "".join(_row(line, lang, indicator=indicator) for line in found.lines)
    faults = "".join(
        f"<li>{words['file']} {escape(each.file)}, {words['line']} {each.line}: {escape(each.id if lang == 'id' else each.en)}</li>"
        for each in found.faults
    )
    positions = ", ".join(f"{escape(place)}: {count}" for place, count in sorted(found.positions.items()))
    blank = f"{words['name']}:<br>{words['nip']}:<br>{words['sign']}:"
    return (
        f'<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>{words["title"]}</title><style>{_STYLE}</style>'
        f"<h1>{words['title']}</h1><p>{words['agency']}: <b>{escape(name)}</b> ({escape(agency.id)})<br>{words['made']}: {_moment(at, lang)}</p>"
        f"<p><b>{escape(summary(found, lang))}</b></p><table><tr>{head}</tr>{rows}</table>"
        + (f"<h2>{words['faults']}</h2><ul>{faults}</ul>" if faults else "")
        + f"<p>{words['quarantined']}: {found.quarantined}<br>{words['hash']}: <code>{found.sha256}</code><br>"
        f"{words['positions']}: <code>{positions}</code></p><h2>{words['notes']}</h2><p>&nbsp;</p><p>&nbsp;</p>"
        f'<table class="sign"><tr><th>{words["first"]}</th><th>{words["second"]}</th></tr><tr><td>{blank}</td><td>{blank}</td></tr></table></html>\n'
    )


def _row(line: Line, lang: Language, *, indicator: bool) -> str:
    kind, day, *numbers = cells(line, lang, indicator=indicator)
    mark = "" if line.agrees else ' class="x"'
    return f"<tr{mark}><td>{escape(kind)}</td><td>{day}</td>" + "".join(f'<td class="n">{each}</td>' for each in numbers) + "</tr>"


def _moment(at: datetime, lang: Language) -> str:
    local = at.astimezone(LOCAL_ZONE)
    if lang == "en":
        return f"{local:%Y-%m-%d %H:%M} WIB"
    return f"{local.day} {_MONTHS_ID[local.month - 1]} {local.year} pukul {local:%H.%M} WIB"

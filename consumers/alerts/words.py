"""What people read of an episode, in Indonesian and in English: subject, text, numbers and times as each language writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from bus.alerts.rule import Rule
from bus.indicators.windows import NOW_END, to_datetime
from consumers.alerts.watch import Facts, Transition

Language = Literal["id", "en"]
LANGUAGES: tuple[Language, ...] = ("id", "en")

#: A region's name by its code; the code itself where nobody has named it.
NameOf = Callable[[str], str]

_SEVERITY: Mapping[str, Mapping[str, str]] = {
    "info": {"id": "Informasi", "en": "Information"},
    "warning": {"id": "Waspada", "en": "Warning"},
    "danger": {"id": "Bahaya", "en": "Danger"},
}
_STATE: Mapping[str, Mapping[str, str]] = {
    "changed": {"id": "Berubah", "en": "Changed"},
    "ended": {"id": "Selesai", "en": "Over"},
}
_OVER: Mapping[str, Mapping[str, str]] = {
    "cleared": {"id": "Keadaan sudah kembali di dalam batas.", "en": "It is back within its limit."},
    "gone": {"id": "Tidak ada lagi data yang melampaui batas.", "en": "Nothing is beyond the limit any more."},
    "stale": {"id": "Tidak ada data baru; peringatan ini ditutup.", "en": "There are no newer data; this alert is closed."},
}
_HIDDEN = {"id": "(tidak ditampilkan)", "en": "(not shown)"}
_NOW = {"id": "saat ini", "en": "now"}
_MONTHS = {
    "id": ["Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober", "November", "Desember"],
    "en": ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"],
}
_UNITS = {"id": ("hari", "jam", "menit", "detik"), "en": ("d", "h", "min", "s")}
_SECONDS = (86_400, 3_600, 60, 1)
#: The unit of durations, which nobody reads in hundreds of thousands.
_DURATION = "detik"


@dataclass(frozen=True, slots=True)
class Words:
    """What one language says."""

    subject: str
    text: str


def words(rule: Rule, transition: Transition, language: Language, name_of: NameOf, *, hidden: bool = False) -> Words:
    """What is said of a transition. `hidden`: of a number that only insiders may see, to others: it is left out."""
    facts = transition.episode.facts
    said = {name: value or "" for name, value in facts.dims.items()} | _said(rule, facts, language, name_of)
    if hidden:
        said |= dict.fromkeys(("value", "previous", "limit"), _HIDDEN[language])
    text = str(getattr(rule.spec.text, language)).format_map(said)
    if transition.kind == "ended":
        recovered = rule.spec.recovered
        text = (
            str(getattr(recovered, language)).format_map(said) if recovered is not None else _OVER[transition.reason or "cleared"][language]
        )
    marks = [_SEVERITY[rule.spec.severity][language]]
    if transition.kind in _STATE:
        marks.append(_STATE[transition.kind][language])
    title = getattr(rule.spec.title, language)
    about = ", ".join(part for part in (said["region"], *_others(rule, facts)) if part)
    return Words(f"[{' – '.join(marks)}] {title}{f': {about}' if about else ''}", text)


def _others(rule: Rule, facts: Facts) -> list[str]:
    """The dimensions that tell the episode from another, beside the region."""
    return [facts.dims.get(name) or "" for name in rule.per if name != "region"]


def _said(rule: Rule, facts: Facts, language: Language, name_of: NameOf) -> dict[str, str]:
    subject = rule.subject
    code = facts.dims.get("region")
    timed = subject.unit == _DURATION
    decimals = subject.decimals

    def shown(number: str | None) -> str:
        return "–" if number is None else duration(number, language) if timed else decimal(number, decimals, language)

    return {
        "value": shown(facts.value),
        "previous": shown(facts.previous),
        "limit": "" if facts.limit is None else shown(facts.limit) if rule.of == "threshold" else decimal(facts.limit, None, language),
        "unit": "" if timed else subject.unit,
        "region": "" if code is None else name_of(code),
        "window": window(facts.start_us, facts.end_us, language),
        "span": duration(str(rule.silent_us // 1_000_000), language) if rule.silent_us else "",
        "heard": str(facts.heard),
        "expected": str(facts.expected),
        "title": subject.title[language],
    }


def decimal(number: str, decimals: int | None, language: Language) -> str:
    """A number with so many places (`None`: those that it has), half to even: 1.234,5 in Indonesian, 1,234.5 in English."""
    exact = Decimal(number)
    if decimals is not None:
        exact = exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)
    text = f"{exact:,f}"
    return text.translate(str.maketrans(",.", ".,")) if language == "id" else text


def duration(seconds: str, language: Language) -> str:
    """A time span in its two largest units: 3 hari 4 jam."""
    left = int(Decimal(seconds).to_integral_value(ROUND_HALF_EVEN))
    sign, left = ("-" if left < 0 else ""), abs(left)
    parts = []
    for name, length in zip(_UNITS[language], _SECONDS, strict=True):
        if left >= length:
            parts.append(f"{left // length} {name}")
            left %= length
    return sign + (" ".join(parts[:2]) or f"0 {_UNITS[language][-1]}")


def window(start_us: int, end_us: int, language: Language) -> str:
    """A window as people name it: a moment of a day, a day, a month, a year, or from one day to another; the current state is now."""
    if end_us == NOW_END:
        return _NOW[language]
    start, end = to_datetime(start_us), to_datetime(end_us)
    days = (end - start).total_seconds() / 86_400
    if days < 1:
        return (
            f"{_day(start_us, language)} {start:%H.%M}–{end:%H.%M}"
            if language == "id"
            else f"{_day(start_us, language)} {start:%H:%M}–{end:%H:%M}"
        )
    if days == 1:
        return _day(start_us, language)
    if start.day == 1 and 28 <= days <= 31:
        return f"{_MONTHS[language][start.month - 1]} {start.year}"
    if (start.day, start.month) == (1, 1) and days >= 365:
        return str(start.year)
    return f"{_day(start_us, language)} – {_day(end_us - 1, language)}"


def _day(at_us: int, language: Language) -> str:
    day = to_datetime(at_us)
    return f"{day.day} {_MONTHS[language][day.month - 1]} {day.year}"


def moment(at_us: int, language: Language) -> str:
    """A moment in the regency's time."""
    at = to_datetime(at_us)
    return f"{_day(at_us, language)} {at:%H.%M.%S} WIB" if language == "id" else f"{_day(at_us, language)} {at:%H:%M:%S} WIB"

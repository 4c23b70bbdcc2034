"""Numbers, times and sentences as each language writes them."""

from __future__ import annotations

from datetime import datetime

import pytest

from bus.clock import LOCAL_ZONE
from bus.indicators.windows import NOW_END, to_micros, window_end
from consumers.alerts.unit import Unit
from consumers.alerts.words import Language, decimal, duration, window, words
from tests.unit.alerts.world import NOON, row, shipped


@pytest.mark.parametrize(
    ("number", "decimals", "id_", "en"),
    [
        ("1234567.891", 2, "1.234.567,89", "1,234,567.89"),
        ("0.125", 2, "0,12", "0.12"),
        ("-5", 0, "-5", "-5"),
        ("10", None, "10", "10"),
        ("70.0000000000", 2, "70,00", "70.00"),
    ],
)
def test_numbers(number: str, decimals: int | None, id_: str, en: str) -> None:
    assert decimal(number, decimals, "id") == id_
    assert decimal(number, decimals, "en") == en


@pytest.mark.parametrize(
    ("seconds", "id_", "en"),
    [("0", "0 detik", "0 s"), ("59.6", "1 menit", "1 min"), ("1209600", "14 hari", "14 d"), ("93784", "1 hari 2 jam", "1 d 2 h")],
)
def test_durations(seconds: str, id_: str, en: str) -> None:
    assert duration(seconds, "id") == id_
    assert duration(seconds, "en") == en


@pytest.mark.parametrize(
    ("length", "id_", "en"),
    [
        ("1h", "12 Januari 2026 12.00–13.00", "12 January 2026 12:00–13:00"),
        ("1d", "12 Januari 2026", "12 January 2026"),
        ("1w", "12 Januari 2026 – 18 Januari 2026", "12 January 2026 – 18 January 2026"),
        ("1mo", "Januari 2026", "January 2026"),
        ("1y", "2026", "2026"),
    ],
)
def test_windows(length: str, id_: str, en: str) -> None:
    start = datetime(2026, 1, 1 if length in {"1mo", "1y"} else 12, 12 if length == "1h" else 0, tzinfo=LOCAL_ZONE)
    begin = to_micros(start)
    assert window(begin, window_end(begin, length), "id") == id_
    assert window(begin, window_end(begin, length), "en") == en
    assert (window(0, NOW_END, "id"), window(0, NOW_END, "en")) == ("saat ini", "now")


@pytest.mark.parametrize(
    ("language", "subject", "text", "over"),
    [
        (
            "id",
            "[Waspada] Laporan warga menunggu terlalu lama: Boyolali, DPUPR",
            "DPUPR: satu dari sepuluh laporan terbuka sudah menunggu 11 hari 2 jam atau lebih (batas 10 hari).",
            "DPUPR: laporan terbuka tidak lagi menunggu terlalu lama (1 jam).",
        ),
        (
            "en",
            "[Warning] Complaints wait too long: Boyolali, DPUPR",
            "DPUPR: one in ten open complaints has waited for 11 d 2 h or longer (limit 10 d).",
            "DPUPR: open complaints no longer wait too long (1 h).",
        ),
    ],
)
def test_sentences(language: Language, subject: str, text: str, over: str) -> None:
    about = shipped("diskominfo.complaints_old")
    rows = [row(about, value, "DPUPR", "33.09", revision=n + 1) for n, value in enumerate(("957600", "3600"))]
    begun, ended = Unit(about).apply([(n, NOON + n, each) for n, each in enumerate(rows)], upto=2)
    names = {"33.09": "Boyolali"}.__getitem__
    assert words(about, begun, language, names).subject == subject
    assert words(about, begun, language, names).text == text
    assert words(about, ended, language, names).text == over
    hidden = words(about, begun, language, names, hidden=True).text
    assert "11" not in hidden
    assert ("tidak ditampilkan" if language == "id" else "not shown") in hidden


def test_what_is_over_without_words_of_its_own_says_why() -> None:
    about = shipped("rsud.beds_full")
    rows = [row(about, value, "SIMO", "33.09", revision=n + 1) for n, value in enumerate(("90", "70"))]
    _, ended = Unit(about).apply([(n, NOON + n, each) for n, each in enumerate(rows)], upto=2)
    assert words(about, ended, "id", str).text == "Keadaan sudah kembali di dalam batas."
    assert words(about, ended, "en", str).subject.startswith("[Warning – Over] Hospital beds nearly full")

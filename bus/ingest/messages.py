"""What a person reads when something is refused: Indonesian first, English beside it, and no personal data in either."""

from __future__ import annotations

import re

from bus.ingest.source import Reason

#: rule -> what is wrong, in Indonesian and in English.
_PHRASES: dict[str, tuple[str, str]] = {
    "unknown_column": ("kolom tidak dikenal di baris judul", "unknown column in the header"),
    "missing_column": ("kolom wajib tidak ada di baris judul", "a required column is missing from the header"),
    "duplicate_column": ("nama kolom muncul lebih dari sekali di baris judul", "a column occurs more than once in the header"),
    "no_header": ("baris pertama bukan baris judul yang dikenal", "the first line is not a header that we know"),
    "field_count": ("jumlah kolom tidak sesuai dengan baris judul", "the number of fields differs from the header's"),
    "truncated": ("berkas terpotong: baris terakhir tidak lengkap", "the file is truncated: its last line is incomplete"),
    "bad_quoting": ("tanda kutip tidak benar", "the quoting is wrong"),
    "open_quote": ("tanda kutip dibuka tetapi tidak ditutup", "a quote is opened and never closed"),
    "bad_encoding": ("huruf tidak dapat dibaca dengan penyandian berkas ini", "a character cannot be read in the file's encoding"),
    "record_too_long": ("baris terlalu panjang", "the record is too long"),
    "empty_file": ("berkas kosong", "the file is empty"),
    "binary_file": ("berkas biner, bukan teks CSV", "the file is binary, not CSV text"),
    "not_a_file": ("bukan berkas biasa (folder atau berkas khusus)", "not a regular file (a folder or a special file)"),
    "unreadable": ("berkas tidak dapat dibaca", "the file cannot be read"),
    "file_vanished": ("berkas hilang sebelum selesai dibaca", "the file vanished before it was read to its end"),
    "file_changed": ("berkas berubah ketika sedang dibaca", "the file changed while it was being read"),
    "unknown_field": ("kolom tidak dikenal", "unknown field"),
    "missing_field": ("kolom wajib tidak ada", "a required field is missing"),
    "unknown_value": ("nilai tidak ada dalam daftar", "the value is not in the list"),
    "out_of_range": ("nilai di luar batas", "the value is out of range"),
    "invalid_value": ("nilai tidak dapat dibaca", "the value cannot be read"),
    "in_future": ("waktu kejadian di masa depan", "the fact lies in the future"),
    "duplicate_key": (
        "kunci yang sama dengan isi berbeda sudah ada dalam berkas ini",
        "the same key occurs with other content in this file",
    ),
    "duplicate_subject": ("satu baris menghasilkan dua fakta bersubjek sama", "one record gives two facts with the same subject"),
    "mapping_failed": ("pemetaan gagal pada baris ini (kesalahan program)", "the mapping failed on this record (a fault of the program)"),
    "undeclared_event": (
        "pemetaan menghasilkan jenis peristiwa yang tidak dideklarasikan",
        "the mapping gave an event type that is not declared",
    ),
    "too_many_events": ("terlalu banyak peristiwa dari satu baris", "too many events from one record"),
    "SourceChanged": ("format sumber berubah", "the source's format has changed"),
    "SchemaViolation": ("peristiwa tidak sesuai skema", "the event does not fit its schema"),
}
_LONG_NUMBER = re.compile(r"\d{10,}")
_LONGEST = 80


def mask(text: str) -> str:
    """The text with every run of ten or more digits (NIK, No. KK, phone) replaced by its shape."""
    return _LONG_NUMBER.sub(lambda match: f"<{len(match[0])} digits>", text)


def shape_of(text: str) -> str:
    """What a value looks like, without the value: "16 digits", "12 characters, letters and digits"."""
    if not text:
        return "blank"
    if text.isdigit():
        return f"{len(text)} digits"
    kinds = [
        name
        for name, test in (("letters", str.isalpha), ("digits", str.isdigit), ("blanks", str.isspace), ("signs", _is_sign))
        if any(test(character) for character in text)
    ]
    return f"{len(text)} characters, {' and '.join(kinds)}"


def clip(text: str) -> str:
    """A value as it may be shown: one line, not long, without long numbers."""
    flat = " ".join(mask(text).split())
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 1] + "…"


def describe(reason: Reason, *, file: str, line: int) -> tuple[str, str]:
    """The message in Indonesian and in English: file, line, field, what was received (or its shape) and what is allowed."""
    phrase_id, phrase_en = _PHRASES.get(reason.rule, ("", ""))
    detail = mask(reason.detail) if not phrase_id else ""
    received = f"'{clip(reason.received)}'" if reason.received else clip(reason.shape)
    allowed = mask(reason.allowed)
    name = mask(file)
    values = (name, line, clip(reason.field), received, allowed)
    return (
        _sentence(("Berkas", "baris", "kolom", "diterima", "yang dibolehkan"), phrase_id or detail, values),
        _sentence(("File", "line", "field", "received", "allowed"), phrase_en or detail, values),
    )


def _sentence(words: tuple[str, str, str, str, str], phrase: str, values: tuple[str, int, str, str, str]) -> str:
    file, line, field, received, allowed = values
    where = f"{words[0]} {file}" + (f", {words[1]} {line}" if line else "") + (f", {words[2]} {field}" if field else "")
    return f"{where}: {phrase}" + (f"; {words[3]} {received}" if received else "") + (f"; {words[4]}: {allowed}" if allowed else "") + "."


def _is_sign(character: str) -> bool:
    return not (character.isalnum() or character.isspace())

"""What a person reads when something is refused: Indonesian first, English beside it, and no personal data in either."""

from __future__ import annotations

import re

from bus.events.nik import contains_nik, contains_phone
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
    "old_workbook": (
        "berkas Excel lama (.xls) atau terkunci kata sandi; simpan sebagai .xlsx tanpa kata sandi",
        "an old Excel file (.xls) or one locked with a password; save it as .xlsx without a password",
    ),
    "not_a_workbook": ("bukan berkas Excel (.xlsx)", "not an Excel file (.xlsx)"),
    "damaged_workbook": ("berkas Excel rusak atau terpotong", "the Excel file is damaged or truncated"),
    "no_sheet": ("tidak ada lembar dengan baris judul yang dikenal", "no sheet has a header that we know"),
    "damaged_archive": ("arsip rusak atau terpotong", "the archive is damaged or truncated"),
    "archive_too_large": ("isi arsip terlalu besar", "the archive unpacks to too much"),
    "too_many_members": ("terlalu banyak berkas di dalam arsip", "too many files in the archive"),
    "empty_archive": ("tidak ada berkas data di dalam arsip", "no data file in the archive"),
    "nested_archive": ("arsip di dalam arsip", "an archive within the archive"),
    "locked": ("arsip terkunci kata sandi", "the archive is locked with a password"),
    "file_name": ("nama berkas tidak sesuai pola", "the file's name does not follow the pattern"),
    "bad_json": ("JSON tidak dapat dibaca", "the JSON cannot be read"),
    "no_records": ("daftar data tidak ditemukan di dalam JSON", "the list of records is not found in the JSON"),
    "not_an_object": ("data bukan objek JSON", "the record is not a JSON object"),
    "duplicate_field": ("nama kolom muncul lebih dari sekali pada satu data", "a field occurs more than once in one record"),
    "too_large": ("berkas terlalu besar", "the file is too large"),
    "not_a_file": ("bukan berkas biasa (folder atau berkas khusus)", "not a regular file (a folder or a special file)"),
    "unreadable": ("berkas tidak dapat dibaca", "the file cannot be read"),
    "file_vanished": ("berkas hilang sebelum selesai dibaca", "the file vanished before it was read to its end"),
    "file_changed": ("berkas berubah ketika sedang dibaca", "the file changed while it was being read"),
    "unknown_field": ("kolom tidak dikenal", "unknown field"),
    "missing_field": ("kolom wajib tidak ada", "a required field is missing"),
    "missing_value": ("nilai wajib tidak diisi", "a required value is missing"),
    "unknown_value": ("nilai tidak ada dalam daftar", "the value is not in the list"),
    "code_not_in_force": ("kode tidak berlaku pada tanggal kejadian", "the code was not in force on the day of the fact"),
    "nik": ("berisi NIK atau nomor KK", "holds a NIK or a No. KK"),
    "phone": ("berisi nomor telepon", "holds a telephone number"),
    "not_pseudonym": ("berisi data pribadi yang tidak disamarkan", "holds personal data that was not replaced by a pseudonym"),
    "not_sealed": ("berisi data pribadi yang tidak disandikan", "holds personal data that was not sealed"),
    "not_replaced": ("data pribadi dijadikan teks (kesalahan program)", "personal data was made into text (a fault of the program)"),
    "simulated": ("nomor simulasi hanya diterima dalam simulasi", "an identifier of the simulation is accepted in a simulation only"),
    "out_of_range": ("nilai di luar batas", "the value is out of range"),
    "invalid_value": ("nilai tidak dapat dibaca", "the value cannot be read"),
    "broken_json": ("bukan JSON yang benar", "not correct JSON"),
    "bad_text": ("teks memuat huruf yang tidak sah", "a text holds characters that do not exist"),
    "no_key": ("kunci catatan tidak dapat dibaca", "the record's key cannot be read"),
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
    "unchanged_toast": (
        "nilai panjang yang tidak diubah tidak dikirim oleh PostgreSQL (TOAST)",
        "a long value that was not changed is not sent by PostgreSQL (TOAST)",
    ),
    "too_many_events": ("terlalu banyak peristiwa dari satu baris", "too many events from one record"),
    "unknown_type": ("jenis peristiwa tidak dikenal", "the event type is unknown"),
    "not_correctable": ("fakta jenis ini final, tidak dapat dikoreksi", "facts of this type are final and cannot be corrected"),
    "range": ("nilai di luar batas", "the value is out of range"),
    "empty": ("nilai kosong", "the value is empty"),
    "null": ("nilai wajib diisi", "a value must be given"),
    "enum": ("nilai tidak ada dalam daftar", "the value is not in the list"),
    "type": ("jenis nilai tidak sesuai", "the value is of another type"),
    "scale": ("terlalu banyak angka desimal", "too many decimal places"),
    "finite": ("nilai bukan bilangan", "the value is not a number"),
    "zone": ("waktu tanpa zona", "the time has no zone"),
    "SourceChanged": ("format sumber berubah", "the source's format has changed"),
    "SchemaViolation": ("peristiwa tidak sesuai skema", "the event does not fit its schema"),
}
_LONG_NUMBER = re.compile(r"\d{10,}")
_LONGEST = 80


def mask(text: str) -> str:
    """The text with every run of ten or more digits (NIK, No. KK, phone) replaced by its shape; all of it where they are written apart."""
    if contains_nik(text) or contains_phone(text):
        text = _LONG_NUMBER.sub(lambda match: f"<{len(match[0])} digits>", text)
        return f"<{shape_of(text)}>" if contains_nik(text) or contains_phone(text) else text
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


def shape_of_value(value: object) -> str:
    """The same of what JSON knows."""
    if isinstance(value, dict):
        return f"object of {len(value)} fields"
    return f"list of {len(value)} items" if isinstance(value, list) else shape_of(str(value))


def clip(text: str) -> str:
    """A value as it may be shown: one line, not long, without long numbers."""
    flat = " ".join(mask(text).split())
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 1] + "…"


def describe(reason: Reason, *, file: str, line: int) -> tuple[str, str]:
    """The message in Indonesian and in English: file, line, field, what was received (or its shape) and what is allowed."""
    name = mask(file)
    return _both(
        reason,
        (f"Berkas {name}" + (f", baris {line}" if line else ""), "kolom", "diterima", "yang dibolehkan"),
        (f"File {name}" + (f", line {line}" if line else ""), "field", "received", "allowed"),
    )


def describe_record(reason: Reason, record: int) -> tuple[str, str]:
    """The same of a record that was not in a file: the `record`th of what was sent at once, from 1."""
    return _both(
        reason, (f"Catatan {record}", "kolom", "diterima", "yang dibolehkan"), (f"Record {record}", "field", "received", "allowed")
    )


def _both(reason: Reason, indonesian: tuple[str, str, str, str], english: tuple[str, str, str, str]) -> tuple[str, str]:
    phrase_id, phrase_en = _PHRASES.get(reason.rule, ("", ""))
    detail = mask(reason.detail) if not phrase_id else ""
    if detail and (reason.received or reason.allowed):
        # an error's own words are English and say again what was received and is allowed
        phrase_id, phrase_en = (f"{words} ({reason.rule})" for words in ("catatan tidak dapat diterima", "the record cannot be accepted"))
    received = f"'{clip(reason.received)}'" if reason.received else clip(reason.shape)
    values = (clip(reason.field), received, mask(reason.allowed))
    return _sentence(indonesian, phrase_id or detail, values), _sentence(english, phrase_en or detail, values)


def _sentence(words: tuple[str, str, str, str], phrase: str, values: tuple[str, str, str]) -> str:
    field, received, allowed = values
    where = words[0] + (f", {words[1]} {field}" if field else "")
    return f"{where}: {phrase}" + (f"; {words[2]} {received}" if received else "") + (f"; {words[3]}: {allowed}" if allowed else "") + "."


def _is_sign(character: str) -> bool:
    return not (character.isalnum() or character.isspace())

"""What somebody says about a dataset, as the form sends it: checked, numbered, and refused where it names a person. Pure.

The number is made of the form's own key and of what it says: sent again it is the same, said otherwise it is another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bus.events.free_text import personal_in

KINDS = ("KESALAHAN", "SARAN", "PERTANYAAN")
SHORTEST, LONGEST = 10, 2_000
#: A body larger than this holds no form of ours: each character of a text may take six bytes as an escape.
MOST_BYTES = 6 * LONGEST + 2_000
#: Consonants only: a number looks like nobody's number, and spells nothing.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_KEY_DIGITS = frozenset("0123456789abcdef")

_PERSONAL = {
    "nik": ("NIK atau nomor KK", "a NIK or the number of a family card"), "phone": ("nomor telepon", "a telephone number"),
    "email": ("alamat surel", "an e-mail address"),
}  # fmt: skip


class Unfit(Exception):
    """What is wrong with a form: the field, and why in both languages. The value is not in it."""

    def __init__(self, field: str, why_id: str, why_en: str, *, outcome: str = "refused") -> None:
        super().__init__(why_en)
        self.field, self.outcome = field, outcome
        self.why = {"id": why_id, "en": why_en}


@dataclass(frozen=True, slots=True)
class Feedback:
    """A form that may be sent on."""

    number: str
    about: str
    kind: str
    text: str

    def record(self, at: datetime) -> Mapping[str, str]:
        """As the source `masukan` takes it."""
        return {"nomor": self.number, "waktu": at.isoformat(), "tentang": self.about, "jenis": self.kind, "isi": self.text}


def read(body: bytes) -> Feedback:
    """The form in the body. Raises `Unfit`; of a text with a person's number or address nothing is kept."""
    form = _form(body)
    if form.get("website"):
        raise Unfit("website", "Kosongkan isian yang tersembunyi.", "Leave the hidden field empty.", outcome="robot")
    key, about, kind = (_text(form, name) for name in ("key", "about", "kind"))
    if len(key) != 32 or not _KEY_DIGITS.issuperset(key):
        raise Unfit("key", "Muat ulang halaman ini.", "Load this page again.")
    if kind not in KINDS:
        raise Unfit("kind", f"Pilih salah satu: {', '.join(KINDS)}.", f"Choose one of {', '.join(KINDS)}.")
    text = _cleaned(_text(form, "text"))
    if not SHORTEST <= len(text) <= LONGEST:
        raise Unfit("text", f"Tulis {SHORTEST} sampai {LONGEST} huruf.", f"Write {SHORTEST} to {LONGEST} characters.")
    if found := personal_in(text):
        what_id, what_en = _PERSONAL[found]
        raise Unfit(
            "text",
            f"Tulisan Anda memuat {what_id}. Hapus dahulu: kami tidak memerlukan data pribadi, dan tulisan itu tidak disimpan.",
            f"Your text holds {what_en}. Please remove it: we need no personal data, and nothing of it was kept.",
            outcome="personal",
        )
    return Feedback(number_of(key, about, kind, text), about, kind, text)


def number_of(*parts: str) -> str:
    """The receipt's number, M-XXXX-XXXX-XXXX: 51 bits of a digest of the parts."""
    left = int.from_bytes(hashlib.sha256("\x00".join(parts).encode()).digest())
    letters = ""
    for _ in range(12):
        left, place = divmod(left, len(_LETTERS))
        letters += _LETTERS[place]
    return "-".join(("M", letters[:4], letters[4:8], letters[8:]))


def _form(body: bytes) -> Mapping[str, object]:
    try:
        form = json.loads(body)
    except (ValueError, RecursionError):
        form = None
    if not isinstance(form, dict):
        raise Unfit("", "Isian tidak dapat dibaca.", "The form cannot be read.")
    return form


def _text(form: Mapping[str, object], name: str) -> str:
    value = form.get(name)
    if not isinstance(value, str):
        raise Unfit(name, "Isian ini wajib.", "This field is required.")
    return value


def _cleaned(text: str) -> str:
    """With one kind of line break, and without what is not seen. Half a surrogate pair is no text of anybody."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "ignore").decode()
    return "".join(char for char in lines if char.isprintable() or char == "\n").strip()

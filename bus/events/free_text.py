"""What may not stand in a text that somebody writes freely: numbers and addresses that name a person. Names nobody can find."""

from __future__ import annotations

import re

from bus.events.nik import contains_nik, contains_phone

#: An address of e-mail, also written with blanks around its sign.
_EMAIL = re.compile(r"[\w.+%-]+\s?@\s?[\w-]+(?:\.[\w-]+)+")


def personal_in(text: str) -> str:
    """What of a person stands in the text: `nik`, `phone` or `email`; empty where nothing was found. Never the value."""
    if contains_nik(text):
        return "nik"
    if contains_phone(text):
        return "phone"
    return "email" if _EMAIL.search(text) else ""

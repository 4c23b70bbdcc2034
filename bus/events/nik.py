"""Recognises a NIK (population number) or a telephone number wherever it hides, so that none ever enters Kafka.

A NIK is sixteen digits PPKKCC DDMMYY SSSS (as Dukcapil publishes it): day 01-31, or 41-71 for women; month 01-12; serial from 0001. A No. KK
has the same structure. Nothing here returns or keeps the digits.
"""

from __future__ import annotations

import re
import unicodedata

PHONE_SHAPE = "a telephone number"
SHAPE = "16 digits with the structure of a NIK"

#: Sixteen or more digits, each but the first perhaps after one or two of: space, dot, comma, dash, underscore, apostrophe. A slash or a
#: colon ends a run: they stand between the parts of subjects ("3309122001/2010-12"), which would look like a NIK too often.
_RUN = re.compile(r"\d(?:[\s.,\-_'\u2010-\u2015]{0,2}\d){15,}")
_SOLID = re.compile(r"\d{16,}")

#: Hex digests and UUIDs, which contain sixteen digits in a row now and then: how a NIK looks after the connector's HMAC.
_DIGEST = re.compile(
    r"(?<![0-9A-Za-z])(?=[0-9a-fA-F-]*[a-fA-F])(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}|[0-9a-fA-F]{128}"
    r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})(?![0-9A-Za-z])"
)

#: The code of an RT, PP.KK.CC.DDDD.RW3.RT3: sixteen digits too, and for the first twelve desa of a kecamatan (2001-2012: "day 20, month 01")
#: always with the structure of a NIK. Nobody writes a NIK in these six groups, and with dots only. See ADR 0018.
_RT = re.compile(r"(?<![\d.])\d\d\.\d\d\.\d\d\.[123]\d{3}\.\d{3}\.\d{3}(?!\.?\d)", re.ASCII)

#: A mobile number: 08 or 62 8, then the operator's two digits without a gap (a date has one there), 10 to 13 digits in the form with 0. What
#: stands inside a longer number or code is none. Land lines are those of offices, and look like too much else.
_PHONE = re.compile(
    r"(?<![0-9A-Za-z+])(?<![0-9][.\-/_])(?:0|\+?62[\s.\-]?|\(\+?62\)\s?|\(0\)\s?)8[1-9][0-9](?:[\s.\-]{0,2}[0-9]){6,9}(?![\s.\-/_]?[0-9]|[A-Za-z])"
)
#: Characters that are not seen, or combine with the one before: between digits they would hide a number.
_UNSEEN = frozenset({"Cf", "Mn", "Me", "Cc", "Co", "Cn"})
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")

#: The codes of the provinces, old and new: only used inside a longer run, where sixteen digits are a coincidence more often.
_PROVINCES = frozenset({*range(11, 20), 21, *range(31, 37), *range(51, 54), *range(61, 66), *range(71, 77), 81, 82, *range(91, 98)})


def has_nik_structure(digits: str) -> bool:
    """Whether exactly these sixteen digits can be a NIK."""
    day, month, serial = int(digits[6:8]), int(digits[8:10]), int(digits[12:16])
    return (1 <= day <= 31 or 41 <= day <= 71) and 1 <= month <= 12 and serial >= 1


def contains_nik(text: str) -> bool:
    """Whether a NIK stands in the text: alone, inside a sentence, in groups, or inside a longer run of digits.

    Two NIKs after each other are found; a longer run without gaps is looked through at every place, there only with a real province code.
    """
    if len(text) < 16 and text.isascii():
        return False
    text = _seen(text)
    if len(text) < 16:
        return False
    text = _RT.sub(" \N{BULLET} ", _DIGEST.sub(" \N{BULLET} ", text))
    for run in _RUN.finditer(text):
        digits = "".join(char for char in run.group() if char.isdecimal())
        if len(digits) == 16 and has_nik_structure(digits):
            return True
        if len(digits) > 16 and _in_groups(run.group()):
            return True
    return False


def contains_phone(text: str) -> bool:
    """Whether an Indonesian mobile number stands in the text, alone or in a sentence, in groups or not."""
    if (len(text) < 10 or "8" not in text) and text.isascii():
        return False
    text = _seen(text)
    return _PHONE.search(text) is not None and _PHONE.search(_RT.sub(" \N{BULLET} ", _DIGEST.sub(" \N{BULLET} ", text))) is not None


def is_province(code: int) -> bool:
    """Whether that is the code of a province, of today or of before."""
    return code in _PROVINCES


def _seen(text: str) -> str:
    """The text as it is read: without what is not seen, and with each way to write a digit as that digit."""
    if text.isascii():
        return _CONTROL.sub("", text)
    folded = unicodedata.normalize("NFKC", text)
    return "".join(
        str(unicodedata.decimal(char)) if char.isdecimal() else char
        for char in folded
        if char.isspace() or unicodedata.category(char) not in _UNSEEN
    )


def _in_groups(run: str) -> bool:
    """Whether solid or grouped sixteen digits of a longer run are a NIK: they begin a group, or lie inside a solid block."""
    for solid in _SOLID.findall(run):
        if any(_plausible(solid[at : at + 16]) for at in range(len(solid) - 15)):
            return True
    groups = [group for group in re.split(r"\D+", run) if group]
    if any(len(group) == 16 and has_nik_structure(group) for group in groups):
        return True
    for first in range(len(groups)):
        joined = ""
        for group in groups[first:]:
            joined += group
            if len(joined) >= 16:
                break
        if len(joined) == 16 and _plausible(joined):
            return True
    return False


def _plausible(digits: str) -> bool:
    return int(digits[:2]) in _PROVINCES and has_nik_structure(digits)


def is_nik_number(value: int | float) -> bool:
    """Whether a number, as a spreadsheet would keep it, is a NIK. A double has lost the last bit of those above 2^53."""
    if not 10**15 <= value < 10**16 or value != int(value):
        return False
    return has_nik_structure(str(int(value) | 1 if isinstance(value, float) else int(value)))

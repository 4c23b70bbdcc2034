"""Identifiers as types for a mapping's model: `nik: Nik`. Each is checked and brought to its normal form; errors show shapes only.

    class Visit(BaseModel):
        nik: Nik
        hp: Annotated[Phone | None, BLANK]

Another number that names a person is a class of one's own: `class NoRm(Identifier): kind = "no_rm"`, with `normal` where upper case without
blanks is not its normal form.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, ValidationInfo
from pydantic_core import core_schema

from bus.errors import RecordError
from bus.events.nik import has_nik_structure, is_province
from bus.ingest.messages import shape_of
from bus.ingest.privacy import marks

__all__ = ["BLANK", "Dropped", "Identifier", "Nik", "NoKk", "PersonName", "Phone", "is_simulated"]

_MARKS = re.compile(r"[\s.,\-_'()/\u2010-\u2015]+")
_PHONE = re.compile(r"62(8[1-9][0-9]{7,10}|800[0-9]{6,9})")
_LONGEST = 200


def _none_if_blank(value: object) -> object:
    return None if isinstance(value, str) and not value.strip(" -") else value


#: For a field that may be blank: `Annotated[Phone | None, BLANK]`; blanks and dashes alone are None.
BLANK = BeforeValidator(_none_if_blank)


#: A personal field that is known to be there and is not read: it goes no further than the model, which does not print it.
Dropped = Annotated[object, Field(repr=False, json_schema_extra={"pii": "direct", "dropped": True})]


class Identifier(marks.Identifier):
    """A number or code that identifies a person, by itself or with others. Normal form: upper case, without blanks."""

    __slots__ = ()
    allowed = "teks yang tidak kosong/text that is not blank"
    #: Whether a source may send it as a whole number.
    is_number = False

    @classmethod
    def normal(cls, text: str) -> str | None:
        """The normal form, or None when the text is none of this kind."""
        return "".join(text.split()).upper() or None

    @classmethod
    def read(cls, value: object, field: str = "") -> Self:
        """The identifier. Raises `RecordError` naming the field and what is allowed, with the shape of what was received."""
        if isinstance(value, cls):
            return value
        if cls.is_number and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        text = _visible(value) if isinstance(value, str) and len(value) <= _LONGEST else ""
        normal = cls.normal(text) if text else None
        if normal is None:
            shape = shape_of(value[:_LONGEST]) if isinstance(value, str) else f"a {type(value).__name__}"
            raise RecordError(f"{field}: no {cls.kind}", field=field, rule="invalid_value", received=shape, allowed=cls.allowed)
        return cls(normal)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(cls._validated)

    @classmethod
    def _validated(cls, value: object, info: ValidationInfo) -> Self:
        return cls.read(value, info.field_name or "")


class Nik(Identifier):
    """A NIK: sixteen digits with a province, a day (41-71 for women), a month and a serial. Where somebody lives is not in it.

    Province 00 exists in the simulation only; the door refuses it elsewhere.
    """

    __slots__ = ()
    kind = "nik"
    is_number = True
    allowed = "NIK: 16 angka/digits PPKKCC DDMMYY SSSS"

    @classmethod
    def normal(cls, text: str) -> str | None:
        digits = _digits(text)
        return digits if len(digits) == 16 and _place_exists(digits) and has_nik_structure(digits) else None


class NoKk(Identifier):
    """The number of a family card (No. KK): like a NIK, with the day on which the card was made."""

    __slots__ = ()
    kind = "no_kk"
    is_number = True
    allowed = "No. KK: 16 angka/digits PPKKCC DDMMYY SSSS"

    @classmethod
    def normal(cls, text: str) -> str | None:
        digits = _digits(text)
        fits = len(digits) == 16 and _place_exists(digits) and has_nik_structure(digits) and int(digits[6:8]) <= 31
        return digits if fits else None


class Phone(Identifier):
    """A mobile number, however it is written: 0812…, +62 812…, 812…. Numbers that begin with 0800 exist in the simulation only."""

    __slots__ = ()
    kind = "phone"
    is_number = True
    allowed = "nomor HP/mobile number: 08… atau/or +62 8…, 10-13 angka/digits"

    @classmethod
    def normal(cls, text: str) -> str | None:
        digits = _digits(text.replace("+", ""))
        if digits.startswith("620"):
            digits = "62" + digits[3:]
        elif digits.startswith(("0", "8")):
            digits = "62" + digits.removeprefix("0")
        return digits if _PHONE.fullmatch(digits) else None


class PersonName(Identifier):
    """A person's name: upper case, single blanks. Two persons may have one name."""

    __slots__ = ()
    kind = "name"
    allowed = "nama/name"

    @classmethod
    def normal(cls, text: str) -> str | None:
        name = " ".join(text.upper().split())
        return name if any(char.isalpha() for char in name) and not any(char.isdecimal() for char in name) else None


def is_simulated(identifier: marks.Identifier) -> bool:
    """Whether the identifier is one of those that cannot exist."""
    raw = marks.raw_of(identifier)
    return (isinstance(identifier, (Nik, NoKk)) and raw.startswith("00")) or (isinstance(identifier, Phone) and raw.startswith("62800"))


def _visible(text: str) -> str:
    """The text in one way of writing it, without characters that are not seen."""
    folded = unicodedata.normalize("NFKC", text)
    return "".join(char for char in folded if char.isspace() or unicodedata.category(char)[0] != "C").strip()


def _digits(text: str) -> str:
    """The digits of a text that holds nothing else but marks between them; otherwise nothing."""
    solid = _MARKS.sub("", text)
    return "".join(str(unicodedata.decimal(char)) for char in solid) if solid.isdecimal() else ""


def _place_exists(digits: str) -> bool:
    return is_province(int(digits[:2])) or digits.startswith("00")

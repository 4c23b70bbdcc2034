"""Numbers, days and times in the ways in which agencies write them, as types for a mapping's model: `jumlah: Whole`, `tanggal: Day`.

Each takes one value in a few well-defined spellings and refuses everything else as pydantic does, so that `parse` makes the error and
shows nothing of a personal field. A boolean is never a number, and a number never a day.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from bus.clock import LOCAL_ZONE

__all__ = ["Day", "LocalNumber", "Moment", "Text", "Whole"]

#: "2.000" is two to a database and two thousand to a clerk: it is neither here.
_WHOLE = re.compile(r"(?!-?[0-9]{1,3}\.000$)-?[0-9]{1,18}(\.0+)?", re.ASCII)
_DECIMAL = re.compile(r"-?([0-9]{1,15})([.,][0-9]{1,9})?", re.ASCII)
#: What a number may have in digits before its point, as text or not: with the decimals it stays exact in every calculation of a mapping.
_LARGEST_WHOLE, _LARGEST_NUMBER = 10**18, 10**15
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DAY_FIRST = re.compile(r"([0-9]{1,2})[/-]([0-9]{1,2})[/-]([0-9]{4})", re.ASCII)


def _refused(allowed: str) -> PydanticCustomError:
    return PydanticCustomError("form", "{allowed}", {"allowed": allowed})


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_WHOLE:
        return value
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    raise _refused("bilangan bulat tanpa titik ribuan/a whole number without a point for thousands")


def _number(value: object) -> Decimal:
    """A comma or a point before the decimals; no thousands, for a lone mark could be either."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_NUMBER:
        return Decimal(value)
    text = value.strip() if isinstance(value, str) else ""
    if not _DECIMAL.fullmatch(text):
        raise _refused("angka dengan koma atau titik desimal/a number with a decimal comma or point")
    return Decimal(text.replace(",", "."))


def _day(value: object) -> date:
    if isinstance(value, str):
        text = value.strip()
        try:
            if _DAY.fullmatch(text):
                return date.fromisoformat(text)
            if first := _DAY_FIRST.fullmatch(text):
                return date(int(first[3]), int(first[2]), int(first[1]))
            if _DAY.match(text):
                return _moment(text).date()
        except ValueError:
            pass
    raise _refused("tanggal/date YYYY-MM-DD, DD/MM/YYYY, DD-MM-YYYY")


def _moment(value: object) -> datetime:
    """Without an offset it is a time of Asia/Jakarta."""
    try:
        if isinstance(value, str) and _DAY.match(value.strip()):
            found = datetime.fromisoformat(value.strip())
            return (found if found.tzinfo is not None else found.replace(tzinfo=LOCAL_ZONE)).astimezone(LOCAL_ZONE)
    except (ValueError, OverflowError):
        pass
    raise _refused("waktu/time YYYY-MM-DDTHH:MM:SS[+07:00]")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _refused("teks yang tidak kosong/text that is not blank")
    return " ".join(value.split())


#: A whole number, also as text ("12", "12.0"); not one to three digits and ".000", which may be thousands.
Whole = Annotated[int, BeforeValidator(_whole)]
#: A number with decimal comma or point, exact.
LocalNumber = Annotated[Decimal, BeforeValidator(_number)]
#: A day: ISO, day first as offices write it, or the local day of an ISO time.
Day = Annotated[date, BeforeValidator(_day)]
#: A time with zone, in Asia/Jakarta.
Moment = Annotated[datetime, BeforeValidator(_moment)]
#: Text that is not blank, with single blanks.
Text = Annotated[str, BeforeValidator(_text)]

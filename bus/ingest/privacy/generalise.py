"""Making coarse what indicators read: age in bands, sex, the desa of a region code. Pure; none of it needs a key.

What comes out of here goes into fields with `"pii": "quasi"` and `"generalised": "…"`, which says how.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from bus.errors import RecordError, SourceChanged

#: How agencies write sex -> L (laki-laki) or P (perempuan).
SEX = {
    "L": "L", "LK": "L", "LAKI-LAKI": "L", "LAKI": "L", "PRIA": "L", "M": "L", "1": "L",
    "P": "P", "PR": "P", "PEREMPUAN": "P", "WANITA": "P", "F": "P", "2": "P",
}  # fmt: skip
#: PP.KK.CC.DDDD, perhaps followed by RW and RT; without dots the desa alone, for sixteen digits may be a NIK.
_REGION = re.compile(r"(\d\d)(\.?)(\d\d)\2(\d\d)\2([123]\d{3})(?:(?<=\.\d{4})\.\d{3}(?:\.\d{3})?)?", re.ASCII)


def age_years(born: date, on: date, *, field: str = "") -> int:
    """Completed years on that day. Born on 29 February, a year is completed on 1 March. Raises `RecordError` before birth and above 130."""
    years = on.year - born.year - ((on.month, on.day) < (born.month, born.day))
    if not 0 <= years <= 130:
        raise RecordError(f"{field}: out of range", field=field, rule="out_of_range", allowed="umur/age 0..130")
    return years


def age_band(born: date, on: date, bounds: Sequence[int], *, field: str = "") -> str:
    """The band of the age on that day: bounds (0, 5, 15, 65) make "0-4", "5-14", "15-64", "65+".

    Raises `RecordError` (rule `out_of_range`) for an age that no band has, `ValueError` for bounds that do not rise.
    """
    if list(bounds) != sorted(set(bounds)) or not bounds:
        raise ValueError(f"the bounds of age bands rise, each once: {bounds}")
    years = age_years(born, on, field=field)
    lower = max((bound for bound in bounds if bound <= years), default=None)
    if lower is None:
        raise RecordError(f"{field}: out of range", field=field, rule="out_of_range", allowed=f"umur/age >= {bounds[0]}")
    above = min((bound for bound in bounds if bound > years), default=None)
    return f"{lower}+" if above is None else f"{lower}-{above - 1}"


def sex(text: object, *, field: str = "") -> str:
    """L or P. Raises `SourceChanged` for a spelling that `SEX` does not have."""
    code = SEX.get(" ".join(str(text).upper().split()).replace(" ", "-"))
    if code is None:
        raise SourceChanged(f"{field}: unknown value", field=field, rule="unknown_value", allowed="L (laki-laki), P (perempuan)")
    return code


def desa_of(code: object, *, field: str = "") -> str:
    """The code of the desa, PP.KK.CC.DDDD, of a region code of a desa, RW or RT. Raises `RecordError` for any other text.

    Never of a NIK: that begins with the kecamatan where somebody was first registered.
    """
    match = _REGION.fullmatch(str(code).strip())
    if match is None:
        raise RecordError(f"{field}: no region", field=field, rule="invalid_value", allowed="kode desa/village code PP.KK.CC.DDDD")
    return ".".join(match.group(1, 3, 4, 5))


def year_of(born: date) -> int:
    """The year of a day, for where the year alone is needed."""
    return born.year

"""An agency's own codes of regions (PBB's three digits, BPS's, those of an old application) as codes of Kemendagri, by its own table.

`kode_<what>.csv` in the agency's folder, one line a code and period: kode_asal (as the agency writes it), kode (PP.KK[.CC[.DDDD]]…),
berlaku_dari (inclusive) and berlaku_sampai (exclusive), blank = without end, at midnight in Asia/Jakarta, and catatan for people. A code
may mean one region until a day and another from it on. Rule C14 holds every target against the region table.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from bus.errors import ConfigurationError, Problem
from bus.indicators.reference import BEGINNING, END, ReferenceTable, Row
from bus.indicators.reference_form import TableForm
from bus.indicators.reference_rows import parse_rows
from bus.indicators.windows import to_datetime, to_micros
from bus.ingest.record import value_error

#: The files of an agency's folder that are such tables.
PATTERN = "kode_*.csv"


def _about(indonesian: str, english: str) -> dict[str, object]:
    return {"about": {"id": indonesian, "en": english}}


_FORM = TableForm.model_validate(
    {
        "title": {"id": "Padanan kode wilayah", "en": "The agency's codes of regions"},
        "version": 1,
        "source": "the agency",
        "licence": "the agency's",
        "key": ["kode_asal"],
        "period": ["berlaku_dari", "berlaku_sampai"],
        "columns": {
            "kode_asal": _about("kode milik instansi", "the agency's code"),
            "kode": _about("kode Kemendagri", "code of Kemendagri") | {"pattern": r"\d{2}\.\d{2}(\.\d{2}(\.\d{4}(\.\d{3}(\.\d{3})?)?)?)?"},
            "berlaku_dari": _about("berlaku sejak hari ini", "from this day on") | {"type": "date", "blank": True},
            "berlaku_sampai": _about("tidak berlaku lagi sejak hari ini", "until before this day") | {"type": "date", "blank": True},
            "catatan": _about("catatan", "note") | {"blank": True, "label": True},
        },
    }
)


class CodeTable:
    """Looks codes up; made once, when the mapping is imported: `CodeTable.load(Path(__file__).parent / "kode_wilayah.csv")`."""

    def __init__(self, path: Path, table: ReferenceTable) -> None:
        self.path = path
        self._table = table
        self._codes = [str(key[0]) for key in table.history]

    @classmethod
    def load(cls, path: Path) -> CodeTable:
        """The table of that file. Raises `ConfigurationError` with everything that is wrong in it."""
        try:
            text = path.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError([Problem(str(path), f"cannot be read as UTF-8: {error}")]) from error
        table, problems = parse_rows(path.stem, _FORM, text, str(path))
        if table is None:
            raise ConfigurationError(problems)
        return cls(path, table)

    @property
    def rows(self) -> Sequence[Row]:
        """The lines of the file."""
        return self._table.rows

    def code(self, received: str, at: datetime, *, field: str) -> str:
        """The region that the agency's code means at that (aware) moment.

        `field` is the record's field without `pii` that the code stands in. Raises `SourceChanged` (rule `unknown_value`) for a code that
        the table never had and `RecordError` (rule `code_not_in_force`) for one that it has at other times.
        """
        found = self._table.row(received, to_micros(at))
        if found is not None:
            return str(found["kode"])
        periods = self._table.history.get((received,), ())
        if periods:
            raise value_error(field, received, rule="code_not_in_force", allowed=f"{self.path.name}: {_span(periods)}")
        near = difflib.get_close_matches(received, self._codes, n=3, cutoff=0.5) or self._codes[:3]
        known = f"{len(self._codes)} kode/codes ({', '.join(near)}, …)" if len(near) < len(self._codes) else ", ".join(self._codes)
        raise value_error(field, received, rule="unknown_value", allowed=f"{self.path.name}: {known or 'tidak ada/none'}")


def _span(periods: Sequence[Row]) -> str:
    """The time that a code's periods cover; they touch."""
    since, until = periods[0].since, periods[-1].until
    first = "" if since == BEGINNING else to_datetime(since).date().isoformat()
    last = "" if until == END else to_datetime(until).date().isoformat()
    return f"{first or '…'} <= tanggal/date < {last or '…'}"

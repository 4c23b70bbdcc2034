"""A vintage as a table with typed columns: the one form from which every file, preview and answer is made. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bus.indicators.windows import NOW_START, to_datetime
from consumers.ppid.ledger import Row
from consumers.ppid.metadata import Metadata
from consumers.ppid.store import Table

Kind = Literal["string", "number", "integer", "datetime", "boolean"]
Cell = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, the type of its values in Table Schema's words, and what it means."""

    name: str
    kind: Kind
    about_id: str
    about_en: str
    dimension: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """Columns and rows of one vintage. Numbers are exact decimals as texts, moments ISO 8601 with their offset."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]

    def records(self) -> list[dict[str, Cell]]:
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


_HEAD = (
    Column("period", "string", "Periode dalam bentuk SDMX", "Period in SDMX form"),
    Column("window_start", "datetime", "Awal jendela waktu, termasuk; kosong: keadaan kini", "Begin of the window, included; blank: current state"),
    Column("window_end", "datetime", "Akhir jendela waktu, tidak termasuk", "End of the window, excluded"),
)  # fmt: skip
_TAIL = (
    Column("value", "number", "Nilai; kosong bila ditahan atau tidak ada", "The value; blank when withheld or when there is none"),
    Column("numerator", "number", "Pembilang yang tepat", "Exact numerator"),
    Column("denominator", "number", "Penyebut yang tepat", "Exact denominator"),
    Column("n", "integer", "Banyaknya kejadian atau subjek", "How many events or subjects entered"),
    Column("label", "string", "Mutu, atau yang berada pada peringkat itu", "The grade, or what stands on the rank"),
    Column("error", "number", "Batas galat perkiraan", "How far an estimate may be off"),
    Column("status", "string", "provisional: sementara; final: tetap", "provisional or final"),
    Column("suppressed", "boolean", "Ditahan oleh pengendalian pengungkapan", "Withheld by disclosure control"),
    Column("revision", "integer", "Banyaknya perubahan sel", "How many changes the cell has had"),
    Column("heard", "integer", "Pelapor yang sudah mengirim", "Reporters heard of in the window"),
    Column("expected", "integer", "Pelapor yang diharapkan; 0: tidak ditetapkan", "Reporters expected; 0: not declared"),
    Column("released_at", "datetime", "Sejak rilis ini baris berlaku", "The release with which the row came"),
)
REGION_NAME = "region_name"


def sheet(table: Table, metadata: Metadata, regions: Mapping[str, str]) -> Sheet:
    """The table of a vintage. Its dimensions are those of its own rows, which an earlier version of the definition may have made."""
    about = {each.name: each.about for each in metadata.dimensions}
    names = list(table.rows[0].said.dimensions) if table.rows else list(about)
    columns = [*_HEAD, *(Column(name, "string", about.get(name, ""), about.get(name, ""), dimension=True) for name in names)]
    if "region" in names:
        columns.append(Column(REGION_NAME, "string", "Nama wilayah", "Name of the region"))
    columns += _TAIL
    return Sheet(columns, [_row(row, metadata, names, regions) for row in table.rows])


def _row(row: Row, metadata: Metadata, names: Sequence[str], regions: Mapping[str, str]) -> Sequence[Cell]:
    said = row.said
    now = said.window_start_us == NOW_START
    start, end = (None, None) if now else (iso(said.window_start_us), iso(said.window_end_us))
    code = said.dimensions.get("region")
    named = [regions.get(code or "")] if "region" in names else []
    return [
        period(said.window_start_us, said.window_end_us, row.from_us),
        start,
        end,
        *(said.dimensions.get(name) for name in names),
        *named,
        said.value,
        said.numerator,
        said.denominator,
        said.n,
        said.label,
        said.error,
        said.status,
        said.suppressed,
        said.revision,
        None if said.suppressed else said.heard,
        said.expected,
        iso(row.from_us),
    ]


def iso(moment_us: int) -> str:
    """A moment as ISO 8601 in civil time, with its offset."""
    return to_datetime(moment_us).isoformat()


#: Months of a window that begins in January of a year's part -> the SDMX letter of such parts.
_PARTS = {6: "S", 3: "Q"}


def period(start_us: int, end_us: int, as_of_us: int) -> str:
    """The window as an SDMX time period; of the current state the moment at which it was so."""
    if start_us == NOW_START:
        return to_datetime(as_of_us).replace(tzinfo=None).isoformat(timespec="seconds")
    start, end = to_datetime(start_us), to_datetime(end_us)
    months = (end.year - start.year) * 12 + end.month - start.month
    if start.day == end.day == 1 and start.hour == end.hour == 0 and months:
        return _of_months(start, months)
    seconds = (end_us - start_us) // 1_000_000
    if seconds == 7 * 86_400:
        year, week, _ = start.isocalendar()
        return f"{year}-W{week:02d}"
    if seconds == 86_400 and start.hour == start.minute == 0:
        return start.date().isoformat()
    length = f"PT{seconds // 3600}H" if seconds % 3600 == 0 else f"PT{seconds // 60}M"
    return f"{start.replace(tzinfo=None).isoformat(timespec='seconds')}/{length}"


def _of_months(start: datetime, months: int) -> str:
    if months == 12:
        return f"{start.year:04d}"
    if months in _PARTS:
        return f"{start.year:04d}-{_PARTS[months]}{(start.month - 1) // months + 1}"
    return f"{start.year:04d}-{start.month:02d}"

"""Control totals: how many facts an agency says it has, by type and day, against how many stand in the log. Pure.

An agency puts CSV files with the columns `tanggal,jenis,jumlah` into a folder of its own; what a later file says of a day and type replaces what
an earlier one said. A fact's day is that of its `occurred_at` in Asia/Jakarta. Facts that were corrected count once, on the day that the
newest version names; cancelled and withdrawn ones do not count.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from bus.events.envelope import Op
from bus.indicators.windows import local_time

COLUMNS = ("tanggal", "jenis", "jumlah")
_ISO = re.compile(r"^(\d{4})-(\d{2})-(\d{2})$")
_LOCAL = re.compile(r"^(\d{1,2})[/-](\d{1,2})[/-](\d{4})$")
#: No agency has more facts a day, and a number that is longer is no count.
_COUNT = re.compile(r"^\d{1,9}$")

#: (event type, day) -> how many.
Counts = Mapping[tuple[str, date], int]


@dataclass(frozen=True, slots=True)
class Fault:
    """A line of a count file that cannot be used, said in both languages."""

    file: str
    line: int
    id: str
    en: str


@dataclass(frozen=True, slots=True)
class Line:
    """One day of one type. `agency` None: the agency has not counted it; `indicator` None: no indicator is compared."""

    event_type: str
    day: date
    agency: int | None
    bus: int
    indicator: int | None = None

    @property
    def difference(self) -> int:
        """How many more the agency has than the bus."""
        return (self.agency or 0) - self.bus

    @property
    def agrees(self) -> bool:
        return self.difference == 0 and self.indicator in {None, self.bus}


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """All lines of one agency, by type and day; `positions`: topic/partition -> how many records of the log they were counted from."""

    agency: str
    lines: Sequence[Line]
    faults: Sequence[Fault]
    positions: Mapping[str, int]
    quarantined: int = 0

    @property
    def agrees(self) -> bool:
        return not self.faults and all(line.agrees for line in self.lines)

    @property
    def sha256(self) -> str:
        """Names these figures and no others: whoever has the log can count again and compare."""
        figures = [[each.event_type, each.day.isoformat(), each.agency, each.bus, each.indicator] for each in self.lines]
        said = {"agency": self.agency, "figures": figures, "positions": dict(sorted(self.positions.items()))}
        return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()


def read_counts(files: Iterable[tuple[str, str]], types: Mapping[str, str]) -> tuple[Counts, Sequence[Fault]]:
    """What an agency has counted, of (name, text) of its files, older ones first; and the lines that cannot be used."""
    counts: dict[tuple[str, date], int] = {}
    faults: list[Fault] = []
    for name, text in files:
        of_file: dict[tuple[str, date], int] = {}
        for line, row in _rows(text):
            found = _count(row, types)
            if not isinstance(found, tuple):
                faults.append(Fault(name, line, found.id, found.en))
            elif of_file.setdefault(found[0], found[1]) != found[1]:
                faults.append(Fault(name, line, "hari dan jenis yang sama dengan jumlah lain", "the same day and type with another count"))
        counts |= of_file
    return counts, faults


@dataclass(frozen=True, slots=True)
class _Wrong:
    id: str
    en: str


def _rows(text: str) -> Iterator[tuple[int, Sequence[str] | None]]:
    """(line, fields in the order of `COLUMNS`); None for a file whose header is another."""
    text = text.removeprefix("\ufeff")
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    header = [each.strip().casefold() for each in next(reader, [])]
    if sorted(header) != sorted(COLUMNS):
        yield 1, None
        return
    for row in reader:
        if any(each.strip() for each in row):
            fields = dict(zip(header, (each.strip() for each in row), strict=False))
            yield reader.line_num, [fields.get(name, "") for name in COLUMNS]


def _count(row: Sequence[str] | None, types: Mapping[str, str]) -> tuple[tuple[str, date], int] | _Wrong:
    if row is None:
        return _Wrong("judul kolom harus tanggal,jenis,jumlah", "the header has to be tanggal,jenis,jumlah")
    day, kind, count = row
    allowed = ", ".join(types)
    if kind not in types:
        return _Wrong(f"kolom jenis: tidak dikenal; yang dibolehkan: {allowed}", f"column jenis: unknown; allowed: {allowed}")
    if (read := _day(day)) is None:
        return _Wrong("kolom tanggal: tulis 2024-01-31 atau 31/01/2024", "column tanggal: write 2024-01-31 or 31/01/2024")
    if not _COUNT.match(count):
        return _Wrong("kolom jumlah: bilangan bulat tanpa titik", "column jumlah: a whole number without points")
    return (types[kind], read), int(count)


def _day(text: str) -> date | None:
    iso, local = _ISO.match(text), _LOCAL.match(text)
    parts = iso.groups() if iso else local.groups()[::-1] if local else None
    try:
        return None if parts is None else date(*map(int, parts))
    except ValueError:
        return None


@dataclass(slots=True)
class Standing:
    """The facts of one event type that stand, as far as the log was given: each partition's records in order, each once."""

    correctable: bool
    _highest: dict[tuple[int, str], int] = field(default_factory=dict)
    _newest: dict[str, tuple[int, date | None]] = field(default_factory=dict)
    _counts: Counter[date] = field(default_factory=Counter)

    def add(self, partition: int, frame: pl.DataFrame) -> None:
        """The next events of a partition, as `Codec.decode_batch` gives them."""
        days = local_time(frame["occurred_at"]).dt.date()
        for source, sequence, subject, version, op, day in zip(
            frame["source"], frame["sequence"], frame["subject"], frame["version"], frame["op"], days, strict=True
        ):
            if sequence <= self._highest.get((partition, source), -1):
                continue  # said again (ADR 0014 R6)
            self._highest[partition, source] = sequence
            if self.correctable:
                self._replace(subject, version, None if op == Op.CANCEL else day)
            else:
                self._counts[day] += 1

    def _replace(self, subject: str, version: int, day: date | None) -> None:
        known = self._newest.get(subject)
        if known is not None and known[0] >= version:
            return
        if known is not None and known[1] is not None:
            self._counts[known[1]] -= 1
        if day is not None:
            self._counts[day] += 1
        self._newest[subject] = version, day

    @property
    def counts(self) -> Mapping[date, int]:
        """Day -> facts; days without any are left out."""
        return {day: count for day, count in self._counts.items() if count}


def compare(
    types: Iterable[str],
    claimed: Counts,
    held: Counts,
    shown: Mapping[str, Mapping[date, int]],
    *,
    first: date | None = None,
    last: date | None = None,
) -> list[Line]:
    """Each type's days from the first to the last that the agency has counted (or that were asked for), where either side has any.

    `shown`: event type -> day -> what its indicator shows. A type that the agency has never counted is left out: there is nothing to compare.
    """
    lines = []
    for name in sorted(set(types)):
        counted = sorted(day for kind, day in claimed if kind == name)
        if not counted:
            continue
        begin, end = first or counted[0], last or counted[-1]
        days = {day for kind, day in (*claimed, *held) if kind == name} | set(shown.get(name, ()))
        for day in sorted(each for each in days if begin <= each <= end):
            indicator = shown[name].get(day, 0) if name in shown else None
            lines.append(Line(name, day, claimed.get((name, day)), held.get((name, day), 0), indicator))
    return lines

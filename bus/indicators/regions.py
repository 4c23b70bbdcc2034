"""The region tree: codes of Kemendagri as events carry them, resolved at the moment of the fact, and rolled up by code alone.

A code is PP.KK[.CC[.DDDD[.RW3[.RT3]]]]: kabupaten, kecamatan, desa or kelurahan from the table `wilayah`, and below them RW and RT, which
no table has. A code in force is itself. One that ended is its successor, if the table names exactly one; a territory that was cut in two
cannot be told apart by its old code, and a guess would falsify both numbers. See ADR 0018.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

import polars as pl

from bus.errors import ConfigurationError, Problem
from bus.indicators.reference import BEGINNING, END, ReferenceTable, Row
from bus.indicators.reference_rows import successors_of
from bus.indicators.windows import to_datetime

#: The table's name, and what it must have beside title and source.
TABLE = "wilayah"
_COLUMNS = ("kode", "induk", "tingkat", "nama", "berlaku_dari", "berlaku_sampai", "pengganti")
_DECLARED = "key = ['kode'], period = ['berlaku_dari', 'berlaku_sampai'], tree.parent = 'induk', tree.successor = 'pengganti'"

#: Levels by the number of a code's components; which of several it is, the table says.
LEVELS: Mapping[int, tuple[str, ...]] = {2: ("kabupaten", "kota"), 3: ("kecamatan",), 4: ("desa", "kelurahan"), 5: ("rw",), 6: ("rt",)}

FORM = "PP.KK[.CC[.DDDD[.RW3[.RT3]]]]"
_TABLED = re.compile(r"\d{2}\.\d{2}(\.\d{2}(\.\d{4})?)?", re.ASCII)
_BELOW = re.compile(r"(?P<desa>\d{2}\.\d{2}\.\d{2}\.\d{4})(?P<rest>\.\d{3}(\.\d{3})?)", re.ASCII)
_REMEMBERED = 100_000


class Unresolved(NamedTuple):
    """Why a code is no region at a moment: `unknown_region` or `retired_region`. The message never holds the code that was received."""

    rule: str
    message: str


def level_parts(level: str) -> int:
    """How many components the codes of a level have. Raises `KeyError` for what is no level."""
    return {name: parts for parts, names in LEVELS.items() for name in names}[level]


def ancestors(code: str) -> tuple[str, ...]:
    """The codes above, the nearest first, up to the kabupaten: by stripping components, so that merge needs no table."""
    parts = code.split(".")
    return tuple(".".join(parts[:length]) for length in range(len(parts) - 1, 1, -1))


class Regions:
    """The tree of one version of the table. Look-ups are pure; what they found is remembered."""

    def __init__(self, table: ReferenceTable) -> None:
        self.table = table
        self._moments = sorted({moment for row in table.rows for moment in (row.since, row.until)} - {BEGINNING, END})
        # An RW's number belongs to its desa: it survives a new code of the desa, but not the desa's joining another.
        self._heirs = Counter((code, row.until) for row in table.rows for code in successors_of(row, "pengganti"))
        self._known: dict[tuple[str, int], str | Unresolved] = {}

    @classmethod
    def from_table(cls, table: ReferenceTable, file: str = "") -> Regions:
        """The tree. Raises `ConfigurationError` with everything that makes the table no region tree; `file` is what problems name."""
        problems = list(region_problems(table, file or f"{table.name}.csv"))
        if problems:
            raise ConfigurationError(problems)
        return cls(table)

    @property
    def version(self) -> int:
        return self.table.version

    @property
    def fingerprint(self) -> str:
        return self.table.fingerprint

    def codes(self) -> tuple[str, ...]:
        """Every code of the table, those that ended too, in the order of the file."""
        return tuple(str(key[0]) for key in self.table.history)

    def resolve(self, code: str | None, at_us: int) -> str | Unresolved:
        """The code in force at that moment (UTC microseconds) of the region that `code` means, or why there is none."""
        if code is None:
            return Unresolved("unknown_region", f"the region code is null; allowed: {FORM}")
        if _TABLED.fullmatch(code):
            return self._successor(code, at_us, below=False)
        below = _BELOW.fullmatch(code)
        if below is None:
            return Unresolved("unknown_region", f"the region code has {len(code)} characters in another form; allowed: {FORM}")
        desa = self._successor(below["desa"], at_us, below=True)
        return desa if isinstance(desa, Unresolved) else desa + below["rest"]

    def gap(self, code: str, since: int, until: int) -> Unresolved | None:
        """Why the code is no region at some moment from `since` until before `until`; None when it is one throughout."""
        for moment in (since, *(change for change in self._moments if since < change < until)):
            found = self.resolve(code, moment)
            if isinstance(found, Unresolved):
                return found
        return None

    def resolve_column(self, codes: pl.Series, at: pl.Series) -> tuple[pl.Series, dict[int, tuple[str, str]]]:
        """`resolve` of a column of texts at a column of moments (`Datetime('us', 'UTC')` or microseconds).

        Null where there is no region, and then the fault (rule, message) by row index. Each code is looked up once for each span of time
        in which the table says the same, not row by row.
        """
        spans = self._spans(at)
        pairs = pl.DataFrame({"code": codes.cast(pl.String), "span": spans})
        unique = pairs.unique(maintain_order=False)
        found = [self._remembered(code, span) for code, span in unique.iter_rows()]
        resolved = [None if isinstance(each, Unresolved) else each for each in found]
        answers = unique.with_columns(pl.Series("resolved", resolved, dtype=pl.String))
        joined = pairs.join(answers, on=["code", "span"], how="left", nulls_equal=True, maintain_order="left")
        result = joined["resolved"].rename(codes.name)
        faults: dict[int, tuple[str, str]] = {}
        if result.null_count():
            why = {pair: each for pair, each in zip(unique.iter_rows(), found, strict=True) if isinstance(each, Unresolved)}
            rows = result.is_null().arg_true()
            faults = {row: tuple(why[pair]) for row, pair in zip(rows.to_list(), pairs[rows].iter_rows(), strict=True)}  # type: ignore[misc]
        return result, faults

    def level(self, code: str) -> str:
        """kabupaten, kota, kecamatan, desa, kelurahan, rw or rt. Raises `KeyError` for a code that the table never had."""
        newest = self._newest(code)
        below = code.count(".") > 3
        return LEVELS[code.count(".") + 1][0] if below else str(newest.values["tingkat"])

    def name(self, code: str) -> str:
        """The region's newest name; of an RW or RT its number. Raises `KeyError` for a code that the table never had."""
        newest = self._newest(code)
        level, last = code.count(".") + 1, code.rpartition(".")[2]
        return f"{LEVELS[level][0].upper()} {last}" if level > 4 else str(newest.values["nama"])

    def _newest(self, code: str) -> Row:
        below = _BELOW.fullmatch(code)
        return self.table.history[(below["desa"] if below else code),][-1]

    def _spans(self, at: pl.Series) -> pl.Series:
        """For each moment, how many of the table's changes lie before it or at it."""
        moments = at.to_physical().cast(pl.Int64)
        if not self._moments:
            return pl.Series("span", [0], dtype=pl.UInt32).new_from_index(0, len(moments))
        return pl.Series("changes", self._moments, dtype=pl.Int64).search_sorted(moments, side="right").rename("span")

    def _remembered(self, code: str | None, span: int) -> str | Unresolved:
        if code is None:
            return self.resolve(None, 0)
        answer = self._known.get((code, span))
        if answer is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            answer = self._known[code, span] = self.resolve(code, self._moments[span - 1] if span else BEGINNING)
        return answer

    def _successor(self, code: str, at_us: int, *, below: bool) -> str | Unresolved:
        """`code` is of the table's form; `below`: it was the beginning of an RW's or RT's code."""
        while True:
            periods = self.table.history.get((code,), ())
            if not periods:
                return Unresolved("unknown_region", f"the region code is not in {self._edition}; allowed: {FORM} of a code in it")
            if at_us < periods[0].since:
                return Unresolved("unknown_region", f"the region code is in force only from {_day(periods[0].since)} on ({self._edition})")
            if at_us < periods[-1].until:
                return code
            ended = _day(periods[-1].until)
            successors = successors_of(periods[-1], "pengganti")
            if len(successors) != 1:
                named = f"{len(successors)} successors: {', '.join(successors)}" if successors else "no successor"
                return Unresolved("retired_region", f"the region code ended on {ended} and has {named} ({self._edition})")
            code, heir_of = successors[0], periods[-1].until
            if below and (self._heirs[code, heir_of] > 1 or self.table.history[(code,)][0].since != heir_of):
                what = f"the desa ended on {ended} by joining {code}, in which the number of an RW is another's"
                return Unresolved("retired_region", f"{what} ({self._edition})")

    @property
    def _edition(self) -> str:
        return f"the table {self.table.name}, version {self.version}"


@lru_cache(maxsize=4)
def tree_of(table: ReferenceTable) -> Regions:
    """`Regions.from_table`, one for all who ask with the same table: what one of them has looked up, the others know."""
    return Regions.from_table(table)


def region_problems(table: ReferenceTable, file: str) -> Iterator[Problem]:
    """What makes a table no region tree: other columns, a code in another form, a parent or level that the code does not say."""
    form, tree = table.form, table.form.tree
    declared = form.key == ["kode"] and form.period == ["berlaku_dari", "berlaku_sampai"] and tree is not None
    if lacking := [name for name in _COLUMNS if name not in form.columns]:
        yield Problem(file, f"the region table lacks {', '.join(lacking)}; allowed: {', '.join(_COLUMNS)}", "T01")
        return
    if not declared or tree is None or tree.parent != "induk" or tree.successor != "pengganti":
        yield Problem(file, f"the region table is declared otherwise; allowed: {_DECLARED}", "T01")
        return
    for row in table.rows:
        code, where = str(row.values["kode"]), f"{file}:{row.line}"
        if not _TABLED.fullmatch(code):
            yield Problem(f"{where}: kode", f"received {code!r}; allowed: PP.KK, PP.KK.CC or PP.KK.CC.DDDD", "T01")
            continue
        above, _, last = code.rpartition(".")
        if row.values["induk"] != above:
            yield Problem(f"{where}: induk", f"received {row.values['induk']!r}; allowed: {above!r}, the code without its last part", "T01")
        levels = LEVELS[code.count(".") + 1]
        if len(last) == 4:  # Kemendagri: the number of a kelurahan begins with 1, that of a desa with 2 or 3
            levels = ("kelurahan",) if last[0] == "1" else ("desa",)
        if row.values["tingkat"] not in levels:
            yield Problem(f"{where}: tingkat", f"received {row.values['tingkat']!r}; allowed: {' or '.join(levels)}", "T01")
        wrong = [each for each in successors_of(row, "pengganti") if each.count(".") != code.count(".")]
        if wrong:
            yield Problem(f"{where}: pengganti", f"received {' '.join(wrong)}; allowed: codes of the same level as {code}", "T01")


def _day(moment: int) -> str:
    return to_datetime(moment).date().isoformat()

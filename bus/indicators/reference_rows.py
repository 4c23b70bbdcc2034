"""From the two texts of a reference table to the table, or to everything that is wrong with it, by file, line and column."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from io import StringIO

from bus.errors import Problem
from bus.indicators.reference import BEGINNING, END, Key, ReferenceTable, Row, Value, local_midnight, make_table
from bus.indicators.reference_form import ColumnForm, TableForm, parse_form
from bus.indicators.windows import to_datetime

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,26})(\.[0-9]{1,10})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LONGEST = 60


class _Wrong(Exception):
    """A cell that is not of its type: carries what would be."""


def parse_table(name: str, toml: str, text: str, files: tuple[str, str]) -> tuple[ReferenceTable | None, list[Problem]]:
    """The table, or all its problems. `files` are the names of the TOML and of the CSV file in them."""
    form, problems = parse_form(toml, files[0])
    if form is None:
        return None, problems
    return parse_rows(name, form, text, files[1])


def parse_rows(name: str, form: TableForm, text: str, file: str) -> tuple[ReferenceTable | None, list[Problem]]:
    """The table of that form, or all that is wrong with its lines (T01) and with what they refer to (T03)."""
    problems: list[Problem] = []
    rows = list(_rows(form, text, file, problems))
    if problems:
        return None, problems  # what refers to a line that cannot be read would only seem to be missing
    table = make_table(name, form, rows)
    problems = [*_period_problems(table, file)]
    problems += [] if problems else [*_tree_problems(table, file)]
    return (None if problems else table), problems


def _rows(form: TableForm, text: str, file: str, problems: list[Problem]) -> Iterator[Row]:
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    start = 1
    try:
        header = next(reader, [])
        problems.extend(_header_problems(form, header, file))
        if problems:
            return
        start = reader.line_num + 1
        for cells in reader:
            line, start = start, reader.line_num + 1
            row = _row(form, header, cells, _Place(file, line, problems))
            if row is not None:
                yield row
    except csv.Error as error:
        problems.append(Problem(f"{file}:{start}", f"is not CSV: {error}", "T01"))


def _header_problems(form: TableForm, header: Sequence[str], file: str) -> Iterator[Problem]:
    shown = f"received {', '.join(map(_shown, header)) or 'nothing'}; allowed: {','.join(form.columns)}"
    if unknown := [name for name in header if name not in form.columns]:
        yield Problem(f"{file}:1", f"unknown columns {', '.join(map(_shown, unknown))}: {shown}", "T01")
    elif sorted(header) != sorted(form.columns):
        yield Problem(f"{file}:1", f"each column once: {shown}", "T01")


class _Place:
    """A line of a file, to which problems are added."""

    def __init__(self, file: str, line: int, problems: list[Problem]) -> None:
        self.file, self.line, self._problems = file, line, problems

    def wrong(self, column: str, received: str, allowed: str, rule: str = "T01") -> None:
        """Say what is wrong with a column's cell."""
        where = f"{self.file}:{self.line}" + (f": {column}" if column else "")
        self._problems.append(Problem(where, f"received {received}; allowed: {allowed}", rule))


def _row(form: TableForm, header: Sequence[str], cells: Sequence[str], place: _Place) -> Row | None:
    if len(cells) != len(header):
        place.wrong("", f"{len(cells)} cells" if cells else "an empty line", f"{len(header)} cells, as in the header")
        return None
    values: dict[str, Value] = {}
    for name, cell in zip(header, cells, strict=True):
        try:
            values[name] = _value(form.columns[name], cell)
        except _Wrong as wrong:
            place.wrong(name, _shown(cell) if cell else "a blank cell", str(wrong))
    if len(values) != len(header):
        return None
    since, until = _period(form, values)
    if since >= until:
        assert form.period is not None
        place.wrong(form.period[1], str(values[form.period[1]]), f"a day after {form.period[0]} ({values[form.period[0]]})")
        return None
    return Row(values, since, until, place.line)


def _period(form: TableForm, values: Mapping[str, Value]) -> tuple[int, int]:
    days = [values[name] for name in form.period] if form.period is not None else [None, None]
    since, until = (local_midnight(day) if isinstance(day, date) else None for day in days)
    return BEGINNING if since is None else since, END if until is None else until


def _value(column: ColumnForm, cell: str) -> Value:
    if not cell:
        if not column.blank:
            raise _Wrong(f"{column.type}, not blank")
        return None
    if column.type == "text":
        return _text(column, cell)
    pattern, convert, allowed = _TYPES[column.type]
    try:
        if pattern.fullmatch(cell):
            return convert(cell)
    except ValueError:
        pass
    raise _Wrong(allowed)


_TYPES: Mapping[str, tuple[re.Pattern[str], Callable[[str], Value], str]] = {
    "integer": (_INTEGER, int, "a whole number of at most 18 digits, as in 1103855"),
    "decimal": (_DECIMAL, Decimal, "a number with a point and at most 10 places after it, as in 1015.10"),
    "date": (_DATE, date.fromisoformat, "a day as YYYY-MM-DD"),
    "boolean": (re.compile("true|false"), lambda cell: cell == "true", "true or false"),
}


def _text(column: ColumnForm, cell: str) -> str:
    if cell != " ".join(cell.split()) or not cell.isprintable():
        raise _Wrong("text on one line, without blanks at its ends or in a row")
    if column.allowed and cell not in column.allowed:
        raise _Wrong(", ".join(column.allowed))
    if column.pattern is not None and not re.fullmatch(column.pattern, cell):
        raise _Wrong(f"text that matches {column.pattern}")
    return cell


def _period_problems(table: ReferenceTable, file: str) -> Iterable[Problem]:
    """Two rows in force at once would make a look-up depend on luck; a gap would lose what happened in it."""
    found: list[Problem] = []
    for key, rows in table.history.items():
        for earlier, later in itertools.pairwise(rows):
            if earlier.until == later.since:
                continue
            what = "overlaps" if earlier.until > later.since else "leaves a gap after"
            column = table.form.period[0] if table.form.period is not None else table.form.key[0]
            allowed = f"the day on which line {earlier.line} ends" if earlier.until < END else f"one row, as line {earlier.line} never ends"
            _Place(file, later.line, found).wrong(column, f"a period of {_key(key)} that {what} that of line {earlier.line}", allowed)
    return found


def _tree_problems(table: ReferenceTable, file: str) -> Iterator[Problem]:
    """Parents exist as long as their children do; successors are there on the day on which they take over."""
    tree = table.form.tree
    if tree is None:
        return
    for row in table.rows:
        found: list[Problem] = []
        place = _Place(file, row.line, found)
        parent = row.values[tree.parent]
        above = table.history.get((parent,), ())
        if not above and parent not in tree.outside:
            place.wrong(tree.parent, str(parent), f"a {table.form.key[0]} of this table, or {', '.join(tree.outside) or 'none'}", "T03")
        elif above and not (above[0].since <= row.since and row.until <= above[-1].until):
            place.wrong(tree.parent, f"{parent}, in force {_span(above)}", f"one in force {_span([row])}, as this row is", "T03")
        if tree.successor is not None:
            _successor_problems(table, row, place, tree.successor)
        yield from found


def _successor_problems(table: ReferenceTable, row: Row, place: _Place, column: str) -> None:
    successors = successors_of(row, column)
    if successors and row.until == END:
        place.wrong(column, " ".join(successors), "blank as long as the row has no end", "T03")
        return
    if len(set(successors)) != len(successors):
        place.wrong(column, " ".join(successors), "each successor once", "T03")
    for code in successors:
        if table.row(code, row.until) is None:
            place.wrong(column, code, f"a {table.form.key[0]} that is in force from {_day(row.until)} on", "T03")


def successors_of(row: Row, column: str) -> list[str]:
    """The keys in a row's column of successors."""
    return str(row.values[column] or "").split()


def _span(rows: Sequence[Row]) -> str:
    since, until = rows[0].since, rows[-1].until
    return f"from {'the beginning' if since == BEGINNING else _day(since)} until {'further notice' if until == END else _day(until)}"


def _day(moment: int) -> str:
    return to_datetime(moment).date().isoformat()


def _key(key: Key) -> str:
    return "/".join(str(part) for part in key)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")

"""Which column of a file is which of ours: headers, title rows above them, and names that occur more than once.

Pure: rows of texts in, an arrangement of columns out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from bus.ingest.kinds import FilesSpec
from bus.ingest.kinds.files_spec import normal
from bus.ingest.messages import clip
from bus.ingest.source import FileRefused, Reason

#: What stands behind the name of a column that occurs more than once: "meninggal#2" is the second, "meninggal#-1" the last.
_NTH = re.compile(r"#-?\d+$")


def score(row: Sequence[str], spec: FilesSpec) -> int:
    """How many cells of a row are columns that we know."""
    known = _known(spec)
    return sum(normal(cell) in known for cell in row)


def resolve(header: Sequence[str], spec: FilesSpec, *, line: int) -> list[str | None]:
    """Our column for each column of a header, in its order; None for one that is not read.

    Raises `FileRefused` naming the first column that is wrong.
    """
    named = [name for name in header if name.strip()] if spec.ragged else list(header)
    if score(named, spec) * 2 < len(named) or not named:  # rather a record, whose values are not to be shown
        raise FileRefused(Reason("no_header", shape=f"{len(header)} columns", allowed=allowed(spec)), line=line)
    spellings = _spellings(spec)
    ignored = {normal(name) for name in spec.ignored}
    total = Counter(map(normal, header))
    met: Counter[str] = Counter()
    columns: list[str | None] = []
    for name in header:
        plain = normal(name)
        met[plain] += 1
        nth = (f"{plain}#{met[plain]}", f"{plain}#{met[plain] - total[plain] - 1}")
        column = _meant(nth, plain, spellings, ignored)
        if column is None and not (spec.ragged and not plain):
            raise FileRefused(Reason("unknown_column", clip(name) or "''", allowed=allowed(spec)), line=line)
        column = column or None
        if column is not None and column in columns:
            raise FileRefused(Reason("duplicate_column", clip(name), allowed="satu kali/once"), line=line)
        columns.append(column)
    for wanted in spec.header:
        if wanted not in columns and wanted not in spec.optional:
            raise FileRefused(Reason("missing_column", wanted, allowed=", ".join(dict.fromkeys((wanted, *spec.header[wanted])))), line=line)
    return columns


def _meant(nth: Sequence[str], plain: str, spellings: Mapping[str, str], ignored: Collection[str]) -> str | None:
    """Our column, "" for one that is ignored, None for one that nobody knows. What names this occurrence goes before what names all."""
    for names in (nth, (plain,)):
        if found := next((spellings[name] for name in names if name in spellings), None):
            return found
        if any(name in ignored for name in names):
            return ""
    return None


def arranged(columns: Sequence[str | None], cells: Sequence[str]) -> dict[str, str]:
    """A record's values by our columns; both are of one length."""
    values = dict(zip(columns, cells, strict=True))
    values.pop(None, None)
    return values  # type: ignore[return-value]  # without None its keys are texts


def fitted(cells: list[str], width: int) -> list[str]:
    """A row of a sheet as wide as its header: blank cells at the end are left out or added. A surplus that is not blank stays."""
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        return cells[:width]
    return cells if len(cells) >= width else cells + [""] * (width - len(cells))


def title_values(rows: Sequence[Sequence[str]], spec: FilesSpec) -> dict[str, str]:
    """What the rows above the header say: `Tahun | 2016` or `Tahun: 2016` for each declared title; blank where none says it.

    Of a title that is said twice the first that says something counts.
    """
    spelled = {normal(text): column for column, spellings in spec.titles.items() for text in spellings}
    found = dict.fromkeys(spec.titles, "")
    for row in rows:
        cells = [cell.strip() for cell in row if cell.strip()]
        if len(cells) == 1 and ":" in cells[0]:
            cells = [part.strip() for part in cells[0].split(":", 1)]
        column = spelled.get(normal(cells[0].rstrip(": "))) if cells else None
        if column is not None and len(cells) > 1 and not found[column]:
            found[column] = cells[1].removeprefix(":").strip() if cells[1] != ":" or len(cells) == 2 else cells[2]
    return found


def allowed(spec: FilesSpec) -> str:
    """The columns that a header may have, as a refusal names them."""
    return ", ".join(dict.fromkeys(normal(text) for column, spellings in spec.header.items() for text in (column, *spellings)))


def _spellings(spec: FilesSpec) -> Mapping[str, str]:
    return {normal(text): column for column, spellings in spec.header.items() for text in (column, *spellings)}


def _known(spec: FilesSpec) -> frozenset[str]:
    found = {*_spellings(spec), *map(normal, spec.ignored)}
    return frozenset(found | {_NTH.sub("", name) for name in found})

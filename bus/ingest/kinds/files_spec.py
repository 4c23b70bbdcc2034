"""A folder into which an agency puts files, on this machine or on an SFTP server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from bus.ingest.kinds.base_spec import SourceSpec

Format = Literal["csv", "xlsx", "json", "jsonl"]
#: Suffix -> format, where the manifest does not say it; everything else is CSV.
_BY_SUFFIX: dict[str, Format] = {
    ".xlsx": "xlsx", ".xlsm": "xlsx", ".json": "json", ".geojson": "json", ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip
#: Rows above the header of a sheet that may be titles, where the manifest does not say it.
_SHEET_TITLES = 25


class FilesSpec(SourceSpec):
    """A place where files of one form are put. Each may also come as gzip, or several in a zip."""

    type: Literal["files"] = "files"
    kind: Literal["append", "table"] = Field(description="append: a file adds to those before; table: each file is the whole truth")
    patterns: tuple[str, ...] = Field(("*.csv",), min_length=1, description="file names, in any case; others are not touched")
    setting: str = Field("folder", description="the setting that names the folder (or sftp://user@host/path), where --input does not")
    format: Format | None = Field(None, description="none: by the file's suffix")
    delimiter: Literal[",", ";", "\t", "|"] | None = Field(None, description="none: the one that the header fits best")
    encoding: str | None = Field(None, description="none: UTF-8, else Windows-1252, else Latin-1, decided on the whole file")
    header: dict[str, tuple[str, ...]] = Field(
        min_length=1,
        description="our column -> the spellings that files have used; `name#2` is the second of columns of one name, `name#-1` the last; "
        "in JSON `a.b` is member b of object a",
    )
    optional: tuple[str, ...] = Field((), description="columns that some years' files do not have; they are then blank")
    ignored: tuple[str, ...] = Field((), description="columns that files may have and nobody reads")
    ragged: bool = Field(False, description="CSV rows may end in more or fewer blank cells than the header, as spreadsheets write them")
    preamble: int | None = Field(None, ge=0, le=200, description="lines above the header that may be titles; none: 0, in sheets 25")
    titles: dict[str, tuple[str, ...]] = Field({}, description="our column -> the spellings of a title row whose value each record gets")
    from_name: str | None = Field(None, description="pattern with named groups; what they match in the file's name each record gets")
    sheets: tuple[str, ...] = Field((), description="patterns of sheet names; none: every sheet that has the header")
    records: str = Field("", description="JSON: dotted path to the list of records; blank: the whole text is the list")
    members: tuple[str, ...] = Field(("*",), min_length=1, description="patterns of file names in a zip; others in it are not read")
    may_be_empty: bool = Field(False, description="a table without records is the truth (nothing is), not a failed export")
    acknowledge: bool = Field(True, description="write an acknowledgement of each file into `bukti` beside it")

    @property
    def wanted_settings(self) -> tuple[str, ...]:
        return (self.setting,)

    @property
    def name_columns(self) -> tuple[str, ...]:
        """The columns that come from the file's name."""
        return tuple(re.compile(self.from_name).groupindex) if self.from_name else ()

    def format_of(self, name: str) -> Format:
        """The form of a file of that name."""
        suffix = re.search(r"\.[^.]*$", name.lower().removesuffix(".gz"))
        return self.format or _BY_SUFFIX.get(suffix[0] if suffix else "", "csv")

    def title_rows(self, form: Format) -> int:
        """How many rows above the header may be titles."""
        return self.preamble if self.preamble is not None else _SHEET_TITLES if form == "xlsx" else 0

    def faults(self) -> list[tuple[str, str]]:
        return list(self._faults())

    def _faults(self) -> Iterator[tuple[str, str]]:
        if self.from_name is not None and (wrong := _pattern_fault(self.from_name)):
            yield "from_name", wrong
            return
        extra = (*self.titles, *self.name_columns)
        for name, chosen, known in (("key", self.key, (*self.header, *extra)), ("optional", self.optional, tuple(self.header))):
            yield from (
                (name, f"{column!r} is no column of header; allowed: {', '.join(known)}") for column in chosen if column not in known
            )
        yield from (("header", f"{column!r} is also in titles or from_name") for column in extra if column in self.header)
        yield from (("titles", f"{column!r} is also in from_name") for column in self.titles if column in self.name_columns)
        if self.kind == "table" and not self.key:
            yield "key", "a table needs a key, or what is missing from it cannot be told"
        if self.may_be_empty and self.kind != "table":
            yield "may_be_empty", "only a table says something by being empty"
        if self.encoding is not None and not _is_encoding(self.encoding):
            yield "encoding", f"unknown encoding {self.encoding!r}"
        yield from self._format_faults()
        yield from self._spelling_faults()

    def _format_faults(self) -> Iterator[tuple[str, str]]:
        for name, given, form in (
            ("sheets", self.sheets, "xlsx"), ("records", self.records, "json"), ("delimiter", self.delimiter, "csv"),
        ):  # fmt: skip
            if given and self.format not in (None, form):
                yield name, f"says nothing of format {self.format}"
        if self.titles and self.preamble == 0:
            yield "titles", "there are none when preamble = 0"
        if any(not part for part in self.records.split(".")) and self.records:
            yield "records", f"{self.records!r} is no dotted path"

    def _spelling_faults(self) -> Iterator[tuple[str, str]]:
        spelled: dict[str, str] = {}
        for column, spellings in self.header.items():
            for spelling in {normal(text) for text in (column, *spellings)}:
                if spelled.setdefault(spelling, column) != column:
                    yield f"header.{column}", f"the spelling {spelling!r} also means {spelled[spelling]}"
        for name in self.ignored:
            if normal(name) in spelled:
                yield "ignored", f"{name!r} means {spelled[normal(name)]}"


def normal(name: str) -> str:
    """A column name as it is compared: case and surplus blanks do not matter."""
    return " ".join(name.casefold().split())


def _pattern_fault(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        return f"is no pattern: {error}"
    return "" if groups else "has no named group (?P<column>…)"


def _is_encoding(name: str) -> bool:
    try:
        "".encode(name)
    except LookupError:
        return False
    return True

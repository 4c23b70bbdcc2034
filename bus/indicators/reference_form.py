"""A reference table's TOML file as data: what may be written beside `schemas/reference/<name>.csv`."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from bus.errors import Problem
from bus.indicators.calendar_form import CalendarForm
from bus.indicators.spec import Text, Title

#: Columns of other names could not stand in an expression or in a message.
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
#: Terms under which data may be passed on only together with their text.
_WITH_NOTICE = frozenset({"MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause"})


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ColumnForm(_Section):
    """One column: what it means, and what its cells may hold.

    `blank`: a cell may be empty (null). `pattern`, `allowed`: of texts. `label`: for people only; it is left out of the fingerprint, so
    that the better spelling of a name computes nothing anew, and nothing may be computed from it.
    """

    about: Title
    type: Literal["text", "integer", "decimal", "date", "boolean"] = "text"
    blank: bool = False
    pattern: str | None = None
    allowed: list[Text] = Field(default_factory=list)
    label: bool = False

    @field_validator("pattern")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _of_texts(self) -> ColumnForm:
        if self.type != "text" and (self.pattern is not None or self.allowed):
            raise ValueError(f"pattern and allowed are of texts; this column's type is {self.type}")
        return self


class TreeForm(_Section):
    """The rows as a tree: `parent` is the column with the key of the row above; `outside` are the keys above the table's uppermost rows.

    `successor` is the column with the keys (separated by a blank) that took the row's place when its period ended.
    """

    parent: Text
    outside: list[Text] = Field(default_factory=list)
    successor: str | None = None


class TableForm(_Section):
    """One file `schemas/reference/<name>.toml`.

    `key`: the columns that name a row. `period`: two columns of dates, from (inclusive) and until (exclusive), at midnight in
    Asia/Jakarta, blank = without end; with it a key may have several rows, one after the other. `version` rises by one with every change
    of what is computed. `calendar`: the rows are the days off. `licence` is the name of the terms, `notice` what they ask to be shown with the data.
    """

    title: Title
    version: Annotated[int, Field(ge=1)]
    source: Text
    licence: Text
    notice: Annotated[str, Field(validate_default=True)] = ""
    key: Annotated[list[Text], Field(min_length=1)]
    period: Annotated[list[Text], Field(min_length=2, max_length=2)] | None = None
    tree: TreeForm | None = None
    calendar: CalendarForm | None = None
    columns: Annotated[dict[str, ColumnForm], Field(min_length=1)]

    @field_validator("notice")
    @classmethod
    def _notice(cls, value: str, info: ValidationInfo) -> str:
        if not value.strip() and info.data.get("licence") in _WITH_NOTICE:
            raise ValueError(f"{info.data['licence']} asks for its text and the copyright to be passed on; put them here")
        return value

    @model_validator(mode="after")
    def _columns_exist(self) -> TableForm:
        tree = [] if self.tree is None else [self.tree.parent, *([self.tree.successor] if self.tree.successor is not None else [])]
        used = {"key": self.key, "period": self.period or [], "tree": tree}
        wrong = [f"{place} names {name!r}" for place, names in used.items() for name in names if name not in self.columns]
        if wrong:
            raise ValueError(f"{'; '.join(wrong)}; the columns are {', '.join(self.columns)}")
        if odd := [name for name in self.columns if not _NAME.match(name)]:
            raise ValueError(f"names of columns are lower case with _: {', '.join(map(repr, odd))}")
        for name in [*self.key, *(self.period or []), *tree]:
            if self.columns[name].label:
                raise ValueError(f"{name} is a label, but something is computed from it")
        if blank := [name for name in self.key if self.columns[name].blank]:
            raise ValueError(f"a key is never blank: {', '.join(blank)}")
        if undated := [name for name in self.period or [] if self.columns[name].type != "date" or not self.columns[name].blank]:
            raise ValueError(f"columns of the period are dates that may be blank: {', '.join(undated)}")
        return self._tree_is_of_texts(tree)

    @model_validator(mode="after")
    def _calendar_is_of_days(self) -> TableForm:
        if self.calendar is not None and (self.period is not None or [self.columns[name].type for name in self.key] != ["date"]):
            raise ValueError("the rows of a calendar are days: it needs one key column, of dates, and no period")
        return self

    def _tree_is_of_texts(self, tree: list[str]) -> TableForm:
        if tree and (len(self.key) > 1 or any(self.columns[name].type != "text" for name in [*self.key, *tree])):
            raise ValueError("a tree needs one key column, and that, parent and successor as texts")
        if self.tree is not None and self.tree.successor is not None and self.period is None:
            raise ValueError("a successor takes over when a period ends; this table has no period")
        return self


_SECTIONS: dict[str, type[BaseModel]] = {"title": Title, "about": Title, "tree": TreeForm, "calendar": CalendarForm}
#: Keys whose absence is a matter of where the data come from and who may use them, not of form.
_ORIGIN = frozenset({"title", "source", "licence", "notice"})


def parse_form(text: str, file: str) -> tuple[TableForm | None, list[Problem]]:
    """The form, or everything that is wrong with it. `file` is what problems name."""
    try:
        return TableForm.model_validate(tomllib.loads(text)), []
    except tomllib.TOMLDecodeError as error:
        return None, [Problem(file, f"is not TOML: {error}", "T01")]
    except ValidationError as error:
        return None, list(_problems(file, error))


def _problems(file: str, error: ValidationError) -> Iterator[Problem]:
    for each in error.errors(include_url=False):
        place = [str(part) for part in each["loc"]]
        where = f"{file}: {'.'.join(place)}" if place else file
        rule = "T02" if place and place[0] in _ORIGIN else "T01"
        if each["type"] == "extra_forbidden":
            section = (
                ColumnForm if place[0] == "columns" and len(place) == 3 else _SECTIONS.get(place[-2] if len(place) > 1 else "", TableForm)
            )
            near = difflib.get_close_matches(place[-1], section.model_fields, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            yield Problem(where, f"unknown key{hint} (allowed: {', '.join(sorted(section.model_fields))})", "T01")
        elif each["type"] == "missing":
            yield Problem(where, "is required", rule)
        else:
            yield Problem(where, each["msg"].removeprefix("Value error, "), rule)

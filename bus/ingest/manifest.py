"""What declares an agency: `connectors/<agency>/agency.toml`, found by glob; a broken one stops the start, with every problem named.

The agency's code (`mapping.py`) is imported only by `Agency.mapping`, when its connector runs.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bus.errors import ConfigurationError, Problem
from bus.events.envelope import EventType
from bus.ingest.source import DoubtsOf, KeyOf, ToEvents

MANIFEST = "agency.toml"
_ID = re.compile(r"^[a-z][a-z0-9_]*$")
_CODE = re.compile(r"^[a-z][a-z0-9_]*:[a-z_][a-z0-9_]*$")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Title(_Part):
    """A name in both languages."""

    id: str = Field(min_length=1)
    en: str = Field(min_length=1)


class Expected(_Part):
    """Events an hour: below `min` the agency is silent, above `max` something is wrong."""

    min: int = Field(0, ge=0)
    max: int | None = Field(None, ge=1)


class EventSpec(_Part):
    """One event type that the agency publishes."""

    key: str = Field("subject", min_length=1, description="the field whose value makes the subject")
    access: Literal["public", "internal", "restricted"] = Field(description="who may read the topic")
    expect_per_hour: Expected = Expected()


class SourceSpec(_Part):
    """A place where files of one form are put. Its name within the agency is the key in `[sources]`."""

    type: Literal["files"] = "files"
    kind: Literal["append", "table"] = Field(description="append: a file adds to those before; table: each file is the whole truth")
    key: tuple[str, ...] = Field(
        (), description="columns that name a record; without a key nothing can be corrected by delivering it again"
    )
    patterns: tuple[str, ...] = Field(("*.csv",), min_length=1, description="file names, in any case; others are not touched")
    mapping: str = Field("mapping:to_events", description="module:function in the agency's folder")
    setting: str = Field("folder", description="the setting that names the folder, where --input does not")
    delimiter: Literal[",", ";", "\t", "|"] | None = Field(None, description="none: the one that the header fits best")
    encoding: str | None = Field(None, description="none: UTF-8, else Windows-1252, else Latin-1, decided on the whole file")
    header: dict[str, tuple[str, ...]] = Field(min_length=1, description="our column -> the spellings that files have used")
    optional: tuple[str, ...] = Field((), description="columns that some years' files do not have; they are then blank")


class Waiver(_Part):
    """A conformance rule that this agency need not pass, for a while."""

    rule: str
    reason: str = Field(min_length=10)
    until: date


class Manifest(_Part):
    """The content of an agency.toml."""

    id: str
    title: str | Title
    owner: str = Field(min_length=1)
    summary: str = Field(min_length=50)
    poll_seconds: float | None = Field(None, gt=0, description="none: the setting ingest.poll_seconds")
    settings: tuple[str, ...] = ()
    events: dict[str, EventSpec] = Field(min_length=1)
    sources: dict[str, SourceSpec] = Field(min_length=1)
    waivers: tuple[Waiver, ...] = ()


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an agency's code says of a source's records."""

    to_events: ToEvents
    key_of: KeyOf | None = None
    doubts_of: DoubtsOf | None = None


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency as declared, and the folder that declares it."""

    folder: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        return self.manifest.id

    def source_name(self, source_id: str) -> str:
        """The name under which a source's events are sequenced."""
        return f"{self.id}/{source_id}"

    def meaning(self, source_id: str) -> Meaning:
        """Import the mapping of a source. Raises `ConfigurationError` naming file and function."""
        module_name, _, function = self.manifest.sources[source_id].mapping.partition(":")
        path = self.folder / f"{module_name}.py"
        module = _import(f"connectors.{self.id}.{module_name}", path)
        to_events = getattr(module, function, None)
        if not callable(to_events):
            raise ConfigurationError([Problem(str(path), f"has no function {function}(record), which sources.{source_id}.mapping names")])
        return Meaning(to_events, getattr(module, "key_of", None), getattr(module, "doubts_of", None))


def discover(roots: Sequence[Path]) -> Mapping[str, Agency]:
    """The agencies of all connector folders, by id. Raises one `ConfigurationError` with every problem of every manifest."""
    agencies: dict[str, Agency] = {}
    problems: list[Problem] = []
    for root in roots:
        for path in sorted(root.glob(f"*/{MANIFEST}")):
            agency, wrong = read_manifest(path)
            problems += wrong
            if agency is None:
                continue
            if agency.id in agencies:
                problems.append(Problem(str(path), f"agency {agency.id} is declared in {agencies[agency.id].folder} too", "C01"))
            agencies.setdefault(agency.id, agency)
    if problems:
        raise ConfigurationError(problems)
    return agencies


def read_manifest(path: Path) -> tuple[Agency | None, list[Problem]]:
    """One manifest and what is wrong with it; no agency when it cannot be read at all."""
    try:
        manifest = Manifest.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return None, [Problem(str(path), str(error), "C01")]
    except ValidationError as error:
        return None, [Problem(f"{path}: {'.'.join(map(str, item['loc']))}", item["msg"], "C01") for item in error.errors()]
    problems = [Problem(f"{path}: {where}", what, "C01") for where, what in _faults(path, manifest)]
    return Agency(path.parent, manifest), problems


def _faults(path: Path, manifest: Manifest) -> Iterable[tuple[str, str]]:
    if not _ID.match(manifest.id) or manifest.id != path.parent.name:
        yield "id", f"{manifest.id!r}; it must equal the folder's name {path.parent.name!r}, lower case with _"
    for name in manifest.events:
        try:
            event_type = EventType.parse(name)
        except ValueError as error:
            yield f"events.{name}", str(error)
            continue
        if event_type.agency != manifest.id:
            yield f"events.{name}", f"belongs to agency {event_type.agency!r}; allowed: types that begin with {manifest.id}."
    for source_id, source in manifest.sources.items():
        where = f"sources.{source_id}"
        if not _ID.match(source_id):
            yield where, "a source's name is lower case with _"
        yield from _source_faults(where, source)
        if source.setting not in manifest.settings:
            yield f"{where}.setting", f"{source.setting!r} is not among settings = {list(manifest.settings)}"


def _source_faults(where: str, source: SourceSpec) -> Iterable[tuple[str, str]]:
    columns = ", ".join(source.header)
    for name in ("key", "optional"):
        for column in getattr(source, name):
            if column not in source.header:
                yield f"{where}.{name}", f"{column!r} is no column of header; allowed: {columns}"
    if source.kind == "table" and not source.key:
        yield f"{where}.key", "a table needs a key, or what is missing from it cannot be told"
    if not _CODE.match(source.mapping):
        yield f"{where}.mapping", f"{source.mapping!r} is not of the form module:function"
    if source.encoding is not None and not _is_encoding(source.encoding):
        yield f"{where}.encoding", f"unknown encoding {source.encoding!r}"
    spelled: dict[str, str] = {}
    for column, spellings in source.header.items():
        for spelling in {normal(text) for text in (column, *spellings)}:
            if spelled.setdefault(spelling, column) != column:
                yield f"{where}.header.{column}", f"the spelling {spelling!r} also means {spelled[spelling]}"


def normal(name: str) -> str:
    """A column name as it is compared: case and surplus blanks do not matter."""
    return " ".join(name.casefold().split())


def _is_encoding(name: str) -> bool:
    try:
        "".encode(name)
    except LookupError:
        return False
    return True


def _import(name: str, path: Path) -> ModuleType:
    """The module in that file, imported once under a name that belongs to it alone (agencies of overlays are no packages)."""
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path):
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigurationError([Problem(str(path), "there is no such module")])
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigurationError([Problem(str(path), f"cannot be imported: {type(error).__name__}: {error}")]) from error
    return module

"""What declares an agency: `connectors/<agency>/agency.toml`, found by glob; a broken one stops the start, with every problem named.

The agency's code (`mapping.py`) is imported only by `Agency.mapping`, when its connector runs.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bus.errors import ConfigurationError, Problem
from bus.events.envelope import EventType
from bus.ingest.kinds import AnySpec
from bus.ingest.source import DoubtsOf, KeyOf, ToEvents
from bus.settings import section_settings

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
    reporters: tuple[str, ...] = Field((), description="who should be heard of in every window: puskesmas, stations, RTs …")


class Privacy(_Part):
    """How the agency's pseudonyms relate to those of others."""

    join_domain: str = Field("", description="shared by the agencies of schemas/agreements/<domain>.toml; empty: the agency's own")


class TotalsSpec(_Part):
    """The agency's own daily counts, with which the bus's are compared (`bus.ingest.totals`)."""

    setting: str = Field("totals_folder", description="the setting with the folder into which the agency puts them")
    types: dict[str, str] = Field(min_length=1, description="what the column `jenis` says -> event type")
    indicators: dict[str, str] = Field(default_factory=dict, description="event type -> the indicator of its daily count, compared too")


class FeedbackSpec(_Part):
    """Where what people write to the agency and its answers are, for `bus feedback`."""

    received: str = Field(description="the event type of letters, with what was written in a sealed field `text`")
    answered: str = Field(description="the event type of answers, with the fields `number`, `outcome` and `answer`")
    answers: str = Field(
        description="the webhook source that takes answers: records with nomor, tentang, jenis, diterima, waktu, hasil, jawaban"
    )


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
    settings: tuple[str, ...] | dict[str, str] = Field((), description="names, or names with what each is")
    privacy: Privacy = Privacy()
    events: dict[str, EventSpec] = Field(min_length=1)
    sources: dict[str, AnySpec] = Field(min_length=1)
    totals: TotalsSpec | None = None
    feedback: FeedbackSpec | None = None
    waivers: tuple[Waiver, ...] = ()

    @field_validator("sources", mode="before")
    @classmethod
    def _files_unless_said(cls, sources: object) -> object:
        if not isinstance(sources, dict):
            return sources
        return {name: {"type": "files"} | source if isinstance(source, dict) else source for name, source in sources.items()}


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


def discover(roots: Sequence[Path], only: Collection[str] = ()) -> Mapping[str, Agency]:
    """The agencies of all connector folders, by id; those in `only` when it is not empty.

    Raises one `ConfigurationError` with every problem of every manifest, also of those that are left out.
    """
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
    return {name: agency for name, agency in agencies.items() if not only or name in only}


def read_manifest(path: Path) -> tuple[Agency | None, list[Problem]]:
    """One manifest and what is wrong with it; no agency when it cannot be read at all."""
    try:
        manifest = Manifest.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return None, [Problem(str(path), str(error), "C01")]
    except ValidationError as error:
        return None, [Problem(f"{path}: {_where(item['loc'])}", item["msg"], "C01") for item in error.errors()]
    problems = [Problem(f"{path}: {where}", what, "C01") for where, what in _faults(path, manifest)]
    return Agency(path.parent, manifest), problems


def _where(loc: tuple[int | str, ...]) -> str:
    """A place in a manifest; the kind of a source, which pydantic names after the source, is no part of it."""
    parts = [*loc[:2], *loc[3:]] if loc[0] == "sources" else [*loc]
    return ".".join(map(str, parts))


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
    yield from _settings_faults(manifest)
    yield from _sources_faults(manifest)


def _settings_faults(manifest: Manifest) -> Iterable[tuple[str, str]]:
    if manifest.totals is not None:
        yield from _totals_faults(manifest, manifest.totals)
    if manifest.feedback is not None:
        yield from _feedback_faults(manifest, manifest.feedback)
    for name in section_settings(manifest.id):
        if name in manifest.settings:
            yield f"settings.{name}", f"BUS_{manifest.id.upper()}__{name.upper()} is a setting of the bus; choose another name"


def _sources_faults(manifest: Manifest) -> Iterable[tuple[str, str]]:
    for source_id, source in manifest.sources.items():
        where = f"sources.{source_id}"
        if not _ID.match(source_id):
            yield where, "a source's name is lower case with _"
        if not _CODE.match(source.mapping):
            yield f"{where}.mapping", f"{source.mapping!r} is not of the form module:function"
        yield from ((f"{where}.{field}", what) for field, what in source.faults())
        for setting in source.wanted_settings:
            if setting not in manifest.settings:
                yield f"{where}.setting", f"{setting!r} is not among settings = {list(manifest.settings)}"


def _totals_faults(manifest: Manifest, totals: TotalsSpec) -> Iterable[tuple[str, str]]:
    if totals.setting not in manifest.settings:
        yield "totals.setting", f"{totals.setting!r} is not among settings = {list(manifest.settings)}"
    for name in (*totals.types.values(), *totals.indicators):
        if name not in manifest.events:
            yield "totals", f"{name!r} is no event of this agency; allowed: {', '.join(manifest.events)}"


def _feedback_faults(manifest: Manifest, feedback: FeedbackSpec) -> Iterable[tuple[str, str]]:
    for field in ("received", "answered"):
        if getattr(feedback, field) not in manifest.events:
            yield f"feedback.{field}", f"{getattr(feedback, field)!r} is no event of this agency; allowed: {', '.join(manifest.events)}"
    posted = [name for name, source in manifest.sources.items() if source.type == "webhook"]
    if feedback.answers not in posted:
        yield "feedback.answers", f"{feedback.answers!r} is no webhook source; allowed: {', '.join(posted) or 'none'}"


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

"""The mutation rule sees a mapping that lets another type pass, at every depth of a JSON record."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bus.ingest.manifest import read_manifest
from bus.testing.mutations import mutations_of
from bus.testing.samples import samples_of

MANIFEST = """
id = "jaga"
title = "Jaga"
owner = "kit@example.invalid"
summary = "A made-up agency whose records are JSON with objects and lists inside, for the mutation rule."
settings = ["base_url"]
[events."jaga.thing.seen.v1"]
access = "internal"
[sources.things]
type = "http"
path = "/things"
"""
MAPPING = """
from datetime import UTC, datetime
from typing import Annotated, Literal
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt
from bus.events.envelope import Event
from bus.ingest.record import parse

class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    code: Annotated[str, Field(pattern="^[a-c]$")]
    count: StrictInt

class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    no: str
    kind: Literal["A", "B"]
    open: StrictBool
    at: Annotated[str, Field(pattern="^2026-")]
    place: Part
    parts: list[Part]

def to_events(record):
    thing = parse(Thing, record)
    data = thing.model_dump()
    yield Event("jaga.thing.seen.v1", thing.no, datetime(2026, 1, 1, tzinfo=UTC), data)
"""
RECORD = {
    "no": "T1",
    "kind": "A",
    "open": True,
    "at": "2026-01-01",
    "place": {"code": "a", "count": 1},
    "parts": [{"code": "b", "count": 2}],
}


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Callable[..., set[str]]]:
    def look(old: str = "", new: str = "") -> set[str]:
        folder = tmp_path / "jaga"
        (folder / "samples" / "things").mkdir(parents=True, exist_ok=True)
        (folder / "agency.toml").write_text(MANIFEST)
        assert old in MAPPING
        for name in [name for name in sys.modules if name.startswith("connectors.jaga")]:
            del sys.modules[name]
        (folder / "mapping.py").write_text(MAPPING.replace(old, new) if old else MAPPING)
        (folder / "samples" / "things" / "a.jsonl").write_text(json.dumps(RECORD) + "\n")
        agency, problems = read_manifest(folder / "agency.toml")
        assert agency is not None
        assert not problems
        return {problem.what for sample in samples_of(agency) for problem in mutations_of(sample)}

    yield look
    for name in [name for name in sys.modules if name.startswith("connectors.jaga")]:
        del sys.modules[name]


def test_a_strict_mapping_lets_nothing_pass(found: Callable[..., set[str]]) -> None:
    assert found() == set()


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("    count: StrictInt", "    count: int", "a boolean in field place.count"),
        ("    open: StrictBool", "    open: object", "a list in field open"),
        ('    at: Annotated[str, Field(pattern="^2026-")]', "    at: datetime", "a number in field at"),
        ("    parts: list[Part]", "    parts: object", "an unknown field in parts[0]"),
        ('class Part(BaseModel):\n    model_config = ConfigDict(extra="forbid")', "class Part(BaseModel):", "an unknown field in place"),
        ("    count: StrictInt", "    count: StrictInt = 1", "without field place.count"),
    ],
)
def test_a_lenient_one_is_told(found: Callable[..., set[str]], old: str, new: str, what: str) -> None:
    assert any(each.startswith(what) for each in found(old, new))


PERSONAL = """
from datetime import UTC, datetime
from typing import Annotated
from pydantic import BaseModel, ConfigDict, Field
from bus.events.envelope import Event
from bus.ingest.privacy import Dropped, Identifier, Nik, sealed, subject_of
from bus.ingest.record import parse

class NoRm(Identifier):
    kind = "no_rm"

class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    nik: Nik
    rm: NoRm
    nama: Dropped
    alamat: Annotated[str, Field(json_schema_extra={"pii": "quasi"})]

def to_events(record):
    thing = parse(Thing, record)
    data = {"person": thing.nik, "address": sealed(thing.alamat)}
    yield Event("jaga.thing.seen.v1", subject_of(thing.rm), datetime(2026, 1, 1, tzinfo=UTC), data)
"""


def test_free_text_may_arrive_behind_a_mark(found: Callable[..., set[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    here = sys.modules[__name__]
    monkeypatch.setattr(here, "MAPPING", PERSONAL)
    monkeypatch.setattr(here, "RECORD", {"nik": "0009011203990001", "rm": "RM-1", "nama": "Budi", "alamat": "Jl. Merbabu 3"})
    assert found() == set()
    assert any(each.startswith("an unknown value in field rm") for each in found("subject_of(thing.rm)", '"s"'))

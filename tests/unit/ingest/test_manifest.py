"""Manifests: every problem of every file at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.errors import ConfigurationError
from bus.ingest.kinds import FilesSpec
from bus.ingest.manifest import discover
from bus.settings import Settings

GOOD = """
id = "lab"
title = "Laboratory"
owner = "lab@example.go.id"
summary = "An agency of the tests: numbers with a value, delivered as whole tables."
settings = ["folder"]
[events."lab.sample.recorded.v1"]
access = "internal"
[sources.samples]
kind = "table"
key = ["no"]
[sources.samples.header]
no = ["no", "nomor"]
value = []
"""


def put(root: Path, text: str, *, name: str = "lab") -> Path:
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "agency.toml").write_text(text)
    return root


def test_a_good_one(tmp_path: Path) -> None:
    agency = discover([put(tmp_path, GOOD)])["lab"]
    assert agency.source_name("samples") == "lab/samples"
    spec = agency.manifest.sources["samples"]
    assert isinstance(spec, FilesSpec)
    assert spec.patterns == ("*.csv",)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "lab"', 'id = "labor"', "it must equal the folder's name 'lab'"),
        ('id = "lab"', "id = ", "Invalid value"),
        ('owner = "lab@example.go.id"', "", "agency.toml: owner: Field required"),
        ('kind = "table"', 'kind = "tabel"', "sources.samples.kind: Input should be 'append' or 'table'"),
        ('key = ["no"]', 'key = ["nr"]', "sources.samples.key: 'nr' is no column of header; allowed: no, value"),
        ('key = ["no"]', "", "a table needs a key"),
        ("value = []", 'value = ["Nomor"]', "the spelling 'nomor' also means no"),
        ("value = []", "value = []\n[sources.samples.heder]", "heder: Extra inputs are not permitted"),
        ("lab.sample.recorded.v1", "lib.sample.recorded.v1", "allowed: types that begin with lab."),
        ("lab.sample.recorded.v1", "lab.sample", "not of the form"),
        ('settings = ["folder"]', "", "sources.samples.setting: 'folder' is not among settings"),
        ('key = ["no"]', 'key = ["no"]\nmapping = "to_events"', "is not of the form module:function"),
        ('key = ["no"]', 'key = ["no"]\nencoding = "utf-7000"', "unknown encoding 'utf-7000'"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError) as caught:
        discover([put(tmp_path, GOOD.replace(old, new))])
    assert said in str(caught.value)


def test_all_problems_at_once(tmp_path: Path) -> None:
    put(tmp_path / "a", GOOD.replace("access", "acess"))
    put(tmp_path / "b", GOOD)
    put(tmp_path / "c", GOOD)
    with pytest.raises(ConfigurationError) as caught:
        discover([tmp_path / "a", tmp_path / "b", tmp_path / "c"])
    assert len(caught.value.problems) == 3


def test_a_mapping_that_cannot_be_used(tmp_path: Path) -> None:
    agency = discover([put(tmp_path, GOOD)])["lab"]
    with pytest.raises(ConfigurationError, match="there is no such module"):
        agency.meaning("samples")
    mapping = tmp_path / "lab" / "mapping.py"
    mapping.write_text("import nothing_of_that_name")
    with pytest.raises(ConfigurationError, match="cannot be imported: ModuleNotFoundError"):
        agency.meaning("samples")
    mapping.write_text("to_event = print")
    with pytest.raises(ConfigurationError, match="has no function to_events"):
        agency.meaning("samples")


def test_feedback_names_what_the_agency_has(tmp_path: Path) -> None:
    spec = '[feedback]\nreceived = "lab.letter.received.v1"\nanswered = "lab.sample.recorded.v1"\nanswers = "samples"\n'
    with pytest.raises(ConfigurationError) as caught:
        discover([put(tmp_path, GOOD + spec)])
    assert [problem.where.partition(": ")[2] for problem in caught.value.problems] == ["feedback.received", "feedback.answers"]


def test_an_agency_may_have_the_name_of_a_section_but_not_its_settings(tmp_path: Path) -> None:
    """What the section knows is the section's; a manifest that asks for it would never get it."""
    environ = {"BUS_PPID__FEEDBACK_URL": "http://127.0.0.1/", "BUS_PPID__PORTAL_KEY": "k" * 16}
    settings = Settings.from_env(environ, agencies=["ppid"])
    assert settings.ppid.feedback_url == "http://127.0.0.1/"
    assert list(settings.agencies["ppid"]) == ["portal_key"]
    with pytest.raises(ConfigurationError, match="BUS_PPID__PORTAL_KEY"):
        Settings.from_env(environ)
    text = GOOD.replace('"lab"', '"ppid"').replace("lab.sample", "ppid.sample").replace('["folder"]', '["folder", "port"]')
    with pytest.raises(ConfigurationError, match=r"settings\.port"):
        discover([put(tmp_path, text, name="ppid")])

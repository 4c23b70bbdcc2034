"""A new agency works at once, for every kind; a trial shows what a record becomes; keys are rotated and pseudonyms told."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.cli.app import main
from bus.events.lock import read_lock
from bus.events.personal import is_pseudonym
from bus.ingest.privacy.keys import AgencyKeys
from bus.settings import Settings
from bus.testing.kit import cases
from bus.testing.scaffold.agency import KINDS, new_agency
from tests.pipeline.ingest_world import World


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("BUS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BUS_DATA_DIR", str(tmp_path / "data"))
    yield
    for name in [name for name in sys.modules if name.startswith("connectors.pustaka")]:
        del sys.modules[name]


def _code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_agency_passes_the_kit_at_once(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pustaka"
    assert _code("new-agency", "pustaka", "--kind", kind, "--into", str(folder)) == 0
    assert "all kept" in capsys.readouterr().err
    assert _code("check", "pustaka", "--overlay", str(folder)) == 0
    own = list(cases(Settings(overlay=(folder,)), "pustaka"))
    assert {"C01", "C04", "C09", "C15", "A02", "A04", "K09", "I02", "I09"} <= {case.rule for case in own}
    assert {case.subject for case in own} <= {
        "pustaka", "pustaka.services_month", "events/pustaka/service.completed.v1", "schemas", "indicators", "reference", "references", "metrics",
    }  # fmt: skip
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert _code("new-agency", "pustaka", "--kind", kind, "--into", str(folder)) == 2
    assert "there already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"} == before


def test_its_connector_runs(tmp_path: Path) -> None:
    folder = tmp_path / "overlay"
    assert _code("new-agency", "pustaka", "--into", str(folder)) == 0
    world = World(tmp_path / "world", roots=[folder / "connectors"], schemas=[folder / "schemas"], agency="pustaka")
    world.environ["BUS_SIMULATION"] = "1"
    world.put_bytes("a.csv", (folder / "connectors/pustaka/samples/layanan/contoh.csv").read_bytes())
    import asyncio

    asyncio.run(world.run())
    assert [envelope.event.data["service"] for envelope in world.envelopes()] == ["KTP", "KK", "KTP"]
    assert all(is_pseudonym(str(envelope.event.data["person"])) for envelope in world.envelopes())


def test_in_the_repository_ids_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.testing.scaffold.agency.ROOT", tmp_path)
    new_agency("pustaka", kind="sql", into=tmp_path)
    (release,) = read_lock(tmp_path / "schemas") or ()
    assert (release.id, release.name) == (1, "pustaka.service.completed.v1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new-agency", "Pustaka"], "lower case"),
        (["new-agency", "kafka"], "section of settings"),
        (["new-agency", "dlh"], "is there already"),
        (["new-agency", "pustaka", "--kind", "fax"], "allowed: files, sql, postgres-cdc, http, webhook, mqtt"),
        (["try", "nobody", "x"], "unknown agency; known are: "),
        (["try", "dlh", "nothing.csv"], "ispu/bulanan.csv"),
        (["try", "dlh", "README.md", "--source", "x"], "dlh has ispu"),
        (["keys", "rotate", "dlh"], "no keys of it on this machine"),
        (["keys", "rotate", "nobody"], "unknown agency; known are: "),
        (["keys", "pseudonym", "dlh", "--kind", "x"], "allowed: nik, no_kk, phone, name"),
        (["erase", "dlh", "dlh.air_quality.recorded.v1", "x", "--reason", "y"], "no broker is named"),
    ],
)
def test_misuse_is_answered_with_what_is_allowed(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _code(*arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_trial_shows_records_events_and_cells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _code("new-agency", "pustaka", "--kind", "http", "--into", str(tmp_path / "o")) == 0
    capsys.readouterr()
    assert _code("try", "pustaka", "contoh.jsonl", "--overlay", str(tmp_path / "o"), "--json") == 1
    said = capsys.readouterr().out
    assert "0009010503990001" not in said
    found = json.loads(said)
    assert [len(each["events"]) for each in found] == [1, 1, 1, 0]
    first = found[0]
    assert first["raw"]["nik"] == "<16 digits>"
    assert first["events"][0]["data"]["age"] == "18-59"
    (cell,) = first["touched"]
    assert (cell["indicator"], cell["cell"]["service"], cell["cell"]["age"], cell["value"]) == (
        "pustaka.services_month",
        "KTP",
        "18-59",
        "1",
    )
    assert "tidak ada dalam daftar" in found[3]["refused"][0]
    assert "is not in the list" in found[3]["refused"][1]


def test_a_trial_of_the_environment_agency(capsys: pytest.CaptureFixture[str]) -> None:
    assert _code("try", "dlh", "bulanan.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {cell["indicator"] for cell in found[0]["touched"]} > {"dlh.pm25_mean", "dlh.category_days"}
    assert _code("try", "dlh", "salah-baris.csv") == 1
    said = capsys.readouterr()
    assert "refused" in said.out


def test_rotation_keeps_pseudonyms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def told(text: str, kind: str = "nik") -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(text + "\n"))
        assert _code("keys", "pseudonym", "dlh", "--kind", kind) == 0
        return capsys.readouterr().out.strip()

    assert _code("keys", "pseudonym", "dlh") == 2
    assert "is not on this machine" in " ".join(capsys.readouterr().err.split())
    AgencyKeys("dlh", "dlh", tmp_path / "data" / "keys", {}).pseudonym_key()
    capsys.readouterr()
    first = told("3309 1212 0399 0001")
    assert is_pseudonym(first)
    assert _code("keys", "rotate", "dlh") == 0
    capsys.readouterr()
    assert told("3309121203990001") == first
    assert told("Budi Santoso", "name") == told("budi  santoso", "name")
    monkeypatch.setattr("sys.stdin", io.StringIO("3309\n"))
    assert _code("keys", "pseudonym", "dlh") == 1
    assert "3309" not in capsys.readouterr().err

"""`bus keys replace`, `map` and `forget-former` as commands: the agency still passes the kit, and nothing raw is shown."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.ingest.privacy.keys import AgencyKeys
from bus.kafka.topics import AUDIT
from bus.settings import ROOT
from bus.testing.memory import MemoryLog
from bus.testing.scanner import Scanner
from tests.unit.cli.published import answer, connected

pytestmark = pytest.mark.usefixtures("named_broker")
NIKS = ["3309121203990001", "3309121203990002", "3309121203990003"]
TYPE, TOPIC = "pustaka.pseudonym.mapped.v1", "events.pustaka.pseudonym.mapped.v1"
HELD = "pustaka.service.completed.v1"
WHY = ("--reason", "cadangan kunci hilang")
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> MemoryLog:
    log = MemoryLog({AUDIT: 1, TOPIC: 4, f"events.{HELD}": 4})
    monkeypatch.setattr("bus.cli.replacement.connect", connected(log))
    return log


@pytest.fixture
def bus(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """Commands about a new agency in an overlay; its key is on this machine."""
    folder = tmp_path / "overlay"
    assert answer(capsys, "new-agency", "pustaka", "--into", str(folder))[0] == 0
    AgencyKeys("pustaka", "pustaka", tmp_path / "data" / "keys", {}).pseudonym_key()

    def call(*arguments: str, lines: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
        return answer(capsys, *arguments, "--overlay", str(folder))

    yield call
    for name in [name for name in sys.modules if name.startswith("connectors.pustaka")]:
        del sys.modules[name]


def deeds(log: MemoryLog) -> list[tuple[str, str, str]]:
    values = [json.loads(record.value or b"") for record in log.records(AUDIT)]
    return [(value["action"], value["state"], value["reason"]) for value in values]


def test_from_a_leak_to_the_end_of_it(log: MemoryLog, bus: Call, tmp_path: Path) -> None:
    old = bus("keys", "pseudonym", "pustaka", lines=NIKS[0].encode())[1]
    code, said, steps = bus("keys", "replace", "pustaka", *WHY)
    assert code == 0
    assert f"needs a new major: {HELD}" in said
    assert f"needs a new major: {TYPE}" not in said
    assert len([line for line in said.splitlines() if line.startswith("written: ")]) == 2
    assert "bus keys map pustaka" in steps
    assert "bus keys forget-former pustaka" in steps
    assert bus("check", "pustaka")[0] == 0
    new, former = (bus("keys", "pseudonym", "pustaka", *flag, lines=NIKS[0].encode())[1] for flag in ((), ("--former",)))
    assert former == old != new

    code, said, errors = bus("keys", "map", "pustaka", lines="\n".join(NIKS).encode())
    assert (code, said.strip(), errors) == (0, "3 mapped, 0 were mapped before", "")
    assert bus("keys", "map", "pustaka", lines=NIKS[1].encode())[1].strip() == "0 mapped, 1 were mapped before"

    code, _, errors = bus("keys", "forget-former", "pustaka", *WHY)
    assert code == 2
    assert f"{HELD}: is still declared" in errors
    assert f"events.{HELD}: still exists" in errors
    assert deeds(log) == [
        ("replace key", "begun", WHY[1]), ("replace key", "done", WHY[1]), ("map pseudonyms", "done", ""),
    ]  # fmt: skip
    (tmp_path / "data" / "keys" / "domain.pustaka.former.json").write_text('["pustaka.gone.recorded.v1"]')
    assert bus("keys", "forget-former", "pustaka", *WHY)[0] == 0
    code, _, errors = bus("keys", "map", "pustaka", lines=NIKS[0].encode())
    assert code == 2
    assert "no replacement of the key of domain pustaka is under way" in errors
    assert bus("keys", "pseudonym", "pustaka", lines=NIKS[0].encode())[1] == new


def test_what_is_no_identifier_is_told_by_its_line_and_shown_nowhere(log: MemoryLog, bus: Call, tmp_path: Path) -> None:
    bus("keys", "replace", "pustaka", *WHY)
    code, said, errors = bus("keys", "map", "pustaka", lines=f"{NIKS[0]}\nBudi Santoso\n\n{NIKS[1]}9\n".encode())
    assert (code, said.strip()) == (1, "1 mapped, 0 were mapped before")
    assert errors.strip() == "2 lines hold no nik: 2, 4"
    look = Scanner([*NIKS, "Budi Santoso"], codec=Codec(Catalogue.load([ROOT / "schemas", tmp_path / "overlay" / "schemas"])))
    assert not [hit for number in range(4) for hit in look.records(TOPIC, log.records(TOPIC, number))]
    assert not list(look.text("output", said + errors))


def test_it_is_replaced_once_until_that_is_finished(log: MemoryLog, bus: Call, tmp_path: Path) -> None:
    assert bus("keys", "replace", "pustaka", *WHY)[0] == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    code, _, errors = bus("keys", "replace", "pustaka", *WHY)
    assert code == 2
    assert "bus keys forget-former" in errors
    assert {path: path.read_bytes() for path in before} == before
    assert len(deeds(log)) == 2


def test_a_replacement_without_a_broker_says_that_nobody_keeps_it(bus: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BUS_KAFKA__BOOTSTRAP_SERVERS")
    code, _, errors = bus("keys", "replace", "pustaka", *WHY)
    assert code == 0
    assert "no broker is named" in errors
    for command in (("keys", "map", "pustaka"), ("keys", "forget-former", "pustaka", *WHY)):
        code, _, errors = bus(*command, lines=NIKS[0].encode())
        assert code == 2
        assert "no broker is named" in errors


MISUSE = [
    (["replace", "nobody", *WHY], "unknown agency; known are: "),
    (["replace", "dlh", *WHY], "the key of domain dlh is not on this machine"),
    (["replace", "pustaka", "--reason", " "], "--reason: is empty"),
    (["replace", "pustaka", "--reason", NIKS[0]], "structure of a NIK"),
    (["map", "pustaka", "--kind", "paspor"], "allowed: nik, no_kk, phone, name"),
    (["map", "pustaka"], "is not declared; `bus keys replace` writes"),
    (["map", "pustaka", "--type", HELD], "allowed: pustaka.pseudonym.mapped.v<major>"),
    (["forget-former", "pustaka", *WHY], "there is no former key of domain pustaka"),
    (["pseudonym", "pustaka", "--former"], "no replacement of the key of domain pustaka is under way"),
]


def test_misuse_is_answered_with_what_is_allowed(log: MemoryLog, bus: Call) -> None:
    for arguments, message in MISUSE:
        code, _, errors = bus("keys", *arguments, lines=NIKS[0].encode())
        assert code == 2
        assert message in " ".join(errors.split())
        assert NIKS[0] not in errors
        assert log.writes == 0


def test_a_key_of_the_settings_is_not_replaced_here(log: MemoryLog, bus: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUS_PUSTAKA__PSEUDONYM_KEY", "A" * 43 + "=")
    code, _, errors = bus("keys", "replace", "pustaka", *WHY)
    assert code == 2
    assert "BUS_PUSTAKA__PSEUDONYM_KEY: gives the key, so you replace it yourself" in errors
    assert "openssl rand -base64 32" in errors
    assert log.writes == 0

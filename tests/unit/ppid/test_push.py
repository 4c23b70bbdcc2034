"""`bus ppid`: the gate by hand, and pushing to a CKAN portal that answers as CKAN does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.cli import main
from bus.clock import SystemClock
from bus.errors import ConfigurationError, TransientError
from bus.settings import PpidSettings, Settings
from bus.testing.memory import MemoryLog
from consumers.ppid.addresses import Addresses
from consumers.ppid.ckan import Describer
from consumers.ppid.database import Database
from consumers.ppid.library import Library
from consumers.ppid.push import Portal, Pushed, push
from tests.unit.ppid.feed import CATALOGUE, PM10, follower_of, public, released

SETTINGS = PpidSettings(base_url="https://data.example.go.id")
NAME = "dlh-pm10_max"


class Ckan:
    """CKAN 2.11's write side as its documentation tells it: who may, what is valid, and how it refuses."""

    def __init__(self) -> None:
        self.organizations: dict[str, dict[str, Any]] = {}
        self.packages: dict[str, dict[str, Any]] = {}
        self.writes: list[str] = []
        self.away = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused")
        action = request.url.path.removeprefix("/api/3/action/")
        data = json.loads(request.content)
        if not action.endswith("_show"):
            self.writes.append(action)
            if request.headers.get("authorization") != "kunci":
                return self._answer(403, {"__type": "Authorization Error", "message": "Access denied"})
        return getattr(self, action)(data)

    def _answer(self, status: int, body: Any) -> httpx.Response:
        return httpx.Response(status, json={"help": "", "success": status == 200, "result" if status == 200 else "error": body})

    def _missing(self) -> httpx.Response:
        return self._answer(404, {"__type": "Not Found Error", "message": "Not found"})

    def organization_show(self, data: dict[str, Any]) -> httpx.Response:
        found = self.organizations.get(data["id"])
        return self._missing() if found is None else self._answer(200, found)

    def organization_create(self, data: dict[str, Any]) -> httpx.Response:
        if data["name"] in self.organizations:
            return self._answer(409, {"__type": "Validation Error", "name": ["Group name already exists in database"]})
        self.organizations[data["name"]] = data
        return self._answer(200, data)

    def package_show(self, data: dict[str, Any]) -> httpx.Response:
        found = next((each for each in self.packages.values() if data["id"] in (each["id"], each["name"])), None)
        return self._missing() if found is None else self._answer(200, found)

    def package_create(self, data: dict[str, Any]) -> httpx.Response:
        if data["name"] in self.packages:
            return self._answer(409, {"__type": "Validation Error", "name": ["That URL is already in use."]})
        return self._save({"id": f"id-{data['name']}", "state": "active"} | data)

    def package_patch(self, data: dict[str, Any]) -> httpx.Response:
        known = next(each for each in self.packages.values() if each["id"] == data["id"])
        return self._save(known | data)

    def package_delete(self, data: dict[str, Any]) -> httpx.Response:
        self.packages[data["id"]]["state"] = "deleted"
        return self._answer(200, None)

    def _save(self, package: dict[str, Any]) -> httpx.Response:
        error: dict[str, Any] = {}
        if not re.fullmatch(r"[a-z0-9_\-]{2,100}", package["name"]):
            error["name"] = ["Must be purely lowercase alphanumeric (ascii) characters and these symbols: -_"]
        if package["owner_org"] not in self.organizations:
            error["owner_org"] = ["Organization does not exist"]
        for tag in package["tags"]:
            if not re.fullmatch(r"[\w \-.]{2,100}", tag["name"]):
                error["tags"] = [f"Tag {tag['name']} must be alphanumeric characters or symbols: -_."]
        if error:
            return self._answer(409, {"__type": "Validation Error"} | error)
        self.packages[package["name"]] = package
        return self._answer(200, package)


@pytest.fixture
async def library(log: MemoryLog, tmp_path: Path) -> Library:
    await log.send([public("60", at=released(1))])
    database = Database(f"sqlite:///{tmp_path / 'ppid.db'}", fallback=tmp_path)
    await follower_of(log, database).round(log)
    library = Library(Settings(ppid=SETTINGS), database, SystemClock(), CATALOGUE)
    library.refresh()
    library.examine()
    return library


def pushed(ckan: Ckan, library: Library, key: str = "kunci") -> Pushed:
    portal = Portal("https://ckan.example", key, httpx.Client(transport=httpx.MockTransport(ckan)))
    cards = library.cards()
    gone = [] if cards else [NAME]
    return push(portal, Describer(SETTINGS, Addresses(SETTINGS.base_url)), cards, gone)


async def test_a_push_creates_then_changes_nothing_then_updates_then_deletes(library: Library, log: MemoryLog) -> None:
    ckan = Ckan()
    assert pushed(ckan, library) == Pushed(created=[NAME])
    package = ckan.packages[NAME]
    assert package["owner_org"] == "dlh"
    assert package["resources"][0]["url"] == f"https://data.example.go.id/dataset/{PM10}/latest/{PM10}.csv"
    before = list(ckan.writes)
    assert pushed(ckan, library) == Pushed(unchanged=[NAME])
    assert ckan.writes == before
    await log.send([public("61", at=released(8), revision=2)])
    await follower_of(log, library.database).round(log)
    assert pushed(ckan, library) == Pushed(updated=[NAME])
    assert ckan.packages[NAME]["version"] == "1+20260307T170000Z"
    library.gate.give_back(PM10, who="x", note="salah", now_us=1)
    assert pushed(ckan, library) == Pushed(deleted=[NAME])
    assert pushed(ckan, library) == Pushed()
    library.gate.publish(library.judgement(PM10), who="x", note="", now_us=2)
    assert pushed(ckan, library) == Pushed(updated=[NAME])
    assert ckan.packages[NAME]["state"] == "active"


async def test_refusals_name_the_portal_and_its_reason_and_no_key(library: Library) -> None:
    ckan = Ckan()
    with pytest.raises(ConfigurationError, match="Access denied") as refused:
        pushed(ckan, library, key="rahasia")
    assert "rahasia" not in str(refused.value)
    ckan.away = True
    with pytest.raises(TransientError, match="does not answer"):
        pushed(ckan, library)
    with pytest.raises(ConfigurationError, match="BUS_PPID__CKAN_KEY"):
        Portal("https://ckan.example", "")


def _code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


async def test_walidata_work_at_the_gate_by_commands(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BUS_PPID__DATABASE_URL", f"sqlite:///{tmp_path / 'ppid.db'}")
    assert _code("ppid", "check", PM10) == 0
    assert "lolos semua pemeriksaan" in capsys.readouterr().out
    assert _code("ppid", "return", PM10, "--note", "definisi belum memuat satuan") == 0
    assert _code("ppid", "list", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert (row["dataset"], row["state"], row["note"]) == (PM10, "returned", "definisi belum memuat satuan")
    assert library.cards() == []
    assert _code("ppid", "publish", PM10, "--by", "Bidang Statistik", "--note", "sudah sesuai") == 0
    assert [card.id for card in library.cards()] == [PM10]
    capsys.readouterr()
    assert _code("ppid", "log", PM10, "--json") == 0
    newest = json.loads(capsys.readouterr().out)[0]
    assert (newest["from"], newest["to"], newest["by"], newest["note"]) == ("returned", "published", "Bidang Statistik", "sudah sesuai")
    assert _code("ppid", "check", "bapenda.arrears_paid_day") == 1
    assert "pasal 17" in capsys.readouterr().out
    assert _code("ppid", "publish", "dlh.tidak_ada") == 2
    assert "bus indicators list" in capsys.readouterr().err
    assert _code("ppid", "push") == 2
    assert "BUS_PPID__BASE_URL" in capsys.readouterr().err

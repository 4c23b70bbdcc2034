"""Campaigns: a whole run of the bus, or workers of their own, ended and frozen at random moments; at the end all must be as if nothing was.

One size for `make test`, the full one for `make soak` (`SIMPUL_SOAK=1`). Everything random comes from a seed, which is in the test's
name; `SIMPUL_SEED` chooses the first one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

from bus.settings import ROOT
from tests.live.cli_process import Ended, bus, roles_of, start_bus
from tests.live.made_exports import exports
from tests.unit.gateway.feed import Client

FULL = os.environ.get("SIMPUL_SOAK") == "1"
ROLES = ("streams", "connectors", "gateway")

#: The agencies that are served: all of them in `make soak`, in `make test` the one whose files are read.
ONLY = "" if FULL else "dlh"

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def sized(small: _T, full: _T) -> _T:
    """The first in `make test`, the second in `make soak`."""
    return full if FULL else small


def seeds(small: int, full: int) -> list[int]:
    """So many seeds, from `SIMPUL_SEED` (default 1) on."""
    first = int(os.environ.get("SIMPUL_SEED", "1"))
    return list(range(first, first + sized(small, full * int(os.environ.get("SIMPUL_SEEDS", "1")))))


def prepare_input(folder: Path, real: Path | None) -> Path:
    """The agency's exports (made ones where the real ones are not there), one with a malformed line, and one delivered again, corrected.

    Times are set so that the order of delivery is always the same.
    """
    folder.mkdir()
    made = list(exports(months=2 if real else sized(4, 9)))
    if real is not None:
        for path in sorted(real.glob("*.csv")):
            shutil.copy(path, folder / path.name)
    for export in made if real is None else made[1:]:
        (folder / export.name).write_bytes(export.content)
    twice = made[1].content.replace(b"SEDANG", b"BAIK", 1).replace(b",60,", b",61,", 3)
    assert twice != made[1].content
    (folder / f"z-koreksi-{made[1].name}").write_bytes(twice)
    for number, path in enumerate(sorted(folder.iterdir())):
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
    return folder


class BusRun:
    """A paced `bus run --until-idle` with its gateway, whose roles are killed meanwhile."""

    def __init__(self, input_folder: Path, export: Path, environ: Mapping[str, str], *, pace: float, options: Sequence[str] = ()) -> None:
        self.environ, self.export = dict(environ), export
        arguments = ["run", "--until-idle", "--input", f"dlh={input_folder}", "--export", str(export), "--pace", f"{pace:g}", *options]
        self.process = start_bus(arguments, environ)
        self.began = time.monotonic()
        self.story: list[str] = []

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def roles(self) -> dict[str, int]:
        """Role -> process id, of those that run now."""
        return roles_of(self.process.pid)

    def note(self, what: str) -> None:
        """Remember what was done, for whoever has to find out why the outcome is wrong."""
        self.story.append(f"{time.monotonic() - self.began:.2f} s: {what}")
        _log.info("%s", self.story[-1])

    async def until_running(self, *names: str, seconds: float = 60) -> dict[str, int]:
        """Wait until these roles run; all that do."""
        deadline = time.monotonic() + seconds
        while not set(names) <= (found := self.roles()).keys():
            assert self.running, self.story
            assert time.monotonic() < deadline, f"{names} did not start; {found} run; {self.story}"
            await asyncio.sleep(0.05)
        return found

    async def until_said(self, role: str, what: str, seconds: float = 90) -> None:
        """Wait until that is in the role's log."""
        deadline = time.monotonic() + seconds
        while not any(what in path.read_text(errors="replace") for path in self._logs(role)):
            assert self.running, f"{self.story}\n{self.logs()}"
            assert time.monotonic() < deadline, f"{role} never said {what}: {self.logs()}"
            await asyncio.sleep(0.1)

    async def kill(self, role: str) -> None:
        """`kill -9` of a role, once it runs (again); of the worker when there is no such role any more."""
        deadline = time.monotonic() + 12
        while role not in (found := self.roles()) and self.running and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        role = role if role in found else "streams"
        assert self.running, f"the run ended before all was done to it: {self.story}"
        with suppress(ProcessLookupError):
            os.kill(found[role], signal.SIGKILL)
            self.note(f"killed {role}")

    async def kills(self, number: int, chance: random.Random, mean_seconds: float) -> None:
        """So many kills of all three roles in turn, in random order, at random moments."""
        order: list[str] = []
        for done in range(number):
            if done % len(ROLES) == 0:
                order = chance.sample(ROLES, len(ROLES))
            await asyncio.sleep(chance.uniform(0, 2 * mean_seconds))
            await self.kill(order[done % len(ROLES)])

    async def end(self, seconds: float) -> Ended:
        """Wait for its end."""
        try:
            out, err = await asyncio.to_thread(self.process.communicate, timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"the run does not end; {self.story}\n{self.logs()}") from error
        self.note("ended")
        return Ended(self.process.returncode, out, err)

    def logs(self) -> str:
        """The ends of the roles' logs."""
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in self._logs("*"))

    def _logs(self, role: str) -> list[Path]:
        return sorted(Path(self.environ["BUS_DATA_DIR"]).glob(f"logs/run-*/{role}.log"))

    def stop(self) -> None:
        """End it, should a test leave it running."""
        if self.running:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
            self.process.kill()
        self.process.communicate()


class Listener:
    """A client of the gateway's stream that comes back with `Last-Event-ID` whenever its connection ends."""

    def __init__(self, url: str) -> None:
        self.client = Client()
        self.resumed = 0
        self._url = url
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Listener:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _follow(self) -> None:
        async with httpx.AsyncClient(base_url=self._url, timeout=httpx.Timeout(5, read=30)) as http:
            while True:
                with suppress(httpx.HTTPError):
                    await self._once(http)
                await asyncio.sleep(0.1)

    async def _once(self, http: httpx.AsyncClient) -> None:
        headers = {"Last-Event-ID": self.client.token} if self.client.token else {}
        async with http.stream("GET", "/v1/stream", headers=headers) as answer:
            if answer.status_code != httpx.codes.OK:
                return
            self.resumed += bool(headers)
            rest = ""
            async for text in answer.aiter_text():
                whole, _, rest = (rest + text).rpartition("\n\n")
                self.client.feed_text(whole)

    async def follows_again(self, seconds: float = 60) -> None:
        """Wait for one more message."""
        known = len(self.client.kinds)
        async with asyncio.timeout(seconds):
            while len(self.client.kinds) == known:
                await asyncio.sleep(0.1)

    async def equals(self, seconds: float = 40) -> None:
        """Wait until the client's cells are the server's, all of them and every field."""
        deadline = time.monotonic() + seconds
        async with httpx.AsyncClient(base_url=self._url, timeout=20) as http:
            while True:
                with suppress(httpx.HTTPError):
                    served = await everything(http)
                    if served and served == self.client.cells:
                        return
                assert time.monotonic() < deadline, f"the client has {len(self.client.cells)} cells"
                await asyncio.sleep(0.2)


async def everything(http: httpx.AsyncClient) -> dict[tuple[str, str], dict[str, object]]:
    """All cells that a gateway serves, as its stream's clients key them; raises `httpx.HTTPError` while it does not answer."""
    cells: dict[tuple[str, str], dict[str, object]] = {}
    listed = (await http.get("/v1/indicators")).raise_for_status().json()["indicators"]
    for each in listed:
        page = (await http.get(f"/v1/indicators/{each['id']}?limit=5000")).raise_for_status().json()
        assert page["next_cursor"] is None
        cells |= {(each["id"], cell["key"]): cell for cell in page["cells"]}
    return cells


def fed(indicator: str) -> bool:
    """Whether air-quality exports give it values: of the repository's indicators those of that event, of an overlay's all."""
    file = ROOT / "schemas" / "indicators" / f"{indicator}.toml"
    return not file.exists() or 'event = "dlh.air_quality.recorded.v1"' in file.read_text(encoding="utf-8")


def proven(environ: Mapping[str, str], *arguments: str) -> None:
    """`bus verify` finds nothing to say."""
    ended = bus(["verify", *(arguments or ("--all",)), "--json"], environ)
    assert ended.code == 0, ended.err
    reports = json.loads(ended.out)
    assert reports
    for report in reports:
        assert (report["cells"] > 0) == fed(report["indicator"]), report
        assert report["mismatches"] == []


def said_of_quarantine(ended: Ended) -> list[str]:
    """The lines of a run's summary that say what was refused."""
    lines = ended.err.splitlines()
    found = next((number for number, line in enumerate(lines) if "in quarantine" in line), len(lines))
    return lines[found:]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left: its files, and what it said of refused records."""

    files: Mapping[str, bytes]
    refused: Sequence[str]

    @classmethod
    def of(cls, folder: Path, ended: Ended) -> Outcome:
        return cls({path.name: path.read_bytes() for path in sorted(folder.iterdir())}, said_of_quarantine(ended))

    def same_as(self, other: Outcome) -> None:
        """Fails naming the first lines that differ."""
        assert self.files.keys() == other.files.keys()
        for name, content in other.files.items():
            if self.files[name] != content:
                here, there = set(self.files[name].splitlines()), set(content.splitlines())
                what = f"{sorted(here - there)[:3]} for {sorted(there - here)[:3]}"
                raise AssertionError(f"{name}: {len(here - there)} lines differ, e.g. {what}")
        assert self.refused == other.refused

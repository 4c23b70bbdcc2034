"""What the benches of a whole site have in common: a broker, children that are spoken with by lines, and waiting for the gateway."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from bus.kafka.embedded import EmbeddedBroker
from bus.kafka.node import KafkaNode, ensure_jars
from bus.settings import ROOT, KafkaSettings

_READY_SECONDS = 180.0
#: A line may be the times of a hundred thousand deliveries.
_LINE_BYTES = 64 << 20


@contextmanager
def broker(folder: Path, *, embedded: bool) -> Iterator[KafkaSettings]:
    """A broker of its own while the context is open."""
    place = folder / "broker"
    place.mkdir()
    if not embedded:
        ensure_jars()
    running = EmbeddedBroker(place) if embedded else KafkaNode(place)
    running.start()
    try:
        yield KafkaSettings(bootstrap_servers=running.bootstrap_servers, embedded=embedded)
    finally:
        running.stop()


class Child:
    """A process of this interpreter while the context is open; what it logs goes to `log`."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self._arguments = arguments
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("BUS_")} | dict(environ)
        self._log = log

    async def __aenter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *self._arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, env=self._environ,
                cwd=ROOT, limit=_LINE_BYTES,
            )  # fmt: skip
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.communicate(), 30)
            except TimeoutError:
                self._process.kill()
        await self._process.wait()

    def check(self) -> None:
        """Raises `SystemExit` with its last words when it has ended."""
        if self._process.returncode is not None:
            raise SystemExit(f"{self._arguments} ended with {self._process.returncode}: {self._log.read_text()[-2_000:]}")

    async def line(self, seconds: float) -> str:
        """The next line that it says. Raises `SystemExit` when it ends instead, or says nothing for so long."""
        assert self._process.stdout is not None
        try:
            said = await asyncio.wait_for(self._process.stdout.readline(), seconds)
        except TimeoutError:
            raise SystemExit(f"{self._arguments} said nothing for {seconds:.0f} s: {self._log.read_text()[-2_000:]}") from None
        if not said:
            await self._process.wait()
            self.check()
        return said.decode()

    async def say(self, text: str) -> None:
        """Give it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode() + b"\n")
        await self._process.stdin.drain()

    def rss(self) -> int:
        """Its memory now, in bytes."""
        with Path(f"/proc/{self._process.pid}/statm").open() as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def until_served(port: int, indicator: str, *children: Child, cells: int) -> None:
    """Wait until the gateway serves so many cells of the indicator."""
    deadline = time.monotonic() + _READY_SECONDS
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        while True:
            for child in children:
                child.check()
            try:
                found = (await client.get("/v1/indicators")).json().get("indicators", ())
            except (httpx.HTTPError, ValueError):
                found = ()
            if any(each["id"] == indicator and each["cells"] >= cells for each in found):
                return
            if time.monotonic() > deadline:
                raise SystemExit(f"the gateway does not serve {cells} cells of {indicator} after {_READY_SECONDS:.0f} s")
            await asyncio.sleep(0.2)


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that `part` percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * part / 100) - 1)]

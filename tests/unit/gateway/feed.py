"""Indicator values as the merge writes them, and a gateway over the log in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from bus.clock import LOCAL_ZONE
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.indicators.windows import NOW_END, to_datetime
from bus.kafka.follower import Pace
from bus.kafka.ports import LogReader, Message
from bus.settings import ROOT, GatewaySettings, Settings
from bus.testing.memory import MemoryLog
from consumers.dashboard.cells import canonical_key
from consumers.dashboard.gateway import Gateway, decoder

CATALOGUE = Catalogue.load([ROOT / "schemas"])
CODEC = Codec(CATALOGUE)
DECODE = decoder(CODEC)
QUICK = Pace(poll=0.02, discover=0.05, lost_after=0.5, longest_wait=0.1)


#: The window of the current state.
NOW = (datetime(1970, 1, 1, tzinfo=UTC), to_datetime(NOW_END))


#: What most values say of late facts, reporters and estimates.
_QUIET: Mapping[str, object] = {
    "late": 0,
    "corrected": 0,
    "withdrawn": 0,
    "heard": 1,
    "expected": 0,
    "error": None,
    "as_of": None,
    "leaves": [],
    "closing": False,
}


def month(number: int, year: int = 2021) -> tuple[datetime, datetime]:
    """Begin and end of a month in civil time."""
    start = datetime(year, number, 1, tzinfo=LOCAL_ZONE)
    return start, datetime(year + number // 12, number % 12 + 1, 1, tzinfo=LOCAL_ZONE)


def value(
    indicator: str,
    value: str | None,
    *,
    window: tuple[datetime, datetime] | None = None,
    dimensions: Mapping[str, str | None] | None = None,
    version: int = 1,
    revision: int = 1,
    status: str = "provisional",
    n: int = 31,
    numerator: str | None = None,
    denominator: str = "1",
    offset: int = 41,
    label: str | None = None,
    more: Mapping[str, object] = {},
) -> Message:
    """One record of an indicator's topic; `more` are other fields of its schema."""
    start, end = window or month(1)
    dims = {"station": "DKI1"} if dimensions is None else dimensions
    start_us = int(start.timestamp()) * 1_000_000
    data, headers = CODEC.encode_record(
        "bus.indicator_value.v1",
        {
            "indicator": indicator,
            "version": version,
            "fingerprint": "5f" * 32,
            "window_start": start.astimezone(UTC),
            "window_end": end.astimezone(UTC),
            "dimensions": [{"name": name, "value": text} for name, text in dims.items()],
            "value": value if n else None,
            "numerator": numerator or value or "0",
            "denominator": denominator,
            "n": n,
            "revision": revision,
            "status": status,
            "evidence": [{"topic": "events.dlh.air_quality.recorded.v1", "partition": p, "offset": offset + p} for p in range(4)],
            "watermarks": [{"source": "dlh/ispu", "at": (end - timedelta(days=1)).astimezone(UTC)}],
            "label": label,
            **_QUIET,
            **more,
        },
    )
    return Message(f"indicators.{indicator}", 0, canonical_key(start_us, list(dims.values())).encode(), data, headers)


def released(
    indicator: str,
    value: str | None,
    *,
    window: tuple[datetime, datetime] | None = None,
    dimensions: Mapping[str, str | None] | None = None,
    suppressed: bool = False,
    n: int = 31,
    revision: int = 1,
    at: datetime = datetime(2021, 2, 1, tzinfo=UTC),
    more: Mapping[str, object] = {},
) -> Message:
    """One record of an indicator's public topic; `more` are other fields of its schema."""
    start, end = window or month(1)
    dims = {"station": "DKI1"} if dimensions is None else dimensions
    numbers = {
        "value": value,
        "numerator": value,
        "denominator": "1",
        "n": n,
        "revision": revision,
        "heard": 1,
        "evidence": [{"topic": "events.dlh.air_quality.recorded.v1", "partition": 0, "offset": 41}],
    }
    nothing: Mapping[str, object] = {
        "value": None,
        "numerator": None,
        "denominator": None,
        "n": None,
        "revision": None,
        "heard": 0,
        "evidence": [],
    }
    data, headers = CODEC.encode_record(
        "bus.public_value.v1",
        {
            "indicator": indicator,
            "version": 1,
            "window_start": start.astimezone(UTC),
            "window_end": end.astimezone(UTC),
            "dimensions": [{"name": name, "value": text} for name, text in dims.items()],
            "suppressed": suppressed,
            **(nothing if suppressed else numbers),
            "status": "final",
            "label": None,
            "error": None,
            "expected": 0,
            "released": at,
            "closing": False,
            **more,
        },
    )
    key = canonical_key(int(start.timestamp()) * 1_000_000, list(dims.values())).encode()
    return Message(f"public.{indicator}", 0, key, data, headers)


def gateway_over(log: MemoryLog, *, settings: Settings | None = None, overlay: Path | None = None, **gateway: Any) -> Gateway:
    """A gateway that follows that log, on a free port."""
    settings = settings or Settings(gateway=GatewaySettings(port=0, **gateway), overlay=(overlay,) if overlay else ())

    @asynccontextmanager
    async def open_reader() -> AsyncIterator[LogReader]:
        yield log

    async def topics(_reader: LogReader) -> Sequence[str]:
        return list(log.topics)

    return Gateway(settings, open_reader, topics, CODEC, pace=QUICK)


@asynccontextmanager
async def serving(gateway: Gateway) -> AsyncIterator[str]:
    """Serve it with uvicorn; the URL."""
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(gateway.run(url.set_result))
    task.add_done_callback(lambda _ended: url.done() or url.cancel())
    try:
        yield await url
    except asyncio.CancelledError:
        if task.done():
            await task
        raise
    finally:
        gateway.stop()
        await asyncio.wait_for(task, 10)


async def until_ready(http: httpx.AsyncClient, seconds: float = 10) -> None:
    """Wait until the gateway says that it has caught up."""
    async with asyncio.timeout(seconds):
        while (await http.get("/healthz")).status_code != 200:
            await asyncio.sleep(0.02)


class Client:
    """A client of the stream that keeps the documented rules, as the page does."""

    _RANK = {"provisional": 0, "final": 1}

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str], dict[str, object]] = {}
        self.versions: dict[str, int] = {}
        self.token = ""
        self.kinds: list[str] = []
        self._next: Client | None = None

    def feed(self, kind: str, data: Mapping[str, object], id_: str) -> None:
        """Take one message."""
        self.kinds.append(kind)
        if kind == "status":
            return
        if kind == "snapshot" and data["part"] == 1:
            self._next = Client()
        target = self._next if kind == "snapshot" else self
        assert target is not None
        cells = data["cells"]
        assert isinstance(cells, list)
        for cell in cells:
            target.put(cell)
        if kind == "snapshot" and data["complete"]:
            self.cells, self.versions, self._next = target.cells, target.versions, None
        if id_:
            self.token = id_

    def put(self, cell: dict[str, object]) -> None:
        indicator, version = str(cell["indicator"]), int(str(cell["version"]))
        if version < self.versions.get(indicator, 0):
            return
        if version > self.versions.get(indicator, 0):
            self.versions[indicator] = version
            self.cells = {k: c for k, c in self.cells.items() if k[0] != indicator or c["version"] == version}
        key = (indicator, str(cell["key"]))
        if cell.get("removed"):
            self.cells.pop(key, None)
        elif key not in self.cells or self._order(cell) >= self._order(self.cells[key]):
            self.cells[key] = cell

    def _order(self, cell: Mapping[str, object]) -> tuple[object, object]:
        return (cell["revision"], self._RANK[str(cell["status"])])

    def feed_text(self, text: str) -> None:
        """Take whole messages as they come over the wire."""
        for block in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
            if "data" in fields:
                self.feed(fields["event"], json.loads(fields["data"]), fields.get("id", ""))


@asynccontextmanager
async def listening(http: httpx.AsyncClient, client: Client, **params: str) -> AsyncIterator[asyncio.Task[None]]:
    """Feed the client from the stream while the context is open."""

    async def listen() -> None:
        headers = {"Last-Event-ID": client.token} if client.token else {}
        async with http.stream("GET", "/v1/stream", params=params, headers=headers, timeout=30) as answer:
            answer.raise_for_status()
            rest = ""
            async for text in answer.aiter_text():
                whole, _, rest = (rest + text).rpartition("\n\n")
                client.feed_text(whole)

    task = asyncio.create_task(listen())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, httpx.HTTPError):
            await task

"""Public values as the release stage writes them, and a store that follows the log in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx

from bus.clock import LOCAL_ZONE, SystemClock
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.indicators.partial import canonical
from bus.indicators.windows import to_micros
from bus.kafka.follower import Pace
from bus.kafka.ports import LogReader, Message
from bus.settings import ROOT, Settings
from bus.testing.memory import MemoryLog
from consumers.ppid.database import Database
from consumers.ppid.follower import Follower
from consumers.ppid.observations import decoder
from consumers.ppid.portal import Portal
from consumers.ppid.store import Store

CATALOGUE = Catalogue.load([ROOT / "schemas"])
CODEC = Codec(CATALOGUE)
DECODE = decoder(CATALOGUE)
QUICK = Pace(poll=0.01, discover=0.02, lost_after=0.5, longest_wait=0.05)
PM10 = "dlh.pm10_max"


def local(year: int, month: int, day: int = 1, hour: int = 0) -> datetime:
    """A moment of civil time, in UTC."""
    return datetime(year, month, day, hour, tzinfo=LOCAL_ZONE).astimezone(UTC)


def released(day: int, month: int = 3) -> datetime:
    """Midnight at which a release of 2026 ended."""
    return local(2026, month, day)


def public(
    value: str | None,
    *,
    at: datetime,
    indicator: str = PM10,
    window: tuple[datetime, datetime] = (local(2026, 1), local(2026, 2)),
    dimensions: Mapping[str, str | None] = {"station": "BYL1"},
    revision: int = 1,
    version: int = 1,
    more: Mapping[str, object] = {},
) -> Message:
    """One record of a public topic; `value=None` is a withheld one. `more` are other fields of its schema."""
    start, end = window
    numbers = {
        "value": value, "numerator": value, "denominator": "1", "n": 31, "revision": revision, "label": None, "error": None, "heard": 1,
        "evidence": [{"topic": "events.dlh.air_quality.recorded.v1", "partition": p, "offset": 40 + p} for p in range(2)],
    }  # fmt: skip
    withheld = dict.fromkeys(numbers) | {"heard": 0, "evidence": []}
    data, headers = CODEC.encode_record(
        "bus.public_value.v1",
        {
            "indicator": indicator, "version": version, "window_start": start, "window_end": end,
            "dimensions": [{"name": name, "value": text} for name, text in dimensions.items()], "suppressed": value is None,
            **(withheld if value is None else numbers), "status": "final", "expected": 0, "released": at, "closing": False, **more,
        },
    )  # fmt: skip
    key = canonical([to_micros(start), list(dimensions.values())]).encode()
    return Message(f"public.{indicator}", 0, key, data, headers)


def tombstone(message: Message) -> Message:
    return Message(message.topic, 0, message.key, None)


def opener(log: MemoryLog) -> object:
    @asynccontextmanager
    async def open_reader() -> AsyncIterator[LogReader]:
        yield log

    return open_reader


async def topics_of(reader: LogReader) -> Sequence[str]:
    assert isinstance(reader, MemoryLog)
    return [topic for topic in reader.topics if topic.startswith("public.")]


def follower_of(log: MemoryLog, database: Database, told: list[Collection[str]] | None = None) -> Follower:
    """A follower with a store of its own on that database, as a process that has just started."""

    async def on_round(changed: Collection[str]) -> None:
        if told is not None:
            told.append(changed)

    return Follower(opener(log), topics_of, Store(database), DECODE, clock=SystemClock(), pace=QUICK, on_round=on_round)  # type: ignore[arg-type]


def portal_over(log: MemoryLog, url: str, tmp_path: Path, **ppid: object) -> Portal:
    """A portal that follows that log into that database, on a free port."""
    settings = Settings.model_validate({"ppid": {"port": 0, "database_url": url, **ppid}, "data_dir": tmp_path})
    return Portal(settings, opener(log), topics_of, pace=QUICK)  # type: ignore[arg-type]


@asynccontextmanager
async def serving(portal: Portal) -> AsyncIterator[str]:
    """Serve it with uvicorn until the first dataset is examined; the URL."""
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(portal.run(url.set_result))
    task.add_done_callback(lambda _ended: url.done() or url.cancel())
    try:
        yield await url
    finally:
        portal.stop()
        await task


async def until_ready(client: httpx.AsyncClient, datasets: int = 1) -> None:
    """Wait until so many datasets are published."""
    async with asyncio.timeout(30):
        while len((await client.get("/api/datasets")).json().get("datasets", ())) < datasets:
            await asyncio.sleep(0.02)
        while (await client.get("/healthz")).status_code != 200:
            await asyncio.sleep(0.02)

"""How long an agency's commit takes to a browser's pixels, and where the time goes.

    python -m tests.bench.pixels [--changes 60] [--embedded] [--out build/bench.json]

The site is as `bus run` starts it, with the settings of production: connectors, a worker and the gateway. One counter is raised again and again, by a
post to the ingress and by a row in an SQLite outbox. A change begins when its transaction is committed (or right before its post) and ends in
the first frame that shows the new number, whole: the page lets numbers run to their value. The peer is a bare aiokafka producer and consumer
on the same broker, one message at a time between the changes. The browser's clock is compared with ours before. Prints a table with the stages and
adds to the list of {name, ours, peer, ratio, unit}.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from bus.ingest.kinds.sql_ddl import ddl
from bus.kafka.admin import apply
from bus.kafka.process import free_port
from bus.kafka.topics import Topic
from bus.ops.installation import Installation
from bus.ops.wiring import connect
from bus.settings import KafkaSettings, Settings
from tests.bench.pixel_stages import INDICATOR, STAGES, Sample, with_stages
from tests.bench.results import OUT, Result, record
from tests.bench.site import Child, broker, percentile, until_served
from tests.browser.chromium import chromium, missing

OVERLAY = Path(__file__).parent / "overlay_pixels"
#: Numbers so far apart that a number on its way to the next one is none of them.
_STEP = 1_000
_KEY = "kunci-papan-uji-kecepatan"
_BARE = "bench.bare"
_SECONDS = 60.0
_LOOKS = 30
#: Notes for each text of the number, and each exact value behind it, the frame in which it was there first.
_WATCH = """
const at = () => performance.timeOrigin + performance.now();
const seen = window.seen = {}, wanted = window.wanted = {};
const look = () => {
  const values = [...document.querySelectorAll("[data-indicator='%s'] .value")];
  const texts = values.flatMap((each) => [each.title, "=" + each.querySelector("b").textContent]);
  for (const text of texts.map((each) => each.replace(/[^=0-9]/g, ""))) {
    if (text in seen) continue;
    seen[text] = null;
    requestAnimationFrame(() => {
      const after = new MessageChannel();
      after.port1.onmessage = () => { seen[text] = at(); wanted[text]?.(); };
      after.port2.postMessage(0);
    });
  }
};
new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["title"] });
look();
"""
_WAIT = """
const [text, done] = arguments;
const tell = () => done([seen[text.slice(1)], seen[text]]);
if (seen[text]) tell(); else wanted[text] = tell;
"""


async def measure(kafka: KafkaSettings, folder: Path, changes: int) -> tuple[dict[str, list[Sample]], list[float], float]:
    """Samples by source, seconds of the bare round trips, and how well the clocks are compared, in seconds."""
    database, ports = folder / "papan.db", {name: free_port() for name in ("gateway", "ingress")}
    environ = {
        "BUS_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "BUS_KAFKA__EMBEDDED": str(kafka.embedded).lower(),
        "BUS_OVERLAY": str(OVERLAY), "BUS_ONLY_AGENCIES": "papan", "BUS_DATA_DIR": str(folder), "BUS_GATEWAY__PORT": str(ports["gateway"]),
        "BUS_INGEST__INGRESS_PORT": str(ports["ingress"]), "BUS_PAPAN__URL": f"sqlite:///{database}", "BUS_PAPAN__WEBHOOK_KEY": _KEY,
    }  # fmt: skip
    settings = Settings.from_env(environ, agencies=["papan"])
    installation = Installation.load(settings)
    await apply(kafka, [*installation.topics(), Topic(_BARE, 1, 1, {})])
    with sqlite3.connect(database) as connection:
        connection.executescript(ddl("sqlite"))
    outbox = _Outbox(database)
    await outbox(0)
    async with AsyncExitStack() as stack:
        roles = [
            await stack.enter_async_context(Child(["-m", "bus", "run", role], environ, folder / f"{role}.log"))
            for role in ("connectors", "streams", "gateway")
        ]
        await until_served(ports["gateway"], INDICATOR, *roles, cells=1)
        base = f"http://127.0.0.1:{ports['ingress']}/v1/events/papan/kiriman"
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=_SECONDS, headers={"X-Api-Key": _KEY}))
        page = await asyncio.to_thread(stack.enter_context, chromium(folder / "profile"))
        watched = _Page(page)
        clock = await watched.open(f"http://127.0.0.1:{ports['gateway']}/#/indikator")
        bare = await stack.enter_async_context(_Bare(kafka))
        samples: dict[str, list[Sample]] = {}
        number = 0
        for name, tell in (("webhook", _posts(client, base)), ("outbox", outbox)):
            for _ in range(changes):
                await asyncio.sleep(random.uniform(0.05, 0.5))
                await bare.trip()
                number += _STEP
                begun = await tell(number)
                arrived, shown = await watched.until(number)
                samples.setdefault(name, []).append(Sample(number, begun, arrived, shown))
        log = await stack.enter_async_context(connect(settings))
        staged = {name: await with_stages(log.reader, installation.codec, all_) for name, all_ in samples.items()}
        return staged, bare.seconds, clock


Tell = Callable[[int], Awaitable[float]]


class _Outbox:
    """The agency's database: a row committed, and when."""

    def __init__(self, database: Path) -> None:
        self._database = database

    async def __call__(self, number: int) -> float:
        with sqlite3.connect(self._database) as connection:
            row = f'{{"nama": "utama", "nilai": {number}}}'
            connection.execute("INSERT INTO bus_outbox (op, payload) VALUES (?, ?)", ("CORRECT" if number else "CREATE", row))
        return time.time()


def _posts(client: httpx.AsyncClient, url: str) -> Tell:
    async def post(number: int) -> float:
        event = {
            "specversion": "1.0", "id": str(number), "source": "papan", "type": "counter", "time": "2026-01-01T00:00:00Z",
            "data": {"nama": "kiriman", "nilai": number},
        }  # fmt: skip
        begun = time.time()
        answer = await client.post(url, json=event, headers={"Content-Type": "application/cloudevents+json"})
        answer.raise_for_status()
        return begun

    return post


class _Page:
    """The dashboard in a browser."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._ahead = 0.0

    async def open(self, url: str) -> float:
        """Open and watch it; half the shortest time that asking its clock took, in seconds."""
        return await asyncio.to_thread(self._open, url)

    def _open(self, url: str) -> float:
        self._driver.set_script_timeout(_SECONDS)
        self._driver.get(url)
        looks = []
        for _ in range(_LOOKS):
            before = time.time()
            theirs = self._driver.execute_script("return performance.timeOrigin + performance.now()") / 1_000
            after = time.time()
            looks.append((after - before, theirs - (before + after) / 2))
        width, self._ahead = min(looks)
        self._driver.execute_script(_WATCH % INDICATOR)
        return width / 2

    async def until(self, number: int) -> tuple[float, float]:
        """When the page had the number, and when it showed it, by our clock."""
        arrived, shown = await asyncio.to_thread(self._driver.execute_async_script, _WAIT, f"={number}")
        return arrived / 1_000 - self._ahead, shown / 1_000 - self._ahead


class _Bare:
    """A message there and back, and how long it took."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
        self._consumer = AIOKafkaConsumer(_BARE, bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest")
        self.seconds: list[float] = []

    async def __aenter__(self) -> _Bare:
        await self._producer.start()
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()
        await self._consumer.stop()

    async def trip(self) -> None:
        begun = time.time()
        await self._producer.send(_BARE, b"1")
        await self._consumer.getone()
        self.seconds.append(time.time() - begun)


def results(samples: dict[str, list[Sample]], bare: Sequence[float]) -> list[Result]:
    """What is written down."""
    found = []
    for name, each in samples.items():
        for part in (50, 99):
            ours, peer = (percentile(times, part) * 1_000 for times in ([sample.seconds for sample in each], bare))
            found.append(Result(name=f"pixels_{name}_p{part}_ms", ours=ours, peer=peer, ratio=ours / peer, unit="ms from commit to pixels"))
    return found


def show(samples: dict[str, list[Sample]], bare: Sequence[float], clock: float) -> None:
    """The table, with the median and p99 of each stage."""
    title = f"from an agency's commit to pixels, ms: p50 / p99 (clocks compared to ±{clock * 1_000:.1f} ms)"
    table = Table("source", "whole", *STAGES, "bare round trip", title=title)

    def said(times: Sequence[float]) -> str:
        return f"{percentile(times, 50) * 1_000:.0f} / {percentile(times, 99) * 1_000:.0f}"

    for name, each in samples.items():
        stages = [said([sample.stages[stage] for sample in each]) for stage in STAGES]
        table.add_row(name, said([sample.seconds for sample in each]), *stages, said(bare))
    Console(width=180).print(table)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.pixels", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--changes", type=int, default=60, help="changes by each source")
    parser.add_argument("--embedded", action="store_true", help="on the embedded broker instead of Apache Kafka")
    parser.add_argument("--out", type=Path, default=OUT, help="where the result is written")
    options = parser.parse_args()
    if what := missing():
        parser.error(f"needs {what}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="simpul-pixels-")))
        kafka = stack.enter_context(broker(folder, embedded=options.embedded))
        samples, bare, clock = asyncio.run(measure(kafka, folder, options.changes))
    show(samples, bare, clock)
    record(options.out, results(samples, bare))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Run the benchmark on real Kafka: our worker, the naive Faust agent and bare `getmany`, one after another on one topic.

    python -m tests.bench [--events 2000000] [--naive-events 40000] [--out build/bench.json]

Prints a table, adds to the list of {name, ours, peer, ratio, unit}, and exits 1 when a contestant's numbers are wrong. Absolute rates are
this machine's; only the ratios mean anything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bus.indicators.outputs import Output
from bus.kafka.admin import apply, delete_topics
from bus.kafka.node import KafkaNode
from bus.kafka.process import free_port
from bus.ops.installation import Installation
from bus.ops.values import read_values
from bus.ops.wiring import connect
from bus.settings import ROOT, Settings
from tests.bench.load import OVERLAY, PARTITIONS, TOPIC, TYPE, Totals, publish, totals
from tests.bench.results import OUT, Result, record

HERE = Path(__file__).parent
_console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Rate:
    """What one contestant did."""

    events: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.events / self.seconds


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=2_000_000, help="events in the topic")
    parser.add_argument("--naive-events", type=int, default=40_000, help="how many of them the naive agent gets through (it is slow)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of ours and of the ceiling; the medians are compared")
    parser.add_argument("--out", type=Path, default=OUT, help="where the result is written")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="simpul-bench-") as scratch:
        node = KafkaNode(Path(scratch) / "kafka")
        with _console.status("starting Kafka"):
            node.start()
        try:
            return _run(node.bootstrap_servers, options, Path(scratch))
        finally:
            node.stop()


def _run(bootstrap: str, options: argparse.Namespace, scratch: Path) -> int:
    count = options.events
    environ = {"BUS_KAFKA__BOOTSTRAP_SERVERS": bootstrap, "BUS_OVERLAY": str(OVERLAY), "BUS_ONLY_AGENCIES": "bench"}
    environ["BUS_KAFKA__EVENT_PARTITIONS"] = str(PARTITIONS)
    settings = Settings.from_env(environ)
    installation = Installation.load(settings)
    asyncio.run(apply(settings.kafka, installation.topics()))
    with _console.status(f"publishing {count:,} events"):
        publish(bootstrap, count)
    ours, ceiling = [], []
    wrong: list[str] = []
    expected = totals(count)
    for number in range(options.rounds):
        with _console.status(f"round {number + 1} of {options.rounds}: bare getmany"):
            ceiling.append(_bare_getmany(bootstrap, count))
        with _console.status(f"round {number + 1} of {options.rounds}: our worker"):
            rate, wrong = _worker(environ, count, scratch, number, expected)
            ours.append(rate)
    with _console.status("the naive Faust agent"):
        naive, naive_wrong = _naive(bootstrap, count, options.naive_events, scratch)
    return _report(options.out, ours, ceiling, naive, wrong + naive_wrong)


def _bare_getmany(bootstrap: str, count: int) -> Rate:
    command = [sys.executable, str(HERE / "bare_getmany.py"), bootstrap, TOPIC, str(PARTITIONS), str(count)]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)
    return Rate(said["events"], said["seconds"])


def _worker(environ: dict[str, str], count: int, scratch: Path, number: int, expected: Totals) -> tuple[Rate, list[str]]:
    """One worker from nothing: each round folds the whole topic again, under a consumer group of its own and without snapshots."""
    port = free_port()
    env = os.environ | environ | {"BUS_STREAMS__METRICS_PORT": str(port), "BUS_STREAMS__GROUP": f"bench-{number}"}
    _forget_snapshots(environ)
    said = scratch / f"worker-{number}.log"
    with said.open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "bus.streams"], env=env, stdout=log, stderr=log, cwd=ROOT)
        try:
            rate = _watch(port, count, process, said)
            wrong = asyncio.run(_compare(Settings.from_env(environ), expected))
            ended = "" if process.poll() is None else f"it ended with {process.returncode}; "
            return rate, [*wrong, f"of the worker: {ended}{said.read_text()[-4_000:]}"] if wrong or ended else []
        finally:
            process.terminate()
            process.wait(60)


def _forget_snapshots(environ: dict[str, str]) -> None:
    settings = Settings.from_env(environ)
    declared = Installation.load(settings).topics()

    async def anew() -> None:
        await delete_topics(settings.kafka, lambda name: not name.startswith(("events.", "__")))
        await apply(settings.kafka, declared)

    asyncio.run(anew())


def _watch(port: int, count: int, process: subprocess.Popen[bytes], log: Path) -> Rate:
    """Time from the first applied batch to the last, as the worker's own counter shows it (looked at twice a second, for each look costs the worker time)."""
    begun, first = 0.0, 0
    deadline = time.monotonic() + 300
    with httpx.Client() as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise SystemExit(f"the worker ended with {process.returncode}: {log.read_text()[-2000:]}")
            folded = _folded(client, port)
            now = time.perf_counter()
            if folded and not begun:
                begun, first = now, folded
            if folded >= count:
                return Rate(count - first, now - begun)
            time.sleep(0.5)
    raise SystemExit(f"the worker folded only part of the topic within 300 s: {log.read_text()[-2000:]}")


def _folded(client: httpx.Client, port: int) -> int:
    try:
        text = client.get(f"http://127.0.0.1:{port}/metrics").text
    except httpx.HTTPError:
        return 0
    prefix = f'bus_events_folded_total{{topic="{TOPIC}"}} '
    return next((int(float(line.removeprefix(prefix))) for line in text.splitlines() if line.startswith(prefix)), 0)


async def _compare(settings: Settings, expected: Totals) -> list[str]:
    """Our published numbers against plain sums, once merge has caught up with fold."""
    codec = Installation.load(settings).codec
    deadline = time.monotonic() + 120
    async with connect(settings) as log:
        while True:
            wrong = [
                problem
                for window, name in (("1h", "hour"), ("1d", "day"))
                for kind, index in (("count", 0), ("sum", 1))
                for problem in _differences(
                    f"bench.{kind}_{name}",
                    await read_values(log.reader, codec, f"bench.{kind}_{name}"),
                    {key: cell[index] for key, cell in expected[window].items()},
                )
            ]
            if not wrong or time.monotonic() > deadline:
                return wrong
            await asyncio.sleep(1)


def _differences(name: str, published: list[Output], wanted: dict[tuple[int, str, str], int]) -> list[str]:
    found = {
        (value.window_start_us, str(value.dimensions["district"]), str(value.dimensions["service"])): int(value.value or 0)
        for value in published
    }
    if found == wanted:
        return []
    different = sum(found.get(key) != each for key, each in wanted.items())
    return [f"{name}: {different} of {len(wanted)} cells differ, {len(found)} published"]


def _naive(bootstrap: str, count: int, limit: int, scratch: Path) -> tuple[Rate, list[str]]:
    out = scratch / "naive.json"
    schema = OVERLAY / "schemas" / "events" / "bench" / "reading.recorded.v1.avsc"
    command = [sys.executable, str(HERE / "naive_faust.py"), bootstrap, TOPIC, str(PARTITIONS), str(limit), str(schema), str(out)]
    with (scratch / "naive.log").open("wb") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log, cwd=ROOT, timeout=600)
    said = json.loads(out.read_text())
    expected = totals(count, {int(partition): seen for partition, seen in said["seen"].items()})
    wrong = []
    for window in ("1h", "1d"):
        found = {tuple(json.loads(key)): cell for key, cell in said[window].items()}
        if found != expected[window]:
            wrong.append(f"the naive agent's {window} sums are wrong")
    return Rate(said["events"], said["seconds"]), wrong


def _report(out: Path, ours: list[Rate], ceiling: list[Rate], naive: Rate, wrong: list[str]) -> int:
    worker = statistics.median(rate.per_second for rate in ours)
    getmany = statistics.median(rate.per_second for rate in ceiling)
    results = [
        Result(name=name, ours=worker, peer=peer, ratio=worker / peer, unit="events/s")
        for name, peer in (("worker_vs_naive_faust", naive.per_second), ("worker_vs_bare_getmany", getmany))
    ]
    table = Table("name", "ours", "peer", "ratio", title=f"{TYPE}: count and sum by 2 dimensions in 2 windows, {PARTITIONS} partitions")
    for result in results:
        table.add_row(result["name"], f"{result['ours']:,.0f}/s", f"{result['peer']:,.0f}/s", f"{result['ratio']:.2f}")
    Console().print(table)
    record(out, results)
    _console.print(
        f"written to {out}; rounds, ours: {[f'{rate.per_second:,.0f}' for rate in ours]}, getmany: {[f'{rate.per_second:,.0f}' for rate in ceiling]}"
    )
    for problem in wrong:
        _console.print(f"[red]wrong result:[/red] {problem}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""A thousand subscribers of one gateway: what they cost, how long a change takes to each, and that slow ones do not hold up the others.

    python -m tests.bench.crowd [--clients 1000] [--slow 50] [--changes 100] [--per-second 4] [--embedded] [--out build/bench.json]

Three processes: the gateway as `bus run gateway` starts it, all subscribers in one, and this one, which publishes each change as a row of its
own, so that none may be coalesced and all have to arrive. A delivery begins before the row is sent to the log and ends when the subscriber
has its bytes. Measured twice, without and with slow subscribers, who stop reading within a snapshot of megabytes, and in the end have to have
everything too. The peer of a delivery is a bare consumer of the same records. Prints a table and adds to the list of
{name, ours, peer, ratio, unit}; exits 1 when a change did not arrive.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiokafka
from aiokafka import AIOKafkaConsumer
from rich.console import Console
from rich.table import Table

from bus.kafka.admin import apply
from bus.kafka.client import KafkaLogReader, KafkaPublisher
from bus.kafka.ports import TopicPartition
from bus.kafka.process import free_port
from bus.kafka.topics import Topic
from bus.settings import KafkaSettings
from tests.bench.results import OUT, Result, record
from tests.bench.site import Child, broker, percentile, until_served
from tests.unit.gateway.feed import month, value

INDICATOR = "dlh.pm10_mean"
TOPIC = f"indicators.{INDICATOR}"
#: Cells that change, and others, which only slow subscribers ask for.
_CELLS, _OTHERS = 100, 5_000
_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Round:
    """What one crowd saw: seconds of all deliveries to readers and to the bare consumer, memory of the gateway, changes that did not arrive."""

    deliveries: Sequence[float]
    bare: Sequence[float]
    rss_before: int
    rss_after: int
    missing: int


async def measure(kafka: KafkaSettings, folder: Path, *, clients: int, slow: int, first: int, changes: int, per_second: float) -> Round:
    """One gateway, one crowd; the changes are numbered from `first`, which no earlier round has used.

    Raises `SystemExit` when a process ends before its time.
    """
    await apply(kafka, [Topic(TOPIC, 1, 1, {"cleanup.policy": "compact"})])
    port = free_port()
    environ = {
        "BUS_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "BUS_KAFKA__EMBEDDED": str(kafka.embedded).lower(),
        "BUS_ONLY_AGENCIES": "dlh", "BUS_DATA_DIR": str(folder), "BUS_GATEWAY__PORT": str(port),
        "BUS_GATEWAY__MAX_CLIENTS": str(2 * clients + 100), "BUS_GATEWAY__STREAMS_PER_CLIENT": str(2 * clients + 100),
        "BUS_GATEWAY__BURST": str(4 * clients + 1_000), "BUS_GATEWAY__ACCESS_LOG": "false",
    }  # fmt: skip
    async with KafkaPublisher(kafka) as publisher:
        await publisher.send([_row(number, 0) for number in range(_CELLS)])
        await publisher.send([value(INDICATOR, "0", dimensions={"station": f"S{number}"}) for number in range(_OTHERS)])
        async with Child(["-m", "bus", "run", "gateway"], environ, folder / "gateway.log") as gateway:
            await until_served(port, INDICATOR, gateway, cells=_CELLS + _OTHERS)
            before = gateway.rss()
            arguments = [str(port), str(clients), str(slow), str(first), str(changes)]
            async with Child(["-m", "tests.bench.crowd_clients", *arguments], {}, folder / "clients.log") as crowd:
                await crowd.line(_SECONDS)
                after = gateway.rss()
                sent, bare = await _publish(kafka, publisher, range(first, first + changes), per_second)
                await crowd.say(json.dumps(sent))
                found: dict[str, Any] = json.loads(await crowd.line(_SECONDS))
    return Round(found["seconds"], bare, before, after, found["missing"])


async def _publish(kafka: KafkaSettings, publisher: KafkaPublisher, numbers: range, per_second: float) -> tuple[list[float], list[float]]:
    """Send the changes by the clock; when each was sent, and how long each took to a bare consumer."""
    sent: list[float] = []
    partition = TopicPartition(TOPIC, 0)
    async with AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers) as consumer, KafkaLogReader(kafka) as reader:
        consumer.assign([aiokafka.TopicPartition(TOPIC, 0)])
        # the embedded broker's own answer for "latest" is wrong
        consumer.seek(aiokafka.TopicPartition(TOPIC, 0), await reader.end(partition))
        taken = asyncio.create_task(_times(consumer, len(numbers)))
        begun = time.monotonic()
        for count, number in enumerate(numbers):
            await asyncio.sleep(max(0.0, begun + count / per_second - time.monotonic()))
            sent.append(time.time())
            await publisher.send([_row(number % _CELLS, number)])
        came = await asyncio.wait_for(taken, _SECONDS)
    return sent, [there - gone for gone, there in zip(sent, came, strict=True)]


async def _times(consumer: AIOKafkaConsumer, count: int) -> list[float]:
    times: list[float] = []
    while len(times) < count:
        await consumer.getone()
        times.append(time.time())
    return times


def _row(cell: int, number: int) -> Any:
    window = month(cell % 12 + 1, 2000 + cell // 12)
    return value(INDICATOR, str(number), window=window, dimensions={"station": "UKUR"}, revision=number + 1)


def run(kafka: KafkaSettings, folder: Path, options: argparse.Namespace) -> Mapping[str, Round]:
    """Both rounds."""
    found: dict[str, Round] = {}
    for name, slow in (("all read", 0), (f"{options.slow} of them slow", options.slow)):
        first = 1 + len(found) * options.changes
        place = folder / f"round-{len(found)}"
        place.mkdir()
        work = measure(
            kafka, place, clients=options.clients, slow=slow, first=first, changes=options.changes, per_second=options.per_second
        )  # fmt: skip
        found[name] = asyncio.run(work)
    return found


def results(rounds: Sequence[Round], clients: int) -> list[Result]:
    """What is written down."""
    alone, beside = rounds
    found: list[Result] = []
    for part in (50, 99):
        ours, bare = percentile(alone.deliveries, part) * 1_000, percentile(alone.bare, part) * 1_000
        slow = percentile(beside.deliveries, part) * 1_000
        found.append(Result(name=f"subscribers_p{part}_ms", ours=ours, peer=bare, ratio=ours / bare, unit=f"ms to each of {clients:,}"))
        found.append(
            Result(name=f"subscribers_beside_slow_p{part}_ms", ours=slow, peer=ours, ratio=slow / ours, unit="ms, against nobody slow")
        )
    each = statistics.mean((each.rss_after - each.rss_before) / 1_024 / clients for each in rounds)
    return [*found, Result(name="subscriber_memory_kib", ours=each, peer=None, ratio=None, unit="KiB of the gateway for each")]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.crowd", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=1_000, help="subscribers at once")
    parser.add_argument("--slow", type=int, default=50, help="how many of them stop reading in the second round")
    parser.add_argument(
        "--changes", type=int, default=100, help="changed cells, one at a time (at most 100)", choices=range(1, 101), metavar="N"
    )
    parser.add_argument("--per-second", type=float, default=4, help="how many of them in a second")
    parser.add_argument("--embedded", action="store_true", help="on the embedded broker instead of Apache Kafka")
    parser.add_argument("--out", type=Path, default=OUT, help="where the result is written")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="simpul-crowd-")))
        rounds = run(stack.enter_context(broker(folder, embedded=options.embedded)), folder, options)
    table = Table(
        "subscribers", "p50", "p99", "bare consumer p50", "p99", "gateway RSS, MiB", "missing", title="from the log to each subscriber, ms"
    )
    for name, each in rounds.items():
        times = [f"{percentile(all_, part) * 1_000:.0f}" for all_ in (each.deliveries, each.bare) for part in (50, 99)]
        table.add_row(
            f"{options.clients:,}, {name}", *times, f"{each.rss_before / 2**20:.0f} → {each.rss_after / 2**20:.0f}", str(each.missing)
        )  # fmt: skip
    Console(width=140).print(table)
    record(options.out, results(list(rounds.values()), options.clients))
    return 1 if any(each.missing for each in rounds.values()) else 0


if __name__ == "__main__":
    sys.exit(main())

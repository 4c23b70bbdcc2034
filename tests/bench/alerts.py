"""How long what endangers lives takes from the log to a channel: rows of Merapi's level on a real broker, told by webhook.

    python -m tests.bench.alerts [--alerts 300] [--pause 0.05] [--kafka] [--out build/bench.json]

The time of one begins with the record's own (when its producer made the batch) and ends when the receiver has the body. The receiver answers
at once; between alerts there is a pause, as in life, so each waits for the follower's next look at the log. The aim is 2 seconds at the 99th
percentile. Prints a table and adds to the list of {name, ours, peer, ratio, unit}.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table
from starlette.requests import Request
from starlette.responses import Response

from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.kafka.admin import apply
from bus.kafka.client import KafkaLogReader, KafkaPublisher
from bus.kafka.embedded import EmbeddedBroker
from bus.kafka.node import KafkaNode, ensure_jars
from bus.kafka.ports import LogReader
from bus.kafka.topics import Topic
from bus.ops.values import read_value
from bus.settings import ROOT, AlertsSettings, KafkaSettings, Settings
from consumers.alerts.service import Alerts
from tests.bench.results import OUT, Result, record
from tests.unit.alerts.test_hook import Receiver, receiving
from tests.unit.alerts.test_service import MERAPI, hook, level, serving

TARGET_SECONDS = 2.0


class Timed(Receiver):
    """Notes when each post came."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[float] = []

    async def take(self, request: Request) -> Response:
        self.posts.append((dict(request.headers), await request.body()))
        self.at.append(time.time())
        return Response(status_code=204)


async def measure(kafka: KafkaSettings, folder: Path, alerts: int, pause: float) -> list[float]:
    """Seconds of each alert."""
    await apply(kafka, [Topic(MERAPI.topic, 1, 1, {"cleanup.policy": "compact"})])
    codec = Codec(Catalogue.load([ROOT / "schemas"]))
    receiver, sent = Timed(), []

    async def topics(reader: LogReader) -> list[str]:
        assert isinstance(reader, KafkaLogReader)
        return list(await reader.topics())

    async with receiving(receiver) as url, KafkaPublisher(kafka) as publisher:
        settings = Settings(kafka=kafka, data_dir=folder, alerts=AlertsSettings(port=0))
        app = Alerts(
            settings, {MERAPI.id: MERAPI}, {"siaga": hook(url)}, lambda: KafkaLogReader(kafka), topics,
            lambda each: read_value(codec, each), str,
        )  # fmt: skip
        async with serving(app):
            await publisher.send([level(3, 1, "PEMANASAN")])
            while not receiver.at:
                await asyncio.sleep(0.01)
            receiver.at.clear()
            for number in range(alerts):
                await asyncio.sleep(random.uniform(0, 2 * pause))
                sent.append(time.time())
                await publisher.send([level(3, 1, f"GUNUNG {number}")])
            async with asyncio.timeout(60):
                while len(receiver.at) < alerts:
                    await asyncio.sleep(0.01)
    return [came - went for went, came in zip(sent, receiver.at, strict=True)]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=300)
    parser.add_argument("--pause", type=float, default=0.05)
    parser.add_argument("--kafka", action="store_true", help="on Apache Kafka instead of the embedded broker")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.kafka:
            ensure_jars()
        broker = KafkaNode(folder / "broker") if options.kafka else EmbeddedBroker(folder / "broker")
        (folder / "broker").mkdir()
        broker.start()
        stack.callback(broker.stop)
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, embedded=not options.kafka)
        seconds = asyncio.run(measure(kafka, folder, options.alerts, options.pause))
    p50, p99 = statistics.median(seconds), statistics.quantiles(seconds, n=100, method="inclusive")[98]
    table = Table("alerts", "median", "p99", "longest", "aim (p99)", title="from the log to a webhook, seconds")
    table.add_row(f"{len(seconds)}", f"{p50:.3f}", f"{p99:.3f}", f"{max(seconds):.3f}", f"{TARGET_SECONDS:g}")
    Console().print(table)
    record(options.out, [Result(name="alert_seconds_p99", ours=p99, peer=None, ratio=None, unit="s")])
    return 0 if p99 <= TARGET_SECONDS else 1


if __name__ == "__main__":
    raise SystemExit(main())

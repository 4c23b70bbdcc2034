"""The peer: the agent that Faust's own guide teaches, one event at a time, a table update per window. Prints one line of JSON.

It is spared what it could be spared: one table per window holding count and sum together, raw bytes decoded by fastavro, no web
server, memory tables.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import faust
from fastavro import parse_schema, schemaless_reader

_HOUR_US, _DAY_US, _ZONE_US = 3_600_000_000, 86_400_000_000, 7 * 3_600_000_000


def main(bootstrap: str, topic: str, partitions: int, count: int, schema_path: str, out: str) -> None:
    schema = parse_schema(json.loads(Path(schema_path).read_text(encoding="utf-8")))
    app = faust.App(
        f"bench-naive-{os.getpid()}", broker=f"kafka://{bootstrap}", store="memory://", datadir=mkdtemp(), web_enabled=False,
        topic_partitions=partitions, topic_disable_leader=True, processing_guarantee="at_least_once", consumer_auto_offset_reset="earliest",
        stream_wait_empty=False, producer_linger=0.02, value_serializer="json",
    )  # fmt: skip
    source = app.topic(topic, value_serializer="raw", key_serializer="raw")
    hours = app.Table("hours", default=lambda: [0, 0])
    days = app.Table("days", default=lambda: [0, 0])
    seen = dict.fromkeys(range(partitions), 0)
    begun = [0.0]

    @app.agent(source)
    async def fold(stream: faust.StreamT[bytes]) -> None:
        done = 0
        async for event in stream.events():
            begun[0] = begun[0] or time.perf_counter()
            row: Any = schemaless_reader(io.BytesIO(event.message.value[5:]), schema, None)
            local = int(row["occurred_at"].timestamp() * 1_000_000) + _ZONE_US
            for table, size in ((hours, _HOUR_US), (days, _DAY_US)):
                key = json.dumps([local - local % size - _ZONE_US, row["district"], row["service"]])
                number, total = table[key]
                table[key] = [number + 1, total + row["amount"]]
            seen[event.message.partition] += 1
            done += 1
            if done == count:
                finish()

    def finish() -> None:
        seconds = time.perf_counter() - begun[0]
        result = {"events": count, "seconds": seconds, "seen": seen, "1h": dict(hours.items()), "1d": dict(days.items())}
        Path(out).write_text(json.dumps(result), encoding="utf-8")
        os._exit(0)

    faust.Worker(app, loglevel="error").execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6])

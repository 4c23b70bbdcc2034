"""The ceiling: aiokafka fetches and nothing is decoded. Prints one line of JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from aiokafka import AIOKafkaConsumer, TopicPartition


async def main(bootstrap: str, topic: str, partitions: int, count: int) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", max_poll_records=20_000
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
        seen, begun = 0, 0.0
        while seen < count:
            batches = await consumer.getmany(timeout_ms=1_000)
            begun = begun or time.perf_counter()
            seen += sum(len(records) for records in batches.values())
        print(json.dumps({"events": seen, "seconds": time.perf_counter() - begun}))
    finally:
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))

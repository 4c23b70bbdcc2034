"""The benchmark's input: seeded events in the real envelope, on real Kafka, and what their sums must be."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyruhvro
from confluent_kafka import Producer

from bus.clock import LOCAL_ZONE
from bus.events.catalogue import Catalogue

TYPE = "bench.reading.recorded.v1"
TOPIC = f"events.{TYPE}"
OVERLAY = Path(__file__).parent / "overlay"
PARTITIONS = 4

DISTRICTS = [f"33.09.{number:02d}" for number in range(1, 23)]
SERVICES = [f"layanan-{number}" for number in range(1, 10)]
#: 2026-01-01T00:00 in Asia/Jakarta, in microseconds.
_START_US = 1_767_200_400_000_000
_SPAN_US = 3 * 86_400_000_000
_HOUR_US, _DAY_US = 3_600_000_000, 86_400_000_000
_OFFSET_US = 7 * _HOUR_US
assert LOCAL_ZONE.key == "Asia/Jakarta"

#: window ("1h", "1d") -> (window start in µs, district, service) -> [count, sum]
Totals = dict[str, dict[tuple[int, str, str], list[int]]]


@dataclass(frozen=True, slots=True)
class Reading:
    """One event's facts, in the order in which they are published."""

    number: int
    partition: int
    occurred_us: int
    district: str
    service: str
    amount: int


def readings(count: int, seed: int = 3309) -> Iterator[Reading]:
    """The same events for the same arguments; in time order, as a live stream is, so that a batch touches few windows."""
    chance = random.Random(seed)
    for number in range(count):
        subject = f"r{number}"
        yield Reading(
            number=number,
            partition=zlib.crc32(subject.encode()) % PARTITIONS,
            occurred_us=_START_US + number * _SPAN_US // count,
            district=chance.choice(DISTRICTS),
            service=chance.choice(SERVICES),
            amount=chance.randrange(1_000, 1_000_000),
        )


def totals(count: int, limits: dict[int, int] | None = None) -> Totals:
    """What a right program finds in the first `limits[partition]` events of each partition (all, without limits)."""
    found: Totals = {"1h": {}, "1d": {}}
    seen = dict.fromkeys(range(PARTITIONS), 0)
    for reading in readings(count):
        if limits is not None and seen[reading.partition] >= limits.get(reading.partition, 0):
            continue
        seen[reading.partition] += 1
        local = reading.occurred_us + _OFFSET_US
        for window, size in (("1h", _HOUR_US), ("1d", _DAY_US)):
            cell = found[window].setdefault((local - local % size - _OFFSET_US, reading.district, reading.service), [0, 0])
            cell[0] += 1
            cell[1] += reading.amount
    return found


def publish(bootstrap: str, count: int) -> None:
    """Fill the topic: Confluent framing and the five CloudEvents headers, exactly as a connector writes them."""
    catalogue = Catalogue.load([OVERLAY / "schemas"])
    schema = catalogue[TYPE]
    producer = Producer(
        {
            "bootstrap.servers": bootstrap, "linger.ms": 20, "batch.size": 262_144, "queue.buffering.max.messages": 500_000,
            # as connectors do (R6): what is sent again must not come after what followed it, or readers take it for old
            "enable.idempotence": True, "log_level": 3,
        }
    )  # fmt: skip
    framing = b"\x00" + schema.schema_id.to_bytes(4, "big")
    constant = [
        ("ce_specversion", b"1.0"),
        ("ce_source", b"bench/load"),
        ("ce_type", TYPE.encode()),
        ("ce_dataschema", schema.fingerprint.encode()),
    ]
    rows: list[Reading] = []

    def flush() -> None:
        for reading, datum in zip(rows, _datums(rows, schema.hot_json), strict=True):
            headers: list[tuple[str, str | bytes | None]] = [
                ("ce_id", f"00000000-0000-5000-8000-{reading.number:012d}".encode()),
                *constant,
            ]
            producer.produce(TOPIC, partition=reading.partition, key=f"r{reading.number}", value=framing + datum, headers=headers)
        producer.poll(0)
        while len(producer) > 300_000:
            producer.poll(0.05)
        rows.clear()

    for reading in readings(count):
        rows.append(reading)
        if len(rows) == 20_000:
            flush()
    if rows:
        flush()
    producer.flush()


def _datums(rows: list[Reading], schema_json: str) -> list[bytes]:
    frame = pl.DataFrame(
        {
            "source": ["bench/load"] * len(rows),
            "sequence": [row.number + 1 for row in rows],
            "version": [row.number + 1 for row in rows],
            "subject": [f"r{row.number}" for row in rows],
            "occurred_at": [row.occurred_us for row in rows],
            "op": ["CREATE"] * len(rows),
            "batch": ["bench/load/1"] * len(rows),
            "district": [row.district for row in rows],
            "service": [row.service for row in rows],
            "amount": [row.amount for row in rows],
            "seconds": [row.amount % 3_600 for row in rows],
            "urgent": [row.amount % 7 == 0 for row in rows],
        }
    )
    wanted = pyruhvro.avro_to_arrow_schema(schema_json)
    batch = frame.to_arrow().cast(wanted).combine_chunks().to_batches()[0]
    return [datum.as_py() for chunk in pyruhvro.serialize_record_batch(batch, schema_json, 1) for datum in chunk]

"""`bus verify` accepts what the workers publish, and nothing else: a changed number, a missing cell and a foreign definition are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bus.clock import LOCAL_ZONE
from bus.errors import ConfigurationError
from bus.events.envelope import Envelope, Event, Op
from bus.indicators.fold import FoldUnit
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output
from bus.indicators.partial import encode
from bus.kafka.ports import Message, TopicPartition
from bus.ops.installation import Installation
from bus.ops.verification import verify
from bus.settings import Settings
from bus.streams.folding import FoldWork
from bus.streams.outputs import encode_output, topic_of
from bus.testing.memory import MemoryLog

_TYPE = "dlh.air_quality.recorded.v1"
_ID = "dlh.pm10_mean"

Change = Callable[[list[Output]], list[Output]]


@pytest.fixture(scope="module")
def installation() -> Installation:
    return Installation.load(Settings())


def _envelope(number: int) -> Envelope:
    at = datetime(2024, 1, 1, tzinfo=LOCAL_ZONE) + timedelta(days=number)
    data = {
        "station": f"DKI{number % 3 + 1}",
        "station_name": "X",
        "pm10": number,
        "pm25": None,
        "so2": None,
        "co": None,
        "o3": None,
        "no2": None,
    }
    data |= {"max_index": number, "category": "BAIK", "critical": "PM10"}
    return Envelope(Event(_TYPE, f"{data['station']}/{at:%F}", at, data), "dlh/ispu", number + 1, number + 1, Op.CREATE, "dlh/ispu/1")


async def published(installation: Installation, change: Change) -> MemoryLog:
    """A log with 90 events over three batches, and what a fold and a merge say of them, changed."""
    kafka = installation.settings.kafka
    log = MemoryLog({f"events.{_TYPE}": kafka.event_partitions, topic_of(_ID): 1})
    work = FoldWork(
        installation.catalogue,
        installation.indicators,
        event_partitions=kafka.event_partitions,
        partials_partitions=kafka.partials_partitions,
    )
    units = [FoldUnit.new(installation.leaves[_ID], f"events.{_TYPE}", number, kafka.event_partitions) for number in range(4)]
    merge, offset = MergeUnit.new(0), 0
    outputs: list[Output] = []
    records = [record for unit in units for record in encode(unit.full_partial())]
    for begin in (0, 30, 60):
        for number in range(begin, begin + 30):
            value, headers = installation.codec.encode(_envelope(number))
            await log.send([Message(f"events.{_TYPE}", number % 4, b"k", value, headers)])
        for unit in units:
            place = TopicPartition(unit.topic, unit.partition)
            async for batch in log.read(place, unit.offset + 1, await log.end(place)):
                partial = unit.apply(work.prepare(place, batch).batch)
                records += encode(partial) if partial is not None else []
        outputs += merge.apply([(offset + index, record) for index, record in enumerate(records)])
        offset, records = offset + len(records), []
    for output in change(outputs):
        key, value, headers = encode_output(installation.codec, output)
        await log.send([Message(topic_of(_ID), 0, key, value, headers)])
    return log


def _same(outputs: list[Output]) -> list[Output]:
    return outputs


async def test_what_the_workers_publish_is_proven(installation: Installation) -> None:
    log = await published(installation, _same)
    (report,) = await verify(installation, log, [_ID])
    assert report.ok
    assert report.cells == 9
    assert report.events == 90


async def test_single_cells_are_proven_and_unknown_ones_named(installation: Installation) -> None:
    log = await published(installation, _same)
    (report,) = await verify(installation, log, [_ID], cells=["2024-02-01/DKI2"])
    assert (report.ok, report.cells) == (True, 1)
    with pytest.raises(ConfigurationError, match=r"no such cell; there are 9, such as: 2024-01-01/DKI1"):
        await verify(installation, log, [_ID], cells=["2024-02-01/DKI9"])


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("value", lambda last: replace(last, value="1.0000000000")),
        ("numerator", lambda last: replace(last, numerator=str(int(last.numerator) + 1))),
        ("n", lambda last: replace(last, n=last.n + 1)),
        ("revision", lambda last: replace(last, revision=last.revision + 1)),
        ("fingerprint", lambda last: replace(last, fingerprint="0" * 64)),
        ("n", lambda last: replace(last, evidence=tuple((t, p, o - 3) for t, p, o in last.evidence), revision=last.revision + 1)),
    ],
)
async def test_a_wrong_number_is_found(installation: Installation, field: str, change: Callable[[Output], Output]) -> None:
    log = await published(installation, lambda outputs: [*outputs[:-1], change(outputs[-1])])
    (report,) = await verify(installation, log, [_ID])
    assert field in {mismatch.field for mismatch in report.mismatches}
    assert {mismatch.cell for mismatch in report.mismatches} == {"2024-03-01/DKI3"}


async def test_a_cell_that_was_never_published_is_found(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.ops.verification._LOOKS", 1)
    log = await published(installation, lambda outputs: [each for each in outputs if each.dimensions["station"] != "DKI2"])
    (report,) = await verify(installation, log, [_ID])
    assert [(each.cell, each.field, each.published) for each in report.mismatches] == [
        (f"2024-0{month}-01/DKI2", "cell", "") for month in (1, 2, 3)
    ]

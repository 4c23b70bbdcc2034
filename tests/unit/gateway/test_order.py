"""Which record of a cell is the newest: whoever reads an indicator's topic answers alike (ADR 0014 R5)."""

from __future__ import annotations

from itertools import permutations

import pytest

from bus.indicators.outputs import export_rows
from bus.kafka.ports import Message
from bus.ops.values import read_value, read_values
from bus.streams.outputs import mark_of, mark_of_record
from bus.testing.memory import MemoryLog
from consumers.dashboard.state import State
from tests.unit.gateway.feed import CODEC, DECODE, value

TOPIC = "indicators.dlh.x"
#: Records of one cell, each newer than the one before: status does not decide, what the evidence covers does.
RISING = [
    value("dlh.x", "1", revision=1, offset=5),
    value("dlh.x", "2", revision=2, offset=3, status="final"),
    value("dlh.x", "2", revision=2, offset=4, status="provisional"),
    value("dlh.x", "2", revision=2, offset=9, status="final"),
    value("dlh.x", "4", version=2, revision=1, offset=2, status="provisional"),
    value("dlh.x", "4", version=2, revision=1, offset=7, status="final"),
]


async def _log(*messages: Message) -> MemoryLog:
    log = MemoryLog({TOPIC: 1})
    await log.send(messages)
    return log


@pytest.mark.parametrize("upto", range(2, len(RISING) + 1))
async def test_export_gateway_and_the_owner_agree_on_the_newest(upto: int) -> None:
    newest = RISING[upto - 1]
    wanted = read_value(CODEC, (await _log(newest)).records(TOPIC)[0])
    assert wanted is not None
    for order in permutations(RISING[max(0, upto - 3) : upto]):
        log = await _log(*order)
        records = log.records(TOPIC)
        outputs = [output for record in records if (output := read_value(CODEC, record)) is not None]
        assert await read_values(log, CODEC, "dlh.x") == [wanted]
        assert export_rows(outputs) == export_rows([wanted])
        state = State(DECODE)
        state.apply(TOPIC, records, upto=len(records))
        (cell,) = state.indicators["dlh.x"].cells()
        assert (cell.order, cell.status, cell.value) == (wanted.order, wanted.status, wanted.value)
        marks = [mark_of_record(CODEC, record) for record in records]
        assert marks == [mark_of(output) for output in outputs]
        for mark in marks:
            assert mark is not None
            assert not mark_of(wanted).stands_below(mark)
            same = (mark.version, mark.revision, mark.of_time) == (wanted.version, wanted.revision, mark_of(wanted).of_time)
            assert same or mark.stands_below(mark_of(wanted))

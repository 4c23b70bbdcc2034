"""Published rows, and a log that commands are told is theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bus.cli.app import main
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.indicators.outputs import PROVISIONAL, Output
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.ops.wiring import Log
from bus.settings import ROOT, Settings
from bus.testing.memory import MemoryLog

#: 1 July 2021 in Asia/Jakarta, and the day after.
START, END = 1_625_072_400_000_000, 1_625_158_800_000_000


def codec() -> Codec:
    return Codec(Catalogue.load([ROOT / "schemas"]))


def output(**changes: Any) -> Output:
    """A row of `dlh.pm10_mean`; what a test does not speak of is empty."""
    known: dict[str, Any] = {
        "indicator": "dlh.pm10_mean", "version": 1, "fingerprint": "abc", "window_start_us": START, "window_end_us": END,
        "dimensions": {"station": "DKI1"}, "value": "1.5", "numerator": "3", "denominator": "2", "n": 2, "revision": 2,
        "status": PROVISIONAL, "evidence": (("events.dlh.air_quality.recorded.v1", 0, 7),), "watermarks": {},
    }  # fmt: skip
    return Output(**known | changes)


def connected(log: MemoryLog) -> Callable[[Settings], object]:
    """Takes the place of `bus.ops.wiring.connect`."""

    @asynccontextmanager
    async def connect(settings: Settings) -> AsyncIterator[Log]:
        async def topics() -> Collection[str]:
            return log.topics

        yield Log(log, log, KafkaSnapshotStore(log, log), topics)

    return connect


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    assert "Traceback" not in said.err
    return ended.value.code, said.out, said.err

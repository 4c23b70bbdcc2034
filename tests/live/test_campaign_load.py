"""A hundred thousand events and more through two workers on a real Kafka, one of which is killed meanwhile: count and sum are exact."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bus.kafka.admin import apply, delete_topics
from bus.kafka.node import KafkaNode
from bus.ops.installation import Installation
from bus.ops.values import read_values
from bus.ops.wiring import connect
from bus.settings import KafkaSettings, Settings
from tests.bench.load import OVERLAY, Totals, publish, totals
from tests.live.campaign import proven, seeds, sized
from tests.live.cli_process import environ_for
from tests.live.streams_site import WorkerProcess

pytestmark = [pytest.mark.soak, pytest.mark.kafka, pytest.mark.timeout(sized(300, 1800))]

EVENTS = sized(100_000, 3_000_000)
_log = logging.getLogger(__name__)
_COMMAND = ("bus", "run", "streams")


async def _wrong(settings: Settings, wanted: Totals) -> list[str]:
    """The indicators whose published cells are not exactly those."""
    installation = Installation.load(settings)
    wrong = []
    async with connect(settings) as log:
        for window, name in (("1h", "hour"), ("1d", "day")):
            for kind, index in (("count", 0), ("sum", 1)):
                values = await read_values(log.reader, installation.codec, f"bench.{kind}_{name}")
                found = {(each.window_start_us, each.dimensions["district"], each.dimensions["service"]): each.value for each in values}
                if found != {key: str(cell[index]) for key, cell in wanted[window].items()}:
                    wrong.append(f"bench.{kind}_{name}: {len(found)} cells")
    return wrong


@pytest.mark.parametrize("seed", seeds(1, 1))
async def test_a_load_through_two_workers_of_which_one_dies(
    seed: int, kafka_node: KafkaNode, settings_of: Callable[[KafkaNode], KafkaSettings], tmp_path: Path
) -> None:
    await delete_topics(settings_of(kafka_node), lambda name: not name.startswith("__"))
    environ = environ_for(
        tmp_path / "data", settings_of(kafka_node), only="bench", BUS_OVERLAY=str(OVERLAY), BUS_STREAMS__SNAPSHOT_SECONDS="0.5"
    )
    settings = Settings.from_env(environ)
    await apply(settings.kafka, Installation.load(settings).topics())
    workers = {name: WorkerProcess(tmp_path, name, _named(environ, name), _COMMAND) for name in "ab"}
    try:
        for worker in workers.values():
            await worker.wait_for("partitions_assigned")
        load = asyncio.create_task(asyncio.to_thread(publish, kafka_node.bootstrap_servers, EVENTS))
        await asyncio.sleep(random.Random(seed).uniform(0.2, 1))
        assert not load.done(), "nothing was under load"
        workers["a"].kill()
        _log.info("killed")
        wanted = totals(EVENTS)
        await load
        _log.info("published")
        deadline = time.monotonic() + 120
        while wrong := await _wrong(settings, wanted):
            assert time.monotonic() < deadline, f"{wrong}\n{workers['b'].log.read_text()[-3000:]}"
            await asyncio.sleep(2)
        _log.info("exact")
        proven(environ, "bench.sum_day")
        _log.info("proven")
        # The same again, as from a publisher that does not know how far it came: nothing may change.
        await asyncio.to_thread(publish, kafka_node.bootstrap_servers, 20_000)
        await asyncio.sleep(3)
        assert await _wrong(settings, wanted) == []
        assert workers["b"].stop() == 0
    finally:
        for worker in workers.values():
            if worker.process.poll() is None:
                worker.kill()


def _named(environ: Mapping[str, str], name: str) -> dict[str, str]:
    return {**environ, "BUS_STREAMS__INSTANCE": name}

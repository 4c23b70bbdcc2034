"""A real Kafka that is killed, started again and frozen in the middle of a whole run: each role waits for it and goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from bus.kafka.admin import delete_topics
from bus.kafka.node import KafkaNode
from bus.kafka.process import free_port
from bus.settings import KafkaSettings
from tests.live.campaign import ONLY, BusRun, Listener, Outcome, proven, seeds, sized
from tests.live.cli_process import environ_for

pytestmark = [pytest.mark.soak, pytest.mark.kafka, pytest.mark.timeout(sized(300, 1200))]

ROUNDS = sized(1, 4)
PACE = sized(50, 10)


@pytest.mark.parametrize("seed", seeds(1, 1))
async def test_every_role_survives_a_broker_that_dies_and_freezes(
    seed: int,
    kafka_node: KafkaNode,
    settings_of: Callable[[KafkaNode], KafkaSettings],
    campaign_input: Path,
    undisturbed: Outcome,
    tmp_path: Path,
) -> None:
    chance, port = random.Random(seed), free_port()
    await delete_topics(settings_of(kafka_node), lambda name: not name.startswith("__"))
    environ = environ_for(tmp_path / "data", settings_of(kafka_node), only=ONLY, BUS_GATEWAY__PORT=str(port))
    run = BusRun(campaign_input, tmp_path / "out", environ, pace=PACE)
    try:
        async with Listener(f"http://127.0.0.1:{port}") as listener:
            await run.until_said("streams", "partitions_assigned")
            await run.until_said("connectors", "delivery done")
            await run.until_said("gateway", "caught_up")
            before = run.roles()
            for _ in range(ROUNDS):
                await asyncio.sleep(chance.uniform(0.5, 3))
                run.note("the broker is killed")
                await asyncio.to_thread(kafka_node.kill)
                await asyncio.sleep(chance.uniform(0, 3))
                await asyncio.to_thread(kafka_node.start)
                run.note("the broker is back")
                await asyncio.sleep(chance.uniform(2, 5))
                run.note("the broker is frozen")
                await asyncio.to_thread(kafka_node.pause)
                await asyncio.sleep(10)
                await asyncio.to_thread(kafka_node.resume)
                run.note("the broker goes on")
            await asyncio.sleep(1)
            after = run.roles()
            assert before.keys() >= {"streams", "connectors", "gateway"}
            assert after.items() <= before.items(), f"a role did not survive: {run.logs()}"
            assert {"streams", "gateway"} <= after.keys()
            await listener.follows_again()
            ended = await run.end(240)
        assert ended.code == 0, f"{ended.err}\n{run.story}\n{run.logs()}"
        Outcome.of(tmp_path / "out", ended).same_as(undisturbed)
        proven(environ)
    finally:
        run.stop()

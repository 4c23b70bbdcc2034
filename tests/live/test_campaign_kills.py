"""Workers, connectors and gateways killed at random moments of a whole run: the same bytes come out, and no client misses anything."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bus.kafka.process import free_port
from bus.settings import KafkaSettings
from tests.conftest import CAMPAIGN_BROKERS
from tests.live.campaign import ONLY, BusRun, Listener, Outcome, proven, seeds, sized
from tests.live.cli_process import environ_for, start_bus

pytestmark = [pytest.mark.soak, pytest.mark.timeout(sized(300, 900))]

#: Kills in a run, and records a second: the run lasts 20 s at least, in full 80 s.
KILLS = sized(6, 10)
PACE = sized(40, 20)


@pytest.mark.parametrize("clean_broker", CAMPAIGN_BROKERS, indirect=True)
@pytest.mark.parametrize("seed", seeds(1, 2))
async def test_a_run_whose_roles_are_killed_gives_the_same_bytes(
    seed: int, clean_broker: KafkaSettings, campaign_input: Path, undisturbed: Outcome, tmp_path: Path
) -> None:
    port = free_port()
    environ = environ_for(tmp_path / "data", clean_broker, only=ONLY, BUS_GATEWAY__PORT=str(port))
    run = BusRun(campaign_input, tmp_path / "out", environ, pace=PACE)
    try:
        async with Listener(f"http://127.0.0.1:{port}") as listener:
            await run.until_running("streams", "connectors", "gateway")
            await run.kills(KILLS, random.Random(seed), sized(2.5, 6.0))
            ended = await run.end(240)
            assert ended.code == 0, f"{ended.err}\n{run.story}\n{run.logs()}"
            Outcome.of(tmp_path / "out", ended).same_as(undisturbed)
            proven(environ)
            # The client has outlived the run; the next gateway of that address has to bring it up to date.
            gateway = start_bus(["run", "gateway"], environ)
            try:
                await listener.equals()
            finally:
                gateway.terminate()
                gateway.communicate()
            assert listener.resumed
    finally:
        run.stop()

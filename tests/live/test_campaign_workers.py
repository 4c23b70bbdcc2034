"""Workers as they are started on several machines, `bus run streams`: they come, go, die and freeze under load, and every number is exact."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from bus.settings import KafkaSettings
from tests.conftest import CAMPAIGN_BROKERS
from tests.live.campaign import proven, seeds, sized
from tests.live.streams_site import Site, WorkerProcess

pytestmark = [pytest.mark.soak, pytest.mark.timeout(sized(300, 3600))]

#: What is done to the workers in a campaign, and events a second meanwhile.
STEPS = sized(4, 40)
RATE = 1_500
_log = logging.getLogger(__name__)


class CommandSite(Site):
    """Its workers are the command's."""

    command = ("bus", "run", "streams")

    def environment(self, name: str) -> dict[str, str]:
        return super().environment(name) | {"BUS_DATA_DIR": str(self.folder / "data")}

    async def load(self, stop: asyncio.Event) -> None:
        """Events at a steady rate until told to stop."""
        while not stop.is_set():
            await self.publish(RATE // 3, seconds=1 / 3)

    def verify(self, environ: Mapping[str, str]) -> None:
        for indicator in ("test.total", "test.count"):
            proven(environ, indicator)


@pytest.fixture
async def site(tmp_path: Path, clean_broker: KafkaSettings) -> AsyncIterator[CommandSite]:
    async with CommandSite(tmp_path, clean_broker) as site:
        yield site


@pytest.mark.parametrize("clean_broker", CAMPAIGN_BROKERS, indirect=True)
async def test_one_freezes_beyond_its_session_and_wakes_beside_its_successor(site: CommandSite) -> None:
    stop = asyncio.Event()
    frozen, second = site.worker("a"), site.worker("b")
    await frozen.wait_for("partitions_assigned")
    await second.wait_for("partitions_assigned")
    load = asyncio.create_task(site.load(stop))
    await asyncio.sleep(2)
    before = second.said("partitions_assigned")
    frozen.signal(signal.SIGSTOP)
    await second.wait_for("partitions_assigned", times=before + 1)
    await asyncio.sleep(2)
    frozen.signal(signal.SIGCONT)
    await asyncio.sleep(2)
    frozen.kill()
    second.kill()
    third = site.worker("c")
    stop.set()
    await load
    await site.exact()
    site.verify(site.environment("verify"))
    assert third.stop() == 0


@pytest.mark.parametrize("clean_broker", CAMPAIGN_BROKERS, indirect=True)
@pytest.mark.parametrize("seed", seeds(1, 1))
async def test_workers_join_leave_die_and_freeze_at_random(seed: int, site: CommandSite) -> None:
    campaign = Campaign(site, random.Random(seed))
    stop = asyncio.Event()
    load = asyncio.create_task(site.load(stop))
    await campaign.join()
    for _ in range(STEPS):
        await asyncio.sleep(campaign.chance.uniform(0.5, 5))
        await campaign.step()
    stop.set()
    await load
    await campaign.thaw()
    if not campaign.live:
        await campaign.join()
    await site.exact(seconds=150)
    site.verify(site.environment("verify"))


class Campaign:
    """Up to three workers, of which one may be frozen, and what is done to them."""

    def __init__(self, site: CommandSite, chance: random.Random) -> None:
        self.site, self.chance = site, chance
        self.live: list[WorkerProcess] = []
        self.frozen: WorkerProcess | None = None
        self._names = iter(range(1_000))

    async def step(self) -> None:
        """One thing that can happen now."""
        can = [self.join] if len(self.live) < 3 else []
        if self.live:
            can += [self.kill, self.leave]
        if self.live and self.frozen is None:
            can.append(self.freeze)
        if self.frozen is not None:
            can += [self.thaw, self.kill_frozen]
        what = self.chance.choice(can) if self.live else self.join
        _log.info("%s, with %s", what.__name__, [worker.name for worker in self.live])
        await what()

    async def join(self) -> None:
        self.live.append(self.site.worker(f"w{next(self._names)}"))
        if len(self.live) == 1:
            await self.live[0].wait_for("partitions_assigned")

    async def leave(self) -> None:
        """In order, as a host that is shut down; what it is doing does not matter."""
        worker = self._any()
        assert await asyncio.to_thread(worker.stop) in (0, -signal.SIGTERM), worker.log.read_text()[-3000:]

    async def kill(self) -> None:
        self._any().kill()

    async def freeze(self) -> None:
        self.frozen = self._any()
        self.frozen.signal(signal.SIGSTOP)

    async def thaw(self) -> None:
        if self.frozen is not None:
            self.frozen.signal(signal.SIGCONT)
            self.live.append(self.frozen)
            self.frozen = None

    async def kill_frozen(self) -> None:
        assert self.frozen is not None
        self.frozen.kill()
        self.frozen = None

    def _any(self) -> WorkerProcess:
        return self.live.pop(self.chance.randrange(len(self.live)))

"""Fold and merge as processes on both brokers: whatever is killed, frozen or added, every number comes out exact."""

from __future__ import annotations

import asyncio
import signal

import pytest

from bus.kafka.admin import delete_topics
from tests.live.streams_site import Site
from tests.unit.streams.world import expected, published, write_indicator


@pytest.fixture
async def site(tmp_path, clean_broker):
    async with Site(tmp_path, clean_broker) as site:
        yield site


async def test_what_was_published_before_and_after_the_start_is_exact(site):
    await site.publish(3_000)
    worker = site.worker("a")
    await site.exact()
    await site.publish(3_000)
    await site.exact(seconds=30)
    assert worker.stop() == 0


async def test_killed_in_mid_load_and_started_again(site):
    worker = site.worker("a")
    await worker.wait_for("partitions_assigned")
    load = asyncio.create_task(site.publish(20_000, seconds=4))
    for _ in range(2):
        await asyncio.sleep(1.5)
        worker.kill()
        worker = site.worker("a")
    await load
    await site.exact()
    assert worker.stop() == 0


async def test_workers_join_leave_and_die_under_load(site):
    first = site.worker("a")
    await first.wait_for("partitions_assigned")
    load = asyncio.create_task(site.publish(40_000, seconds=14))
    await asyncio.sleep(1)
    second = site.worker("b")
    await second.wait_for("partitions_assigned")
    await asyncio.sleep(1)
    assert first.stop() == 0
    third = site.worker("c")
    await asyncio.sleep(3)
    second.kill()
    await load
    await site.exact()
    assert third.stop() == 0


async def test_a_new_indicator_is_folded_from_the_beginning_without_a_restart(site):
    worker = site.worker("a")
    await site.publish(3_000)
    await site.exact()
    write_indicator(site.schemas, "test.large", '{ kind = "count" }', where="amount >= 50")
    await site.publish(3_000, seconds=1)
    await worker.wait_for("indicators_reloaded")
    large: dict[tuple[str, int], int] = {}
    for _ in range(300):
        large = await published(site.reader, site.codec, "test.large")
        if large == expected(site.facts, least=50)["test.count"]:
            break
        await asyncio.sleep(0.2)
    assert large == expected(site.facts, least=50)["test.count"], worker.log.read_text()[-3000:]
    await site.exact()
    (site.schemas / "indicators" / "test.broken.toml").write_text("id = ")
    await worker.wait_for("indicators_unchanged")
    await site.publish(500)
    await site.exact()


@pytest.fixture
async def kafka_site(tmp_path, kafka_node, settings_of):
    await delete_topics(settings_of(kafka_node), lambda name: not name.startswith("__"))
    async with Site(tmp_path, settings_of(kafka_node)) as site:
        yield site


@pytest.mark.kafka
async def test_a_frozen_worker_that_wakes_up_after_its_takeover(kafka_site):
    frozen = kafka_site.worker("a")
    await frozen.wait_for("partitions_assigned")
    load = asyncio.create_task(kafka_site.publish(30_000, seconds=12))
    await asyncio.sleep(2)
    frozen.signal(signal.SIGSTOP)
    second = kafka_site.worker("b")
    await second.wait_for("partitions_assigned")
    await asyncio.sleep(2)
    frozen.signal(signal.SIGCONT)
    await asyncio.sleep(1)
    frozen.kill()
    second.kill()
    third = kafka_site.worker("c")
    await load
    await kafka_site.exact()
    assert third.stop() == 0


@pytest.mark.kafka
async def test_a_broker_that_goes_away_and_comes_back_is_waited_for(kafka_site, kafka_node):
    worker = kafka_site.worker("a")
    await kafka_site.publish(3_000)
    await kafka_site.exact()
    await asyncio.to_thread(kafka_node.restart)
    await kafka_site.publish(3_000)
    await kafka_site.exact()
    assert worker.process.poll() is None, worker.log.read_text()

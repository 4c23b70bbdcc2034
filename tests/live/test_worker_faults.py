"""A worker that cannot go on ends, whatever of Faust already runs: a supervisor sees only processes that end."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bus.kafka.embedded import EmbeddedBroker
from bus.ops.installation import Installation
from bus.ops.wiring import apply_topics
from bus.settings import KafkaSettings, Settings
from bus.streams.worker import EXIT_FAULT
from tests.live.cli_process import environ_for

#: `bus.streams`, with a fault of ours once Faust has been started.
_FAULTY = """
from bus.streams.worker import Worker

def start(*_):
    raise RuntimeError("side work cannot begin")

Worker.start = start
import runpy
runpy.run_module("bus.streams", run_name="__main__")
"""

#: `bus.streams`, whose consumer is told nothing of topics for some seconds, as by a broker that has just come back.
_UNTOLD = """
import time
from aiokafka.client import AIOKafkaClient
asked, update = {}, AIOKafkaClient._metadata_update

async def silent(self, cluster, topics):
    if self._client_id.startswith("faust") and time.monotonic() - asked.setdefault(id(self), time.monotonic()) < 8:
        return False
    return await update(self, cluster, topics)

AIOKafkaClient._metadata_update = silent
import runpy
runpy.run_module("bus.streams", run_name="__main__")
"""


def test_a_fault_after_the_start_ends_the_process(
    embedded_broker: EmbeddedBroker, settings_of: Callable[[EmbeddedBroker], KafkaSettings], tmp_path: Path
) -> None:
    settings = Settings(kafka=settings_of(embedded_broker), only_agencies=("dlh",))
    asyncio.run(apply_topics(settings, Installation.load(settings).topics()))
    environ = environ_for(tmp_path, settings.kafka, only="dlh", BUS_STREAMS__GROUP="faulty")
    ended = subprocess.run([sys.executable, "-c", _FAULTY], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == EXIT_FAULT
    assert "side work cannot begin" in ended.stdout + ended.stderr


@pytest.mark.kafka
@pytest.mark.parametrize("clean_broker", ["kafka"], indirect=True)
def test_a_worker_that_joined_before_it_was_told_of_topics_gets_its_partitions(clean_broker: KafkaSettings, tmp_path: Path) -> None:
    """The client asks a broker that just came back once, and takes no answer for no topics; by itself it would ask again after five minutes."""
    settings = Settings(kafka=clean_broker, only_agencies=("dlh",))
    asyncio.run(apply_topics(settings, Installation.load(settings).topics()))
    environ = environ_for(tmp_path, settings.kafka, only="dlh", BUS_STREAMS__GROUP="untold")
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen([sys.executable, "-c", _UNTOLD], env=environ, stdout=log, stderr=log) as worker,
    ):
        said, deadline = "", time.monotonic() + 60
        try:
            while not re.search(r"partitions_assigned +events=[1-9]", said):
                assert worker.poll() is None, said[-3000:]
                assert time.monotonic() < deadline, said[-3000:]
                time.sleep(0.2)
                said = (tmp_path / "log").read_text()
        finally:
            worker.kill()
    assert re.search(r"partitions_assigned +events=0 ", said), "it joined too late for this test to mean anything"

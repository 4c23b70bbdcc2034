"""A worker that cannot go on ends, whatever of Faust already runs: a supervisor sees only processes that end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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


def test_a_fault_after_the_start_ends_the_process(
    embedded_broker: EmbeddedBroker, settings_of: Callable[[EmbeddedBroker], KafkaSettings], tmp_path: Path
) -> None:
    settings = Settings(kafka=settings_of(embedded_broker), only_agencies=("dlh",))
    asyncio.run(apply_topics(settings, Installation.load(settings).topics()))
    environ = environ_for(tmp_path, settings.kafka, only="dlh", BUS_STREAMS__GROUP="faulty")
    ended = subprocess.run([sys.executable, "-c", _FAULTY], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == EXIT_FAULT
    assert "side work cannot begin" in ended.stdout + ended.stderr

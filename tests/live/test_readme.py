"""The subscribers that the README shows, as they stand there: against brokers of both kinds and the gateway's registry."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import sys
from collections.abc import Sequence

import httpx
import pytest

from bus.kafka.admin import apply, delete_topics
from bus.kafka.client import KafkaPublisher
from bus.kafka.node import KafkaNode
from bus.kafka.topics import Topic
from bus.settings import ROOT, GatewaySettings, KafkaSettings, Settings
from consumers.dashboard.gateway import create
from tests.conftest import unavailable
from tests.unit.gateway.feed import month, released, serving, until_ready

DATASET = "dlh.pm10_max"
_SECTION = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Three subscribers\n")[2].partition("\n## ")[0]
_KAFKA, _GATEWAY = "127.0.0.1:9092", "http://127.0.0.1:8080"


def snippet(language: str) -> str:
    """The one block of that language in the section."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", _SECTION, re.MULTILINE | re.DOTALL)
    return str(found)


async def _until_lines(command: Sequence[str], count: int) -> list[str]:
    """The first lines that it prints; it is ended then."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            return [(await process.stdout.readline()).decode().rstrip("\n") for _ in range(count)]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _public(kafka: KafkaSettings) -> None:
    topic = f"public.{DATASET}"
    await apply(kafka, [Topic(topic, 1, 1, {"cleanup.policy": "compact"})])
    async with KafkaPublisher(kafka) as publisher:
        await publisher.send([released(DATASET, "92", window=month(1)), released(DATASET, "88.5", window=month(2))])


async def test_ten_lines_of_python(make_embedded, settings_of) -> None:
    code = snippet("python")
    assert len([line for line in code.splitlines() if line]) == 10
    kafka = settings_of(make_embedded())
    await _public(kafka)
    async with serving(create(Settings(kafka=kafka, gateway=GatewaySettings(port=0)))) as url:
        code = code.replace(_KAFKA, kafka.bootstrap_servers).replace(_GATEWAY, url)
        lines = await _until_lines([sys.executable, "-c", code], 2)
    assert lines == ["2020-12-31T17:00:00+00:00 ['DKI1'] 92 final", "2021-01-31T17:00:00+00:00 ['DKI1'] 88.5 final"]


@pytest.mark.kafka
async def test_kcat(kafka_node: KafkaNode, settings_of) -> None:
    program = shutil.which("kcat")
    if program is None:
        unavailable("kcat: apt-get install kcat")
    keys, rows = snippet("sh").splitlines()
    kafka = settings_of(kafka_node)
    await delete_topics(kafka, lambda name: name == f"public.{DATASET}")
    await _public(kafka)
    async with serving(create(Settings(kafka=kafka, gateway=GatewaySettings(port=0)))) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)

        def here(line: str) -> list[str]:
            return shlex.split(line.replace(_KAFKA, kafka.bootstrap_servers).replace(_GATEWAY, url))

        lines = await _until_lines(here(keys), 2)
        assert [line.partition(" ")[2] for line in lines] == ['[1609434000000000,["DKI1"]]', '[1612112400000000,["DKI1"]]']
        said = await asyncio.create_subprocess_exec(program, "-V", stdout=asyncio.subprocess.PIPE)
        if b"avro" in (await said.communicate())[0]:
            shown = [json.loads(line) for line in await _until_lines(here(rows), 2)]
            assert [row["n"] for row in shown] == [{"long": 31}, {"long": 31}]

"""`bus run ppid` beside a real broker: killed in the middle, its database kept, it goes on where the database says."""

from __future__ import annotations

import csv
import io
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from bus.kafka.admin import apply
from bus.kafka.client import KafkaPublisher
from bus.kafka.process import free_port
from bus.kafka.topics import Topic
from bus.settings import KafkaSettings
from tests.live.cli_process import environ_for, start_bus
from tests.unit.ppid.feed import PM10, public, released

_SECONDS = 60


def _values(client: httpx.Client, folder: str) -> list[str]:
    answer = client.get(f"/dataset/{PM10}/{folder}/{PM10}.csv")
    if answer.status_code != 200:
        return [f"status {answer.status_code}"]
    return [row["value"] for row in csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))]


def _text(client: httpx.Client, path: str) -> str:
    return client.get(path).text


def _until(client: httpx.Client, process: subprocess.Popen[str], folder: str, wanted: list[str]) -> None:
    deadline, found = time.monotonic() + _SECONDS, ["nothing"]
    while found != wanted:
        assert process.poll() is None, "the portal has ended"
        assert time.monotonic() < deadline, f"{folder} says {found}, not {wanted}"
        try:
            found = _values(client, folder)
        except httpx.TransportError:
            found = ["no answer"]
        time.sleep(0.1)


async def test_the_portal_is_killed_and_goes_on(clean_broker: KafkaSettings, tmp_path: Path) -> None:
    await apply(clean_broker, [Topic(f"public.{PM10}", 1)])
    port = free_port()
    environ: Mapping[str, str] = environ_for(tmp_path / "data", clean_broker, only="dlh", BUS_PPID__PORT=str(port))
    async with KafkaPublisher(clean_broker) as publisher:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            await publisher.send([public("60", at=released(1)), public("7", at=released(1), dimensions={"station": "SLO1"})])
            portal = start_bus(["run", "ppid"], environ)
            try:
                _until(client, portal, "latest", ["60", "7"])
                portal.kill()
                portal.communicate()
                await publisher.send([public("61", at=released(8), revision=2), public("60", at=released(8))])
                portal = start_bus(["run", "ppid"], environ)
                _until(client, portal, "latest", ["61", "7"])
                _until(client, portal, "vintage/2026-03-02", ["60", "7"])
                assert '"status":"ok"' in _text(client, "/healthz")
                assert 'bus_ppid_datasets{outcome="published"} 1.0' in _text(client, "/metrics")
            finally:
                portal.terminate()
                _, said = portal.communicate()
            assert portal.returncode == 0, said
            assert "Traceback" not in said

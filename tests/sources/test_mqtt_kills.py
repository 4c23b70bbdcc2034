"""Connector, MQTT broker and Kafka are killed under load: every message is in the log exactly once."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from bus.events.codec import envelope_of
from bus.ingest.quarantine import Place
from bus.kafka.admin import delete_topics
from bus.kafka.client import KafkaLogReader
from bus.kafka.embedded import EmbeddedBroker
from bus.kafka.node import KafkaNode
from bus.kafka.ports import TopicPartition
from bus.ops.installation import Installation
from bus.ops.quarantine import list_quarantine
from bus.ops.wiring import apply_topics
from bus.settings import KafkaSettings, Settings
from bus.simulation.mosquitto import Mosquitto, mosquitto_binary
from tests.conftest import SOAK, unavailable
from tests.live.cli_process import bus, environ_for, start_bus
from tests.sources.mosquitto import Sensor, say_all
from tests.sources.mqtt_site import sensor_agency, until

MESSAGES, KILLS = (100_000, 10) if SOAK else (2_000, 3)
TOPIC = "events.lab.sample.recorded.v1"
_AT_ONCE = MESSAGES // 40
#: Sensors that see their broker come back say again what it may have forgotten.
_SAID_AGAIN = _AT_ONCE + 500
_PATIENCE_SECONDS = 600.0 if SOAK else 90.0


class Site:
    """The three that are killed, and a sensor that is not."""

    def __init__(self, folder: Path, kafka: KafkaSettings, server: EmbeddedBroker | KafkaNode) -> None:
        sensor_agency(folder, 'id = ["no"]\n')
        self.kafka, self.server = kafka, server
        self.settings = Settings(kafka=kafka, overlay=(folder / "overlay",), only_agencies=("lab",))
        self.installation = Installation.load(self.settings)
        self.mosquitto = Mosquitto(folder / "mosquitto")
        self.environ = environ_for(
            folder / "data", kafka, only="lab", BUS_OVERLAY=str(folder / "overlay"), BUS_LAB__MQTT_URL=self.mosquitto.url,
            BUS_KAFKA__RETRY_SECONDS="5", BUS_INGEST__LEASE_SECONDS="3",
        )  # fmt: skip
        self.log = folder / "connector.log"
        self.connector: subprocess.Popen[str] | None = None
        self.messages = [
            (f"lab/S{n % 7}/pm10", json.dumps({"no": n, "value": "unmapped" if n % 100 == 50 else n})) for n in range(MESSAGES)
        ]
        self.said = 0

    def start_connector(self) -> None:
        self.connector = start_bus(["run", "connectors"], self.environ)

    def kill_connector(self) -> None:
        assert self.connector is not None
        self.connector.send_signal(signal.SIGKILL)
        self.connector.communicate()
        self.connector = None

    def speak(self) -> None:
        """All messages, in order, each until the broker has it."""
        sensor = Sensor(self.mosquitto, "alat")
        for begin in range(0, MESSAGES, _AT_ONCE):
            for topic, payload in self.messages[begin : begin + _AT_ONCE]:
                sensor.say(topic, payload)
            self.said = min(begin + _AT_ONCE, MESSAGES)
            sensor.settled(seconds=_PATIENCE_SECONDS)
        sensor.close()

    def kill(self, victim: str) -> None:
        if victim == "connector":
            self.kill_connector()
            self.start_connector()
        elif victim == "kafka":
            self.server.kill()
            self.server.restart()
        else:
            self.mosquitto.kill()
            said = self.said
            self.mosquitto.start()
            again = Sensor(self.mosquitto, "alat-lagi")
            for topic, payload in self.messages[max(0, said - _SAID_AGAIN) : said]:
                again.say(topic, payload)
            again.settled(seconds=_PATIENCE_SECONDS)
            again.close()

    def stop(self) -> None:
        if self.connector is not None:
            self.kill_connector()
        self.mosquitto.kill()


@pytest.fixture
def sites() -> Iterator[list[Site]]:
    if mosquitto_binary() is None:
        unavailable("mosquitto (apt install mosquitto)")
    made: list[Site] = []
    yield made
    for site in made:
        site.stop()


@pytest.mark.soak
@pytest.mark.timeout(2_000 if SOAK else 240)
@pytest.mark.parametrize("where", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
async def test_kills_under_load(
    where: str, tmp_path: Path, request: pytest.FixtureRequest, settings_of: Callable[[EmbeddedBroker | KafkaNode], KafkaSettings], sites: list[Site],
    make_embedded: Callable[[], EmbeddedBroker],
) -> None:  # fmt: skip
    server = make_embedded() if where == "embedded" else request.getfixturevalue("kafka_node")
    if where == "kafka":  # another test's agency may have had the same topics
        await delete_topics(settings_of(server), lambda name: not name.startswith("__"))
    site = Site(tmp_path, settings_of(server), server)
    sites.append(site)
    await apply_topics(site.settings, site.installation.topics())
    site.mosquitto.start()
    site.start_connector()
    # What is said before the broker knows of our subscription is nobody's.
    first = Sensor(site.mosquitto, "pertama")
    while not await events(site):
        first.say("lab/S0/status", "online")
        first.settled()
        await asyncio.sleep(0.1)
    first.close()
    await campaign(site, ["connector", "mosquitto"] + (["kafka"] if where == "kafka" else []))
    found = Counter(each["no"] for each in await events(site) if "no" in each)
    assert found == {n: 1 for n in range(MESSAGES) if n % 100 != 50}
    async with KafkaLogReader(site.kafka) as reader:
        refused = await list_quarantine(reader, "lab", state="open")
    assert len({entry.place for entry in refused if isinstance(entry.place, Place)}) >= MESSAGES // 100


@pytest.mark.timeout(240)
async def test_a_machine_without_a_line_and_a_stick(
    tmp_path: Path, settings_of: Callable[[EmbeddedBroker | KafkaNode], KafkaSettings], sites: list[Site], make_embedded: Callable[[], EmbeddedBroker]
) -> None:  # fmt: skip
    """The connector begins and goes on without Kafka; what it has is carried by hand; then its line is back, and it sends the same."""
    server = make_embedded()
    site = Site(tmp_path, settings_of(server), server)
    sites.append(site)
    site.messages = site.messages[:40]
    await apply_topics(site.settings, site.installation.topics())
    site.mosquitto.start()
    away = {**site.environ, "BUS_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    on_line, site.environ = site.environ, away
    site.start_connector()
    file = tmp_path / "stick.spool"
    await until(lambda: "SUBSCRIBE from simpul-lab-sensors" in site.mosquitto.said())
    await asyncio.to_thread(say_all, site.mosquitto, site.messages)
    used = bus(["spool", "export", "lab/sensors", str(file)], away)
    assert (used.code, "stop it" in used.err) == (2, True)
    await until(lambda: site.mosquitto.said().count("PUBACK from simpul-lab-sensors") >= len(site.messages))
    assert site.connector is not None
    site.connector.terminate()
    assert await asyncio.to_thread(site.connector.wait, 30) == 0, "it ends at once, although Kafka is away"
    site.connector.communicate()
    assert json.loads(bus(["spool", "list", "--json"], away).out)[0]["messages"] == len(site.messages)
    exported = bus(["spool", "export", "lab/sensors", str(file)], away)
    assert exported.code == 0, exported.err
    imported = bus(["spool", "import", str(file)], on_line)
    assert imported.code == 0, imported.err
    everything = Counter(each["no"] for each in await events(site))
    assert everything == dict.fromkeys(range(40), 1)
    site.environ = on_line
    site.start_connector()
    await asyncio.to_thread(say_all, site.mosquitto, [("lab/S0/pm10", json.dumps({"no": 99_999}))])
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while len(found := await events(site)) < 41:
            await asyncio.sleep(0.2)
    assert Counter(each["no"] for each in found) == everything + Counter([99_999])


async def campaign(site: Site, victims: Sequence[str]) -> None:
    rng = random.Random(len(victims))
    speaking = asyncio.create_task(asyncio.to_thread(site.speak))
    for number in range(KILLS):
        while site.said < (number + 1) * MESSAGES // (KILLS + 1):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(site.kill, victims[number] if number < len(victims) else rng.choice(victims))
    await speaking
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while len({each["no"] for each in await events(site) if "no" in each}) < MESSAGES - MESSAGES // 100:
            await asyncio.sleep(0.5)


async def events(site: Site) -> list[Mapping[str, object]]:
    """What a fold would apply."""
    found: list[Mapping[str, object]] = []
    async with KafkaLogReader(site.kafka) as reader:
        for number in range(site.settings.kafka.event_partitions):
            partition, highest = TopicPartition(TOPIC, number), dict[str, int]()
            async for batch in reader.read(partition, 0, await reader.end(partition)):
                for record in batch:
                    if record.value is None:
                        continue
                    envelope = envelope_of("lab.sample.recorded.v1", site.installation.codec.decode(record.value, record.headers))
                    if envelope.sequence > highest.get(envelope.source, -1):
                        highest[envelope.source] = envelope.sequence
                        found.append(json.loads(str(envelope.event.data["value"])))
    return found

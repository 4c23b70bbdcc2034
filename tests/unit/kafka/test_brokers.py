"""Brokers as child processes, and the one fault of the embedded broker that is shimmed."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition

from bus.errors import BusError, ConfigurationError, TransientError
from bus.kafka import node as node_module
from bus.kafka.admin import apply
from bus.kafka.client import KafkaPublisher
from bus.kafka.embedded import EmbeddedBroker
from bus.kafka.node import missing_tools
from bus.kafka.offsets import log_end
from bus.kafka.ports import Message
from bus.kafka.process import BrokerProcess, answers
from bus.kafka.topics import Topic
from bus.settings import KafkaSettings


async def test_the_log_end_is_right_where_listoffsets_is_not(broker: KafkaSettings, prefix: str) -> None:
    await apply(broker, [Topic(prefix, 1)])
    async with KafkaPublisher(broker) as publisher:
        await publisher.send([Message(prefix, 0, b"k", b"v")] * 10)
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers, enable_auto_commit=False)
    await consumer.start()
    place = KafkaTopicPartition(prefix, 0)
    try:
        consumer.assign([place])
        listed = (await consumer.end_offsets([place]))[place]
        # If the embedded broker answers 10 some day, the shim may go.
        assert listed == (1 if broker.embedded else 10)
        assert await log_end(consumer._client, place) == 10
    finally:
        await consumer.stop()


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        broker = EmbeddedBroker(tmp_path, other.getsockname()[1])
        with pytest.raises(ConfigurationError, match="is taken: another program listens"):
            broker.start()
        assert not broker.log_path.exists()


def test_an_embedded_broker_starts_stops_and_forgets(make_embedded: Callable[[], EmbeddedBroker]) -> None:
    broker = make_embedded()
    port = broker.port
    assert broker.pid
    assert answers(port)
    broker.pause()
    # a stop signal takes a moment to arrive where all cores are busy
    assert any(not answers(port, 0.2) for _ in range(25))
    broker.resume()
    assert answers(port)
    broker.kill()
    assert not broker.running
    assert not answers(port)
    with pytest.raises(BusError, match="does not run"):
        broker.pause()
    broker.restart()
    assert (broker.port, answers(port)) == (port, True)
    broker.stop()
    assert not answers(port)


def test_a_broker_that_ends_at_once_shows_its_log(tmp_path: Path) -> None:
    class Broken(BrokerProcess):
        def _command(self) -> list[str]:
            return ["sh", "-c", "echo no such disk; exit 3"]

    broken = Broken(tmp_path)
    with pytest.raises(TransientError, match=r"(?s)ended with code 3.*no such disk"):
        broken.start()
    assert not broken.running


def test_a_broker_that_never_answers_is_given_up_on(tmp_path: Path) -> None:
    class Silent(BrokerProcess):
        def _command(self) -> list[str]:
            return ["sleep", "60"]

    silent = Silent(tmp_path)
    with pytest.raises(TransientError, match="not ready within"):
        silent.start(0.2)
    assert not silent.running


def test_missing_java_and_maven_are_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    problems = [str(problem) for problem in missing_tools()]
    assert len(problems) == 2
    assert all("install" in problem for problem in problems)
    with pytest.raises(ConfigurationError, match="openjdk"):
        node_module.ensure_jars()


def test_an_old_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert any("too old" in str(problem) for problem in missing_tools())

"""Sensors that do not give up, for the tests of MQTT."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bus.simulation.mosquitto import Mosquitto

_PATIENCE_SECONDS = 60.0


class Sensor:
    """A client that keeps what it said until the broker has it, and connects again for as long as it has to."""

    def __init__(self, broker: Mosquitto, name: str, *, will: tuple[str, str] | None = None, retain_will: bool = False) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        self._client.max_inflight_messages_set(200)
        if will is not None:
            self._client.will_set(will[0], will[1], qos=1, retain=retain_will)
        self._client.connect("127.0.0.1", broker.port, keepalive=5)
        self._client.loop_start()
        self._said: list[paho.MQTTMessageInfo] = []

    def say(self, topic: str, payload: Any, *, qos: int = 1, retain: bool = False) -> None:
        """Handed over; see `settled`."""
        self._said.append(self._client.publish(topic, payload, qos=qos, retain=retain))

    def settled(self, *, seconds: float = _PATIENCE_SECONDS) -> None:
        """The broker has acknowledged everything."""
        end = time.monotonic() + seconds
        for each in self._said:
            while not each.is_published():
                assert time.monotonic() < end, "the broker does not acknowledge"
                time.sleep(0.01)
        self._said.clear()

    def vanish(self) -> None:
        """The line is cut: the broker speaks its will."""
        self._client.loop_stop()
        sock = self._client.socket()
        assert sock is not None
        sock.close()

    def close(self) -> None:
        """A good-bye: no will."""
        self._client.disconnect()
        self._client.loop_stop()


def say_all(broker: Mosquitto, messages: Sequence[tuple[str, str]], *, name: str = "alat", retain: bool = False) -> None:
    """All of them at least once."""
    sensor = Sensor(broker, name)
    for topic, payload in messages:
        sensor.say(topic, payload, retain=retain)
    sensor.settled()
    sensor.close()

"""Agencies' sensors: messages to an MQTT broker, each until the broker has it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from bus.errors import TransientError
from bus.ingest.kinds.mqtt_spec import MqttSpec
from bus.simulation.story import Telling
from bus.simulation.systems.form import as_json

_PATIENCE_SECONDS, _AGAIN_SECONDS = 60.0, 0.5
#: PUBACK: no matching subscribers (MQTT 5.0, 3.4.2.1).
_NOBODY = 0x10


class Sensors:
    """The sensors of one agency, as one client."""

    def __init__(self, agency: str, url: str, sources: Mapping[str, MqttSpec]) -> None:
        self.url = url
        self._sources = sources
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"{agency}-alat", protocol=paho.MQTTv5)
        #: Message number -> whether anybody gets it.
        self._heard: dict[int, bool] = {}
        self._client.on_publish = self._acknowledged
        self._client.max_inflight_messages_set(200)
        address = urlsplit(url)
        self._client.connect(address.hostname or "127.0.0.1", address.port or 1883)
        self._client.loop_start()

    async def tell(self, source: str, tellings: Sequence[Telling]) -> None:
        """Publish these with QoS 1; returns when the broker has them for somebody. Raises `TransientError` when it does not take them."""
        messages = [message_of(self._sources[source], telling) for telling in tellings]
        while messages:
            sent = [self._client.publish(topic, payload, qos=1) for topic, payload in messages]
            for each in sent:
                await self._settled(each)
            # a broker keeps nothing for a bus that has never subscribed: the sensors were put up after the bus
            messages = [message for message, each in zip(messages, sent, strict=True) if not self._heard.pop(each.mid)]
            await asyncio.sleep(_AGAIN_SECONDS if messages else 0)

    async def _settled(self, sent: paho.MQTTMessageInfo) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while sent.mid not in self._heard:
            if time.monotonic() > deadline:
                raise TransientError("the MQTT broker does not take messages")
            await asyncio.sleep(0.01)

    def _acknowledged(self, client: paho.Client, data: object, mid: int, code: ReasonCode, properties: Properties) -> None:
        self._heard[mid] = code.value != _NOBODY

    def close(self) -> None:
        """End the connection."""
        self._client.disconnect()
        self._client.loop_stop()


def message_of(spec: MqttSpec, telling: Telling) -> tuple[str, bytes]:
    """Topic and payload: fields that the topic's wildcards name stand there, the others in the payload."""
    record = as_json(telling.record)
    pattern = spec.patterns[0]
    levels = [str(record[level[1:]]) if level[:1] == "+" else level for level in pattern.levels]
    rest = {name: value for name, value in record.items() if name not in pattern.names and name != spec.received_at}
    payload = str(rest[spec.field]) if spec.payload == "number" else json.dumps(rest, ensure_ascii=False)
    return "/".join(levels), payload.encode()

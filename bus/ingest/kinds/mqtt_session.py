"""A persistent session with an MQTT broker that acknowledges only when it is told to.

aiomqtt carries paho over asyncio, but acknowledges every message as soon as it has arrived and does not pass on what tells a repeated
message from a new one. Both are paho's, one attribute below: this module is the only one that reaches for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from bus.errors import TransientError

#: Messages that the broker may have on their way to us, sent and not acknowledged; also what one transaction takes.
IN_FLIGHT = 500
#: Reason codes below are grants.
_REFUSED = 128
#: Retained messages are sent to a subscription that is new to the broker, not each time that we connect.
_RETAINED_TO_NEW = 1


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is. `tls` None: without."""

    host: str
    port: int
    user: str | None
    password: str | None
    tls: ssl.SSLContext | None

    @classmethod
    def parse(cls, url: str, ca_file: str = "") -> Address:
        """Of `mqtt://user:password@host:port` or `mqtts://…`. Raises `ValueError` (never with the address in it)."""
        parts = urlsplit(url)
        if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("is not of the form mqtt://user:password@host:port or mqtts://…")
        try:
            port = parts.port or (8883 if parts.scheme == "mqtts" else 1883)
            tls = ssl.create_default_context(cafile=ca_file or None) if parts.scheme == "mqtts" else None
        except (ValueError, OSError, ssl.SSLError):
            raise ValueError("has a port or a certificate file that cannot be used") from None
        user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
        return cls(parts.hostname, port, user, password, tls)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as it came. `again`: the broker may have sent it before, under the same `number`."""

    topic: str
    payload: bytes
    number: int
    qos: int
    again: bool
    retained: bool


class Session(aiomqtt.Client):
    """An async context manager: connected, with the broker's memory of us kept between connections."""

    def __init__(self, address: Address, client_id: str, *, session_seconds: int) -> None:
        """A session is known to the broker by `client_id`: only one connection can have it."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = session_seconds
        properties.ReceiveMaximum = IN_FLIGHT
        super().__init__(
            address.host, address.port, username=address.user, password=address.password, tls_context=address.tls, identifier=client_id,
            protocol=aiomqtt.ProtocolVersion.V5, clean_start=False, properties=properties, keepalive=30,
        )  # fmt: skip
        self._client.manual_ack_set(True)
        self._arrived: asyncio.Queue[Arrived] = asyncio.Queue()
        #: Whether the broker remembered us; if not, it numbers its messages from the beginning.
        self.resumed = False

    async def subscribe_all(self, filters: Iterable[str]) -> None:
        """At least once for each of them. Raises `TransientError` for what the broker refuses."""
        options = SubscribeOptions(qos=1, noLocal=False, retainAsPublished=False, retainHandling=_RETAINED_TO_NEW)
        for each in filters:
            for code in await self.subscribe(each, options=options):
                if (code.value if isinstance(code, ReasonCode) else code) >= _REFUSED:
                    raise TransientError(f"the MQTT broker refuses the subscription to {each}: {code}")

    async def batches(self) -> AsyncIterator[Sequence[Arrived]]:
        """What has arrived, in order, as much as is there; nothing of it is acknowledged. Raises `MqttError` when the connection ends."""
        while True:
            first = asyncio.ensure_future(self._arrived.get())
            try:
                await asyncio.wait((first, self._disconnected), return_when=asyncio.FIRST_COMPLETED)
                if not first.done():
                    reason = self._disconnected.exception()
                    raise aiomqtt.MqttError(f"the connection ended: {reason}") from reason
            finally:
                first.cancel()
            batch = [first.result()]
            while len(batch) < IN_FLIGHT and not self._arrived.empty():
                batch.append(self._arrived.get_nowait())
            yield batch

    def acknowledge(self, messages: Iterable[Arrived]) -> None:
        """The broker may forget them. What does not reach it will come again."""
        for each in messages:
            with contextlib.suppress(OSError):
                self._client.ack(each.number, each.qos)

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        self._arrived.put_nowait(Arrived(message.topic, bytes(message.payload), message.mid, message.qos, message.dup, message.retain))

    def _on_connect(
        self, client: paho.Client, userdata: Any, flags: paho.ConnectFlags, reason_code: ReasonCode, properties: Properties | None = None
    ) -> None:
        self.resumed = flags.session_present
        super()._on_connect(client, userdata, flags, reason_code, properties)

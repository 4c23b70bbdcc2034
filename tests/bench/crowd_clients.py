"""Many subscribers in one process, with bare sockets.

    python -m tests.bench.crowd_clients PORT CLIENTS SLOW FIRST CHANGES

Says a line when each has its snapshot; is told then when which change was sent, and says how long each took to each subscriber that reads, and how many
did not arrive. Slow ones ask for megabytes, read nothing of them meanwhile, and everything afterwards.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

INDICATOR = "dlh.pm10_mean"
#: The measured cells, and all of them with everything that is known.
_LITTLE, _ALL = "station=UKUR&detail=brief", "detail=full"
_VALUE = re.compile(rb'"value":"(\d+)"')
#: Bytes of a value that the end of a packet may have cut off are looked at again with the next one.
_TAIL = 32
_LONGEST_SECONDS = 60.0
#: Connections that are being made at once: a listening socket has a queue.
_AT_ONCE = 50


class Subscriber(asyncio.Protocol):
    """One stream; `came` is when each change arrived first."""

    def __init__(self, *, slow: bool) -> None:
        self.slow = slow
        self.ready = asyncio.get_running_loop().create_future()
        self.came: dict[int, float] = {}
        self.lost = False
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        query = f"indicator={INDICATOR}&{_ALL if self.slow else _LITTLE}"
        transport.write(f"GET /v1/stream?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        now = time.time()
        text = self._rest + data
        if not self.ready.done() and (self.slow or (b'"complete":true' in text and text.rstrip().endswith(b"]}"))):
            self.ready.set_result(None)
            if self.slow:
                self.transport.pause_reading()
        for number in _VALUE.findall(text):
            self.came.setdefault(int(number), now)
        self._rest = text if not self.ready.done() else text[-_TAIL:]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("the gateway has ended a stream"))


async def run(port: int, clients: int, slow: int, first: int, changes: int) -> None:
    """The whole crowd; the changes are numbered from `first`."""
    wanted = range(first, first + changes)
    loop = asyncio.get_running_loop()
    turns = asyncio.Semaphore(_AT_ONCE)

    async def subscribe(number: int) -> Subscriber:
        async with turns:
            _, subscriber = await loop.create_connection(lambda: Subscriber(slow=number < slow), "127.0.0.1", port)
            await subscriber.ready
            return subscriber

    crowd = await asyncio.gather(*(subscribe(number) for number in range(clients)))
    print("ready", flush=True)
    sent: list[float] = json.loads(await asyncio.to_thread(sys.stdin.readline))
    await _arrived([each for each in crowd if not each.slow], wanted)
    for each in crowd:
        if each.slow:
            each.transport.resume_reading()
    await _arrived(crowd, wanted)
    seconds = [each.came[number] - sent[number - first] for each in crowd if not each.slow for number in wanted if number in each.came]
    missing = sum(number not in each.came for each in crowd for number in wanted)
    print(json.dumps({"seconds": seconds, "missing": missing, "lost": sum(each.lost for each in crowd)}), flush=True)


async def _arrived(crowd: list[Subscriber], wanted: range) -> None:
    """Until each has all changes, or it takes too long."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < deadline and not all(all(number in each.came for number in wanted) for each in crowd):
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(run(*map(int, sys.argv[1:6])))

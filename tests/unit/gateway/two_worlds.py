"""Two worlds that differ only in what a role may not see, and all that somebody can ask of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from bus.kafka.ports import Message
from bus.testing.memory import MemoryLog
from consumers.dashboard.gateway import Gateway
from tests.unit.gateway.feed import gateway_over, month, released, serving, until_ready, value

#: Berkala, and dikecualikan.
OPEN, EXEMPT = "dlh.pm10_mean", "dukcapil.births_event_day"
NAMES = {"public": "portal", "internal": "planner", "restricted": "auditor"}


def log_of(messages: Sequence[Message], *topics: str) -> MemoryLog:
    names = dict.fromkeys([*topics, *(message.topic for message in messages)], 1)
    log = MemoryLog(names, compacted=[name for name in names if not name.startswith("history.")])
    for message in messages:
        log.append(message)
    return log


def past(message: Message) -> Message:
    return Message(message.topic.replace("indicators.", "history."), 0, message.key, message.value, message.headers)


@asynccontextmanager
async def asked(log: MemoryLog, tmp_path: Path) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    gateway = gateway_over(log, keys_file=tmp_path / "keys")
    async with serving(gateway) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        yield gateway, http


ROUTES = [
    "/v1/indicators",
    f"/v1/indicators/{OPEN}",
    f"/v1/indicators/{OPEN}?station=DKI9",
    f"/v1/indicators/{OPEN}?x=1",
    f"/v1/indicators/{OPEN}?limit=1",
    f"/v1/indicators/{OPEN}/series",
    f"/v1/indicators/{OPEN}/series?station=DKI9",
    f"/v1/indicators/{OPEN}/revisions?station=DKI1&window=2021-01",
    f"/v1/indicators/{OPEN}/revisions?station=DKI9&window=2021-01",
    f"/v1/indicators/{OPEN}/revisions?window=2021-01",
    f"/v1/indicators/{OPEN}/verify?station=DKI9&window=2021-01",
    f"/v1/indicators/{OPEN}/definition",
    f"/v1/indicators/{EXEMPT}/definition",
    "/v1/board",
    "/v1/alerts",
    f"/v1/indicators/{EXEMPT}",
    f"/v1/indicators/{EXEMPT}/series",
    f"/v1/indicators/{EXEMPT}/revisions?window=2021-01",
    f"/v1/indicators/{EXEMPT}/verify?window=2021-01",
    "/v1/indicators/dukcapil.births_event_da",
    f"/v1/stream?indicator={EXEMPT}",
    "/v1/stream?indicator=dukcapil.birth",
    "/v1/stream?x=1",
    "/v1/stream",
    "/v1/stream?detail=brief",
    "/v1/stream?station=DKI1",
    "/v1/stream?station=DKI9&x=1",
    "/healthz",
    "/metrics",
    "/openapi.json",
    "/v1/openapi.json",
    "/nothing",
]


async def beginning_of(answer: httpx.Response) -> bytes:
    """The whole answer; of a stream, up to the end of its first snapshot or change."""
    body = b""
    async for part in answer.aiter_bytes():
        body += part
        if b'"complete":true' in body and body.endswith(b"\n\n"):
            break
    return body


async def everything(
    log: MemoryLog, tmp_path: Path, key: str, routes: Sequence[str] = ROUTES
) -> list[tuple[str, int, dict[str, str], bytes]]:
    """All that a key's holder gets, the beginning of the stream included."""
    head = {"X-API-Key": key}
    found = []
    async with asked(log, tmp_path) as (_, http):
        async with asyncio.timeout(5):
            while (await http.get("/v1/indicators", headers=head)).status_code != 200:
                await asyncio.sleep(0.02)
        for path in routes:
            async with http.stream("GET", path, headers=head) as answer:
                body = await beginning_of(answer)
            headers = {name: text for name, text in answer.headers.items() if name != "date"}
            found.append((path, answer.status_code, headers, body))
            if "etag" in answer.headers:
                again = await http.get(path, headers=head | {"If-None-Match": answer.headers["etag"]})
                found.append((path, again.status_code, {}, again.content))
    return [(path, code, headers, re.sub(rb'"silent_seconds":[0-9.]+', b"", body)) for path, code, headers, body in found]


VISIBLE = [
    value(OPEN, "38", n=31),
    past(value(OPEN, "38", n=31)),
    released(OPEN, "38"),
    released(OPEN, None, dimensions={"station": "DKI3"}, suppressed=True),
    value(OPEN, "28", n=31, window=month(2)),
]
#: What `internal` may not know of: a cell of three, before and after it a cell of none, and a newer version of the definition.
SMALL = [
    value(OPEN, "12", n=3, dimensions={"station": "DKI9"}),
    past(value(OPEN, "12", n=3, dimensions={"station": "DKI9"})),
    value(OPEN, "13", n=4, revision=2, dimensions={"station": "DKI9"}),
    value(OPEN, None, n=0, revision=3, dimensions={"station": "DKI9"}),
    value(OPEN, "14", n=2, version=2, revision=4, dimensions={"station": "DKI9"}),
    Message(f"indicators.{OPEN}", 0, value(OPEN, "1", dimensions={"station": "DKI9"}).key, b"unreadable"),
]
#: What the public may not know of: all inside, and whatever stands in the public topics of what is exempted or not declared.
INSIDE = [
    *SMALL,
    value(OPEN, "39", n=40, revision=7),
    past(value(OPEN, "39", n=40, revision=7)),
    value(EXEMPT, "7", n=9, dimensions={}),
    released(EXEMPT, "7", dimensions={}),
    released("nobody.knows", "1"),
]


def mixed(hidden: Sequence[Message]) -> list[Message]:
    """The hidden records before, between and after the visible ones."""
    half = len(hidden) // 2
    return [*hidden[:1], *VISIBLE[:2], *hidden[1:half], *VISIBLE[2:], *hidden[half:]]

"""A made-up agency that is asked over HTTP, and the answers that it gets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.responses import Response

from tests.pipeline.ingest_world import World
from tests.sources.http_server import Asked, Interface
from tests.sources.webhook_world import MAPPING, webhook_world

SETTINGS = ("base_url", "api_key", "token_url", "client_id", "client_secret")
SECRET = "rahasia-sekali-4711"


def manifest(source: str, *, key: bool = True) -> str:
    return f"""
id = "lab"
title = "Laboratorium"
owner = "Laboratorium"
summary = "Sebuah laboratorium rekaan yang ditanyai berulang-ulang. A made-up laboratory that is asked again and again."
settings = {json.dumps(SETTINGS)}
[events."lab.sample.recorded.v1"]
access = "internal"
[sources.samples]
type = "http"
path = "/samples"
{'key = ["no"]' if key else ""}
{source}
"""


def world_of(base: Path, interface: Interface, source: str, *, key: bool = True) -> World:
    world = webhook_world(base, manifest=manifest(source, key=key), mapping=MAPPING)
    world.environ |= {
        "BUS_LAB__BASE_URL": f"{interface.url}/api", "BUS_LAB__API_KEY": SECRET, "BUS_LAB__TOKEN_URL": f"{interface.url}/token",
        "BUS_LAB__CLIENT_ID": "klien", "BUS_LAB__CLIENT_SECRET": SECRET, "BUS_KAFKA__RETRY_SECONDS": "0.3",
    }  # fmt: skip
    del world.environ["BUS_LAB__WEBHOOK_KEY"]
    return world


async def poll(world: World) -> None:
    await world.runner(sleep=asyncio.sleep).run(until_end=True)


def said(world: World) -> list[tuple[str, str, object]]:
    return [(e.op.value, e.event.subject, e.event.data["value"]) for e in world.folded()]


def rows(*numbers: int, value: str = "a") -> list[dict[str, Any]]:
    return [{"no": str(number), "value": value} for number in numbers]


def answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(content), status, headers, "application/json")


def always(reply: Response) -> Callable[[Asked], Response]:
    return lambda asked: reply


def late(asked: Asked) -> Response:
    time.sleep(1)
    return answer([])


#: What the seven rows of these answers come to.
CREATED = [("CREATE", str(number), "a") for number in range(7)]


def by_number(asked: Asked) -> Response:
    page = int(asked.params["page"])
    return answer({"data": {"items": rows(*range(7))[(page - 1) * 3 : page * 3], "pages": 3}})

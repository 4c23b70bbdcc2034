"""Webhooks over a real HTTP server: signed, known again by their key, and tried again when they should be."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import uvicorn
from fastapi import FastAPI, Request
from pydantic import SecretBytes
from starlette.responses import Response

from bus.clock import SystemClock
from bus.ingest.kinds.webhook_ingress import TaskServer
from bus.ingest.kinds.webhook_keys import refusal
from bus.settings import AlertsSettings
from consumers.alerts.channels import Webhook
from consumers.alerts.hook import HookSender
from consumers.alerts.sender import Outcome
from tests.unit.alerts.test_mail import deliveries

SECRET = b"0123456789abcdef0123456789abcdef"


@dataclass
class Receiver:
    """Keeps every post with its headers; `answers` are what it says, the last one for ever. A negative answer is silence."""

    answers: list[int] = field(default_factory=lambda: [204])
    headers: dict[str, str] = field(default_factory=dict)
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        self.posts.append((dict(request.headers), await request.body()))
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if status < 0:
            await asyncio.sleep(5)
        return Response(status_code=abs(status), headers=self.headers)

    @property
    def keys(self) -> list[str]:
        return [headers["idempotency-key"] for headers, _ in self.posts]


@asynccontextmanager
async def receiving(receiver: Receiver, port: int = 0) -> AsyncIterator[str]:
    app = FastAPI()
    app.add_api_route("/alerts", receiver.take, methods=["POST"])
    with socket.create_server(("127.0.0.1", port)) as listener:
        begun = asyncio.Event()
        server = TaskServer(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=0), begun.set)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await begun.wait()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/alerts"
        server.should_exit = True
        await task


def sender(url: str, seconds: float = 5) -> HookSender:
    channel = Webhook(kind="webhook", url=url, secret_file="x", secret=SecretBytes(SECRET), language="en")
    return HookSender(channel, AlertsSettings(timeout_seconds=seconds), SystemClock())


async def one(url: str, seconds: float = 5) -> Outcome:
    hook = sender(url, seconds)
    try:
        return await hook.send(deliveries()[0])
    finally:
        await hook.close()


async def test_a_receiver_can_check_who_sent_it_and_act_once() -> None:
    receiver = Receiver(answers=[500, 204])
    async with receiving(receiver) as url:
        assert not (await one(url)).accepted
        assert (await one(url)).accepted
    assert len(set(receiver.keys)) == 1
    headers, body = receiver.posts[1]
    now = SystemClock().now().timestamp()
    assert refusal((SECRET,), headers, body, auth="signature", now=now, tolerance=60) == ""
    assert refusal((SECRET,), headers, body + b" ", auth="signature", now=now, tolerance=60)
    assert refusal((SECRET[::-1],), headers, body, auth="signature", now=now, tolerance=60)
    said = json.loads(body)
    assert (said["schema"], said["id"], said["transition"], said["serta_merta"]) == (
        "simpul.alert.v1",
        headers["idempotency-key"],
        "begun",
        True,
    )
    assert (said["value"], said["indicator"], said["language"]) == ("3", "bpbd.merapi_level_now", "en")
    assert said["dimensions"] == {"volcano": "MERAPI", "level_name": "Level III (Siaga)"}
    assert "Siaga" in said["text"]["id"]
    assert "directions" in said["text"]["en"]


@pytest.mark.parametrize(
    ("status", "final"), [(400, True), (401, True), (404, True), (301, True), (408, False), (429, False), (500, False), (503, False)]
)
async def test_what_cannot_help_is_not_tried_again(status: int, final: bool) -> None:
    receiver = Receiver(answers=[status], headers={"Retry-After": "7", "Location": "/elsewhere"})
    async with receiving(receiver) as url:
        outcome = await one(url)
    assert (outcome.accepted, outcome.final, outcome.wait_seconds) == (False, final, 7.0)
    assert len(receiver.posts) == 1


async def test_a_receiver_that_is_silent_or_away_is_tried_again() -> None:
    receiver = Receiver(answers=[-204])
    async with receiving(receiver) as url:
        outcome = await one(url, seconds=0.3)
        assert (outcome.accepted, outcome.final) == (False, False)
    outcome = await one(url, seconds=0.3)
    assert (outcome.accepted, outcome.final) == (False, False)

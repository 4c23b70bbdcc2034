"""A delivery as a webhook: one signed POST of JSON.

Guarantee: at least once. `Idempotency-Key` is the same over all attempts, and a receiver that remembers keys acts once. The signature is
that of our own ingress (`bus.ingest.kinds.webhook_keys`): `X-Simpul-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>." and the body>`.
Accepted is what is answered with 2xx. 408, 425, 429 and 5xx are tried again (`Retry-After` is heeded), every other answer is a refusal for
good; redirections are not followed. Nothing of an answer's body is read.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac

import httpx

from bus.clock import Clock
from bus.settings import AlertsSettings
from consumers.alerts.channels import Webhook
from consumers.alerts.notice import dump
from consumers.alerts.sender import Outcome
from consumers.alerts.store import Waiting

_LATER = {408, 425, 429}


class HookSender:
    """One channel's webhook, over a connection that stays open."""

    kind = "webhook"

    def __init__(self, channel: Webhook, settings: AlertsSettings, clock: Clock) -> None:
        self._channel = channel
        self._seconds = settings.timeout_seconds
        self._clock = clock
        self._http = httpx.AsyncClient(timeout=settings.timeout_seconds, follow_redirects=False, trust_env=False)

    async def send(self, delivery: Waiting) -> Outcome:
        body = dump({**delivery.notice, "id": delivery.id, "language": self._channel.language}).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "simpul-alerts",
            "Idempotency-Key": delivery.id,
            "X-Simpul-Signature": signature(self._channel.secret.get_secret_value(), int(self._clock.now().timestamp()), body),
        }
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._http.stream("POST", self._channel.url, content=body, headers=headers) as answer,
            ):
                status, after = answer.status_code, answer.headers.get("retry-after", "")
        except TimeoutError:
            return Outcome("the receiver took too long")
        except httpx.HTTPError as error:
            return Outcome(f"the receiver could not be reached: {type(error).__name__}")
        if 200 <= status < 300:
            return Outcome()
        wait = float(after) if after.isascii() and after.isdigit() and len(after) < 6 else 0.0
        return Outcome(f"the receiver answered {status}", final=status < 500 and status not in _LATER, wait_seconds=wait)

    async def close(self) -> None:
        await self._http.aclose()


def signature(secret: bytes, at: int, body: bytes) -> str:
    """The header of a body that is sent `at` (Unix seconds)."""
    return f"t={at},v1={hmac.new(secret, b'%d.' % at + body, hashlib.sha256).hexdigest()}"

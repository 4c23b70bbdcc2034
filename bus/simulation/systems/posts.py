"""Agencies' systems that post by themselves, and do not give up until they are answered."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence

import httpx

from bus.errors import BusError
from bus.simulation.story import Telling
from bus.simulation.systems.form import as_json

#: Records in one post; what a sender waits after an answer that is none, in seconds.
_AT_ONCE, _AGAIN_SECONDS = 200, 0.5


class Poster:
    """The sender of one agency's sources."""

    def __init__(self, agency: str, ingress: str) -> None:
        """`ingress`: the address of the bus's ingress."""
        self._agency = agency
        self.key = secrets.token_urlsafe(24)
        self._client = httpx.AsyncClient(base_url=ingress, trust_env=False, timeout=60.0)

    async def tell(self, source: str, tellings: Sequence[Telling]) -> None:
        """Post these, in their order; returns when all are accepted, or refused for good. Raises `BusError` when none of them is let in."""
        for begin in range(0, len(tellings), _AT_ONCE):
            await self._post(source, [as_json(each.record) for each in tellings[begin : begin + _AT_ONCE]])

    async def close(self) -> None:
        """End the connections."""
        await self._client.aclose()

    async def _post(self, source: str, records: Sequence[object]) -> None:
        body = json.dumps(records, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "X-Api-Key": self.key}
        while True:
            try:
                answer = await self._client.post(f"/v1/events/{self._agency}/{source}", content=body, headers=headers)
            except httpx.TransportError:
                # not there yet, or away: a sender has time
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            if answer.status_code in (401, 403, 413):
                raise BusError(f"the ingress does not take posts of {self._agency}/{source}: {answer.status_code} {answer.text[:500]}")
            if answer.status_code in (404, 429) or answer.status_code >= 500:
                # 404: the source is not there yet
                await asyncio.sleep(float(answer.headers.get("Retry-After", _AGAIN_SECONDS)))
                continue
            return

"""Hands a feedback to the ingress of the bus: durable there when this returns. The portal itself keeps nothing of it."""

from __future__ import annotations

import httpx
import structlog

from bus.clock import Clock
from bus.errors import ConfigurationError, Problem
from bus.ingest.kinds.webhook_keys import Keys
from bus.settings import PpidSettings
from consumers.ppid.feedback import Feedback, Unfit

_log = structlog.get_logger(__name__)

#: Somebody waits for the receipt.
_SECONDS = 15.0


class Unavailable(Exception):
    """Whether it was taken is not known; sent again it is the same."""


class Forwarder:
    """Posts to the address of the settings with their key."""

    def __init__(self, settings: PpidSettings, clock: Clock) -> None:
        """Raises `ConfigurationError` for an address without a key, or a key that cannot be used."""
        self._url, self._clock = settings.feedback_url, clock
        self._http: httpx.AsyncClient | None = None
        if not self._url:
            return
        if not self._url.startswith(("http://", "https://")):
            raise ConfigurationError(
                [Problem("BUS_PPID__FEEDBACK_URL", "is no http(s) address; as in http://127.0.0.1:8081/v1/events/ppid/masukan")]
            )
        try:
            self._keys = Keys(settings.feedback_key.get_secret_value(), "feedback")
        except ValueError as error:
            raise ConfigurationError([Problem("BUS_PPID__FEEDBACK_KEY", str(error))]) from None

    @property
    def open(self) -> bool:
        """Whether there is somewhere to send feedback to."""
        return bool(self._url)

    async def send(self, feedback: Feedback) -> None:
        """Returns when it is durable. Raises `Unfit` when the bus refuses it for good, `Unavailable` when it has not said."""
        if self._http is None:
            self._http = httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False, trust_env=False)
        headers = {"X-Api-Key": self._keys.valid[0].decode()}
        try:
            answer = await self._http.post(self._url, json=feedback.record(self._clock.now()), headers=headers)
        except httpx.HTTPError as error:
            _log.warning("ppid.feedback", reason=type(error).__name__)
            raise Unavailable from error
        if answer.status_code == httpx.codes.ACCEPTED:
            return
        _log.warning("ppid.feedback", status=answer.status_code)
        if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            raise Unfit("text", "Tulisan ini tidak dapat diterima.", "This text cannot be accepted.")
        raise Unavailable

    async def close(self) -> None:
        """End the connections."""
        if self._http is not None:
            await self._http.aclose()

"""How the connector shows who it is to a REST interface. Nothing secret is ever in an error or a log."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from urllib.parse import quote

from bus.clock import Clock
from bus.errors import TransientError
from bus.ingest.kinds.http_spec import ByKey, ByOAuth
from bus.ingest.kinds.json_records import load

#: A token is asked for anew so long before it ends, in seconds, or a tenth of its life before; how long one is good that does not say so.
_EARLY_SECONDS, _UNSAID_SECONDS = 60.0, 300.0

#: Posts a form: (address, form, headers) -> status, body.
PostForm = Callable[[str, Mapping[str, str], Mapping[str, str]], Awaitable[tuple[int, bytes]]]


class Credentials(Protocol):
    """What a question carries."""

    async def shown(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Headers and parameters. Raises `TransientError` when they cannot be had now."""
        ...

    def refused(self) -> bool:
        """The interface said 401: whether other credentials can be had."""
        ...


class NoCredentials:
    """An interface that is open."""

    async def shown(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        return {}, {}

    def refused(self) -> bool:
        return False


class KeyCredentials:
    """A key."""

    def __init__(self, spec: ByKey, values: Mapping[str, str]) -> None:
        self._spec = spec
        self._shown = {spec.name: spec.prefix + values[spec.setting]}

    async def shown(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        return (self._shown, {}) if self._spec.kind == "header" else ({}, self._shown)

    def refused(self) -> bool:
        return False


class TokenCredentials:
    """A token of the client's, kept until shortly before it expires, or until it is refused."""

    def __init__(self, spec: ByOAuth, values: Mapping[str, str], clock: Clock, post: PostForm) -> None:
        self._spec = spec
        self._url = values[spec.token_setting]
        self._id, self._secret = values[spec.id_setting], values[spec.secret_setting]
        self._clock = clock
        self._post = post
        self._token = ""
        self._until = 0.0

    async def shown(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        if not self._token or self._clock.monotonic() >= self._until:
            await self._renew()
        return {"Authorization": f"Bearer {self._token}"}, {}

    def refused(self) -> bool:
        """Only once a token: a fresh one that is refused too is another matter."""
        held, self._token = self._token, ""
        return bool(held)

    async def _renew(self) -> None:
        form = {"grant_type": "client_credentials"} | ({"scope": self._spec.scope} if self._spec.scope else {})
        headers = {}
        if self._spec.sent == "header":
            pair = f"{quote(self._id, safe='')}:{quote(self._secret, safe='')}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form |= {"client_id": self._id, "client_secret": self._secret}
        asked = self._clock.monotonic()
        status, body = await self._post(self._url, form, headers)
        try:
            answer = load(body) if status == 200 else None
        except ValueError:
            answer = None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(answer, dict) or not isinstance(token, str) or not token:
            raise TransientError(f"no token is given: status {status}")
        life = answer.get("expires_in")
        try:
            seconds = float(str(life)) if life is not None else _UNSAID_SECONDS
        except ValueError:
            seconds = _UNSAID_SECONDS
        self._token, self._until = token, asked + seconds - min(_EARLY_SECONDS, seconds / 10)

"""Questions to a REST interface: at its pace, with its patience, never to another host, never more than a body may hold."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

import httpx
import structlog

from bus import __version__, metrics
from bus.clock import Clock
from bus.errors import TransientError
from bus.ingest.kinds.http_auth import Credentials, KeyCredentials, NoCredentials, TokenCredentials
from bus.ingest.kinds.http_spec import ByKey, ByOAuth, HttpSpec
from bus.ingest.pacing import Bucket
from bus.ingest.retry import Sleep

_log = structlog.get_logger(__name__)

#: Redirects that are followed, on the same host; how often a question is asked that the interface puts off; the longest it may put it off.
_REDIRECTS, _PUT_OFF, _LONGEST_SECONDS = 3, 10, 3_600.0
#: What "later" means to an interface that does not say when, in seconds.
_LATER_SECONDS = 5.0


class Refused(TransientError):
    """The interface refuses (4xx). It may be a fault at either end that somebody will mend: it is asked again at the pace of polls."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of 200, or 304 with an empty body."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    next_link: str


class Client:
    """Asks one interface, while it is open (`async with`). Pace and token outlast that."""

    def __init__(
        self, spec: HttpSpec, values: Mapping[str, str], source: tuple[str, str], clock: Clock, sleep: Sleep = asyncio.sleep
    ) -> None:
        """`source` is (agency, source). Raises `ValueError` for an address that is none, without quoting it."""
        # httpx tells whole addresses, in which a key may stand
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._spec = spec
        self._labels = source
        self._clock = clock
        self._sleep = sleep
        try:
            self._base = httpx.URL(values[spec.setting])
        except httpx.InvalidURL:
            raise ValueError("no address; allowed: https://host/path") from None
        if self._base.scheme not in {"http", "https"} or not self._base.host or self._base.query or self._base.fragment:
            raise ValueError("no address without a query; allowed: https://host/path")
        self._bucket = Bucket(clock, spec.per_minute / 60, 1) if spec.per_minute is not None else None
        self._credentials = self._chosen(values)

    async def __aenter__(self) -> Client:
        spec = self._spec
        self._http = httpx.AsyncClient(
            timeout=spec.timeout_seconds, follow_redirects=False, headers={"User-Agent": f"simpul/{__version__}", **spec.headers}
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ask(self, params: Mapping[str, str], headers: Mapping[str, str], *, link: str = "") -> Answer:
        """The answer to a question, or to the one that a `link` of an answer names. Raises `TransientError`."""
        base = str(self._base).rstrip("/")
        url = (
            httpx.URL(urljoin(base + self._spec.path, link))
            if link
            else httpx.URL(base + self._spec.path, params={**self._spec.params, **params})
        )
        for _ in range(_PUT_OFF):
            url, response, body = await self._followed(url, headers)
            if response.status_code == 401 and self._credentials.refused():
                url, response, body = await self._followed(url, headers)
            if response.status_code in {200, 304}:
                return Answer(response.status_code, body, response.headers, response.links.get("next", {}).get("url", ""))
            if response.status_code not in {429, 503}:
                break
            wait = _seconds(response.headers.get("retry-after", ""), self._clock)
            self._failed("put_off")
            _log.info("the interface asks for patience", source="/".join(self._labels), seconds=round(wait, 1), status=response.status_code)
            await self._sleep(wait)
        else:
            raise TransientError(f"the interface puts off {self._spec.path} again and again")
        raise self._error(response.status_code)

    def _chosen(self, values: Mapping[str, str]) -> Credentials:
        if isinstance(self._spec.auth, ByOAuth):
            return TokenCredentials(self._spec.auth, values, self._clock, self._post_form)
        return KeyCredentials(self._spec.auth, values) if isinstance(self._spec.auth, ByKey) else NoCredentials()

    def _error(self, status: int) -> TransientError:
        self._failed("fault" if status >= 500 else "refused")
        kind = TransientError if status >= 500 else Refused
        return kind(f"the interface answers {status} to {self._spec.path}")

    async def _followed(self, url: httpx.URL, headers: Mapping[str, str]) -> tuple[httpx.URL, httpx.Response, bytes]:
        """The answer after redirects. The address is without credentials."""
        for _ in range(_REDIRECTS + 1):
            if _origin(url) != _origin(self._base):
                self._failed("elsewhere")
                raise Refused("the interface sends us to another host, which gets neither our key nor our trust")
            more_headers, more_params = await self._credentials.shown()
            request = self._http.build_request(
                "GET", url.copy_merge_params(more_params) if more_params else url, headers={**headers, **more_headers}
            )
            response, body = await self._sent(request)
            if response.status_code not in {301, 302, 303, 307, 308}:
                return url, response, body
            url = httpx.URL(urljoin(str(url), response.headers.get("location", "")))
        raise Refused(f"more than {_REDIRECTS} redirects of {self._spec.path}")

    async def _sent(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        while self._bucket is not None and (wait := self._bucket.take()):
            await self._sleep(wait)
        limit = self._spec.body_bytes
        try:
            response = await self._http.send(request, stream=True)
            try:
                pieces, size = [], 0
                async for piece in response.aiter_bytes():
                    pieces.append(piece)
                    size += len(piece)
                    if size > limit:
                        self._failed("too_large")
                        raise Refused(f"the answer to {request.url.path} is larger than {limit} bytes")
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            self._failed("timeout" if isinstance(error, httpx.TimeoutException) else "unreachable")
            # not chained and not quoted: the library's text may hold the address with its parameters
            raise TransientError(f"no whole answer to {request.url.path}: {type(error).__name__}") from None
        return response, b"".join(pieces)

    async def _post_form(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, bytes]:
        try:
            request = self._http.build_request("POST", url, data=dict(form), headers=dict(headers))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise Refused("the address where tokens are given is none") from None
        response, body = await self._sent(request)
        return response.status_code, body

    def _failed(self, what: str) -> None:
        metrics.source_failures.labels(*self._labels, what).inc()


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _seconds(retry_after: str, clock: Clock) -> float:
    """What `Retry-After` asks for: seconds or a date; not for ever."""
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), _LONGEST_SECONDS)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return _LATER_SECONDS
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - clock.now()).total_seconds()), _LONGEST_SECONDS)

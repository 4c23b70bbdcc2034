"""Answers other than 200, as `application/problem+json` (RFC 9457): what was received and what is allowed."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from consumers.dashboard.selection import QueryError

_RETRY_SECONDS = 2


class Refusal(Exception):
    """An answer other than 200. `retry`: after how many seconds to come back."""

    def __init__(self, status: int, title: str, detail: str, *, retry: int | None = None, **more: object) -> None:
        self.status = status
        self.retry = retry
        self.body = {"type": "about:blank", "title": title, "status": status, "detail": detail} | more
        super().__init__(detail)

    def response(self) -> Response:
        """The answer."""
        headers = {"Cache-Control": "no-store"}
        if self.retry is not None or self.status == 503:
            headers["Retry-After"] = str(self.retry or _RETRY_SECONDS)
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="simpul"'
        return JSONResponse(self.body, status_code=self.status, media_type="application/problem+json", headers=headers)


def of_query(error: QueryError) -> Refusal:
    """What a wrong query is answered with."""
    title = "Bad query" if error.status == 400 else "Not found"
    return Refusal(error.status, title, error.detail, received=error.received, allowed=error.allowed)


def refuse(_request: Request, error: Exception) -> Response:
    """The handler of refusals."""
    assert isinstance(error, Refusal)
    return error.response()

"""How the portal answers: whole bodies with their hash as ETag, problems as RFC 9457, and the headers that every answer has."""

from __future__ import annotations

import base64
import hashlib
import json

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECURITY = (
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # open data: any page may read it
    (b"access-control-allow-origin", b"*"),
)
#: A finished vintage never changes; everything else is asked for again, which costs little with an ETag.
FOREVER, AGAIN = "public, max-age=31536000, immutable", "no-cache"
_RETRY_SECONDS = 5


class Refusal(Exception):
    """An answer other than 200: what was received and what is allowed."""

    def __init__(self, status: int, title: str, detail: str, **more: object) -> None:
        self.status = status
        self.body = {"type": "about:blank", "title": title, "status": status, "detail": detail} | more
        super().__init__(detail)


def problem(error: Refusal) -> Response:
    """A refusal as `application/problem+json`."""
    headers = {"Retry-After": str(_RETRY_SECONDS)} if error.status == 503 else {}
    content = json.dumps(error.body, ensure_ascii=False).encode()
    return Response(content, status_code=error.status, media_type="application/problem+json", headers=headers)


async def refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return problem(error)


async def refuse_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = problem(
        Refusal(error.status_code, str(error.detail), "there is nothing at this address" if error.status_code == 404 else str(error.detail))
    )
    answer.headers.update(error.headers or {})
    return answer


def answer(request: Request, content: bytes, media_type: str, *, forever: bool = False, name: str = "", links: str = "") -> Response:
    """These bytes, or 304 when the asker has them. `name` makes it a download under that name."""
    digest = hashlib.sha256(content)
    headers = {
        "ETag": f'"{digest.hexdigest()}"',
        "Cache-Control": FOREVER if forever else AGAIN,
        "Repr-Digest": f"sha-256=:{base64.b64encode(digest.digest()).decode()}:",
        "Access-Control-Expose-Headers": "ETag, Link, Repr-Digest",
        "Vary": "Accept",
    }
    if name:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    if links:
        headers["Link"] = links
    wanted = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if headers["ETag"] in wanted or "*" in wanted:
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        return Response(headers=headers | {"Content-Length": str(len(content))}, media_type=media_type)
    return Response(content, media_type=media_type, headers=headers)


def answer_json(request: Request, value: object) -> Response:
    """A JSON document."""
    return answer(request, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), "application/json")


class SecurityHeaders:
    """Puts the security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def secure(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_SECURITY]
            await send(message)

        await self._app(scope, receive, secure)

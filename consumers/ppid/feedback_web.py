"""The addresses of feedback: the form's page, what it shows, and where it is sent."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from bus import metrics
from bus.clock import Clock
from bus.ingest.pacing import Bucket
from consumers.ppid.answers import Refusal, answer_json, problem
from consumers.ppid.feedback import KINDS, LONGEST, MOST_BYTES, SHORTEST, Unfit, read
from consumers.ppid.forwarding import Forwarder, Unavailable
from consumers.ppid.library import Library
from consumers.ppid.metadata import EXCLUDED, Metadata

#: The published list of answers.
ANSWERS = "ppid.feedback_answers"
_MOST_ANSWERS = 50
_HOUR = 3_600.0
#: Clients that are remembered. Who is forgotten begins anew.
_CLIENTS = 10_000
_UNAVAILABLE = {
    "id": "Masukan belum dapat diterima. Tulisan Anda masih di sini; kirim lagi sebentar lagi.",
    "en": "Your feedback could not be taken yet. Your text is still here; please send it again in a moment.",
}
_TOO_MANY = {
    "id": "Terlalu banyak masukan dari alamat Anda; coba lagi nanti.", "en": "Too much feedback from your address; please try again later."
}  # fmt: skip


class Limits:
    """So many feedbacks an hour for each client by itself. Addresses are in memory only."""

    def __init__(self, clock: Clock, per_hour: int) -> None:
        self._clock, self._per_hour = clock, per_hour
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, address: str) -> float:
        """0.0, or the seconds until that client may send another."""
        client = _network(address)
        bucket = self._buckets.setdefault(client, Bucket(self._clock, self._per_hour / _HOUR, self._per_hour))
        self._buckets.move_to_end(client)
        while len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        return bucket.take()


def _network(address: str) -> str:
    """Whose an address is: of IPv6 the network of a host (/64), for a host has as many addresses as it likes."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)


def routes(library: Library, forwarder: Forwarder, limits: Limits) -> APIRouter:
    """The routes over that."""
    router = APIRouter()

    @router.api_route(
        "/api/feedback",
        methods=["GET", "HEAD"],
        tags=["feedback"],
        summary="The form about a dataset, and answers given",
        operation_id="form",
    )
    def form(request: Request, about: str = "") -> Response:
        subject = _subject(library, about) if about else None
        shown = None if subject is None else {"id": subject.id, "title": dict(subject.title), "agency": dict(subject.agency_title)}
        settings = library.settings.ppid
        return answer_json(request, {
            "about": shown, "open": forwarder.open, "contact": settings.contact, "kinds": KINDS, "shortest": SHORTEST, "longest": LONGEST,
            "answers": answers(library, about), "published": library.card(about) is not None if about else False,
        })  # fmt: skip

    @router.post("/api/feedback", tags=["feedback"], summary="Say something about a dataset", operation_id="send_feedback", status_code=202)
    async def send(request: Request) -> Response:
        if not forwarder.open:
            raise Refusal(404, "No form", f"feedback is taken at {library.settings.ppid.contact}")
        outcome, response = await _sent(request)
        metrics.ppid_feedback.labels(outcome).inc()
        return response

    async def _sent(request: Request) -> tuple[str, Response]:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return "refused", _refusal(415, "Wrong type", {"id": "Kirim sebagai JSON.", "en": "Send it as JSON."})
        try:
            feedback = read(await _body(request))
            if await run_in_threadpool(_known, library, feedback.about) is None:
                raise Unfit("about", "Dataset atau indikator ini tidak dikenal.", "There is no such dataset or indicator.")
            if wait := limits.take(request.client.host if request.client else ""):
                return "limited", _refusal(429, "Too many", _TOO_MANY, retry=wait)
            await forwarder.send(feedback)
        except Unfit as error:
            return error.outcome, _refusal(422, "Not accepted", error.why, field=error.field)
        except Unavailable:
            return "unavailable", _refusal(503, "Not ready", _UNAVAILABLE, retry=5)
        return "accepted", JSONResponse({"number": feedback.number}, 202, {"Cache-Control": "no-store"})

    return router


def answers(library: Library, about: str) -> list[Mapping[str, str | None]]:
    """The newest public answers, of one dataset or of all; none while their list is not published."""
    volume = library.volume(ANSWERS)
    rows = [row.said.dimensions for row in volume.table.rows] if volume is not None else []
    found = [row for row in rows if row.get("answer") and about in ("", row.get("about"))]
    found.sort(key=lambda row: (row.get("answered_on") or "", row.get("number") or ""), reverse=True)
    names = ("number", "about", "kind", "outcome", "received_on", "answered_on", "answer")
    return [{name: row.get(name) for name in names} for row in found[:_MOST_ANSWERS]]


def _known(library: Library, about: str) -> Metadata | None:
    known = library.directory.datasets.get(about)
    return known if known is not None and known.publish_class != EXCLUDED else None


def _subject(library: Library, about: str) -> Metadata:
    found = _known(library, about)
    if found is None:
        raise Refusal(404, "Unknown dataset", "there is no such dataset or indicator", received=about[:100])
    return found


async def _body(request: Request) -> bytes:
    content = b""
    async for piece in request.stream():
        content += piece
        if len(content) > MOST_BYTES:
            raise Unfit("text", f"Tulis paling banyak {LONGEST} huruf.", f"Write at most {LONGEST} characters.")
    return content


def _refusal(status: int, title: str, why: Mapping[str, str], *, field: str = "", retry: float = 0) -> Response:
    response = problem(Refusal(status, title, why["en"], field=field, message=dict(why)))
    if retry:
        response.headers["Retry-After"] = str(max(1, round(retry + 0.5)))
    return response

"""The kind `http`: a REST interface that is asked again and again, for what is newer or for all there is.

What was read is in the journal page by page; the cursor moves once a poll has come to its end, so a poll that breaks off is made again from its
beginning. A record said again is compared with what its key stood for; without a key the same content is the same record.

What this kind cannot promise:
- What came and went, or changed twice, between two polls was never seen. Deletes are seen only by `whole`, or where a record says so.
- A record that becomes visible later than `since.look_back` after its own time is never read.
- Without a key two facts with the same content are one.
- Pages by number shift while records come in between two of them. With `whole`, a list of several pages counts only once two readings of it
  agree; without it what slipped through is read by the look-back, if there is one.
- A record that was refused is not refused again by each poll, but once more by one that was broken off.
- An interface that refuses (401, 403, 404) may have been mended in an hour: it is asked again, at the pace of polls, and a metric counts it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta

import structlog

from bus.errors import TransientError
from bus.ingest.context import SourceContext
from bus.ingest.kinds.http_client import Answer, Client, Refused
from bus.ingest.kinds.http_paging import Page, first_params, page_of
from bus.ingest.kinds.http_since import asked, moved
from bus.ingest.kinds.http_spec import HttpSpec
from bus.ingest.kinds.json_records import content_id, digest
from bus.ingest.retry import Sleep
from bus.ingest.stream import Reading, Received, Sink
from bus.ingest.stream_runner import unusable

_log = structlog.get_logger(__name__)

#: Readings of a changing list of several pages, until two agree; refused records that are remembered from one poll to the next.
_READINGS, _MOST_REFUSED = 5, 10_000
#: So many polls in a row may break off where an end is waited for.
_POLLS = 5


@dataclass(frozen=True, slots=True)
class _Place:
    """The cursor: the newest that was seen, what the last poll asked for and was given, and which of its records were refused."""

    newest: int | None = None
    asked: str = ""
    etag: str = ""
    modified: str = ""
    refused: Sequence[str] = ()
    whole: str = ""
    count: int = 0

    @classmethod
    def of(cls, cursor: Mapping[str, object]) -> _Place:
        names = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in cursor.items() if name in names})  # type: ignore[arg-type]  # it was made of one

    def conditions(self, asked_: str) -> dict[str, str]:
        """The headers that ask only for what changed: good for the same question, when its answer was one page."""
        if asked_ != self.asked:
            return {}
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in pairs.items() if value}


class HttpSource:
    """One interface."""

    def __init__(self, context: SourceContext, values: Mapping[str, str], *, sleep: Sleep = asyncio.sleep) -> None:
        """Raises `ConfigurationError` for an address that is none."""
        assert isinstance(context.spec, HttpSpec)
        self._context = context
        self._spec = context.spec
        self._sleep = sleep
        self._failures = 0
        self._poll_seconds = context.wait_seconds(context.spec.poll_seconds)
        try:
            self._client = Client(context.spec, values, (context.agency.id, context.source_id), context.clock, sleep)
        except ValueError as error:
            raise unusable(context, context.spec.setting, str(error)) from None

    async def run(self, sink: Sink, *, until_end: bool) -> None:
        """See `StreamSource.run`. With `until_end` also raises `ConfigurationError` when poll after poll broke off."""
        clock = self._context.clock
        if self._failures:
            # the runner takes each page that came in for a success, and would ask again at once
            await self._sleep(min(self._poll_seconds, 0.1 * 2 ** min(self._failures, 10)))
        async with self._client:
            while True:
                begun = clock.monotonic()
                try:
                    await self._poll(sink)
                    self._failures = 0
                except TransientError as error:
                    self._failed(error, until_end=until_end)
                if until_end:
                    return
                await self._sleep(max(0.0, self._poll_seconds - (clock.monotonic() - begun)))

    def _failed(self, error: TransientError, *, until_end: bool) -> None:
        """Raises the error where it should be tried again soon."""
        self._failures += 1
        if until_end and self._failures > _POLLS:
            raise unusable(self._context, self._spec.setting, f"each poll breaks off: {error}") from error
        if until_end or not isinstance(error, Refused):
            raise error
        _log.warning("the interface refuses", source=self._context.name, reason=str(error))

    async def _poll(self, sink: Sink) -> None:
        spec = self._spec
        now = self._context.clock.now()
        place = _Place.of(sink.cursor)
        since = asked(spec.since, place.newest) if spec.since is not None else ""
        question = first_params(spec) | ({spec.since.parameter: since} if spec.since is not None and since else {})
        whole_question = json.dumps([spec.path, spec.params, question], sort_keys=True)
        conditions = place.conditions(whole_question)
        answer = await self._client.ask(question, conditions)
        if answer.status == 304:
            if not conditions:
                raise TransientError("the interface says that nothing changed, which it was not asked")
            await sink.take(Reading(name=spec.path, upto=self._upto(now)))
            return
        place = replace(place, asked=whole_question, etag="", modified="")
        if spec.whole:
            await self._whole(sink, place, question, answer, now)
        else:
            await self._pages(sink, place, question, answer, now)

    async def _pages(self, sink: Sink, place: _Place, question: Mapping[str, str], answer: Answer, now: datetime) -> None:
        """Page after page into the journal, then the cursor."""
        known, refused, newest, single = set(place.refused), list[str](), place.newest, answer
        page: Page | None = None
        for number in range(self._spec.most_pages):
            former, page = page, self._page(answer, page, question)
            if former is not None and page.records and page.records == former.records:
                raise TransientError("the interface gives the same page again and again")
            refused += await self._take(sink, page.records, known, f"{self._spec.path} {number + 1}")
            if self._spec.since is not None:
                newest = moved(self._spec.since, newest, page.records, now)
            if page.last:
                place = self._validated(place, single) if number == 0 else place
                place = replace(place, newest=newest, refused=refused[:_MOST_REFUSED])
                await sink.take(Reading(name=self._spec.path, cursor=asdict(place), upto=self._upto(now)))
                return
            answer = await self._next(page, question)
        raise TransientError(f"there are more than {self._spec.most_pages} pages")

    async def _take(self, sink: Sink, records: Sequence[Received], known: set[str], name: str) -> list[str]:
        """A page into the journal; the digests of its records that are refused, now or by a poll before."""
        digests = [digest("refused", record.raw) for record in records]
        held = [one for one in digests if one in known]
        fresh = [(one, record) for one, record in zip(digests, records, strict=True) if one not in known]
        if not self._spec.key:
            fresh = [(one, record if record.problem else replace(record, id=content_id(record.values))) for one, record in fresh]
        if not fresh:
            return held
        receipt = await sink.take(Reading([record for _, record in fresh], name))
        return held + [one for (one, _), outcome in zip(fresh, receipt.outcomes, strict=True) if outcome.reason is not None]

    async def _whole(self, sink: Sink, place: _Place, question: Mapping[str, str], answer: Answer, now: datetime) -> None:
        """All there is as one reading, if it is not what the last one was."""
        records, pages = await self._all(answer, question)
        print_ = _digest(records)
        if print_ != place.whole and pages > 1:
            for _ in range(_READINGS):
                former = print_
                records, pages = await self._all(await self._client.ask(question, {}), question)
                print_ = _digest(records)
                if print_ == former:
                    break
            else:
                raise TransientError("the list changes faster than its pages can be read")
        if place.count and not records:
            # far more often a fault of the interface than the truth
            raise Refused("the list is empty, which would withdraw everything there is")
        changed = print_ != place.whole
        place = replace(self._validated(place, answer) if pages == 1 else place, whole=print_, count=len(records))
        reading = Reading(records if changed else (), self._spec.path, asdict(place), self._upto(now), whole=changed)
        await sink.take(reading)

    async def _all(self, answer: Answer, question: Mapping[str, str]) -> tuple[list[Received], int]:
        """The records of all pages, and how many those are."""
        records: list[Received] = []
        page: Page | None = None
        for number in range(1, self._spec.most_pages + 1):
            former, page = page, self._page(answer, page, question)
            if former is not None and page.records and page.records == former.records:
                raise TransientError("the interface gives the same page again and again")
            records += page.records
            if page.last:
                return records, number
            answer = await self._next(page, question)
        raise TransientError(f"there are more than {self._spec.most_pages} pages")

    def _page(self, answer: Answer, former: Page | None, question: Mapping[str, str]) -> Page:
        params = {**question, **(former.params or {})} if former is not None else question
        return page_of(self._spec, answer.body, asked=params, next_link=answer.next_link)

    async def _next(self, page: Page, question: Mapping[str, str]) -> Answer:
        answer = await self._client.ask({**question, **(page.params or {})}, {}, link=page.link)
        if answer.status != 200:
            raise TransientError("the interface says that a page did not change, which it was not asked")
        return answer

    def _validated(self, place: _Place, answer: Answer) -> _Place:
        return replace(place, etag=answer.headers.get("etag", ""), modified=answer.headers.get("last-modified", ""))

    def _upto(self, now: datetime) -> datetime:
        since = self._spec.since
        return now - timedelta(seconds=since.look_back) if since is not None and since.form != "number" else now


def _digest(records: Sequence[Received]) -> str:
    return digest("whole", *(record.raw for record in records))

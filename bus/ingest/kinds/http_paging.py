"""Which page comes after one: what an answer says of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bus.errors import TransientError
from bus.ingest.kinds.http_spec import ByCursor, ByLink, ByNumber, HttpSpec
from bus.ingest.kinds.json_records import at, lines, load, received
from bus.ingest.stream import Received


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its records, and how the next one is asked for (parameters, or a link); neither: it is the last."""

    records: tuple[Received, ...]
    params: Mapping[str, str] | None = None
    link: str = ""

    @property
    def last(self) -> bool:
        return self.params is None and not self.link


def first_params(spec: HttpSpec) -> dict[str, str]:
    """What the first page is asked with."""
    return {spec.page.parameter: str(spec.page.first)} if isinstance(spec.page, ByNumber) else {}


def page_of(spec: HttpSpec, body: bytes, *, asked: Mapping[str, str], next_link: str) -> Page:
    """The page in an answer. Raises `TransientError` when it is not what the manifest says; what went wrong is told without the content."""
    document: object = None
    try:
        if spec.format == "json-lines":
            if body and not body.endswith(b"\n"):
                raise TransientError("the last line of the answer is not whole")
            items: object = list(lines(body))
        else:
            document = load(body)
            items = at(document, spec.records)
        if not isinstance(items, list):
            raise TransientError(f"the answer is not what is declared: no list at {spec.records or 'its top'}")
        records = tuple(item if isinstance(item, Received) else _record(spec, item) for item in items)
    except LookupError:
        raise TransientError(f"the answer is not what is declared: nothing at {spec.records}") from None
    except ValueError:
        raise TransientError("the answer is no JSON, or not all of it came") from None
    return _with_next(spec, records, document, asked, next_link)


def _record(spec: HttpSpec, item: object) -> Received:
    deleted = spec.deleted is not None and isinstance(item, dict) and spec.deleted.holds(item.get(spec.deleted.field))
    return received(item, deleted=deleted)


def _with_next(spec: HttpSpec, records: tuple[Received, ...], document: object, asked: Mapping[str, str], next_link: str) -> Page:
    if isinstance(spec.page, ByLink):
        return Page(records, link=next_link)
    if isinstance(spec.page, ByCursor):
        try:
            said = at(document, spec.page.field)
        except LookupError:
            said = None
        return Page(records, {spec.page.parameter: str(said)} if isinstance(said, str | int) and said not in ("", False) else None)
    if isinstance(spec.page, ByNumber):
        number = int(asked[spec.page.parameter])
        more = number < _last(spec.page, document) if spec.page.last else bool(records)
        return Page(records, {spec.page.parameter: str(number + 1)} if more else None)
    return Page(records)


def _last(page: ByNumber, document: object) -> int:
    try:
        return int(str(at(document, page.last)))
    except (LookupError, ValueError):
        raise TransientError(f"the answer is not what is declared: no number at {page.last}") from None

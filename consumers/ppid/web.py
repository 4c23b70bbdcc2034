"""The portal's addresses: files of each vintage, catalogue, lists, and what the page reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from consumers.ppid import listing, package
from consumers.ppid.addresses import LATEST, Addresses
from consumers.ppid.answers import Refusal, answer, answer_json
from consumers.ppid.catalogue import Place, catalogue, single
from consumers.ppid.gate import Change
from consumers.ppid.library import Card, Library
from consumers.ppid.package import FORMATS
from consumers.ppid.portal_data import dataset_view, list_view
from consumers.ppid.shelf import ARCHIVE, PACKAGE, PROVENANCE, SUMS, Volume
from consumers.ppid.table import iso

PAGE = Path(__file__).parent / "page"
_BOTH = ["GET", "HEAD"]
_RDF = {"ttl": ("turtle", "text/turtle; charset=utf-8"), "jsonld": ("json-ld", "application/ld+json")}
_BESIDE = {PACKAGE: "application/json", PROVENANCE: "application/json", SUMS: "text/plain; charset=utf-8", ARCHIVE: "application/zip"}


class Web:
    """What the routes answer from. `base` tells the address of the portal, which may be known only once it listens."""

    def __init__(self, library: Library, base: Callable[[], str]) -> None:
        self.library = library
        self._base = base
        self._lock = threading.Lock()
        self._graphs: dict[str, tuple[object, bytes]] = {}

    @property
    def addresses(self) -> Addresses:
        return Addresses(self._base())

    @property
    def place(self) -> Place:
        """The regency: the shortest code of the region table."""
        regions = self.library.directory.regions
        code = min(regions, key=lambda each: (len(each), each), default="")
        return Place(code, regions.get(code, ""))

    def card(self, id_: str) -> Card:
        found = self.library.card(id_)
        if found is None:
            known = [card.id for card in self.library.cards()]
            near = [each for each in known if id_.partition(".")[0] == each.partition(".")[0]][:5]
            raise Refusal(404, "Unknown dataset", f"there is no published dataset {id_!r}", received=id_, near=near)
        return found

    def volume(self, id_: str, vintage: str | None) -> Volume:
        """The vintage that stood then; latest: None. Raises `Refusal`."""
        moment = None
        if vintage is not None:
            moment = package.vintage_moment(vintage)
            if moment is None:
                allowed = "a date (2026-03-01), a moment with its offset, or a vintage's name (20260301T170000Z)"
                raise Refusal(400, "Bad vintage", "not a date", received=vintage, allowed=allowed)
        self.card(id_)
        found = self.library.volume(id_, moment)
        if found is None:
            raise Refusal(404, "No vintage", f"{id_} had said nothing by then", received=vintage or LATEST)
        return found

    def graph(self, cards: Sequence[Card], form: str, key: str) -> bytes:
        """The catalogue (or one dataset) in a form of RDF; made anew when something in it changed."""
        addresses, settings = self.addresses, self.library.settings.ppid
        mark = (
            addresses,
            self.place,
            [(card.id, card.vintage, card.metadata.digest(), card.made["csv"].sha256, card.issued_us) for card in cards],
        )
        with self._lock:
            known = self._graphs.get(f"{key}.{form}")
        if known is not None and known[0] == mark:
            return known[1]
        make = catalogue if not key else lambda cards, *more: single(cards[0], *more)
        content = make(cards, settings, addresses, self.place).serialize(format=_RDF[form][0], encoding="utf-8")
        with self._lock:
            if len(self._graphs) > 500:
                self._graphs.clear()
            self._graphs[f"{key}.{form}"] = (mark, content)
        return content


def routes(web: Web) -> APIRouter:
    """The routes over that."""
    router = APIRouter()
    library = web.library

    def file(request: Request, id_: str, vintage: str | None, name: str) -> Response:
        volume = web.volume(id_, vintage)
        folder, described = web.addresses.folder(id_, volume.vintage), web.addresses.beside(id_, PACKAGE, volume.vintage)
        exact = f'<{folder}/{name}>; rel="memento"; datetime="{iso(volume.table.moment_us)}"'
        links = f'{exact}, <{web.addresses.folder(id_)}/{name}>; rel="latest-version", <{described}>; rel="describedby"'
        forever = volume.table.complete and vintage == volume.vintage
        if name in _BESIDE:
            content = library.shelf.beside(volume, name, web.addresses.dataset(id_))
            # these speak of metadata too, which may be mended
            return answer(request, content, _BESIDE[name], name=name if name == ARCHIVE else "", links=links)
        ending = name.removeprefix(f"{id_}.")
        if ending == name or ending not in FORMATS:
            allowed = [*(f"{id_}.{each}" for each in FORMATS), *_BESIDE]
            raise Refusal(404, "Unknown file", f"{id_} has no file {name!r}", received=name, allowed=allowed)
        content = library.shelf.file(volume, ending)
        shown = name if vintage is None else f"{id_}.{volume.vintage}.{ending}"
        return answer(request, content, FORMATS[ending].media_type, forever=forever, name=shown, links=links)

    @router.api_route(
        "/dataset/{id_}/latest/{name}", methods=_BOTH, tags=["files"], summary="A file of the newest vintage", operation_id="latest_file"
    )
    def latest(request: Request, id_: str, name: str) -> Response:
        return file(request, id_, None, name)

    @router.api_route(
        "/dataset/{id_}/vintage/{vintage}/{name}", methods=_BOTH, tags=["files"], summary="A file as it was on a day or at a release",
        operation_id="vintage_file",
    )  # fmt: skip
    def of_vintage(request: Request, id_: str, vintage: str, name: str) -> Response:
        return file(request, id_, vintage, name)

    @router.api_route("/catalog.{form}", methods=_BOTH, tags=["catalogue"], summary="The catalogue as DCAT-AP 3", operation_id="catalogue")
    def dcat(request: Request, form: str) -> Response:
        if form not in _RDF:
            raise Refusal(404, "Unknown form", f"the catalogue has no form {form!r}", received=form, allowed=list(_RDF))
        return answer(request, web.graph(library.cards(), form, ""), _RDF[form][1])

    @router.api_route(
        "/dataset/{id_}/dcat.{form}", methods=_BOTH, tags=["catalogue"], summary="One dataset as DCAT-AP 3", operation_id="one_dcat"
    )
    def one(request: Request, id_: str, form: str) -> Response:
        if form not in _RDF:
            raise Refusal(404, "Unknown form", f"a dataset has no form {form!r}", received=form, allowed=list(_RDF))
        return answer(request, web.graph([web.card(id_)], form, id_), _RDF[form][1])

    @router.api_route(
        "/dataset/{id_}/indah.json", methods=_BOTH, tags=["catalogue"], summary="Metadata as BPS INDAH v2 takes them", operation_id="indah"
    )
    def indah(request: Request, id_: str) -> Response:
        card = web.card(id_)
        known = library.directory.datasets
        names = [(part, known[part].title["id"] if part in known else part) for part in card.metadata.parts]
        return answer_json(request, listing.indah(card.metadata, library.gate.standings()[id_], library.settings.ppid, names))

    _lists(router, web)
    _pages(router)
    return router


def _lists(router: APIRouter, web: Web) -> None:
    library = web.library

    @router.api_route("/api/datasets", methods=_BOTH, tags=["datasets"], summary="All published datasets", operation_id="datasets")
    def datasets(request: Request) -> Response:
        return answer_json(request, list_view(library.cards(), web.addresses))

    @router.api_route(
        "/api/datasets/{id_}", methods=_BOTH, tags=["datasets"], summary="One dataset: metadata, vintages, rows", operation_id="dataset"
    )
    def dataset(request: Request, id_: str, vintage: str | None = None) -> Response:
        volume = web.volume(id_, vintage)
        vintages = library.store.vintages(id_)
        changes = library.gate.changes(indicator=id_, limit=20)
        return answer_json(request, dataset_view(web.card(id_), volume, vintages, library.shelf.made(volume), changes, web.addresses))

    @router.api_route("/api/dip", methods=_BOTH, tags=["lists"], summary="Daftar Informasi Publik", operation_id="dip_data")
    def dip(request: Request) -> Response:
        rows = listing.public_information(library.cards(), web.addresses, web.place.name)
        return answer_json(request, {"columns": listing.DIP_COLUMNS, "rows": rows})

    @router.api_route("/dip.csv", methods=_BOTH, tags=["lists"], summary="Daftar Informasi Publik as CSV", operation_id="dip_csv")
    def dip_csv(request: Request) -> Response:
        rows = listing.public_information(library.cards(), web.addresses, web.place.name)
        return answer(request, listing.public_information_csv(rows), "text/csv", name="daftar-informasi-publik.csv")

    @router.api_route("/api/changes", methods=_BOTH, tags=["lists"], summary="The public change log", operation_id="changes_data")
    def changes(request: Request) -> Response:
        return answer_json(request, {"changes": listing.change_lines(_visible(web))})

    @router.api_route("/changelog.csv", methods=_BOTH, tags=["lists"], summary="The public change log as CSV", operation_id="changes_csv")
    def changes_csv(request: Request) -> Response:
        return answer(request, listing.change_csv(_visible(web)), "text/csv", name="catatan-perubahan.csv")


def _visible(web: Web) -> list[Change]:
    """Of datasets that are excluded, or never were published, the public reads nothing."""
    library = web.library
    shown = {id_ for id_, each in library.gate.standings().items() if each.first_published_us is not None}
    known = library.directory.datasets
    return [
        each
        for each in library.gate.changes()
        if each.indicator in shown and (each.indicator not in known or not library.excluded(each.indicator))
    ]


def _pages(router: APIRouter) -> None:
    def page() -> Response:
        return FileResponse(PAGE / "index.html")

    for path in ("/", "/dataset/{id_}", "/dataset/{id_}/page", "/dataset/{id_}/vintage/{vintage}", "/dip", "/changelog", "/masukan"):
        router.add_api_route(path, page, methods=_BOTH, include_in_schema=False)

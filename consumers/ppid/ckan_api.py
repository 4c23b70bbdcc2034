"""CKAN's action API, read side, so that CKAN portals harvest us and CKAN's clients read us."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from consumers.ppid.ckan import Describer, Package
from consumers.ppid.ckan_search import BadQuery, search
from consumers.ppid.library import Card, Library
from consumers.ppid.table import Cell, Column

_BODY_BYTES = 64 << 10
_RECORDS, _MOST_RECORDS = 100, 32_000
_TYPES = {"string": "text", "number": "numeric", "integer": "int", "datetime": "timestamptz", "boolean": "bool"}
Parameters = Mapping[str, Any]


class NotFound(Exception):
    """There is no such dataset, resource or organization."""


class Actions:
    """The actions over what is published now. Each takes parameters and returns CKAN's `result`."""

    def __init__(self, library: Library, describer: Callable[[], Describer]) -> None:
        self._library = library
        self._describer = describer
        self.table: Mapping[str, Callable[[Parameters], object]] = {
            "site_read": lambda _: True,
            "status_show": self.status_show,
            "package_list": self.package_list,
            "package_show": self.package_show,
            "package_search": self.package_search,
            "current_package_list_with_resources": self.current_packages,
            "resource_show": self.resource_show,
            "datastore_search": self.datastore_search,
            "organization_list": self.organization_list,
            "organization_show": self.organization_show,
            "group_list": lambda _: [],
            "tag_list": self.tag_list,
            "license_list": lambda _: self._licences(),
        }

    def status_show(self, _: Parameters) -> Package:
        settings = self._describer()
        return {"ckan_version": "2.11", "site_title": "PPID", "site_url": settings.addresses.base, "extensions": ["datastore"]}

    def package_list(self, parameters: Parameters) -> list[str]:
        return _slice(sorted(card.metadata.name for card in self._library.cards()), parameters)

    def package_show(self, parameters: Parameters) -> Package:
        wanted = _required(parameters, "id")
        describer = self._describer()
        for card in self._library.cards():
            package = describer.package(card)
            if wanted in (package["id"], package["name"], card.id):
                return package
        raise NotFound(f"dataset {wanted!r}")

    def package_search(self, parameters: Parameters) -> Package:
        describer = self._describer()
        return search([describer.package(card) for card in self._library.cards()], parameters)

    def current_packages(self, parameters: Parameters) -> list[Package]:
        describer = self._describer()
        return _slice([describer.package(card) for card in self._library.cards()], parameters)

    def resource_show(self, parameters: Parameters) -> Package:
        return self._resource(_required(parameters, "id"))[1]

    def organization_list(self, parameters: Parameters) -> object:
        found = self._organizations()
        return found if _true(parameters.get("all_fields")) else [each["name"] for each in found]

    def organization_show(self, parameters: Parameters) -> Package:
        wanted = _required(parameters, "id")
        for each in self._organizations():
            if wanted in (each["id"], each["name"]):
                if not _true(parameters.get("include_datasets")):
                    return each
                result = self.package_search({"fq": f"organization:{each['name']}", "rows": 1000})
                return each | {"packages": result["results"]}
        raise NotFound(f"organization {wanted!r}")

    def tag_list(self, _: Parameters) -> list[str]:
        describer = self._describer()
        return sorted({tag["name"] for card in self._library.cards() for tag in describer.package(card)["tags"]})

    def datastore_search(self, parameters: Parameters) -> Package:
        """Rows of the newest vintage: `filters` (equal, or one of a list), `q`, `fields`, `sort`, `limit`, `offset`."""
        resource_id = _required(parameters, "resource_id")
        card, resource = self._resource(resource_id)
        volume = self._library.volume(card.id)
        if volume is None or not resource["datastore_active"]:
            raise NotFound(f"resource {resource_id!r} has no rows to be asked for")
        records = _matching(volume.sheet.records(), volume.sheet.columns, parameters)
        limit, offset = _whole(parameters, "limit", _RECORDS), _whole(parameters, "offset", 0)
        limit = min(limit, _MOST_RECORDS)
        columns = _chosen(volume.sheet.columns, parameters)
        page = [_page_row(number, record, columns) for number, record in records[offset : offset + limit]]
        fields = [{"id": "_id", "type": "int"}, *({"id": column.name, "type": _TYPES[column.kind]} for column in columns)]
        return {
            "resource_id": resource_id, "fields": fields, "records": page, "total": len(records), "limit": limit, "offset": offset,
            "records_format": "objects", "include_total": True, "total_was_estimated": False,
        }  # fmt: skip

    def _resource(self, id_: str) -> tuple[Card, Package]:
        describer = self._describer()
        for card in self._library.cards():
            for position, ending in enumerate(card.made):
                resource = describer.resource(card, ending, position)
                if resource["id"] == id_:
                    return card, resource
        raise NotFound(f"resource {id_!r}")

    def _organizations(self) -> list[Package]:
        describer = self._describer()
        counts: dict[str, int] = {}
        titles: dict[str, Mapping[str, str]] = {}
        for card in self._library.cards():
            counts[card.metadata.agency] = counts.get(card.metadata.agency, 0) + 1
            titles[card.metadata.agency] = card.metadata.agency_title
        return [describer.organization(agency, titles[agency], count) for agency, count in sorted(counts.items())]

    def _licences(self) -> list[Package]:
        describer = self._describer()
        packages = (describer.package(card) for card in self._library.cards())
        found = {package["license_id"]: (package["license_title"], package["license_url"]) for package in packages}
        return [{"id": id_, "title": title, "url": url, "status": "active"} for id_, (title, url) in sorted(found.items())]


def routes(actions: Actions) -> APIRouter:
    """The routes of the actions, under both of CKAN's prefixes, by GET and POST."""
    router = APIRouter()

    @router.api_route("/api/3/action/{action}", methods=["GET", "POST"], tags=["ckan"], summary="CKAN action API, read side")
    @router.api_route("/api/action/{action}", methods=["GET", "POST"], include_in_schema=False)
    async def act(request: Request, action: str) -> Response:
        help_ = str(request.url.replace(query="", path="/api/3/action/help_show")) + f"?name={action}"
        work = actions.table.get(action)
        if work is None:
            return _failure(400, help_, "Bad request - Action name not known", f"{action}; known are {', '.join(actions.table)}")
        try:
            parameters = await _parameters(request)
            result = await asyncio.to_thread(work, parameters)
        except NotFound as error:
            return _failure(404, help_, "Not Found Error", f"Not found: {error}")
        except BadQuery as error:
            body = {"__type": "Validation Error", error.name: [error.why], "message": str(error)}
            return JSONResponse({"help": help_, "success": False, "error": body}, status_code=409)
        return JSONResponse({"help": help_, "success": True, "result": result})

    return router


def _failure(status: int, help_: str, kind: str, message: str) -> Response:
    return JSONResponse({"help": help_, "success": False, "error": {"__type": kind, "message": message}}, status_code=status)


async def _parameters(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = dict(request.query_params)
    if request.method != "POST":
        return found
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _BODY_BYTES:
            raise BadQuery("body", f"is larger than {_BODY_BYTES} bytes")
    kind = request.headers.get("content-type", "").partition(";")[0]
    try:
        if kind == "application/x-www-form-urlencoded" and not body.lstrip().startswith(b"{"):
            return found | {name: values[-1] for name, values in parse_qs(body.decode()).items()}
        posted = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise BadQuery("body", "is not JSON") from None
    if not isinstance(posted, dict):
        raise BadQuery("body", "is not a JSON object")
    return found | posted


def _matching(records: list[dict[str, Cell]], columns: Sequence[Column], parameters: Parameters) -> list[tuple[int, dict[str, Cell]]]:
    names = {column.name for column in columns}
    filters = _json(parameters, "filters", {})
    if not isinstance(filters, dict):
        raise BadQuery("filters", "is not an object of column and value")
    for name in filters:
        if name not in names:
            raise BadQuery("filters", f"unknown column {name!r}; known are {', '.join(sorted(names))}")
    wanted = {name: {str(each) for each in (value if isinstance(value, list) else [value])} for name, value in filters.items()}
    query = str(parameters.get("q") or "").lower()
    found = [
        (number, record)
        for number, record in enumerate(records, 1)
        if all(str(record[name]) in values for name, values in wanted.items()) and (not query or query in _line(record))
    ]
    for part in reversed([part for part in str(parameters.get("sort") or "").split(",") if part.strip()]):
        name, _, order = part.strip().partition(" ")
        if name not in names or order.lower() not in ("", "asc", "desc"):
            raise BadQuery("sort", f"{part.strip()!r} is not a column with asc or desc")
        found.sort(key=partial(_order_in, name), reverse=order.lower() == "desc")
    return found


def _page_row(number: int, record: Mapping[str, Cell], columns: Sequence[Column]) -> dict[str, Cell]:
    row: dict[str, Cell] = {"_id": number}
    return row | {column.name: record[column.name] for column in columns}


def _line(record: Mapping[str, Cell]) -> str:
    return " ".join(str(value) for value in record.values() if value is not None).lower()


def _order_in(column: str, item: tuple[int, Mapping[str, Cell]]) -> tuple[int, float, str]:
    return _order(item[1][column])


def _order(value: Cell) -> tuple[int, float, str]:
    try:
        return (1, float(value), "") if value is not None else (0, 0.0, "")
    except ValueError:
        return 2, 0.0, str(value)


def _chosen(columns: Sequence[Column], parameters: Parameters) -> list[Column]:
    asked = parameters.get("fields")
    if not asked:
        return list(columns)
    names = [str(each).strip() for each in (asked if isinstance(asked, list) else str(asked).split(","))]
    known = {column.name: column for column in columns}
    for name in names:
        if name not in known and name != "_id":
            raise BadQuery("fields", f"unknown column {name!r}; known are {', '.join(known)}")
    return [known[name] for name in names if name in known]


def _json(parameters: Parameters, name: str, default: object) -> object:
    value = parameters.get(name)
    if not isinstance(value, str):
        return default if value is None else value
    try:
        return json.loads(value) if value else default
    except ValueError:
        raise BadQuery(name, "is not JSON") from None


def _required(parameters: Parameters, name: str) -> str:
    value = parameters.get(name)
    if not isinstance(value, str) or not value:
        raise BadQuery(name, "Missing value")
    return value


def _whole(parameters: Parameters, name: str, default: int) -> int:
    text = str(parameters.get(name, default))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadQuery(name, f"{text!r} is not a whole number")
    return int(text)


def _slice(items: list[Any], parameters: Parameters) -> list[Any]:
    offset = _whole(parameters, "offset", 0)
    return items[offset : offset + _whole(parameters, "limit", len(items))]


def _true(value: object) -> bool:
    return value is True or str(value).lower() in ("true", "1", "yes")

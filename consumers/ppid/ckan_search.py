"""CKAN's `package_search`, as far as portals that harvest ask it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from consumers.ppid.ckan import Package

MAX_ROWS = 1000


class BadQuery(Exception):
    """A parameter that is not understood; its name and why."""

    def __init__(self, name: str, why: str) -> None:
        self.name, self.why = name, why
        super().__init__(f"{name}: {why}")


_TERM = re.compile(
    r"""(?P<sign>[+\-]?)(?:(?P<field>[A-Za-z_.]+):)?(?:"(?P<quoted>[^"]*)"|\((?P<group>[^)]*)\)|(?P<range>\[[^\]]*\])|(?P<word>[^\s"()\[\]]+))"""
)
_RANGE = re.compile(r"\[\s*(\S+)\s+TO\s+(\S+)\s*\]")
Test = Callable[[Package], bool]
_FIELDS: Mapping[str, Callable[[Package], Sequence[str]]] = {
    "id": lambda p: [p["id"]],
    "name": lambda p: [p["name"]],
    "title": lambda p: [p["title"]],
    "organization": lambda p: [p["organization"]["name"]],
    "owner_org": lambda p: [p["owner_org"]],
    "tags": lambda p: [tag["name"] for tag in p["tags"]],
    "res_format": lambda p: [resource["format"] for resource in p["resources"]],
    "license_id": lambda p: [p["license_id"]],
    "state": lambda p: [p["state"]],
    "type": lambda p: [p["type"]],
    "dataset_type": lambda p: [p["type"]],
    "private": lambda _: ["false"],
    "capacity": lambda _: ["public"],
    "groups": lambda _: [],
    "metadata_modified": lambda p: [p["metadata_modified"]],
    "metadata_created": lambda p: [p["metadata_created"]],
}
FACETS = ("organization", "tags", "res_format", "license_id", "groups")


def search(packages: Sequence[Package], parameters: Mapping[str, Any]) -> Package:
    """As `package_search` answers: `q`, `fq`, `fq_list`, `rows`, `start`, `sort`, `facet.field`. Raises `BadQuery`."""
    tests = [_words(str(parameters.get("q") or "*:*")), *_filters(parameters)]
    found = [package for package in packages if all(test(package) for test in tests)]
    found = _sorted(found, str(parameters.get("sort") or "metadata_modified desc"))
    rows, start = _number(parameters, "rows", 10), _number(parameters, "start", 0)
    facets = _facets(found, parameters)
    return {
        "count": len(found),
        "sort": parameters.get("sort") or "metadata_modified desc",
        "results": found[start : start + min(rows, MAX_ROWS)],
        "facets": {name: {each["name"]: each["count"] for each in items} for name, items in facets.items()},
        "search_facets": {name: {"title": name, "items": items} for name, items in facets.items()},
    }


def _filters(parameters: Mapping[str, Any]) -> list[Test]:
    listed = parameters.get("fq_list") or []
    if isinstance(listed, str):
        listed = [listed]
    return [_filter(str(text)) for text in [parameters.get("fq") or "", *listed] if text]


def _filter(text: str) -> Test:
    tests: list[Test] = []
    rest = _TERM.sub("", text).replace("AND", "").strip()
    if rest:
        raise BadQuery("fq", f"not understood: {rest!r}")
    for match in _TERM.finditer(text):
        field = match["field"]
        if field is None:
            if match["word"] in ("AND", None):
                continue
            raise BadQuery("fq", f"{match[0]!r} names no field; known are {', '.join(_FIELDS)}")
        if field == "*":
            continue
        if field not in _FIELDS:
            raise BadQuery("fq", f"unknown field {field!r}; known are {', '.join(_FIELDS)}")
        test = _field_test(_FIELDS[field], match)
        tests.append(_not(test) if match["sign"] == "-" else test)
    return lambda package: all(test(package) for test in tests)


def _field_test(read: Callable[[Package], Sequence[str]], match: re.Match[str]) -> Test:
    if match["range"]:
        bounds = _RANGE.fullmatch(match["range"])
        if not bounds:
            raise BadQuery("fq", f"{match['range']!r} is not of the form [FROM TO TO]")
        low, high = (bound.strip('"').removesuffix("Z") for bound in bounds.groups())
        return lambda package: any((low == "*" or low <= value) and (high == "*" or value <= high) for value in read(package))
    if match["group"] is not None:
        wanted = {word.strip('"') for word in re.findall(r'"[^"]*"|\S+', match["group"]) if word not in ("OR", "AND")}
    else:
        wanted = {match["quoted"] if match["quoted"] is not None else match["word"]}
    return lambda package: "*" in wanted or bool(wanted & set(read(package)))


def _words(query: str) -> Test:
    """Every word has to stand in the title, the description, the tags, the agency or the id; `field:value` as in fq."""
    if query.strip() in ("", "*", "*:*"):
        return lambda _package: True
    tests: list[Test] = []
    for match in _TERM.finditer(query):
        if match["field"] in _FIELDS:
            tests.append(_field_test(_FIELDS[match["field"]], match))
            continue
        word = (match["quoted"] or match["word"] or match["group"] or "").strip("*~").lower()
        if word and word not in ("and", "or"):
            tests.append(_contains(word))
    return lambda package: all(test(package) for test in tests)


def _contains(word: str) -> Test:
    return lambda package: word in _text(package)


def _not(test: Test) -> Test:
    return lambda package: not test(package)


def _text(package: Package) -> str:
    parts = [package["name"], package["title"], package["notes"] or "", package["organization"]["title"]]
    return " ".join([*parts, *(tag["name"] for tag in package["tags"]), *(extra["value"] for extra in package["extras"])]).lower()


def _sorted(packages: list[Package], sort: str) -> list[Package]:
    for part in reversed(sort.split(",")):
        name, _, order = part.strip().partition(" ")
        name = {"title_string": "title", "score": "name", "relevance": "name"}.get(name, name)
        if name not in ("name", "id", "title", "metadata_modified", "metadata_created") or order not in ("", "asc", "desc"):
            raise BadQuery("sort", f"{part.strip()!r}; known are name, id, title, metadata_modified, metadata_created with asc or desc")
        packages = sorted(packages, key=lambda package: package[name], reverse=order == "desc")
    return packages


def _number(parameters: Mapping[str, Any], name: str, default: int) -> int:
    text = str(parameters.get(name, default))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadQuery(name, f"{text!r} is not a whole number")
    return int(text)


def _facets(packages: Sequence[Package], parameters: Mapping[str, Any]) -> dict[str, list[Package]]:
    asked = parameters.get("facet.field") or []
    try:
        names = json.loads(asked.replace("'", '"')) if isinstance(asked, str) and asked else asked
    except ValueError:
        raise BadQuery("facet.field", f"{asked!r} is not a list of names") from None
    found: dict[str, list[Package]] = {}
    for name in names or ():
        if name not in FACETS:
            raise BadQuery("facet.field", f"unknown field {name!r}; known are {', '.join(FACETS)}")
        counts: dict[str, int] = {}
        for package in packages:
            for value in _FIELDS[name](package):
                counts[value] = counts.get(value, 0) + 1
        found[name] = [{"name": value, "display_name": value, "count": count} for value, count in sorted(counts.items())]
    return found

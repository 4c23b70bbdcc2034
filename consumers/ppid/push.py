"""Carries published datasets to a CKAN portal that does not harvest: through CKAN's action API, each dataset by its name, as often as wanted.

A push says what is so now: it creates what is missing there, updates what differs, and deletes what was taken down here. It ends at the first
refusal; pushing again goes on. Files are linked, not copied: their address stays ours, with its hash.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

from bus.errors import ConfigurationError, Problem, TransientError
from consumers.ppid.ckan import Describer, Package
from consumers.ppid.library import Card

_SECONDS = 30.0
#: What is ours to say at the other portal; it adds fields of its own.
_OURS = ("name", "title", "notes", "url", "version", "license_id", "author", "maintainer", "maintainer_email")
_RESOURCE = ("id", "name", "description", "url", "format", "mimetype", "size", "hash")


@dataclass(slots=True)
class Pushed:
    """What a push has done, by the datasets' names."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)


class Portal:
    """Another portal's action API."""

    def __init__(self, url: str, key: str, client: httpx.Client | None = None) -> None:
        """Raises `ConfigurationError` without an address or a key."""
        problems = [Problem("BUS_PPID__CKAN_URL", "names no portal: https://data.example.go.id")] if not url.startswith("http") else []
        if not key:
            problems.append(Problem("BUS_PPID__CKAN_KEY", "holds no API token; that portal's profile page makes one"))
        if problems:
            raise ConfigurationError(problems)
        self._base = url.rstrip("/")
        self._client = client or httpx.Client(timeout=_SECONDS)
        self._headers = {"Authorization": key, "Content-Type": "application/json"}

    def call(self, action: str, **parameters: Any) -> Any:
        """The result of an action, or None where it finds nothing. Raises `TransientError` when the portal is away, `ConfigurationError`
        when it refuses."""
        try:
            answer = self._client.post(f"{self._base}/api/3/action/{action}", json=parameters, headers=self._headers)
        except httpx.HTTPError as error:
            raise TransientError(f"{self._base} does not answer: {type(error).__name__}") from error
        if answer.status_code == 404:
            return None
        if answer.status_code >= 500:
            raise TransientError(f"{self._base} failed at {action}: status {answer.status_code}")
        try:
            body = answer.json()
        except ValueError as error:
            raise ConfigurationError([Problem(self._base, f"is no CKAN portal: {action} did not answer JSON")]) from error
        if not body.get("success"):
            raise ConfigurationError([Problem(f"{self._base}: {action}", f"refused ({answer.status_code}): {_reasons(body.get('error'))}")])
        return body["result"]


def push(portal: Portal, describer: Describer, cards: Iterable[Card], taken_down: Collection[str]) -> Pushed:
    """Make the other portal say what is published; `taken_down` are the names of datasets that no longer are."""
    done = Pushed()
    organizations: set[str] = set()
    for card in cards:
        package = describer.package(card)
        agency = package["organization"]["name"]
        if agency not in organizations:
            _organization(portal, package["organization"])
            organizations.add(agency)
        _dataset(portal, package, agency, done)
    for name in sorted(taken_down):
        known = portal.call("package_show", id=name)
        if known is not None and known.get("state") != "deleted":
            portal.call("package_delete", id=name)
            done.deleted.append(name)
    return done


def _organization(portal: Portal, organization: Package) -> None:
    if portal.call("organization_show", id=organization["name"]) is None:
        portal.call("organization_create", **{name: organization[name] for name in ("name", "title", "description")})


def _dataset(portal: Portal, package: Package, agency: str, done: Pushed) -> None:
    wanted: Package = {name: package[name] for name in _OURS} | {"owner_org": agency, "private": False}
    wanted["tags"] = [{"name": tag["name"]} for tag in package["tags"]]
    wanted["extras"] = package["extras"]
    wanted["resources"] = [{name: resource[name] for name in _RESOURCE} for resource in package["resources"]]
    known = portal.call("package_show", id=package["name"])
    if known is None:
        portal.call("package_create", **wanted)
        done.created.append(package["name"])
    elif _same(known, wanted):
        done.unchanged.append(package["name"])
    else:
        portal.call("package_patch", id=known["id"], state="active", **wanted)
        done.updated.append(package["name"])


def _same(known: Package, wanted: Package) -> bool:
    """Whether the portal says already what we would say."""
    if known.get("state") != "active" or any(known.get(name) != wanted[name] for name in _OURS):
        return False
    extras = {each["key"]: each["value"] for each in known.get("extras", ())}
    if extras != {each["key"]: each["value"] for each in wanted["extras"]}:
        return False
    if {tag["name"] for tag in known.get("tags", ())} != {tag["name"] for tag in wanted["tags"]}:
        return False
    resources = known.get("resources", ())
    return bool([{name: each.get(name) for name in _RESOURCE} for each in resources] == wanted["resources"])


def _reasons(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)
    return "; ".join(f"{name}: {reason}" for name, reason in error.items() if name != "__type")[:500] or "no reason given"

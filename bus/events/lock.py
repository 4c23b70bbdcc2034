"""Pinned schema ids: `registry.lock.json` beside the schemas remembers every released version of each, with its id, for ever.

The file next to it is only the newest version. An older one stays here whole, because records written with it stay in the log.
Ids are never reused and never renumbered: they stand in every record.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bus.errors import ConfigurationError, Problem
from bus.events.avro import Json, fingerprint_of

LOCK_FILE = "registry.lock.json"

#: Ids from here on are computed from the fingerprint (overlays); those below are counted (the repository).
COMPUTED_IDS = 1 << 30


@dataclass(frozen=True, slots=True)
class Release:
    """One released version of one schema."""

    id: int
    name: str
    version: int
    fingerprint: str
    schema: dict[str, Json]


def computed_id(fingerprint: str) -> int:
    """The id of a schema that nobody pinned: the same on every host, from 2^30 to 2^31 - 1."""
    return COMPUTED_IDS | (int(fingerprint[:8], 16) & (COMPUTED_IDS - 1))


def read_lock(root: Path) -> tuple[Release, ...] | None:
    """The releases that a schemas folder has pinned, in the order of release; None when it has no lock file.

    Raises `ConfigurationError` with all problems: unreadable, an id twice, versions not counted from 1, a fingerprint that is not its
    schema's (somebody edited a released schema inside the lock).
    """
    path = root / LOCK_FILE
    if not path.is_file():
        return None
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["schemas"]
        releases = tuple(
            Release(int(e["id"]), str(e["name"]), int(e["version"]), str(e["fingerprint"]), dict(e["schema"])) for e in entries
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            [Problem(str(path), f"not a lock file ({type(error).__name__}: {error}); restore it from version control")]
        ) from error
    problems = list(_lock_problems(str(path), releases))
    if problems:
        raise ConfigurationError(problems)
    return releases


def _lock_problems(path: str, releases: Iterable[Release]) -> Iterable[Problem]:
    ids: dict[int, str] = {}
    versions: dict[str, int] = {}
    for release in releases:
        where = f"{path}: {release.name} version {release.version}"
        if not 0 < release.id < 1 << 31:
            yield Problem(where, f"id {release.id} is not from 1 to 2^31 - 1", "K04")
        if release.id in ids:
            yield Problem(where, f"id {release.id} is already that of {ids[release.id]}; an id is never reused", "K04")
        ids.setdefault(release.id, release.name)
        if release.version != versions.get(release.name, 0) + 1:
            yield Problem(where, f"versions count from 1 without a gap; expected {versions.get(release.name, 0) + 1}", "K04")
        versions[release.name] = release.version
        if fingerprint_of(release.schema) != release.fingerprint:
            yield Problem(where, "the schema is not the one of its fingerprint; a released schema is immutable", "K04")


def newest(releases: Iterable[Release]) -> Mapping[str, Release]:
    """Name -> its newest release."""
    return {release.name: release for release in sorted(releases, key=lambda release: release.version)}


def write_lock(root: Path, releases: Iterable[Release]) -> None:
    """Write the lock file of a schemas folder, whole."""
    entries = [{"id": r.id, "name": r.name, "version": r.version, "fingerprint": r.fingerprint, "schema": r.schema} for r in releases]
    text = json.dumps(cast("Json", {"schemas": entries}), indent=1, ensure_ascii=False)
    temporary = root / (LOCK_FILE + ".new")
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(root / LOCK_FILE)

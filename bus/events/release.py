"""Releasing schemas: giving new and compatibly changed ones their id in the lock file. What `bus schemas lock` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bus.errors import ConfigurationError, Problem
from bus.events.avro import fingerprint_of, without_docs
from bus.events.catalogue import SchemaFile, read_schemas
from bus.events.compatibility import transitive_incompatibilities
from bus.events.lock import COMPUTED_IDS, Release, computed_id, newest, read_lock, write_lock


def release(root: Path, *, overlay: bool = False) -> tuple[Release, ...]:
    """Append the schemas of a folder that have no release yet to its lock file; those appended.

    Ids count on from the highest; in an overlay they are computed from the fingerprint, so that they meet neither the repository's nor
    another overlay's. Nothing in the lock is ever changed or removed. Raises `ConfigurationError` with all problems, and then writes
    nothing: files that cannot be used, and changes that are not compatible with every release before.
    """
    files, problems = read_schemas(root)
    known = list(read_lock(root) or ())
    fresh: list[Release] = []
    for file in files:
        pinned = newest(known).get(file.name)
        if pinned is not None and pinned.fingerprint == fingerprint_of(file.avro):
            continue
        wrong = _refusals(file, [r for r in known if r.name == file.name])
        problems += wrong
        if not wrong:
            fresh.append(_next(file, [*known, *fresh], pinned.version + 1 if pinned else 1, overlay))
    problems += _repeated(known, fresh)
    if problems:
        raise ConfigurationError(problems)
    if fresh:
        write_lock(root, [*known, *fresh])
    return tuple(fresh)


def _refusals(file: SchemaFile, before: Sequence[Release]) -> list[Problem]:
    wrong = transitive_incompatibilities([*(r.schema for r in before), file.avro])
    if any(r.fingerprint == fingerprint_of(file.avro) for r in before):
        return [Problem(str(file.path), "is an older release again; going back is a new release only when it differs from all", "K04")]
    return [Problem(str(file.path), f"{what}; a breaking change is a new major: a new file and a new topic", "K05") for what in wrong]


def _next(file: SchemaFile, taken: Sequence[Release], version: int, overlay: bool) -> Release:
    fingerprint = fingerprint_of(file.avro)
    counted = 1 + max((r.id for r in taken if r.id < COMPUTED_IDS), default=0)
    schema = without_docs(file.avro)
    return Release(
        computed_id(fingerprint) if overlay else counted, file.name, version, fingerprint, schema if isinstance(schema, dict) else {}
    )


def _repeated(known: Sequence[Release], fresh: Sequence[Release]) -> list[Problem]:
    ids = {r.id: r.name for r in known}
    return [
        Problem(r.name, f"computed id {r.id} is already that of {ids[r.id]}; add any property to its schema", "K04")
        for r in fresh
        if r.id in ids
    ]

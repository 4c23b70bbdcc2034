"""G rules: a consumer is a folder whose manifest says what it runs, reads and needs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

from pydantic import BaseModel

from bus.errors import ConfigurationError, Problem
from bus.ops.consumers import MANIFEST, ConsumerManifest, load_consumers
from bus.settings import Settings
from bus.testing.rule import Case, Rule, cases_of
from bus.testing.workspace import Workspace

#: What a consumer may read; the bus's own topics (bus.*) and quarantines are not among it.
_READABLE = ("events.", "indicators.", "history.", "public.")


def manifests_are_valid(folder: Path) -> Iterable[Problem]:
    manifest, problems = _read(folder)
    yield from problems
    if manifest is None and not problems:
        yield Problem(str(folder), f"has no {MANIFEST}")


def factory_exists(folder: Path) -> Iterable[Problem]:
    """Read in the source, not imported: a check runs no consumer's code."""
    manifest, _ = _read(folder)
    if manifest is None:
        return
    for key, place in (("factory", manifest.factory), ("commands", manifest.commands)):
        if place is None:
            continue
        module, _, function = place.partition(":")
        path = folder.parent.parent.joinpath(*module.split(".")).with_suffix(".py")
        if not path.is_file():
            yield Problem(str(folder / MANIFEST), f"{key} {place!r}: there is no file {path}")
        elif function not in {
            node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        }:
            yield Problem(str(folder / MANIFEST), f"{key} {place!r}: {path} defines no {function}")


def needs_exist(folder: Path) -> Iterable[Problem]:
    manifest, _ = _read(folder)
    if manifest is None:
        return
    for topic in manifest.topics:
        if not topic.startswith(_READABLE):
            yield Problem(str(folder / MANIFEST), f"topic {topic!r}; a consumer may read {', '.join(f'{prefix}*' for prefix in _READABLE)}")
    known = set(_settings(Settings))
    for name in sorted(set(manifest.needs) - set(manifest.settings)):
        yield Problem(
            str(folder / MANIFEST), f"needs {name!r}, which is not among its settings: {', '.join(manifest.settings) or 'it has none'}"
        )
    for name in manifest.settings:
        if not any(fnmatch(setting, name) for setting in known):
            yield Problem(str(folder / MANIFEST), f"setting {name!r} does not exist; known are {', '.join(sorted(known))}")


def _settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _settings(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def _read(folder: Path) -> tuple[ConsumerManifest | None, list[Problem]]:
    try:
        found = load_consumers([folder.parent])
    except ConfigurationError as error:
        mine = [problem for problem in error.problems if problem.where.startswith(f"{folder / MANIFEST}")]
        return None, mine
    return next((manifest for manifest in found.values() if manifest.id == folder.name), None), []


RULES: tuple[Rule[Path], ...] = (
    Rule("G01", "a consumer's manifest is valid and its id is the folder's name", manifests_are_valid),
    Rule("G02", "a consumer's factory exists, and what brings its commands", factory_exists),
    Rule("G03", "a consumer reads topics it may read and names settings that exist", needs_exist),
)


def cases(workspace: Workspace) -> Iterator[Case]:
    """Each folder of consumers/, of the repository and of overlays."""
    if workspace.agency is not None:
        return
    folders = [path.parent for root in workspace.settings.consumer_roots() for path in sorted(root.glob(f"*/{MANIFEST}"))]
    yield from cases_of(RULES, {folder.name: folder for folder in folders if workspace.concerns(folder)})

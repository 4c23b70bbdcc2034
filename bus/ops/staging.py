"""Indicator files as they would be: tried in a copy of the schemas folders, so that nothing is installed before all of it holds."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bus.errors import ConfigurationError, Problem
from bus.events.catalogue import Catalogue
from bus.indicators.compose import AnyIndicator
from bus.indicators.loader import load_indicators
from bus.indicators.reporters import declared_reporters
from bus.settings import ROOT, Settings

_FILE = re.compile(r"[^\s:]+\.(?:toml|csv)")


@dataclass(frozen=True, slots=True)
class Placement:
    """A file and where it is to be installed; the same path when it lies there already."""

    source: Path
    target: Path


@dataclass(frozen=True, slots=True)
class Tried:
    """What a set of files gives: the indicators that compile, and every problem, by the id of the indicator (or table) that has it."""

    indicators: Mapping[str, AnyIndicator]
    problems: Mapping[str, tuple[Problem, ...]]

    def all_problems(self) -> list[Problem]:
        """Those of all files."""
        return [problem for problems in self.problems.values() for problem in problems]


def place(settings: Settings, files: Sequence[Path]) -> list[Placement]:
    """Where these files belong: where the indicator is already, else in the last overlay, else in the installation itself.

    Raises `ConfigurationError` with every file that is no indicator's.
    """
    problems, placements = [], []
    base = settings.overlay[-1] if settings.overlay else ROOT
    for file in files:
        path = file.expanduser().resolve()
        if not path.is_file() or path.suffix != ".toml":
            what = "is not the file of an indicator: expected <id>.toml" if path.exists() else "there is no such file"
            problems.append(Problem(str(file), what))
            continue
        known = [root / "indicators" / path.name for root in settings.schemas_roots()]
        target = next((each for each in known if each.is_file()), base / "schemas" / "indicators" / path.name)
        placements.append(Placement(path, target.resolve()))
    names = [placement.target.name for placement in placements]
    problems += [Problem(name, "is given more than once") for name in sorted({name for name in names if names.count(name) > 1})]
    if problems:
        raise ConfigurationError(problems)
    return placements


def attempt(settings: Settings, catalogue: Catalogue, placements: Sequence[Placement] = ()) -> Tried:
    """What the schemas folders would hold with these files in their places. Files with a problem are left out of the rest."""
    with _copied(settings.schemas_roots(), placements) as copies:
        originals = {str(copy): str(root) for root, copy in copies.items()}
        reporters = declared_reporters(settings.connector_roots())
        problems: dict[str, list[Problem]] = {}
        while True:
            try:
                found = load_indicators(list(copies.values()), catalogue, reporters=reporters)
            except ConfigurationError as error:
                broken = [_file_of(problem) for problem in error.problems]
                first = not problems
                for path, problem in zip(broken, error.problems, strict=True):
                    problems.setdefault(path.stem if path else "", []).append(_told(problem, originals, first=first))
                removed = [path for path in set(broken) if path is not None and path.is_file()]
                for path in removed:
                    path.unlink()
                if removed:
                    continue
                return Tried({}, _listed(problems))
            return Tried(found, _listed(problems))


def install(placements: Sequence[Placement]) -> list[Path]:
    """Put the files in their places, each in one step; those that were changed. A running bus takes them up by itself."""
    changed = []
    for each in placements:
        content = each.source.read_bytes()
        if each.target.is_file() and each.target.read_bytes() == content:
            continue
        each.target.parent.mkdir(parents=True, exist_ok=True)
        half = each.target.with_name(f".{each.target.name}.part")
        half.write_bytes(content)
        half.replace(each.target)
        changed.append(each.target)
    return changed


@contextmanager
def _copied(roots: Sequence[Path], placements: Sequence[Placement]) -> Iterator[Mapping[Path, Path]]:
    """Schemas folder -> a copy of it with the files in their places."""
    wanted = dict.fromkeys([root.resolve() for root in roots] + [each.target.parent.parent for each in placements])
    with tempfile.TemporaryDirectory(prefix="simpul-indicators-") as scratch:
        copies = {root: Path(scratch).resolve() / str(number) / root.name for number, root in enumerate(wanted)}
        for root, copy in copies.items():
            if root.is_dir():
                shutil.copytree(root, copy)
        for each in placements:
            copy = copies[each.target.parent.parent] / "indicators" / each.target.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(each.source.read_bytes())
        yield copies


def _listed(problems: Mapping[str, Sequence[Problem]]) -> dict[str, tuple[Problem, ...]]:
    return {name: tuple(dict.fromkeys(each)) for name, each in problems.items()}


def _file_of(problem: Problem) -> Path | None:
    found = _FILE.match(problem.where)
    return Path(found[0]) if found else None


def _told(problem: Problem, originals: Mapping[str, str], *, first: bool) -> Problem:
    """The problem with the names of the real folders; one that shows only after others were left out is their fault."""
    where, what = problem.where, problem.what
    for copy, original in originals.items():
        where, what = where.replace(copy, original), what.replace(copy, original)
    return Problem(where, what if first else f"cannot be without what is refused ({what})", problem.rule)

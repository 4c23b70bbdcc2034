"""Every indicator file of the checkout and its overlays, compiled; or every problem of every file at once."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ValidationError

from bus.errors import ConfigurationError, Problem
from bus.events.schema import EventSchema as FullSchema
from bus.indicators import spec as forms
from bus.indicators.clock_spec import ClockSpec
from bus.indicators.compiler import compile_indicator
from bus.indicators.compose import AnyIndicator, CompositeIndicator, compile_composite
from bus.indicators.composite_spec import CompositeSpec, TableRef
from bus.indicators.indicator import EventSchema, Indicator
from bus.indicators.measures import Grade, Measure
from bus.indicators.partial import Feed
from bus.indicators.privacy import privacy_problems
from bus.indicators.reference import References
from bus.indicators.reference_files import load_references
from bus.indicators.section import read_toml
from bus.indicators.spec import Spec

_SECTIONS: Mapping[str, type[BaseModel]] = {
    "": Spec, "title": forms.Title, "measure": Measure, "grades": Grade, "satu_data": forms.SatuData, "publish": forms.Publish,
    "examples": forms.Example, "events": forms.ExampleEvent, "composite": CompositeSpec, "table": TableRef, "clock": ClockSpec,
}  # fmt: skip


class Catalogue(Protocol):
    """What is needed of `bus.events.catalogue.Catalogue`."""

    @property
    def types(self) -> Mapping[str, EventSchema]: ...

    @property
    def left_out(self) -> Collection[str]: ...


def load_indicators(
    roots: Sequence[Path], catalogue: Catalogue, references: References | None = None, *, reporters: Mapping[str, int] | None = None
) -> Mapping[str, AnyIndicator]:
    """Indicators by id from `<root>/indicators/*.toml`, sorted, composites with them.

    What reads an event type that the catalogue leaves out is left out too, and so is every composite with such a part.
    `references` are the tables of `<root>/reference` when they are not given. `reporters`: event type -> how many the agency expects.
    Raises `ConfigurationError` with every problem of every file.
    """
    tables = load_references(roots) if references is None else references
    specs, problems = _read(roots)
    specs = _served(specs, catalogue.left_out)
    found: dict[str, AnyIndicator] = {}
    for spec, where in specs.values():
        if spec.composite is None:
            leaf, wrong = _leaf(spec, catalogue, where, tables, (reporters or {}).get(spec.event, 0))
            problems.extend(wrong)
            if leaf is not None:
                found[leaf.id] = leaf
    problems.extend(_compose(specs, found, tables))
    if problems:
        raise ConfigurationError(problems)
    return dict(sorted(_fed(found).items()))


def load_indicator(
    path: Path, catalogue: Catalogue, references: References, files: Sequence[Path] = ()
) -> tuple[Sequence[AnyIndicator], list[Problem]]:
    """One file's indicator after all that it is made of (found among `files`), or all that is wrong with that file.

    What is wrong with a part is that file's; the composite is then not made, without a problem of its own.
    """
    spec, problems = read_spec(path)
    if spec is None:
        return (), problems
    if spec.composite is None:
        leaf, problems = _leaf(spec, catalogue, str(path), references, 0)
        return (() if leaf is None else (leaf,)), problems
    specs = {name: (other, name) for name, other in _parts(spec, {file.stem: file for file in files}).items()} | {
        spec.id: (spec, str(path))
    }
    leaves = [_leaf(other, catalogue, where, references, 0)[0] for other, where in specs.values() if other.composite is None]
    found: dict[str, AnyIndicator] = {leaf.id: leaf for leaf in leaves if leaf is not None}
    problems = [problem for problem in _compose(specs, found, references) if problem.where.startswith(str(path))]
    made = found.get(spec.id)
    if not isinstance(made, CompositeIndicator):
        return (), problems
    fed = _fed({name: each for name, each in found.items() if name in made.leaves or isinstance(each, CompositeIndicator)})
    return [each for name, each in fed.items() if name != spec.id] + [fed[spec.id]], problems


def _parts(spec: Spec, files: Mapping[str, Path]) -> dict[str, Spec]:
    """What a composite is made of, parts of parts included, as far as there are files of it that can be read."""
    found: dict[str, Spec] = {}
    waiting = list(spec.composite.of) if spec.composite is not None else []
    while waiting:
        name = waiting.pop()
        part = read_spec(files[name])[0] if name in files and name not in found else None
        if part is not None:
            found[name] = part
            waiting += part.composite.of if part.composite is not None else ()
    return found


def _read(roots: Sequence[Path]) -> tuple[dict[str, tuple[Spec, str]], list[Problem]]:
    """All files as data: id -> (spec, file), and what is wrong with the others."""
    problems: list[Problem] = []
    specs: dict[str, tuple[Spec, str]] = {}
    files: dict[str, Path] = {}
    for root in roots:
        for path in sorted((Path(root) / "indicators").glob("*.toml")):
            if path.stem in files:
                problems.append(Problem(str(path), f"indicator {path.stem!r} is also defined in {files[path.stem]}"))
                continue
            files[path.stem] = path
            spec, wrong = read_spec(path)
            problems.extend(wrong)
            if spec is not None:
                specs[spec.id] = spec, str(path)
    return specs, problems


def _served(specs: dict[str, tuple[Spec, str]], left_out: Collection[str]) -> dict[str, tuple[Spec, str]]:
    """The files without those that are, directly or by way of a part, about an event type that is left out."""
    gone = {name for name, (spec, _) in specs.items() if spec.composite is None and spec.event in left_out}
    while more := {
        n for n, (spec, _) in specs.items() if n not in gone and spec.composite is not None and not gone.isdisjoint(spec.composite.of)
    }:
        gone |= more
    return {name: each for name, each in specs.items() if name not in gone}


def read_spec(path: Path) -> tuple[Spec | None, list[Problem]]:
    """One file as data, or all that is wrong with its form."""
    where = str(path)
    raw, unread = read_toml(path)
    if raw is None:
        return None, unread
    try:
        spec = Spec.model_validate(raw)
    except ValidationError as error:
        return None, list(_problems(where, error))
    wrong = [] if spec.id == path.stem else [Problem(f"{where}: id", f"{spec.id!r} must equal the file's name {path.stem!r}")]
    return (None if wrong else spec), wrong


def _leaf(spec: Spec, catalogue: Catalogue, where: str, tables: References, reporters: int) -> tuple[Indicator | None, list[Problem]]:
    event = catalogue.types.get(spec.event)
    if event is None:
        near = difflib.get_close_matches(spec.event, catalogue.types, n=3, cutoff=0.5) or sorted(catalogue.types)[:10]
        what = f"there is no event type {spec.event!r}; near: {', '.join(near) or 'none at all'}"
        return None, [Problem(f"{where}: event", what, "I01")]
    leaf, problems = compile_indicator(spec, event, where, tables, reporters=reporters)
    if isinstance(event, FullSchema) and (personal := list(privacy_problems(spec, event, where))):
        return None, [*problems, *personal]
    return leaf, problems


def _compose(specs: Mapping[str, tuple[Spec, str]], found: dict[str, AnyIndicator], tables: References) -> Iterator[Problem]:
    """Compile the composites, parts before what is made of them, into `found`."""
    waiting = {name: spec.composite.of for name, (spec, _) in specs.items() if spec.composite is not None}
    while waiting:
        ready = [name for name, parts in waiting.items() if not any(part in waiting for part in parts)]
        for name in ready or list(waiting):
            parts = waiting.pop(name)
            spec, where = specs[name]
            unknown = [part for part in parts if part not in specs]
            if not ready:
                yield Problem(f"{where}: composite.of", f"{name} is, by way of {', '.join(parts)}, a part of itself", "I01")
            elif unknown:
                near = difflib.get_close_matches(unknown[0], specs, n=3, cutoff=0.5)
                yield Problem(f"{where}: composite.of", f"there is no indicator {unknown[0]!r}; near: {', '.join(near) or 'none'}", "I01")
            elif all(part in found for part in parts):
                indicator, wrong = compile_composite(spec, found, where, tables)
                yield from wrong
                if indicator is not None:
                    found[name] = indicator


def _fed(found: Mapping[str, AnyIndicator]) -> dict[str, AnyIndicator]:
    """The leaves with the composites that they are parts of."""
    feeds: dict[str, list[Feed]] = {}
    for each in found.values():
        if isinstance(each, CompositeIndicator):
            for leaf in each.leaves:
                feeds.setdefault(leaf, []).append(each.feed)
    return {
        name: replace(each, feeds=tuple(feeds[name])) if isinstance(each, Indicator) and name in feeds else each
        for name, each in found.items()
    }


def changed_without_version(known: Mapping[str, tuple[int, str]], indicators: Mapping[str, AnyIndicator]) -> list[Problem]:
    """Indicators whose fingerprint is not the known one though their version is not higher (I07).

    `known`: id -> (version, fingerprint or its beginning) of what stands in states already. Without a higher version readers could not tell
    old values from new ones, and merge keeps what it published first.
    """
    problems = []
    for name, indicator in indicators.items():
        version, fingerprint = known.get(name, (0, ""))
        if indicator.version < version:
            what = f"version {version} has been computed already; set version = {version + 1}"
        elif indicator.version == version and not indicator.fingerprint.startswith(fingerprint):
            what = f"what it computes has changed since version {version} was published; set version = {version + 1}"
        else:
            continue
        problems.append(Problem(f"{name}.toml: version", what, "I07"))
    return problems


def _problems(where: str, error: ValidationError) -> Iterator[Problem]:
    for each in error.errors():
        place = [str(part) for part in each["loc"] if part not in ("list[str]", "dict[str,str]")]
        key = ".".join(place)
        if each["type"] == "extra_forbidden":
            section = next((part for part in reversed(place[:-1]) if not part.isdigit()), "")
            allowed = [field.alias or name for name, field in _SECTIONS.get(section, Spec).model_fields.items()]
            near = difflib.get_close_matches(place[-1], allowed, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            yield Problem(f"{where}: {key}", f"unknown key{hint} (allowed: {', '.join(sorted(allowed))})")
        elif each["type"] == "missing":
            rule = "I06" if place[0] == "publish" else ""
            what = 'is required: say how the public may see it, e.g. class = "dikecualikan"' if rule else "is required"
            yield Problem(f"{where}: {key}", what, rule)
        else:
            yield Problem(f"{where}: {key}", each["msg"].removeprefix("Value error, "))

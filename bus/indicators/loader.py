"""Every indicator file of the checkout and its overlays, compiled; or every problem of every file at once."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ValidationError

from bus.errors import ConfigurationError, Problem
from bus.indicators import spec as forms
from bus.indicators.indicator import EventSchema, Indicator, compile_indicator
from bus.indicators.spec import Spec

_SECTIONS: Mapping[str, type[BaseModel]] = {
    "": Spec, "title": forms.Title, "measure": forms.Measure, "satu_data": forms.SatuData, "publish": forms.Publish,
    "examples": forms.Example, "events": forms.ExampleEvent,
}  # fmt: skip


class Catalogue(Protocol):
    """What is needed of `bus.events.catalogue.Catalogue`."""

    @property
    def types(self) -> Mapping[str, EventSchema]: ...


def load_indicators(roots: Sequence[Path], catalogue: Catalogue) -> Mapping[str, Indicator]:
    """Indicators by id from `<root>/indicators/*.toml`, sorted. Raises `ConfigurationError` with every problem of every file."""
    problems: list[Problem] = []
    found: dict[str, Indicator] = {}
    files: dict[str, Path] = {}
    for root in roots:
        for path in sorted((Path(root) / "indicators").glob("*.toml")):
            if path.stem in files:
                problems.append(Problem(str(path), f"indicator {path.stem!r} is also defined in {files[path.stem]}"))
                continue
            files[path.stem] = path
            indicator, wrong = load_indicator(path, catalogue)
            problems.extend(wrong)
            if indicator is not None:
                found[indicator.id] = indicator
    if problems:
        raise ConfigurationError(problems)
    return dict(sorted(found.items()))


def load_indicator(path: Path, catalogue: Catalogue) -> tuple[Indicator | None, list[Problem]]:
    """One file's indicator, or all that is wrong with it."""
    where = str(path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return None, [Problem(where, f"is not TOML in UTF-8: {error}")]
    except OSError as error:
        return None, [Problem(where, f"cannot be read: {error.strerror}")]
    try:
        spec = Spec.model_validate(raw)
    except ValidationError as error:
        return None, list(_problems(where, error))
    problems: list[Problem] = []
    if spec.id != path.stem:
        problems.append(Problem(f"{where}: id", f"{spec.id!r} must equal the file's name {path.stem!r}"))
    event = catalogue.types.get(spec.event)
    if event is None:
        near = difflib.get_close_matches(spec.event, catalogue.types, n=3, cutoff=0.5) or sorted(catalogue.types)[:10]
        what = f"there is no event type {spec.event!r}; near: {', '.join(near) or 'none at all'}"
        problems.append(Problem(f"{where}: event", what, "I01"))
        return None, problems
    indicator, wrong = compile_indicator(spec, event, where)
    problems.extend(wrong)
    return (None if problems else indicator), problems


def changed_without_version(known: Mapping[str, tuple[int, str]], indicators: Mapping[str, Indicator]) -> list[Problem]:
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

"""Every alert rule of the checkout and its overlays, compiled; or every problem of every file at once."""

from __future__ import annotations

import difflib
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, ValidationError

from bus.alerts.rule import EXCLUDED, FIELDS, Kind, Rule, Subject
from bus.alerts.spec import AlertSpec, Change, Missing, Sla, Threshold, span_seconds
from bus.errors import ConfigurationError, Problem
from bus.indicators.compose import AnyIndicator
from bus.indicators.regions import LEVELS, level_parts
from bus.indicators.section import read_toml
from bus.indicators.spec import Title
from bus.indicators.windows import NOW

FOLDER = "alerts"
_US = 1_000_000
_LANGUAGES = ("id", "en")
_SECTIONS: Mapping[str, type[BaseModel]] = {
    "": AlertSpec, "title": Title, "text": Title, "recovered": Title,
    "threshold": Threshold, "change": Change, "missing": Missing, "sla": Sla,
}  # fmt: skip


def alert_files(roots: Sequence[Path]) -> list[Path]:
    """The rules' files, `<root>/alerts/*.toml`, those of each root one after the other."""
    return [path for root in roots for path in sorted((Path(root) / FOLDER).glob("*.toml"))]


def load_alerts(roots: Sequence[Path], indicators: Mapping[str, AnyIndicator]) -> Mapping[str, Rule]:
    """Rules by id, sorted. A rule over an indicator that has a file but is not among `indicators` is left out with it.

    Raises `ConfigurationError` with every problem of every file.
    """
    problems: list[Problem] = []
    found: dict[str, Rule] = {}
    files: dict[str, Path] = {}
    declared = {path.stem for root in roots for path in (Path(root) / "indicators").glob("*.toml")}
    for path in alert_files(roots):
        if path.stem in files:
            problems.append(Problem(str(path), f"alert rule {path.stem!r} is also defined in {files[path.stem]}"))
            continue
        files[path.stem] = path
        rule, wrong = load_alert(path, indicators, left_out=declared - indicators.keys())
        problems += wrong
        if rule is not None:
            found[rule.id] = rule
    if problems:
        raise ConfigurationError(problems)
    return dict(sorted(found.items()))


def load_alert(path: Path, indicators: Mapping[str, AnyIndicator], *, left_out: Iterable[str] = ()) -> tuple[Rule | None, list[Problem]]:
    """One file's rule, or all that is wrong with it; neither when its indicator is one of `left_out`."""
    spec, problems = _read(path)
    if spec is None or spec.indicator in left_out:
        return None, problems
    where = str(path)
    indicator = indicators.get(spec.indicator)
    if indicator is None:
        near = difflib.get_close_matches(spec.indicator, indicators, n=3, cutoff=0.5)
        return None, [Problem(f"{where}: indicator", f"there is no indicator {spec.indicator!r}; near: {', '.join(near) or 'none'}")]
    if indicator.kind in {"register", "reconcile"}:
        what = f"{spec.indicator} compares single subjects (kind {indicator.kind}); nobody is told of those"
        return None, [Problem(f"{where}: indicator", what)]
    subject = _subject(indicator)
    problems = [Problem(f"{where}: {key}", what) for key, what in _wrong(spec, subject, indicator.kind)]
    return (None, problems) if problems else (_compiled(spec, subject), [])


def _read(path: Path) -> tuple[AlertSpec | None, list[Problem]]:
    where = str(path)
    raw, unread = read_toml(path)
    if raw is None:
        return None, unread
    try:
        spec = AlertSpec.model_validate(raw)
    except ValidationError as error:
        return None, list(_problems(where, error))
    if spec.id != path.stem:
        return None, [Problem(f"{where}: id", f"{spec.id!r} must equal the file's name {path.stem!r}")]
    return spec, []


def _subject(indicator: AnyIndicator) -> Subject:
    spec = indicator.spec
    return Subject(
        id=indicator.id, title={"id": spec.title.id, "en": spec.title.en}, unit=spec.unit, decimals=spec.decimals, window=spec.window,
        dims=tuple(indicator.definition["dims"]), publish_class=spec.publish.class_, min_cell=spec.publish.threshold,
        release=spec.publish.release,
    )  # fmt: skip


def _compiled(spec: AlertSpec, subject: Subject) -> Rule:
    of, downward, limits, clear = _measured(spec)
    silent = spec.when.silent_for if isinstance(spec.when, Missing) else None
    return Rule(
        spec=spec, subject=subject, of=of, limits=limits, downward=downward,
        margin=abs(limits[0] - clear) if clear is not None else Decimal(0),
        per=tuple(spec.per if spec.per is not None else subject.dims),
        where={name: frozenset([values] if isinstance(values, str) else values) for name, values in spec.where.items()},
        level_parts=level_parts(spec.level) if spec.level else 0,
        after_us=None if spec.after is None else span_seconds(spec.after) * _US,
        fresh_us=span_seconds(spec.fresh) * _US,
        silent_us=0 if silent is None else span_seconds(silent) * _US,
    )  # fmt: skip


def _measured(spec: AlertSpec) -> tuple[Kind, bool, tuple[Decimal, ...], Decimal | None]:
    """What is measured, whether less is worse, the limits from the mildest on, and where it is over."""
    match spec.when:
        case Threshold() as when:
            first = when.below if when.above is None else when.above
            assert first is not None
            return "threshold", when.above is None, (first, *when.steps), when.clear
        case Change() as when:
            first = when.fall if when.rise is None else when.rise
            assert first is not None
            sign = -1 if when.rise is None else 1
            limits = tuple(sign * each for each in (first, *when.steps))
            return "percent" if when.percent else "change", sign < 0, limits, None if when.clear is None else sign * when.clear
        case Sla() as when:
            return "threshold", when.warn > when.limit, (when.warn, when.limit), when.clear
        case Missing(reporters=int(few)):
            return "reporters", False, (Decimal(few - 1),), None
        case _:
            return "silent", False, (Decimal(0),), None


def _wrong(spec: AlertSpec, subject: Subject, kind: str) -> Iterator[tuple[str, str]]:
    """What does not go together: key, and what is wrong."""
    dims = list(subject.dims)
    for key, names in (("where", list(spec.where)), ("per", spec.per or [])):
        for name in names:
            if name not in dims:
                near = difflib.get_close_matches(name, dims, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                yield f"{key}.{name}", f"{subject.id} has no dimension {name!r}{hint} (it has: {', '.join(dims) or 'none'})"
    if spec.serta_merta and subject.publish_class == EXCLUDED:
        yield "serta_merta", f"{subject.id} is excluded from publication (publish.class = {EXCLUDED!r}), so nobody may announce it"
    yield from _wrong_region(spec, dims)
    yield from _wrong_times(spec, subject)
    yield from _wrong_numbers(spec, kind)
    told = {*FIELDS, *dims}
    for section in ("text", "recovered"):
        texts = getattr(spec, section)
        for language in _LANGUAGES if texts is not None else ():
            for what in wrong_fields(getattr(texts, language), told):
                yield f"{section}.{language}", what


def _wrong_region(spec: AlertSpec, dims: Sequence[str]) -> Iterator[tuple[str, str]]:
    levels = [name for names in LEVELS.values() for name in names]
    if spec.level and spec.level not in levels:
        near = difflib.get_close_matches(spec.level, levels, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        yield "level", f"{spec.level!r} is no level of regions{hint} (allowed: {', '.join(levels)})"
    elif spec.level and "region" not in dims:
        yield "level", f"{spec.indicator} has no dimension 'region' (it has: {', '.join(dims) or 'none'})"
    elif "region" in dims and not spec.level and "region" not in spec.where:
        yield (
            "level",
            f"is required: the rows of {spec.indicator} are rolled up, and one fact would be told at every level; e.g. 'kecamatan'",
        )


def _wrong_times(spec: AlertSpec, subject: Subject) -> Iterator[tuple[str, str]]:
    now, when = subject.window == NOW, spec.when
    if now and spec.after is not None:
        yield "after", f"{subject.id} is about the current state, which has no end to wait for"
    if isinstance(when, Change) and now:
        yield "when.kind", f"{subject.id} is about the current state, which has no window before it; allowed: threshold, missing, sla"
    if isinstance(when, Missing) and when.reporters is not None and not now and spec.after is None:
        yield "after", "is required: say how long after a window's end its reporters may take, e.g. '3d'"
    if spec.after is not None and span_seconds(spec.after) >= span_seconds(spec.fresh):
        yield "after", f"{spec.after!r} is not before fresh = {spec.fresh!r}, after which nobody is told any more"


def _wrong_numbers(spec: AlertSpec, kind: str) -> Iterator[tuple[str, str]]:
    if isinstance(spec.when, Sla):
        directions = {"age": False, "within": True}
        if kind not in directions:
            yield "when.kind", f"{spec.indicator} is of kind {kind}; a standard is kept by one of kind age or within (else: threshold)"
            return
        if directions[kind] != (spec.when.warn > spec.when.limit):
            worse = "less is worse, so warn is above limit" if directions[kind] else "more is worse, so warn is below limit"
            yield "when.warn", f"of kind {kind} {worse}; received warn {spec.when.warn}, limit {spec.when.limit}"
            return
    _, downward, limits, clear = _measured(spec)
    ordered = sorted(set(limits), reverse=downward)
    if list(limits) != ordered:
        yield "when.steps", f"each goes further than the one before it; received {', '.join(str(each) for each in limits)}"
    if clear is not None and (clear < limits[0] if downward else clear > limits[0]):
        yield "when.clear", f"is {'below' if downward else 'above'} where it begins ({abs(limits[0])}): it would be over before it began"


def wrong_fields(text: str, allowed: set[str]) -> Iterator[str]:
    """What a template asks for that nobody can give it."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        yield f"is no template: {error}; a brace is written twice"
        return
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if form or conversion:
            yield f"{{{name}}} is written without form or conversion; numbers are written as the language does"
        elif name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            hint = f"; did you mean {{{near[0]}}}?" if near else ""
            yield f"there is no {{{name}}}{hint} (allowed: {', '.join(sorted(allowed))})"


def _problems(where: str, error: ValidationError) -> Iterator[Problem]:
    for each in error.errors():
        place = [str(part) for part in each["loc"] if part not in ("list[str]", "dict[str,str]")]
        key = ".".join(part for index, part in enumerate(place) if not (index == 1 and place[0] == "when"))
        if each["type"] == "extra_forbidden":
            allowed = list(_SECTIONS.get(place[-2] if len(place) > 1 else "", AlertSpec).model_fields)
            near = difflib.get_close_matches(place[-1], allowed, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            yield Problem(f"{where}: {key}", f"unknown key{hint} (allowed: {', '.join(sorted(allowed))})")
        elif each["type"] == "missing":
            yield Problem(f"{where}: {key}", "is required")
        else:
            received = f"; received {each['input']!r}" if isinstance(each["input"], str | int | float) else ""
            yield Problem(f"{where}: {key or 'when'}", each["msg"].removeprefix("Value error, ") + received)

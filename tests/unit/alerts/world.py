"""Rules over indicators of the repository without compiling all of them, and histories of their rows."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from bus.alerts.loader import load_alert
from bus.alerts.rule import Rule
from bus.clock import LOCAL_ZONE
from bus.indicators.compose import AnyIndicator
from bus.indicators.loader import read_spec
from bus.indicators.outputs import Output
from bus.indicators.windows import NOW, NOW_END, to_micros, window_end, window_start
from bus.settings import ROOT
from consumers.alerts.unit import Unit
from consumers.alerts.watch import Transition

INDICATORS = ROOT / "schemas" / "indicators"
RULES = ROOT / "schemas" / "alerts"
SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
#: A moment in 2026: noon of 12 January in civil time.
NOON = to_micros(datetime(2026, 1, 12, 12, tzinfo=LOCAL_ZONE))


def indicator(id_: str) -> AnyIndicator:
    """As far as rules look at it."""
    spec, problems = read_spec(INDICATORS / f"{id_}.toml")
    assert spec is not None, problems
    dims = [*spec.dimensions, *(["region"] if spec.region else [])]
    kind = spec.measure.kind if spec.measure else spec.composite.kind if spec.composite else ""
    return cast("AnyIndicator", SimpleNamespace(id=spec.id, kind=kind, spec=spec, definition={"dims": dims}))


def indicators(*ids: str) -> dict[str, AnyIndicator]:
    return {id_: indicator(id_) for id_ in ids}


def shipped(id_: str) -> Rule:
    """A rule of the repository."""
    path = RULES / f"{id_}.toml"
    rule, problems = load_alert(path, indicators(tomllib.loads(path.read_text())["indicator"]))
    assert rule is not None, problems
    return rule


def rule(folder: Path, when: str, *more: str, of: str = "bpbd.merapi_level_now", text: str = "{value}") -> Rule:
    """A rule with that condition."""
    path = folder / "test.rule.toml"
    lines = [
        'id = "test.rule"',
        'title = { id = "Uji", en = "Test" }',
        f'indicator = "{of}"',
        'severity = "warning"',
        f'text = {{ id = "{text}", en = "{text}" }}',
        f"when = {when}",
        *more,
    ]
    path.write_text("\n".join(lines))
    found, problems = load_alert(path, indicators(of))
    assert found is not None, problems
    return found


def row(
    about: Rule,
    value: str | None,
    *dims: str,
    at: int = NOON,
    revision: int = 1,
    version: int = 1,
    n: int = 5,
    heard: int = 0,
    expected: int = 0,
) -> Output:
    """A row of the rule's indicator, in the window that holds the moment `at`."""
    window = about.subject.window
    start = window_start(at, window)
    return Output(
        indicator=about.subject.id, version=version, fingerprint="5f" * 32, window_start_us=start,
        window_end_us=NOW_END if window == NOW else window_end(start, window), dimensions=dict(zip(about.subject.dims, dims, strict=True)),
        value=value, numerator=value or "0", denominator="1", n=n if value is not None else 0, revision=revision, status="provisional",
        evidence=(("events.x", 0, revision),), watermarks={}, heard=heard, expected=expected,
    )  # fmt: skip


def told(unit: Unit, *records: tuple[int, Output]) -> list[tuple[str, str | None]]:
    """What comes of records appended at those moments: kind and value of each transition."""
    first = unit.position
    read = [(first + number, at, output) for number, (at, output) in enumerate(records)]
    return said(unit.apply(read, upto=first + len(read)))


def said(transitions: Sequence[Transition]) -> list[tuple[str, str | None]]:
    return [(each.kind, each.episode.facts.value) for each in transitions]


def plain(transition: Transition) -> Mapping[str, Any]:
    """Everything of a transition that may not depend on batches, restarts or ticks."""
    episode = transition.episode
    return {
        "id": episode.id, "kind": transition.kind, "told": episode.told, "at": transition.at_us, "reason": transition.reason,
        "phase": episode.phase, "facts": episode.facts,
    }  # fmt: skip

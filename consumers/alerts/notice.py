"""What a channel gets of a transition: one JSON object with everything in it, made when it is written down and the same at every attempt."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bus.alerts.rule import Rule
from bus.indicators.windows import NOW_END, to_datetime
from consumers.alerts.watch import Transition
from consumers.alerts.words import LANGUAGES, NameOf, words

SCHEMA = "simpul.alert.v1"
_NAMES = uuid.UUID("5a0f6a4e-3f0b-5b0e-8a55-6f5b3a0d2c44")


@dataclass(frozen=True, slots=True)
class Channel:
    """Somebody who is told, as far as it matters for what is said. `internal`: may be told of what the public may not see."""

    name: str
    internal: bool = False


def restricted(rule: Rule, transition: Transition) -> bool:
    """Whether only internal channels may see the number: excluded, not released yet, or of so few that it is suppressed."""
    facts = transition.episode.facts
    return rule.internal or 0 < facts.n < rule.subject.min_cell


def notice(rule: Rule, transition: Transition, name_of: NameOf, *, hidden: bool = False) -> dict[str, Any]:
    """The transition in words and numbers. `hidden`: without the numbers."""
    episode, facts = transition.episode, transition.episode.facts
    said = {language: words(rule, transition, language, name_of, hidden=hidden) for language in LANGUAGES}
    region = facts.dims.get("region")
    now = facts.end_us == NOW_END
    return {
        "schema": SCHEMA,
        "episode": episode.id,
        "transition": transition.kind,
        "number": episode.told,
        "rule": rule.id,
        "severity": rule.spec.severity,
        "serta_merta": rule.urgent,
        "title": {language: getattr(rule.spec.title, language) for language in LANGUAGES},
        "subject": {language: each.subject for language, each in said.items()},
        "text": {language: each.text for language, each in said.items()},
        "indicator": rule.subject.id,
        "unit": rule.subject.unit,
        "value": None if hidden else facts.value,
        "limit": None if hidden else facts.limit,
        "step": episode.phase,
        "dimensions": dict(facts.dims),
        "region": None if region is None else {"code": region, "name": name_of(region)},
        "window_start": None if now else _iso(facts.start_us),
        "window_end": None if now else _iso(facts.end_us),
        "begun_at": _iso(episode.begun_us),
        "at": _iso(transition.at_us),
        "reason": transition.reason or None,
    }


def delivery_id(episode: str, number: int, channel: str) -> str:
    """The same for every attempt to tell a channel of a transition: Message-ID and Idempotency-Key are made of it."""
    return str(uuid.uuid5(_NAMES, json.dumps([episode, number, channel])))


def dump(item: Mapping[str, Any]) -> str:
    """JSON as it is kept and sent."""
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))


def _iso(at_us: int) -> str:
    return to_datetime(at_us).isoformat()

"""An alert rule as the role that watches needs it: exact numbers, one direction, times in microseconds. Made by `bus.alerts.loader` only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from bus.alerts.spec import AlertSpec
from bus.indicators.windows import NOW

Kind = Literal["threshold", "change", "percent", "silent", "reporters"]

#: What texts may say besides values of dimensions; `span` is the time of silence after which somebody is told.
FIELDS = ("value", "unit", "region", "window", "limit", "previous", "heard", "expected", "span", "title")

SERTA_MERTA, EXCLUDED = "serta_merta", "dikecualikan"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a rule has to know of its indicator. `level_parts`: components of the region codes that are watched, 0 for all."""

    id: str
    title: Mapping[str, str]
    unit: str
    decimals: int
    window: str
    dims: tuple[str, ...]
    publish_class: str
    min_cell: int
    release: str


@dataclass(frozen=True, slots=True)
class Rule:
    """When to tell. A measure beyond `limits[0]` begins an episode, each further limit is a step of it.

    Beyond is above, or below when `downward`. It is back from a limit only past the limit and `margin`. `of`: what is measured: the value
    ("threshold"), its change or the change in percent against the window before, how many reporters are missing, or nothing: "silent" is
    about time alone. Times are microseconds; `after_us` None: windows are judged while they fill.
    """

    spec: AlertSpec
    subject: Subject
    of: Kind
    limits: tuple[Decimal, ...]
    downward: bool
    margin: Decimal
    per: tuple[str, ...]
    where: Mapping[str, frozenset[str]]
    level_parts: int
    after_us: int | None
    fresh_us: int
    silent_us: int

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def topic(self) -> str:
        return f"indicators.{self.subject.id}"

    @property
    def urgent(self) -> bool:
        """Whether it is to be told at once (UU 14/2008 art. 10): it is about what endangers lives or public order."""
        return self.spec.serta_merta or self.subject.publish_class == SERTA_MERTA

    @property
    def internal(self) -> bool:
        """Whether only internal channels may be told: the indicator is excluded, or is not public before its release."""
        return self.subject.publish_class == EXCLUDED or (bool(self.subject.release) and not self.urgent)

    @property
    def windowed(self) -> bool:
        return self.subject.window != NOW

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides when an episode begins or ends; words and recipients are not in it."""
        parts = [
            self.of, [str(each) for each in self.limits], self.downward, str(self.margin), self.per,
            sorted((name, sorted(values)) for name, values in self.where.items()), self.level_parts, self.after_us, self.fresh_us,
            self.silent_us, self.subject.id, self.subject.window, self.subject.dims,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

"""Region codes by their table (Kemendagri: PP.KK.CC.DDDD, with RW and RT of three digits each below).

Choices:

- R1  A code is in force from the day `berlaku_dari` on and until the day before `berlaku_sampai`; one that is not yet: `unknown_region`.
- R2  A code that ended means its one successor, which may have ended too; with none or several: `retired_region`.
- R3  The number of an RW belongs to its desa. It survives a new code of the desa (one that began on that day and took over no other
      desa), but not the desa's joining another: `retired_region`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path

from tests.model.times import micros


class Fault(Exception):
    """A row that an indicator cannot use; the argument names the rule."""


@dataclass(frozen=True)
class Period:
    """A code in force from `since` (inclusive) until `until` (exclusive), and what took its place."""

    since: int
    until: int
    successors: Sequence[str]


class Regions:
    """Which code stands for which place, when."""

    def __init__(self, periods: Mapping[str, Sequence[Period]]) -> None:
        self._periods = periods

    @classmethod
    def from_csv(cls, path: Path) -> Regions:
        """The table of columns kode, berlaku_dari, berlaku_sampai, pengganti; others are not needed."""
        periods: dict[str, list[Period]] = {}
        with path.open(encoding="utf-8", newline="") as lines:
            for line in csv.DictReader(lines):
                since, until = (_midnight(line[name], end) for name, end in (("berlaku_dari", -(2**63)), ("berlaku_sampai", 2**63)))
                periods.setdefault(line["kode"], []).append(Period(since, until, line["pengganti"].split()))
        return cls(periods)

    def resolve(self, code: str | None, at: int) -> str:
        """The code that is in force at that time for what the code given meant. Raises `Fault`."""
        if code is None or not re.fullmatch(r"\d\d\.\d\d(\.\d\d(\.\d{4}(\.\d{3}(\.\d{3})?)?)?)?", code):
            raise Fault("unknown_region")
        parts = code.split(".")
        return ".".join([self._current(".".join(parts[:4]), at, below=len(parts) > 4), *parts[4:]])

    def _current(self, code: str, at: int, *, below: bool) -> str:
        periods = self._periods.get(code, [])
        if any(period.since <= at < period.until for period in periods):
            return code
        ended = [period for period in periods if period.until <= at]
        if not ended:
            raise Fault("unknown_region")
        last = max(ended, key=lambda period: period.until)
        if len(last.successors) != 1 or (below and not self._renamed(last)):
            raise Fault("retired_region")
        return self._current(last.successors[0], at, below=below)

    def _renamed(self, ended: Period) -> bool:
        """Whether a desa's one successor is the same desa under a new code."""
        (code,) = ended.successors
        heirs = [each for periods in self._periods.values() for each in periods if each.until == ended.until and code in each.successors]
        return len(heirs) == 1 and min(each.since for each in self._periods[code]) == ended.until


def _midnight(text: str, otherwise: int) -> int:
    return micros(datetime.combine(date.fromisoformat(text), datetime.min.time())) if text else otherwise


@cache
def ancestors(code: str) -> Sequence[str]:
    """The code and all above it, up to the kabupaten."""
    parts = code.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 1, -1)]

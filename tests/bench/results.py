"""What the parts of the benchmark have in common: one list of results in one file, each part replacing its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from bus.settings import ROOT

#: Where `make bench` leaves its results.
OUT = ROOT / "build" / "bench.json"


class Result(TypedDict):
    """`peer` is what `ours` is compared with and `ratio` how many times of it `ours` is; both null where there is nothing to compare with."""

    name: str
    ours: float
    peer: float | None
    ratio: float | None
    unit: str


def record(out: Path, results: Sequence[Result]) -> None:
    """Write the results, in place of those of the same names; the other parts' stay."""
    held: list[Result] = json.loads(out.read_text(encoding="utf-8")) if out.exists() else []
    names = {result["name"] for result in results}
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = [result for result in held if result["name"] not in names]
    out.write_text(json.dumps([*kept, *results], indent=2) + "\n", encoding="utf-8")

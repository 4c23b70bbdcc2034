"""What the public gets of a cell: the row, or that there is one and nothing else about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bus.indicators.outputs import FINAL, PROVISIONAL, Evidence, Output
from bus.indicators.partial import canonical


@dataclass(frozen=True, slots=True)
class Released:
    """A row of `public.<id>`; see schemas/bus/public_value.v1.avsc. Of a suppressed one all numbers are None."""

    indicator: str
    version: int
    window_start_us: int
    window_end_us: int
    dimensions: Mapping[str, str | None]
    released_us: int
    suppressed: bool = False
    value: str | None = None
    numerator: str | None = None
    denominator: str | None = None
    n: int | None = None
    revision: int | None = None
    status: str = PROVISIONAL
    label: str | None = None
    error: str | None = None
    heard: int = 0
    expected: int = 0
    evidence: Evidence = ()
    closing: bool = False

    def key(self) -> bytes:
        """Key of its record: that of the cell in `indicators.<id>`."""
        return canonical([self.window_start_us, list(self.dimensions.values())]).encode()

    def says_what(self, other: Released | None) -> bool:
        """Whether the other one tells the same, whenever it was released."""
        return other is not None and replace(other, released_us=self.released_us) == self


def shown(output: Output, released_us: int) -> Released:
    """The row as it is."""
    return Released(
        indicator=output.indicator, version=output.version, window_start_us=output.window_start_us, window_end_us=output.window_end_us,
        dimensions=output.dimensions, released_us=released_us, value=output.value, numerator=output.numerator,
        denominator=output.denominator, n=output.n, revision=output.revision, status=output.status, label=output.label,
        error=output.error, heard=output.heard, expected=output.expected, evidence=output.evidence, closing=output.closing,
    )  # fmt: skip


def suppressed(output: Output, released_us: int, *, final: bool) -> Released:
    """That the cell is there. Its status is that of its window: whether enough is in it for a final number would tell of it."""
    return Released(
        indicator=output.indicator, version=output.version, window_start_us=output.window_start_us, window_end_us=output.window_end_us,
        dimensions=output.dimensions, released_us=released_us, suppressed=True, status=FINAL if final else PROVISIONAL,
        closing=output.closing,
    )  # fmt: skip

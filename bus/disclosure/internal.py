"""What those inside see who have no right to single cases: every row, but cells of fewer than 5 persons without their numbers."""

from __future__ import annotations

from bus.disclosure.released import Released, shown, suppressed
from bus.disclosure.tables import table_of
from bus.indicators.compose import AnyIndicator
from bus.indicators.indicator import Indicator
from bus.indicators.outputs import FINAL, Output


def internal_view(indicator: AnyIndicator, output: Output) -> Released:
    """The row as the role `internal` gets it, at once and whatever its class; `released_us` is the newest time that it knows of.

    Suppressed are cells of 1 to k-1 persons (k is 5, or the indicator's `min_cell` where that is lower), and shares of which so few have
    the property, or have not. Nothing more: who may see all regions day by day can subtract. That is why this is no view for the public.
    A composite counts the events of its parts.
    """
    k = indicator.spec.publish.internal_threshold
    at = max(output.watermarks.values(), default=0)
    counts: tuple[int, ...] = (output.n,)
    if isinstance(indicator, Indicator) and indicator.kind != "register":
        table = table_of(indicator)
        counts = (table.persons(output), *table.shares(output))
    if any(0 < count < k for count in counts):
        return suppressed(output, at, final=output.status == FINAL)
    return shown(output, at)

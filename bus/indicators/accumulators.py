"""What a cell remembers of the values that entered it: exact, mergeable, and for correctable events invertible.

A measure is known by its *form*, a mapping that is fit for JSON and travels in the definition of each partial:

    kind           | form beside it                          | summary
    count          |                                         | [n]
    sum, mean      | scale                                   | [n, sum]
    ratio          | scale, denominator_scale                | [n, numerator, denominator]
    weighted_mean  | scale, denominator_scale                | [n, sum of value * weight, sum of weights]
    index          | scale, weight, factor, places, grades   | [n, sum of all elements]
    within         |                                         | [n, how many were within their limit]
    age            |                                         | [n, sum of opening times, UTC microseconds]
    age with p     | p, resolution (seconds)                 | [n, [[span of opening times, count] …]]
    quantile       | scale, p, error                         | [n, [[bucket, count] …]]
    min, max       | scale                                   | [n, extreme or None]
    distinct       | exact                                   | [n, smallest hashes, one after the other]
    register       | fields (their number)                   | [n, what the newest state says]

What leaves the fold is always the *summary*: a partial is cumulative, so merge never has to take anything back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from bus.indicators.kinds import distinct, extremes, quantiles, registers, sums
from bus.indicators.kinds.interface import Accumulator, Family, Form, Result, Summary, Values

__all__ = [
    "ACCUMULATOR_VERSION",
    "Accumulator",
    "Form",
    "Result",
    "Summary",
    "Values",
    "accumulator",
    "closable",
    "merge_summaries",
    "merging",
    "results",
]

#: Part of every fingerprint: a change of these rules makes every state be folded anew.
ACCUMULATOR_VERSION = 1

_FAMILIES: Mapping[str, Family] = {
    **dict.fromkeys(sums.SUMS, sums.FAMILY),
    "min": extremes.FAMILY,
    "max": extremes.FAMILY,
    "distinct": distinct.FAMILY,
    "quantile": quantiles.FAMILY,
    "register": registers.FAMILY,
}


def accumulator(form: Form, *, correctable: bool) -> Accumulator:
    """The accumulator of a measure over events that can, or cannot, be corrected."""
    return _family(form).accumulator(form, correctable=correctable)


def merge_summaries(form: Form, summaries: Sequence[Summary]) -> Summary:
    """One summary of what several partitions, or several leaves of a tree, hold. Independent of their order; of none, the empty one."""
    return _family(form).merge(form, summaries)


def merging(form: Form) -> Callable[[Sequence[Summary]], Summary]:
    """`merge_summaries` for that form, for those who need it often."""
    return partial(_family(form).merge, form)


def results(form: Form, summary: Summary, decimals: int, as_of_us: int | None = None) -> Result:
    """What readers see of a summary. `as_of_us` (UTC microseconds): the moment that ages are counted to."""
    return _family(form).result(form, summary, decimals, as_of_us)


def closable(form: Form) -> bool:
    """Whether a stock's closings can be made of the measure: whether summaries of differences add up to the summary of a state."""
    return _family(form).closable


def _family(form: Form) -> Family:
    kind = form["kind"]
    return quantiles.FAMILY if kind == "age" and "p" in form else _FAMILIES[kind]

"""What a cell remembers of the values that entered it: exact, mergeable, and for correctable events invertible.

An accumulator is a list whose first entry is `n`, the number of events that entered. All others are exact integers:

    count [n]   sum, mean [n, sum]   ratio [n, numerator, denominator]   min, max [n, extreme or None]

For correctable events `min` and `max` keep a counted multiset ([n, {value: count}]), because an extreme cannot be taken back.
What leaves the fold is always the *summary* (the forms above): a partial is cumulative, so merge never has to take anything back.
"""

from __future__ import annotations

from collections.abc import Sequence

#: Part of every fingerprint: a change of these rules makes every state be folded anew.
ACCUMULATOR_VERSION = 1

KINDS = ("count", "sum", "mean", "min", "max", "ratio")

#: A contribution's values: () for count, (value,) for most, (numerator, denominator) for ratio.
Values = tuple[int, ...]
Summary = list[int | None]

_WIDTH = {"count": 0, "sum": 1, "mean": 1, "min": 1, "max": 1, "ratio": 2}


class Additive:
    """count, sum, mean and ratio: adding is inverted by subtracting."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.width = _WIDTH[kind]

    def empty(self) -> list[int]:
        return [0] * (self.width + 1)

    def add(self, acc: list[int], values: Values) -> None:
        acc[0] += 1
        for position, value in enumerate(values, 1):
            acc[position] += value

    def remove(self, acc: list[int], values: Values) -> None:
        acc[0] -= 1
        for position, value in enumerate(values, 1):
            acc[position] -= value

    def absorb(self, acc: list[int], group: Sequence[int]) -> None:
        """Add a whole group of events: (n, totals …)."""
        acc[0] += group[0]
        for position in range(1, len(group)):
            acc[position] += group[position]

    def summary(self, acc: list[int]) -> Summary:
        return list(acc)

    def dump(self, acc: list[int]) -> object:
        return acc

    def load(self, raw: Sequence[int]) -> list[int]:
        return list(raw)


class Extreme:
    """min and max of immutable events: only ever added to."""

    width = 1

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._pick = min if kind == "min" else max

    def empty(self) -> list[int | None]:
        return [0, None]

    def add(self, acc: list[int | None], values: Values) -> None:
        self.absorb(acc, (1, values[0]))

    def remove(self, acc: list[int | None], values: Values) -> None:
        raise TypeError(f"{self.kind} of an event that cannot be corrected has nothing to take back")

    def absorb(self, acc: list[int | None], group: Sequence[int]) -> None:
        if not group[0]:
            return
        held = acc[1]
        acc[0] = (acc[0] or 0) + group[0]
        acc[1] = group[1] if held is None else self._pick(held, group[1])

    def summary(self, acc: list[int | None]) -> Summary:
        return list(acc)

    def dump(self, acc: list[int | None]) -> object:
        return acc

    def load(self, raw: Sequence[int | None]) -> list[int | None]:
        return list(raw)


class Multiset:
    """min and max of correctable events: how often each value is there, so that each can be taken back."""

    width = 1

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._pick = min if kind == "min" else max

    def empty(self) -> list[dict[int, int]]:
        return [{}]

    def add(self, acc: list[dict[int, int]], values: Values) -> None:
        counts = acc[0]
        counts[values[0]] = counts.get(values[0], 0) + 1

    def remove(self, acc: list[dict[int, int]], values: Values) -> None:
        counts = acc[0]
        left = counts[values[0]] - 1
        if left:
            counts[values[0]] = left
        else:
            del counts[values[0]]

    def absorb(self, acc: list[dict[int, int]], group: Sequence[int]) -> None:
        raise TypeError(f"{self.kind} of correctable events takes them one by one")

    def summary(self, acc: list[dict[int, int]]) -> Summary:
        counts = acc[0]
        return [sum(counts.values()), self._pick(counts) if counts else None]

    def dump(self, acc: list[dict[int, int]]) -> object:
        return [sorted(acc[0].items())]

    def load(self, raw: Sequence[Sequence[tuple[int, int]]]) -> list[dict[int, int]]:
        return [dict(raw[0])]


Accumulator = Additive | Extreme | Multiset


def accumulator(kind: str, *, correctable: bool) -> Accumulator:
    """The accumulator of a measure over events that can, or cannot, be corrected."""
    if kind not in ("min", "max"):
        return Additive(kind)
    return Multiset(kind) if correctable else Extreme(kind)


def merge_summaries(kind: str, summaries: Sequence[Summary]) -> Summary:
    """One summary of what several partitions hold of a cell. Independent of their order."""
    merged: Summary = [sum(each[0] or 0 for each in summaries)]
    if kind in ("min", "max"):
        extremes = [each[1] for each in summaries if each[1] is not None]
        merged.append((min if kind == "min" else max)(extremes) if extremes else None)
        return merged
    merged.extend(sum(each[position] or 0 for each in summaries) for position in range(1, _WIDTH[kind] + 1))
    return merged


def results(kind: str, summary: Summary, scale: int, denominator_scale: int, decimals: int) -> tuple[str | None, str, str]:
    """(value, numerator, denominator) as decimal texts without exponent; value is None when nothing entered or the denominator is 0.

    A mean's or ratio's value is numerator/denominator, rounded half-even to `max(10, decimals)` places.
    """
    n = summary[0] or 0
    if kind == "count":
        return (str(n) if n else None), str(n), "1"
    if kind in ("mean", "ratio"):
        top, bottom = summary[1] or 0, (n if kind == "mean" else summary[2] or 0)
        bottom_scale = 0 if kind == "mean" else denominator_scale
        value = quotient(top * 10**bottom_scale, bottom * 10**scale, max(10, decimals)) if n and bottom else None
        return value, decimal_text(top, scale), decimal_text(bottom, bottom_scale)
    if not n or summary[1] is None:
        return None, decimal_text(0, scale), "1"
    text = decimal_text(summary[1], scale)
    return text, text, "1"


def decimal_text(scaled: int, scale: int) -> str:
    """A scaled integer as a decimal with exactly `scale` places."""
    if not scale:
        return str(scaled)
    whole, part = divmod(abs(scaled), 10**scale)
    return f"{'-' if scaled < 0 else ''}{whole}.{part:0{scale}d}"


def quotient(numerator: int, denominator: int, places: int) -> str:
    """numerator/denominator, rounded half-even to `places` decimal places. The denominator is not 0."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    whole, rest = divmod(abs(numerator) * 10**places, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and whole % 2):
        whole += 1
    return decimal_text(whole if numerator >= 0 else -whole, places)

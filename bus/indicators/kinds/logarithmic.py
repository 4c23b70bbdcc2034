"""Buckets of integers whose widths grow with their values, so that one number stands for all of a bucket within a relative error.

The boundaries are made by integer arithmetic alone: no logarithm of any machine's library decides where a value belongs. Bucket 0 holds
zero, bucket i > 0 the integers from one boundary to the next, bucket -i their negatives; so buckets are ordered as values are.

From the smallest integer l of a bucket, with the error a/b: R = floor(l * (b + a) / b) is the largest integer that is not too far above l,
and floor(R * b / (b - a)) the largest that R is not too far below; R stands for the whole bucket. (The rule of DDSketch, Masson, Rim and
Lee, VLDB 2019, over integers.) A bucket of a single integer is exact: those of all small values are.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from bus.indicators.measure import LIMIT


@dataclass(frozen=True, slots=True)
class Buckets:
    """The positive buckets: the largest integer of each, and the one that stands for it."""

    largest: tuple[int, ...]
    standing: tuple[int, ...]

    def place(self, value: int) -> int:
        """The bucket of a value below `LIMIT` in size."""
        if value > 0:
            return bisect_left(self.largest, value) + 1
        return -bisect_left(self.largest, -value) - 1 if value else 0

    def value(self, bucket: int) -> int:
        """The integer that stands for the bucket."""
        if not bucket:
            return 0
        return self.standing[bucket - 1] if bucket > 0 else -self.standing[-bucket - 1]

    def exact(self, bucket: int) -> bool:
        """Whether the bucket holds a single integer."""
        size = abs(bucket)
        return size < 2 or self.largest[size - 1] - self.largest[size - 2] == 1


@lru_cache(maxsize=64)
def buckets(error: str) -> Buckets:
    """The buckets of a relative error, a decimal text between 0 and 1."""
    allowed = Fraction(error)
    below, above, whole = allowed.denominator - allowed.numerator, allowed.denominator + allowed.numerator, allowed.denominator
    largest: list[int] = []
    standing: list[int] = []
    least = 1
    while least < LIMIT:
        middle = least * above // whole
        end = middle * whole // below
        largest.append(end)
        standing.append(middle)
        least = end + 1
    return Buckets(tuple(largest), tuple(standing))

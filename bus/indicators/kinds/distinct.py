"""distinct: how many different values there are. See ADR 0017.

A value is known by the 128-bit BLAKE2b hash of its text. A cell keeps the `exact` + 1 smallest of the hashes that entered it: nothing is
missing as long as there are at most `exact`, so their number is exact. Of more, the largest kept hash t says how densely they lie, and
exact / (t / 2^128) estimates their number without bias, with a relative standard error of at most 1 / sqrt(exact - 1). (This is the
Theta sketch, with its threshold kept as the last entry: Beyer and others, SIGMOD 2007; Dasgupta and others, ICDT 2016.)

The smallest of a union are the smallest of the smallest of its parts. So the same set of values gives the same summary, byte for byte,
whatever the batches, their order, the partitions and the order in which they are put together.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from fractions import Fraction
from hashlib import blake2b
from math import isqrt
from typing import Any

import polars as pl

from bus.indicators.decimals import decimal_text
from bus.indicators.kinds.interface import Family, Form, Result, Summary, Values

#: Base64 with its digits in the order of ASCII, so that texts are ordered as the numbers that they stand for.
_ORDERED = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_ORDERED, _TO_BASE64 = bytes.maketrans(_BASE64, _ORDERED), bytes.maketrans(_ORDERED, _BASE64)

#: Length of a hash as text.
WIDTH = 22


def identity(text: str) -> str:
    """The hash by which a value is known, as text."""
    return b64encode(blake2b(text.encode(), digest_size=16).digest())[:WIDTH].translate(_TO_ORDERED).decode()


def identities(texts: pl.Series) -> pl.Series:
    """`identity` of a column of texts; null stays null."""
    different = texts.unique().drop_nulls().to_list()
    return texts.replace_strict(different, [identity(text) for text in different], default=None, return_dtype=pl.String)


class SmallestHashes:
    """Of immutable events: [n, the smallest hashes in order]."""

    width = 1

    def __init__(self, form: Form) -> None:
        self._size = form["exact"] + 1

    def empty(self) -> list[Any]:
        return [0, []]

    def begin(self, group: list[Any]) -> list[Any]:
        acc = self.empty()
        self.absorb(acc, group)
        return acc

    def add(self, acc: list[Any], values: Values) -> None:
        self.absorb(acc, (1, values))

    def remove(self, acc: list[Any], values: Values) -> None:
        raise TypeError("distinct over events that cannot be corrected has nothing to take back")

    def absorb(self, acc: list[Any], group: Sequence[Any]) -> None:
        acc[0] += group[0]
        kept = acc[1]
        new = group[1] if len(kept) < self._size else [each for each in group[1] if each < kept[-1]]
        if new:
            acc[1] = _smallest([*kept, *new], self._size)

    def summary(self, acc: list[Any]) -> Summary:
        return [acc[0], "".join(acc[1])]

    def dump(self, acc: list[Any]) -> object:
        return self.summary(acc)

    def load(self, raw: Any) -> list[Any]:
        return [raw[0], _hashes(raw[1])]

    def totals(self, values: Sequence[str]) -> list[pl.Expr]:
        value = pl.col(values[0])
        return [value.count().alias("__n"), value.drop_nulls().unique()]


class CountedHashes:
    """Of correctable events: [n, {hash: how often}, the smallest hashes in order, or None when they have to be found anew].

    All hashes that are there are kept, for any of them can be taken back.
    """

    width = 1

    def __init__(self, form: Form) -> None:
        self._size = form["exact"] + 1

    def empty(self) -> list[Any]:
        return [0, {}, []]

    def begin(self, group: list[Any]) -> list[Any]:
        raise TypeError("distinct over correctable events takes them one by one")

    def absorb(self, acc: list[Any], group: Sequence[Any]) -> None:
        raise TypeError("distinct over correctable events takes them one by one")

    def totals(self, values: Sequence[str]) -> list[pl.Expr]:
        raise TypeError("distinct over correctable events takes them one by one")

    def add(self, acc: list[Any], values: Values) -> None:
        acc[0] += 1
        _, counts, kept = acc
        each = values[0]
        counts[each] = counts.get(each, 0) + 1
        if counts[each] > 1 or kept is None:
            return
        if len(kept) < self._size:
            insort(kept, each)
        elif each < kept[-1]:
            insort(kept, each)
            kept.pop()

    def remove(self, acc: list[Any], values: Values) -> None:
        acc[0] -= 1
        _, counts, kept = acc
        each = values[0]
        counts[each] -= 1
        if counts[each]:
            return
        del counts[each]
        if kept is None or each > kept[-1]:
            return
        if len(kept) > len(counts):
            del kept[bisect_left(kept, each)]
        else:
            acc[2] = None

    def summary(self, acc: list[Any]) -> Summary:
        if acc[2] is None:
            acc[2] = sorted(acc[1])[: self._size]
        return [acc[0], "".join(acc[2])]

    def dump(self, acc: list[Any]) -> object:
        return sorted(acc[1].items())

    def load(self, raw: Any) -> list[Any]:
        counts = dict(raw)
        return [sum(counts.values()), counts, None]


def _smallest(hashes: Iterable[str], size: int) -> list[str]:
    return list(dict.fromkeys(sorted(hashes)))[:size]


def _hashes(joined: str) -> list[str]:
    return [joined[begin : begin + WIDTH] for begin in range(0, len(joined), WIDTH)]


def _accumulator(form: Form, *, correctable: bool) -> SmallestHashes | CountedHashes:
    """The accumulator of distinct."""
    return CountedHashes(form) if correctable else SmallestHashes(form)


def _merge(form: Form, summaries: Sequence[Summary]) -> Summary:
    """The smallest hashes of all."""
    hashes = [each for _, joined in summaries for each in _hashes(joined)]
    return [sum(n for n, _ in summaries), "".join(_smallest(hashes, form["exact"] + 1))]


def _result(form: Form, summary: Summary, decimals: int, as_of_us: int | None) -> Result:
    """The number of hashes while all are there, otherwise the estimate, rounded half-even, with its error."""
    exact, kept = form["exact"], len(summary[1]) // WIDTH
    if kept <= exact:
        return Result(str(kept) if summary[0] else None, str(kept), "1", error="0" if summary[0] else None)
    text = str(round(Fraction(exact << 128, _number(summary[1][-WIDTH:]))))
    return Result(text, text, "1", error=estimate_error(exact))


def _number(each: str) -> int:
    return int.from_bytes(b64decode(each.encode().translate(_TO_BASE64) + b"=="))


def estimate_error(exact: int) -> str:
    """Two relative standard errors of an estimate, rounded up to four places."""
    error = isqrt(4 * 10**8 // (exact - 1))
    while error * error * (exact - 1) < 4 * 10**8:
        error += 1
    return decimal_text(error, 4)


FAMILY = Family(_accumulator, _merge, _result, closable=False)

"""Scaled integers as decimal texts, and exact quotients rounded once. No float takes part."""

from __future__ import annotations


def decimal_text(scaled: int, scale: int) -> str:
    """A scaled integer as a decimal with exactly `scale` places."""
    if not scale:
        return str(scaled)
    whole, part = divmod(abs(scaled), 10**scale)
    return f"{'-' if scaled < 0 else ''}{whole}.{part:0{scale}d}"


def quotient(numerator: int, denominator: int, places: int) -> str:
    """numerator/denominator, rounded half-even to `places` decimal places. The denominator is not 0."""
    whole, twice, denominator, sign = _divided(numerator, denominator, places)
    if twice > denominator or (twice == denominator and whole % 2):
        whole += 1
    return decimal_text(sign * whole, places)


def quotient_half_up(numerator: int, denominator: int, places: int) -> str:
    """numerator/denominator, rounded to `places` decimal places, a half away from zero: as people round, and laws mean it."""
    whole, twice, denominator, sign = _divided(numerator, denominator, places)
    return decimal_text(sign * (whole + (twice >= denominator)), places)


def _divided(numerator: int, denominator: int, places: int) -> tuple[int, int, int, int]:
    """(whole units of 10^-places, twice the rest, the denominator that the rest is of, sign), all but the sign of absolute values."""
    sign = -1 if (numerator < 0) != (denominator < 0) else 1
    denominator = abs(denominator)
    whole, rest = divmod(abs(numerator) * 10**places, denominator)
    return whole, 2 * rest, denominator, sign

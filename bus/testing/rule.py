"""What a conformance rule is: a number, a title and a function from a subject to what is wrong with it.

Rules are plain functions, so that pytest, `bus check` and an agency outside this repository run the very same ones. The number is for
good: a rule that goes leaves a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from bus.errors import BusError, ConfigurationError, Problem

S = TypeVar("S")


class Unloadable(ConfigurationError):
    """What a rule needs cannot be loaded; the rules about that (K, I) say why, and this one has nothing to add."""


@dataclass(frozen=True, slots=True)
class Rule(Generic[S]):
    """A numbered rule. `check` yields a problem for each thing that breaks it, none when the subject keeps it."""

    id: str
    title: str
    check: Callable[[S], Iterable[Problem]]


@dataclass(frozen=True, slots=True)
class Case:
    """One rule on one subject, ready to run."""

    rule: str
    title: str
    subject: str
    run: Callable[[], list[Problem]]

    @property
    def id(self) -> str:
        return f"{self.subject}-{self.rule}"


def cases_of(rules: Sequence[Rule[S]], subjects: Mapping[str, S]) -> Iterator[Case]:
    """Every rule on every subject, subject by subject."""
    for name, subject in subjects.items():
        for rule in rules:
            yield Case(rule.id, rule.title, name, _bind(rule, name, subject))


def _bind(rule: Rule[S], name: str, subject: S) -> Callable[[], list[Problem]]:
    def run() -> list[Problem]:
        try:
            found = list(rule.check(subject))
        except Unloadable:
            return []
        except BusError as error:
            found = [Problem(name, f"{type(error).__name__}: {error}")]
        return [Problem(problem.where, problem.what, rule.id) for problem in found]

    return run

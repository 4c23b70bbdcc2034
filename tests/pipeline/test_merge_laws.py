"""Merge keeps its laws along the logs of partials of whole lives."""

from __future__ import annotations

from functools import cache

import pytest

from tests.conftest import examples
from tests.pipeline.families import WORLDS
from tests.pipeline.merge_laws import (
    Log,
    batches_do_not_matter,
    logs,
    readers_know,
    snapshots_of_what_was_touched_tell_all,
    snapshots_tell_all,
)

CASE = pytest.mark.parametrize(("name", "seed"), [(name, seed) for name in WORLDS for seed in (None, *range(examples(1)))])


@cache
def known(name: str, seed: int | None) -> tuple[Log, ...]:
    return logs(name, seed)


@CASE
def test_readers_hold_at_any_moment_what_the_merge_says_and_no_row_goes_back(name: str, seed: int | None) -> None:
    for log in known(name, seed):
        assert list(readers_know(log)) == []


@CASE
def test_a_merge_from_its_snapshot_goes_on_as_if_it_had_never_stopped(name: str, seed: int | None) -> None:
    for log in known(name, seed):
        assert list(snapshots_tell_all(log)) == []


@CASE
def test_a_snapshot_writes_again_all_that_was_touched(name: str, seed: int | None) -> None:
    for log in known(name, seed):
        assert list(snapshots_of_what_was_touched_tell_all(log)) == []


@CASE
def test_batches_of_partials_change_nothing(name: str, seed: int | None) -> None:
    for log in known(name, seed):
        assert list(batches_do_not_matter(log, seed)) == []

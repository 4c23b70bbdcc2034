"""Releases of generated regencies, audited: nobody who is given all of them works out a suppressed cell, or a change of a few persons."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.unit.disclosure.play import KINDS, ONCE, SIZES, Play, Step

STEPS = st.lists(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from(SIZES), st.integers(0, 12)), min_size=1, max_size=10),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=examples(10))
@given(steps=STEPS)
def test_nothing_is_recovered(kind: str, steps: list[list[Step]]) -> None:
    play = Play(*KINDS[kind])
    for each in steps[:1] if kind in ONCE else steps:
        play.step(each)
    assert play.auditor.findings() == []

"""The law: episodes are a function of the log. Batches, restarts and how often somebody looks at the clock change nothing of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.alerts.loader import load_alert
from bus.alerts.rule import Rule
from consumers.alerts.unit import Read, Unit, dump, load
from consumers.alerts.watch import Transition
from tests.conftest import examples
from tests.unit.alerts.world import DAY, HOUR, NOON, indicators, plain, row

_FORMS = {
    "threshold": ('{ kind = "threshold", above = 3, clear = 1, steps = [5] }', "bpbd.merapi_level_now", ['per = ["volcano"]']),
    "below": ('{ kind = "threshold", below = 3 }', "disnakkan.milk_day", []),
    "windows": ('{ kind = "threshold", above = 3, clear = 2 }', "dlh.sensor_hours_day", ['fresh = "1d"', 'per = ["station"]']),
    "judged": ('{ kind = "threshold", above = 3 }', "dlh.sensor_hours_day", ['after = "6h"', 'fresh = "2d"']),
    "change": ('{ kind = "change", rise = 50, percent = true, steps = [100] }', "dlh.sensor_hours_day", ['fresh = "2d"']),
    "silent": ('{ kind = "missing", silent_for = "7h" }', "bpbd.merapi_level_now", ['per = ["volcano"]']),
    "reporters": ('{ kind = "missing", reporters = 1 }', "dlh.sensor_hours_day", ['after = "6h"', 'fresh = "3d"', "per = []"]),
}


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rule]:
    return {name: _rule(tmp_path_factory.mktemp(name), *form) for name, form in _FORMS.items()}


def _rule(folder: Path, when: str, of: str, more: Sequence[str]) -> Rule:
    path = folder / "test.rule.toml"
    head = ['id = "test.rule"', 'title = { id = "Uji", en = "Test" }', f'indicator = "{of}"', 'severity = "info"']
    level = ['level = "kabupaten"'] if "region" in indicators(of)[of].definition["dims"] else []
    path.write_text("\n".join([*head, *level, 'text = { id = "{value}", en = "{value}" }', f"when = {when}", *more]))
    rule, problems = load_alert(path, indicators(of))
    assert rule is not None, problems
    return rule


#: Hours until the record, its cell, its value (None: the row goes away), how far its window lies back, how many reporters were heard of.
_FACTS = st.lists(
    st.tuples(
        st.integers(0, 9) | st.integers(20, 60),
        st.integers(0, 2),
        st.none() | st.integers(0, 2) | st.integers(3, 8),
        st.integers(0, 2),
        st.integers(0, 2),
    ),
    max_size=25,
)


def _log(rule: Rule, facts: Sequence[tuple[int, int, int | None, int, int]]) -> list[Read]:
    at = NOON
    found: list[Read] = []
    for number, (hours, cell, value, back, heard) in enumerate(facts):
        at += hours * HOUR
        dims = [f"d{cell}" if name != "region" else "33.09" for name in rule.subject.dims]
        if rule.per:
            dims[0] = f"d{cell // 2}"
        of = at - back * DAY
        found.append(
            (number, at, row(rule, None if value is None else str(value), *dims, at=of, revision=number + 1, heard=heard, expected=2))
        )
    return found


def _whole(rule: Rule, log: Sequence[Read], end: int) -> list[Transition]:
    unit = Unit(rule)
    return [*unit.apply(log, upto=len(log)), *unit.advance(end)]


def _in_pieces(rule: Rule, log: Sequence[Read], end: int, choice: random.Random) -> list[Transition]:
    """The same log as life would have it: batches of any size, some read twice, restarts, and time that passes between records."""
    unit, found, position = Unit(rule), [], 0
    while position < len(log):
        upto = min(len(log), position + choice.randint(1, 4))
        found += unit.apply(log[max(0, position - choice.randint(0, 2)) : upto], upto=upto)
        position = upto
        for _ in range(choice.randint(0, 2)):
            # Until when the log is known whole: the next record may come at that very moment, and not before it.
            following = log[position][1] if position < len(log) else end
            found += unit.advance(max(unit.time_us, choice.choice([following, choice.randint(NOON, following)])))
        if choice.random() < 0.5:
            unit = Unit(rule, unit.position, unit.version, unit.time_us, {name: load(dump(group)) for name, group in unit.groups.items()})
    return [*found, *unit.advance(end)]


def _by_group(transitions: Sequence[Transition]) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    for each in transitions:
        found.setdefault(each.group, []).append(plain(each))
    return found


@pytest.mark.parametrize("name", _FORMS)
@settings(max_examples=examples(50))
@given(facts=_FACTS, choice=st.randoms(use_true_random=False))
def test_batches_restarts_and_ticks_change_no_episode(
    rules: dict[str, Rule], name: str, facts: list[tuple[int, int, int | None, int, int]], choice: random.Random
) -> None:
    rule = rules[name]
    log = _log(rule, facts)
    end = (log[-1][1] if log else NOON) + 30 * DAY
    whole = _whole(rule, log, end)
    assert _by_group(_in_pieces(rule, log, end, choice)) == _by_group(whole)


@pytest.mark.parametrize("name", _FORMS)
@settings(max_examples=examples(15))
@given(facts=_FACTS)
def test_episodes_of_a_group_follow_one_another(
    rules: dict[str, Rule], name: str, facts: list[tuple[int, int, int | None, int, int]]
) -> None:
    rule = rules[name]
    log = _log(rule, facts)
    ids: set[str] = set()
    open_: dict[str, tuple[str, int]] = {}
    for each in _whole(rule, log, (log[-1][1] if log else NOON) + 30 * DAY):
        if each.kind == "begun":
            assert each.group not in open_
            assert each.episode.id not in ids
            ids.add(each.episode.id)
            open_[each.group] = each.episode.id, 1
            continue
        id_, told = open_[each.group]
        assert each.episode.id == id_
        assert each.episode.told == told + (each.kind != "revised")
        open_[each.group] = id_, each.episode.told
        if each.kind == "ended":
            del open_[each.group]


@settings(max_examples=examples(50))
@given(values=st.lists(st.integers(0, 8), min_size=1, max_size=30))
def test_hysteresis_is_what_a_child_would_count(rules: dict[str, Rule], values: list[int]) -> None:
    """Above 3 it begins, at 1 it is over: counted without any of the machine."""
    rule = rules["threshold"]
    log = [(n, NOON + n, row(rule, str(value), "M", "x", revision=n + 1)) for n, value in enumerate(values)]
    wanted, on = [], False
    for n, value in enumerate(values):
        if (not on and value > 3) or (on and value <= 1):
            on = not on
            wanted.append(("begun" if on else "ended", NOON + n))
    found = Unit(rule).apply(log, upto=len(log))
    assert [(each.kind, each.at_us) for each in found if each.kind in {"begun", "ended"}] == wanted

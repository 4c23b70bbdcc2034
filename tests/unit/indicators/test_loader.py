"""Every problem of every file at once, said so that its reader can mend it."""

from pathlib import Path
from typing import Any

import pytest

from bus.errors import ConfigurationError
from bus.indicators.loader import changed_without_version, load_indicators
from tests.unit.indicators.worlds import Schema, indicator

GOOD = """
id = "{name}"
title = {{ id = "Uji", en = "Test" }}
event = "test.thing.counted.v1"
measure = {{ kind = "sum", of = "amount" }}
by = ["place"]
window = "1d"
unit = "buah"
[publish]
class = "dikecualikan"
"""


class Known:
    types = {"test.thing.counted.v1": Schema()}
    left_out = frozenset({"other.thing.counted.v1"})


def write(root: Path, name: str, *changes: tuple[str, str], stem: str = "") -> None:
    text = GOOD.format(name=name)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (root / "indicators").mkdir(exist_ok=True)
    (root / "indicators" / f"{stem or name}.toml").write_text(text, encoding="utf-8")


def problems(*roots: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_indicators(roots, Known())
    return [str(problem) for problem in caught.value.problems]


def test_good_files_load_sorted(tmp_path: Path) -> None:
    write(tmp_path, "b.two")
    write(tmp_path, "a.one")
    assert list(load_indicators([tmp_path], Known())) == ["a.one", "b.two"]


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (('unit = "buah"', 'unit = "buah"\nwidow = "1d"'), ["widow", "unknown key", "did you mean 'window'?"]),
        (('of = "amount"', 'off = "amount"'), ["measure.off", "did you mean 'of'?"]),
        (('window = "1d"', 'window = "2d"'), ["window", "'2d'", "15m, 1h, 1d, 1w, 1mo, 1q, 6mo, 1y"]),
        (('window = "1d"', 'window = "2d"'), ["window", "'2d'", "1mo", "now"]),
        (("counted.v1", "countd.v1"), ["event", "near: test.thing.counted.v1"]),
        (('"amount"', '"amout"'), ["measure.of", "'amout'", "did you mean 'amount'?", "columns: amount, born"]),
        (('"amount"', '"place"'), ["measure.of", "is text", "numeric columns: amount, level"]),
        (('"amount"', '"level"'), ["measure.of", "is a double", "set measure.scale"]),
        (('"sum"', '"min"'), []),
        (('kind = "sum", of = "amount"', 'kind = "min", of = "born"'), ["measure.of", "is date", "must be a number"]),
        (('"sum", of = "amount"', '"count", of = "amount"'), ["measure", "takes nothing", "got of"]),
        (('"sum", of = "amount"', '"median", of = "amount"'), ["measure.kind", "'count'"]),
        (('by = ["place"]', 'by = ["place", "place"]'), ["by", "named more than once: place"]),
        (('by = ["place"]', 'by = ["level"]'), ["by.level", "is double", "text, integer, boolean or date"]),
        (('by = ["place"]', 'by = ["place"]\nwhere = "amount"'), ["where", "is integer", "must be boolean"]),
        (('by = ["place"]', 'by = ["place"]\nwhere = "amount / 2 > 1"'), ["where", "division", "ratio"]),
        (('by = ["place"]', 'by = ["place"]\nwhere = "sum(amount) > 1"'), ["where", "an aggregate"]),
        (('[publish]\nclass = "dikecualikan"', ""), ["publish", "required", "[I06]"]),
        (('class = "dikecualikan"', 'class = "rahasia"'), ["publish.class", "'berkala'"]),
        (('of = "amount"', 'of = "amount", scale = 2'), ["measure.scale", "only a double takes a scale"]),
        (('window = "1d"', 'window = "1d"\nlate = "soon"'), ["late", "'soon'", "as in '7d'"]),
        (('unit = "buah"', "unit = buah"), ["is not TOML"]),
    ],
)
def test_a_wrong_file_names_place_and_remedy(tmp_path: Path, change: tuple[str, str], parts: list[str]) -> None:
    write(tmp_path, "a.one", change)
    if not parts:
        assert load_indicators([tmp_path], Known())
        return
    (found,) = problems(tmp_path)
    assert "a.one.toml" in found
    for part in parts:
        assert part in found


def test_all_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a.one", ('window = "1d"', 'window = "2d"'), ('unit = "buah"', 'unti = "buah"'))
    write(tmp_path, "b.two", ('"amount"', '"amout"'), ('by = ["place"]', 'by = ["plcae"]'))
    write(tmp_path, "c.three", stem="c.four")
    other = tmp_path / "overlay"
    other.mkdir()
    write(other, "b.two")
    found = "\n".join(problems(tmp_path, other))
    for part in ("'2d'", "unti", "'amout'", "'plcae'", "'c.three' must equal the file's name 'c.four'", "'b.two' is also defined in"):
        assert part in found


def test_the_fingerprint_covers_numbers_and_nothing_else() -> None:
    same = indicator(title={"id": "Lain", "en": "Other"}, unit="ekor", measure={"kind": "sum", "of": " amount "})
    assert same.fingerprint == indicator().fingerprint
    different: list[dict[str, Any]] = [
        {"window": "1h"},
        {"late": "8d"},
        {"minimum_n": 30},
        {"where": "urgent"},
        {"by": []},
        {"measure": {"kind": "mean", "of": "amount"}},
        {"family": "f"},
    ]
    prints = {indicator(**change).fingerprint for change in different} | {same.fingerprint, indicator(correctable=False).fingerprint}
    assert len(prints) == len(different) + 2


def test_a_changed_definition_needs_a_higher_version() -> None:
    known = {"test.thing": (1, indicator().fingerprint)}
    assert changed_without_version(known, {"test.thing": indicator()}) == []
    assert changed_without_version(known, {"test.thing": indicator(window="1h", version=2)}) == []
    (problem,) = changed_without_version(known, {"test.thing": indicator(window="1h")})
    assert problem.where == "test.thing.toml: version"
    assert "set version = 2" in problem.what
    beginning = {"test.thing": (1, indicator().fingerprint[:16])}
    assert changed_without_version(beginning, {"test.thing": indicator()}) == []
    assert changed_without_version(beginning, {"test.thing": indicator(window="1h")}) == [problem]
    (problem,) = changed_without_version({"test.thing": (3, "")}, {"test.thing": indicator(version=2)})
    assert "set version = 4" in problem.what

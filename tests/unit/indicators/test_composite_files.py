"""What the file of a composite may not say, and what its reader is told instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.errors import ConfigurationError
from bus.indicators.compose import AnyIndicator
from bus.indicators.loader import load_indicators
from bus.indicators.reference_files import load_reference, load_references
from tests.model.worlds import CATALOGUE, OVERLAY, ROOTS

_LEAF = """
id = "uji.leaf"
title = {{ id = "Uji", en = "Test" }}
family = "uji.files"
event = "uji.case.recorded.v1"
measure = {{ kind = "count" }}
{by}
window = "1d"
unit = "kasus"
publish = {{ class = "dikecualikan", basis = "UU 14/2008 Pasal 17 huruf h", until = 2031-12-31 }}
"""
_TOP = """
id = "uji.top"
title = {{ id = "Uji", en = "Test" }}
family = "uji.files"
window = "1d"
unit = "kasus"
publish = {{ class = "dikecualikan", basis = "UU 14/2008 Pasal 17 huruf h", until = 2031-12-31 }}
[composite]
of = ["uji.leaf"]
{composite}
"""
REGION = 'by = ["place"]\nregion = "kode_wilayah"'


def load(root: Path, by: str, composite: str) -> AnyIndicator:
    (root / "indicators").mkdir()
    (root / "indicators" / "uji.leaf.toml").write_text(_LEAF.format(by=by), encoding="utf-8")
    (root / "indicators" / "uji.top.toml").write_text(_TOP.format(composite=composite), encoding="utf-8")
    wilayah, problems = load_reference(OVERLAY.parent / "reference" / "wilayah.toml")
    assert wilayah is not None, problems
    return load_indicators([root], CATALOGUE, {**load_references(ROOTS), "wilayah": wilayah})["uji.top"]


@pytest.mark.parametrize(
    ("by", "composite", "parts"),
    [
        (REGION, 'kind = "top"\nitem = "region"\nk = 3', ["composite.level", "required", "allowed: rt, rw, desa, kecamatan"]),
        (REGION, 'kind = "top"\nitem = "region"\nk = 3\nlevel = "kabupaten"', ["composite.level", "'rt', 'rw', 'desa' or 'kecamatan'"]),
        (REGION, 'kind = "top"\nitem = "place"\nk = 3\nlevel = "desa"', ["composite.level", "item = 'region'", "remove it"]),
        ('by = { region = "place" }', 'kind = "top"\nitem = "region"\nk = 3\nlevel = "rt"', ["composite.level", "rolls up", "remove it"]),
        (REGION, 'kind = "change"\nagainst = "year"\nlevel = "desa"', ["takes against, as", "got level"]),
        (
            'by = { rank = "post", place = "place" }',
            'kind = "top"\nitem = "place"\nk = 3',
            ["composite.of", "uji.leaf", "'rank'", "otherwise"],
        ),
        ('by = { window = "place" }', 'kind = "change"\nagainst = "year"', ["by: 'window'", "readers ask by that name", "another name"]),
        (
            'by = { limit = "place", cursor = "post" }',
            'kind = "change"\nagainst = "year"',
            ["by: 'cursor, limit'", "window, limit, cursor"],
        ),
        ('by = ["place"]\nminimum_n = 30', 'kind = "change"\nagainst = "year"', ["of", "uji.leaf has minimum_n"]),
    ],
)
def test_a_wrong_file_names_place_and_remedy(tmp_path: Path, by: str, composite: str, parts: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, by, composite)
    said = "\n".join(map(str, caught.value.problems))
    for part in parts:
        assert part in said


@pytest.mark.parametrize(
    ("by", "composite", "dims"),
    [
        (REGION, 'kind = "top"\nitem = "region"\nk = 3\nlevel = "desa"', ["place", "rank"]),
        (REGION, 'kind = "top"\nitem = "place"\nk = 3', ["region", "rank"]),
        ('by = { rank = "post", place = "place" }', 'kind = "change"\nagainst = "year"', ["rank", "place"]),
    ],
)
def test_a_right_one_has_each_dimension_once(tmp_path: Path, by: str, composite: str, dims: list[str]) -> None:
    assert load(tmp_path, by, composite).definition["dims"] == dims


def test_what_a_level_means_is_in_the_fingerprint(tmp_path: Path) -> None:
    found = []
    for level in ("desa", "kecamatan"):
        (tmp_path / level).mkdir()
        found.append(load(tmp_path / level, REGION, f'kind = "top"\nitem = "region"\nk = 3\nlevel = "{level}"').fingerprint)
    assert len(set(found)) == 2

from __future__ import annotations

from pathlib import Path

import pytest

from bus.errors import ConfigurationError
from bus.ops.consumers import load_consumer, load_consumers
from bus.settings import ROOT, Settings
from bus.testing.rules_consumers import needs_exist
from consumers.dashboard.gateway import Gateway

GOOD = """
id = "ticker"
role = "ticker"
title = "Ticker"
summary = "Shows the newest number of every indicator, one after the other, for ever."
factory = "consumers.ticker.app:create"
topics = ["indicators.*"]
"""


def write(root: Path, name: str, text: str) -> None:
    (root / name).mkdir(parents=True)
    (root / name / "consumer.toml").write_text(text)


def test_the_gateway_is_found_by_its_role_and_made() -> None:
    manifest = load_consumer("gateway", [ROOT / "consumers"])
    assert manifest.id == "dashboard"
    assert isinstance(manifest.create(Settings()), Gateway)


def test_a_consumer_outside_of_the_repository_is_loaded_from_there(tmp_path: Path) -> None:
    root = tmp_path / "consumers"
    write(root, "ticker", GOOD)
    (root / "ticker" / "app.py").write_text("def create(settings):\n    return ('made', settings.gateway.port)\n")
    manifest = load_consumer("ticker", [ROOT / "consumers", root])
    assert manifest.create(Settings()) == ("made", 8080)  # type: ignore[comparison-overlap]


def test_an_unknown_role_names_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"gatewy.*known are .*gateway"):
        load_consumer("gatewy", [ROOT / "consumers"])


def test_what_a_consumer_needs_is_among_its_settings(tmp_path: Path) -> None:
    write(tmp_path, "ticker", GOOD + 'settings = ["gateway.port"]\nneeds = ["archive.folder"]\n')
    (problem,) = needs_exist(tmp_path / "ticker")
    assert "needs 'archive.folder', which is not among its settings: gateway.port" in str(problem)


def test_all_problems_of_all_manifests_are_told_at_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        "a",
        GOOD.replace('"ticker"', '"a"').replace('factory = "consumers.ticker.app:create"', 'factory = "nothing"') + "colour = 1\n",
    )
    write(tmp_path, "b", "id = ")
    write(tmp_path, "c", GOOD)
    write(tmp_path, "ticker", GOOD)
    write(tmp_path, "zz", GOOD.replace('id = "ticker"', 'id = "zz"'))
    with pytest.raises(ConfigurationError) as refused:
        load_consumers([tmp_path])
    text = str(refused.value)
    assert len(refused.value.problems) == 5
    for part in ("a/consumer.toml: factory", "a/consumer.toml: colour", "b/consumer.toml", "c/consumer.toml: id", "zz/consumer.toml: role"):
        assert part in text


@pytest.mark.parametrize("factory", ["consumers.nowhere:create", "consumers.dashboard.gateway:nothing"])
def test_a_factory_that_is_not_there_is_a_configuration_error(tmp_path: Path, factory: str) -> None:
    write(tmp_path / "consumers", "ticker", GOOD.replace("consumers.ticker.app:create", factory))
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        load_consumer("ticker", [tmp_path / "consumers"]).create(Settings())

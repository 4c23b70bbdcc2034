"""The alert rules: Prometheus accepts them, they fire when they should, and they ask for metrics that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bus.metrics import REGISTRY
from bus.settings import ROOT
from tests.conftest import unavailable

FOLDER = ROOT / "deploy" / "prometheus"
RULES = sorted(path for path in FOLDER.glob("*.rules.yml"))


def promtool(*arguments: str) -> None:
    if shutil.which("promtool") is None:
        unavailable("promtool: install the package prometheus")
    ended = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_prometheus_accepts_the_rules_and_they_fire(path: Path) -> None:
    promtool("check", "rules", str(path))
    promtool("test", "rules", str(path.with_suffix("")) + ".test.yml")


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_ask_for_metrics_that_there_are(path: Path) -> None:
    known = {name for metric in REGISTRY.collect() for name in (metric.name, f"{metric.name}_total")}
    asked = set(re.findall(r"\bbus_[a-z_]+", "\n".join(re.findall(r"expr: (.*)", path.read_text(encoding="utf-8")))))
    assert asked
    assert asked <= known

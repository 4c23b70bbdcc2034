"""D, M and some I rules are about the core itself; here each meets a core that breaks it, and only it."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from bus.errors import Problem
from bus.events.catalogue import Catalogue
from bus.settings import ROOT
from bus.testing import rules_docs, rules_indicators, rules_metrics
from bus.testing.rules_docs import Documents
from bus.testing.rules_indicators import IndicatorSubject
from bus.testing.rules_metrics import Metrics

BROKEN = Path(__file__).resolve().parent / "broken"


def _metrics(folder: Path) -> Metrics:
    catalogue = folder / "catalogue.py"
    return Metrics(runpy.run_path(str(catalogue))["REGISTRY"], catalogue, tuple(sorted(folder.glob("*.py"))))


def _failing(found: dict[str, list[Problem]]) -> set[str]:
    return {rule for rule, problems in found.items() if problems}


@pytest.mark.parametrize("folder", sorted(BROKEN.glob("M*")), ids=lambda path: path.name)
def test_metrics(folder: Path) -> None:
    subject = _metrics(folder)
    assert _failing({rule.id: list(rule.check(subject)) for rule in rules_metrics.RULES}) == {folder.name}


@pytest.mark.parametrize("folder", sorted(BROKEN.glob("D*")), ids=lambda path: path.name)
def test_documents(folder: Path) -> None:
    subject = Documents(folder, lambda: "# Reference\n")
    assert _failing({rule.id: list(rule.check(subject)) for rule in rules_docs.RULES}) == {folder.name}


@pytest.mark.parametrize("folder", sorted(path.parent for path in BROKEN.glob("I*/fold.py")), ids=lambda path: path.name)
def test_engine(folder: Path) -> None:
    roots = [ROOT / "schemas", BROKEN.parent / "whole" / "schemas"]
    path = roots[1] / "indicators" / "pasar.score_mean.toml"
    faulty = runpy.run_path(str(folder / "fold.py"))["Faulty"]
    subject = IndicatorSubject(path, Catalogue.load(roots), unit=faulty)
    assert _failing({rule.id: list(rule.check(subject)) for rule in rules_indicators.RULES}) == {folder.name}


def test_every_rule_has_a_broken_subject() -> None:
    wanted = {rule.id for rule in rules_docs.RULES} | {rule.id for rule in rules_metrics.RULES}
    assert wanted | {"I03", "I04", "I05"} <= {path.name for path in BROKEN.iterdir()}

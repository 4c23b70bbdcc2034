"""What the campaigns share: one input, and what a run says of it that nobody disturbs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bus.settings import ROOT
from tests.conftest import SOAK
from tests.live.campaign import ONLY, Outcome, prepare_input
from tests.live.cli_process import bus, environ_for

#: More than a minute for what test_streams.py shows at a smaller size: `make soak` runs it.
collect_ignore = [] if SOAK else ["test_campaign_load.py"]


@pytest.fixture(scope="session")
def campaign_input(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of exports: in `make soak` the real ones where they are, else made ones; and the mess that exports bring."""
    real = Path(os.environ.get("BUS_TEST_DATA") or ROOT.parent / "shared" / "data") / "ispu"
    return prepare_input(tmp_path_factory.mktemp("campaign") / "exports", real if SOAK and real.is_dir() else None)


@pytest.fixture(scope="session")
def undisturbed(campaign_input: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A run over that input, as fast as it can, with nothing done to it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    ended = bus(
        ["run", "--until-idle", "--input", f"dlh={campaign_input}", "--export", str(folder / "out")],
        environ_for(folder / "data", only=ONLY),
    )
    assert ended.code == 0, ended.err
    outcome = Outcome.of(folder / "out", ended)
    assert outcome.files
    assert "2 in quarantine:" in outcome.refused
    return outcome

"""A made-up month of all agencies, with all kinds of faults, through real systems: every number is what happened, exactly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from bus.kafka.ports import LogReader
from bus.ops.demo import refused
from bus.ops.installation import Installation
from bus.ops.site import running
from bus.ops.totals import Accounts, Counted
from bus.ops.values import read_values
from bus.ops.verification import require_ok, verify
from bus.settings import ROOT, KafkaSettings, Settings
from bus.simulation.faults import Rates
from bus.simulation.mosquitto import Mosquitto
from bus.simulation.play import Servers, opened
from bus.simulation.world import Plan, World, made
from tests.live.campaign import sized
from tests.live.cli_process import environ_for
from tests.simulation.truth import as_log, production_model, unlike
from tests.sources.webhook_world import free_port

pytestmark = [pytest.mark.soak, pytest.mark.timeout(sized(600, 3600))]

#: Faults often enough that a small world has each of them with every agency.
PLAN = Plan(
    date(2026, 1, 5), days=sized(10, 31), seed=5, scale=sized(0.001, 0.005),
    rates=Rates(late=10, twice=10, mended=10, taken_back=5, broken=5, offline=60),
)  # fmt: skip


@pytest.mark.parametrize("clean_broker", sized(["embedded"], ["embedded", "kafka"]), indirect=True)
async def test_every_number_is_what_happened(
    clean_broker: KafkaSettings, postgres: Callable[..., str], maria: Callable[..., str], mosquitto: Mosquitto, tmp_path: Path
) -> None:
    settings = Settings(kafka=clean_broker, data_dir=tmp_path / "data")
    installation = Installation.load(settings)
    world = made(installation.agencies, ROOT / "schemas" / "reference", PLAN)
    assert world.away
    servers = Servers({"dukcapil": postgres(), "mpp": maria()}, mosquitto.url)
    (tmp_path / "systems").mkdir()
    async with opened(installation.agencies, world, tmp_path / "systems", servers) as systems:
        environ = {**environ_for(tmp_path / "data", clean_broker), **systems.environ}
        async with running(installation, environ, port=free_port()) as site:
            await systems.play(world, speed=0, report=lambda _, __: None)
            await site.settle(lambda _, *, connectors_done: None)
            await _equals_the_truth(site.log.reader, installation, world)
            turned_away = await refused(site.log, installation.agencies)
            assert turned_away >= systems.surely_refused(world)
            reports = await verify(installation, site.log.reader)
            require_ok(reports)
            for agency, (spec, folder) in systems.counting.items():
                found = await Accounts(installation, Counted(installation.agencies[agency], spec, folder), site.log.reader).reconcile()
                assert found.lines
                assert found.agrees, [line for line in found.lines if not line.agrees]


async def _equals_the_truth(reader: LogReader, installation: Installation, world: World) -> None:
    model, truth = production_model(), as_log(world.facts)
    wrong = {}
    for name, indicator in installation.published.items():
        values = await read_values(reader, installation.codec, name, version=indicator.version)
        found = {(value.window_start_us, tuple(value.dimensions.values())): value for value in values}
        wanted = model.rows(name, truth)
        assert any(row.n for row in wanted.values()), f"{name}: nothing happened"
        if lines := unlike(found, wanted, closing=model.closing(name)):
            wrong[name] = lines[:3]
    assert not wrong, "\n".join(f"{name}: {line}" for name, lines in wrong.items() for line in lines)

"""What the roles of one machine are told of one another."""

from __future__ import annotations

import pytest

from bus.cli.context import context
from bus.ops.processes import told_to_gateway
from bus.settings import AlertsSettings, PpidSettings, Settings

ALERTS, PORTAL = "BUS_GATEWAY__ALERTS_URL", "BUS_GATEWAY__PORTAL_URL"


@pytest.mark.parametrize(
    ("settings", "environ", "roles", "told"),
    [
        (Settings(), {}, ["alerts", "ppid"], {ALERTS: "http://127.0.0.1:8082", PORTAL: "http://127.0.0.1:8083"}),
        (Settings(), {}, ["ppid"], {PORTAL: "http://127.0.0.1:8083"}),
        (Settings(), {ALERTS: "http://elsewhere:1"}, ["alerts"], {}),
        (Settings(alerts=AlertsSettings(port=0)), {}, ["alerts"], {}),
        (Settings(alerts=AlertsSettings(host="0.0.0.0", port=9000)), {}, ["alerts"], {ALERTS: "http://127.0.0.1:9000"}),
        (Settings(alerts=AlertsSettings(host="::1")), {}, ["alerts"], {ALERTS: "http://[::1]:8082"}),
        (Settings(ppid=PpidSettings(host="0.0.0.0", base_url="https://data.example")), {}, ["ppid"], {PORTAL: "https://data.example"}),
        (Settings(ppid=PpidSettings(host="0.0.0.0")), {}, ["ppid"], {}),
    ],
)
def test_the_gateway_is_told_of_who_runs_beside_it(
    settings: Settings, environ: dict[str, str], roles: list[str], told: dict[str, str]
) -> None:
    assert told_to_gateway(settings, environ, roles) == told


def test_what_is_configured_of_a_real_place_is_not_the_demos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUS_PPID__DATABASE_URL", "postgresql://real@host/ppid")
    monkeypatch.setenv("BUS_LOG__LEVEL", "error")
    here = context(without=("BUS_PPID__",), BUS_PPID__PORT="1")
    assert here.settings.ppid.database_url.get_secret_value() == ""
    assert (here.settings.ppid.port, here.settings.log.level) == (1, "error")
    assert "BUS_PPID__DATABASE_URL" not in here.environ

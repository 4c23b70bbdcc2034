"""`bus run` tells the gateway where the alerts are, unless somebody has."""

from __future__ import annotations

import pytest

from bus.ops.tree import alerts_access
from bus.settings import AlertsSettings, GatewaySettings, Settings

BOTH = ["streams", "gateway", "alerts"]


@pytest.mark.parametrize(
    ("roles", "settings", "url"),
    [
        (BOTH, Settings(), "http://127.0.0.1:8082"),
        (BOTH, Settings(alerts=AlertsSettings(host="0.0.0.0", port=9000)), "http://127.0.0.1:9000"),
        (BOTH, Settings(alerts=AlertsSettings(host="::1")), "http://[::1]:8082"),
        (["streams", "gateway"], Settings(), None),
        (BOTH, Settings(gateway=GatewaySettings(alerts_url="http://other:1")), None),
        (BOTH, Settings(alerts=AlertsSettings(port=0)), None),
    ],
)
def test_where_the_alerts_are(roles: list[str], settings: Settings, url: str | None) -> None:
    assert alerts_access(settings, roles) == ({} if url is None else {"BUS_GATEWAY__ALERTS_URL": url})

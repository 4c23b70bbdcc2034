"""Sensors of the environment agency over a real Mosquitto: a level is what was sent, to the digit, and a reading said twice counts once."""

from __future__ import annotations

import json
from pathlib import Path

from bus.simulation.mosquitto import Mosquitto
from tests.connectors.agency_site import agency_world, brief, numbers
from tests.sources.mosquitto import say_all
from tests.sources.mqtt_site import connector, until


def reading(hour: int, level: object) -> str:
    return json.dumps({"waktu": f"2026-01-12T{hour:02}:00:00+07:00", "nilai": level, "satuan": "µg/m3"})


async def test_readings_become_means_and_hours(tmp_path: Path, mosquitto: Mosquitto) -> None:
    world = agency_world(tmp_path, "dlh", BUS_DLH__MQTT_URL=mosquitto.url)
    sent = [("dlh/BYL1/pm25", reading(hour, level)) for hour, level in enumerate((35.1, "0.2", 12, 35.1))]
    async with connector(world):
        await until(lambda: "dlh/+/+" in mosquitto.said())
        say_all(mosquitto, [*sent, ("dlh/BYL1/pm25", reading(4, -1)), sent[0], ("dlh/SLO1/so2", reading(9, 7.125))])
        await until(lambda: len(world.folded()) >= 5)
    shown = brief(numbers("dlh.sensor_mean_day", world), "station", "parameter", "numerator", "denominator")
    assert shown == [("BYL1", "PM25", "82.400", "4"), ("SLO1", "SO2", "7.125", "1")]
    assert brief(numbers("dlh.sensor_hours_day", world), "parameter", "value") == [("PM25", "4"), ("SO2", "1")]
    (refused,) = await world.quarantine()
    assert (refused.reason["rule"], refused.reason["field"]) == ("out_of_range", "nilai")

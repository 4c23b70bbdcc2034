"""A Mosquitto on this machine: ended in any way, and started again with what it had saved."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from bus.errors import ConfigurationError, Problem, TransientError
from bus.kafka.process import LOCALHOST, free_port

_PATIENCE_SECONDS = 60.0


def mosquitto_binary() -> str | None:
    """Debian puts it where only root looks."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Mosquitto:
    """One broker on 127.0.0.1. It saves after each change, but acknowledges before: a kill in between loses what it acknowledged last."""

    def __init__(self, folder: Path, **more: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        # As root it would become the user `mosquitto`, who may not write here.
        settings = {
            "listener": f"{self.port} {LOCALHOST}", "allow_anonymous": "true", "user": "root", "persistence": "true",
            "persistence_location": f"{folder}/", "autosave_on_changes": "true", "autosave_interval": 1, "max_queued_messages": 0,
            "max_inflight_messages": 0, "sys_interval": 1, "log_type": "all", **more,
        }  # fmt: skip
        self._config = folder / "mosquitto.conf"
        self._config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self._log = folder / "mosquitto.log"
        self._saved = folder / "mosquitto.db"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://{LOCALHOST}:{self.port}"

    def start(self) -> None:
        """Returns when it listens."""
        binary = mosquitto_binary()
        if binary is None:
            raise ConfigurationError([Problem("mosquitto", "is not installed; install the package mosquitto")])
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [binary, "-c", str(self._config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise TransientError(f"mosquitto ended at once: {self.said()[-1000:]}")
            try:
                socket.create_connection((LOCALHOST, self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise TransientError("mosquitto does not listen")

    def said(self) -> str:
        """Its log: who connected, and who subscribed to what."""
        return self._log.read_text(errors="replace")

    def save(self) -> None:
        """All that it has acknowledged is saved when this returns."""
        assert self._process is not None
        before = self._last_saved()
        self._process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + _PATIENCE_SECONDS
        while self._last_saved() == before:
            if time.monotonic() > end:
                raise TransientError("mosquitto does not save")
            time.sleep(0.02)

    def _last_saved(self) -> int:
        return self._saved.stat().st_mtime_ns if self._saved.exists() else 0

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

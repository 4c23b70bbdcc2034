"""Recomputing one number now: `bus verify` in a process of its own, one at a time, so that no reader of the gateway waits for it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping

import structlog

from bus.ops.apikeys import Role
from bus.ops.values import name_of_cell
from bus.settings import PREFIX, Settings
from consumers.dashboard.cells import Cell
from consumers.dashboard.refusal import Refusal

_log = structlog.get_logger(__name__)

#: How many of the differences are told.
_TOLD = 20


class Recomputer:
    """Runs `bus verify`; what does not get a turn soon is told to come back."""

    def __init__(self, settings: Settings) -> None:
        self._environ = _environ(settings)
        self._seconds = settings.gateway.verify_seconds
        self._queue = settings.gateway.verify_queue
        self._turn = asyncio.Semaphore(1)
        self._asked = 0

    async def run(self, cell: Cell, role: Role) -> dict[str, object]:
        """Whether the cell as it is published now agrees with the log, and what was read. Raises `Refusal` (503) when it cannot be told now."""
        if self._asked > self._queue:
            raise Refusal(503, "Busy", f"{self._asked} numbers are being recomputed or wait for it, one at a time", retry=5)
        self._asked += 1
        try:
            async with self._turn:
                began = time.monotonic()
                report = await self._report(cell)
                return _answer(report, role) | {"seconds": round(time.monotonic() - began, 3)}
        finally:
            self._asked -= 1

    async def _report(self, cell: Cell) -> Mapping[str, object]:
        name = name_of_cell(int(cell.window_start.timestamp()) * 1_000_000, cell.dimensions.values())
        command = (sys.executable, "-m", "bus", "verify", "--json", "--", cell.indicator, name)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, env=self._environ, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
        try:
            async with asyncio.timeout(self._seconds):
                out, err = await process.communicate()
        except TimeoutError as error:
            raise Refusal(503, "Not recomputed", f"it took longer than {self._seconds:g} s; use `bus verify`", retry=60) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode not in (0, 1) or not out.strip():
            _log.warning(
                "gateway.verify_failed", indicator=cell.indicator, code=process.returncode, error=err.decode(errors="replace")[-500:]
            )
            raise Refusal(503, "Not recomputed", "the number cannot be recomputed now; the gateway's log says why", retry=30)
        found = json.loads(out)[0]
        assert isinstance(found, dict)
        return found


def _answer(report: Mapping[str, object], role: Role) -> dict[str, object]:
    """What a recomputed cell might have in it instead is for those who may see every cell."""
    mismatches = report["mismatches"]
    assert isinstance(mismatches, list)
    names = ("field", "published", "recomputed") if role is Role.RESTRICTED else ("field",)
    return {
        "agrees": report["ok"],
        "indicator": report["indicator"],
        "made_of": report["made_of"],
        "records_read": report["events"],
        "differences": [{name: each[name] for name in names} for each in mismatches[:_TOLD]],
    }


def _environ(settings: Settings) -> dict[str, str]:
    """The environment that gives a child the settings that a recomputation depends on; no keys of agencies, no keys of the gateway."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environ |= {f"{PREFIX}KAFKA__{name.upper()}": str(value) for name, value in settings.kafka.model_dump().items()}
    environ |= {f"{PREFIX}OVERLAY": ":".join(map(str, settings.overlay)), f"{PREFIX}ONLY_AGENCIES": ":".join(settings.only_agencies)}
    return environ | {f"{PREFIX}DATA_DIR": str(settings.data_dir), f"{PREFIX}SIMULATION": str(settings.simulation)}

"""The process tree of `bus run`: one child process a role, started again whenever it dies.

The supervisor knows nothing of what a role does. A role keeps its state in the log, so that ending it at any moment, by whatever
signal, only delays; that is what lets this module be so small.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import structlog

from bus.clock import Clock, SystemClock
from bus.errors import BusError

#: A role that ends with this is wrongly configured or called: starting it again cannot help.
EXIT_CONFIGURATION = 2

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Role:
    """One child to keep alive.

    With `once` its ending with 0 is success, otherwise any ending is followed by a new start. A `vital` one may not end at all:
    what it holds (the embedded broker's log) would be gone. Others go before it where there is not enough processor for all when it is more
    `nice` than they.
    """

    name: str
    command: tuple[str, ...]
    once: bool = False
    vital: bool = False
    nice: int = 0


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a start again: doubling up to a cap, from the beginning once a role has run for a while."""

    first_seconds: float = 0.2
    cap_seconds: float = 10.0
    healthy_seconds: float = 20.0

    def delay(self, failures: int) -> float:
        """Seconds to wait after so many endings in a row."""
        return float(min(self.cap_seconds, self.first_seconds * 2 ** max(0, min(failures - 1, 30))))


@dataclass(slots=True)
class Child:
    """What is known of a role's process now."""

    role: Role
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    failures: int = 0
    done: bool = False
    log: IO[bytes] | None = None
    stopping: bool = field(default=False)

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None and self.process.returncode is None else None


class RoleError(BusError):
    """A role cannot be kept alive: it is wrongly configured, or it ends again and again at once."""


class Supervisor:
    """Keeps the roles alive while the context is open; ends all of them when it closes.

    `give_up_after` endings in a row (each sooner than `backoff.healthy_seconds`) raise `RoleError` from `wait`; 0 never gives up. The
    children are in process groups of their own, so that a Ctrl-C reaches only the supervisor, and each has a lifeline
    (`bus.ops.lifeline`): none outlives it. With `log_dir` what they write to standard error goes to `<log_dir>/<role>.log`.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        environ: Mapping[str, str],
        *,
        log_dir: Path | None = None,
        give_up_after: int = 0,
        backoff: Backoff | None = None,
        grace_seconds: float = 15.0,
        clock: Clock | None = None,
    ) -> None:
        self.children = {role.name: Child(role) for role in roles}
        self._environ = dict(environ)
        self._log_dir = log_dir
        self._give_up_after = give_up_after
        self._backoff = backoff or Backoff()
        self._grace_seconds = grace_seconds
        self._clock = clock or SystemClock()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        for name, child in self.children.items():
            self._tasks[name] = asyncio.create_task(self._keep(child), name=f"keep-{name}")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await asyncio.shield(self._stop())

    async def wait(self, *names: str) -> None:
        """Return when these roles (default: all) have ended for good; raises `RoleError` as soon as any role has failed."""
        wanted = {self._tasks[name] for name in (names or self._tasks)}
        pending = set(self._tasks.values())
        while pending & wanted:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    def check(self) -> None:
        """Raise `RoleError` when a role has failed for good."""
        for task in self._tasks.values():
            if task.done() and not task.cancelled():
                task.result()

    def log_path(self, name: str) -> Path | None:
        """Where the role's standard error goes, when not to ours."""
        return self._log_dir / f"{name}.log" if self._log_dir is not None else None

    async def _keep(self, child: Child) -> None:
        name = child.role.name
        while not child.done:
            began = self._clock.monotonic()
            process = self._start(child)
            code = await _ended(process)
            lasted = self._clock.monotonic() - began
            if child.stopping:
                return
            if code == 0 and child.role.once:
                child.done = True
                _log.info("role finished", role=name)
                return
            if code == EXIT_CONFIGURATION:
                raise RoleError(f"{name} cannot run as it is configured{self._last_words(name)}")
            if child.role.vital:
                raise RoleError(f"{name} ended ({_reason(code)}), and what it held is lost{self._last_words(name)}")
            child.failures = 1 if lasted >= self._backoff.healthy_seconds else child.failures + 1
            if self._give_up_after and child.failures >= self._give_up_after:
                raise RoleError(f"{name} ended {child.failures} times in a row, last with {_reason(code)}{self._last_words(name)}")
            delay = self._backoff.delay(child.failures)
            _log.warning("role ended, starting it again", role=name, reason=_reason(code), delay_seconds=delay)
            await asyncio.sleep(delay)

    def _start(self, child: Child) -> subprocess.Popen[bytes]:
        path = self.log_path(child.role.name)
        if path is not None and child.log is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            child.log = path.open("ab")
        child.process = subprocess.Popen(  # noqa: S603 (our own command line)
            child.role.command,
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=child.log or sys.stderr,
            stderr=child.log,
            process_group=0,
        )
        if child.role.nice:
            with contextlib.suppress(ProcessLookupError):  # it has ended already
                os.setpriority(os.PRIO_PROCESS, child.process.pid, min(19, os.getpriority(os.PRIO_PROCESS, 0) + child.role.nice))
        child.starts += 1
        _log.info("role started", role=child.role.name, pid=child.process.pid, start=child.starts)
        return child.process

    async def _stop(self) -> None:
        for child in self.children.values():
            child.stopping = True
            _signal(child, signal.SIGTERM)
        running = [child.process for child in self.children.values() if child.pid is not None and child.process is not None]
        if running:
            await asyncio.wait([asyncio.create_task(_ended(process)) for process in running], timeout=self._grace_seconds)
        for child in self.children.values():
            if child.pid is not None:
                _log.warning("role did not stop in time", role=child.role.name)
            _signal(child, signal.SIGKILL)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for child in self.children.values():
            if child.process is not None:
                await asyncio.to_thread(child.process.wait)
                if child.process.stdin is not None:
                    child.process.stdin.close()
            if child.log is not None:
                child.log.close()

    def _last_words(self, name: str) -> str:
        path = self.log_path(name)
        if path is None or not path.exists():
            return ""
        lines = path.read_text("utf-8", "replace").strip().splitlines()[-12:]
        return f"; the end of {path}:\n  " + "\n  ".join(lines) if lines else ""


async def _ended(process: subprocess.Popen[bytes]) -> int:
    """The exit code, when there is one. Polled: a child watcher needs the main thread's loop and a SIGCHLD handler of its own."""
    while (code := process.poll()) is None:  # noqa: ASYNC110 (nothing tells us of its end)
        await asyncio.sleep(0.05)
    if process.stdin is not None:
        process.stdin.close()
    return code


def _signal(child: Child, number: signal.Signals) -> None:
    if child.pid is not None and child.process is not None:
        with contextlib.suppress(ProcessLookupError):
            child.process.send_signal(number)


def _reason(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def role_command(*arguments: str) -> tuple[str, ...]:
    """The command line of a child that runs `bus <arguments>` with this interpreter, tied to its supervisor's life."""
    return (sys.executable, "-m", "bus", *arguments, "--lifeline")


def child_environ(environ: Mapping[str, str], **overrides: str) -> dict[str, str]:
    """What children are started with: ours, the overrides, and the folder of our code first on the module path."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(part for part in (root, environ.get("PYTHONPATH", "")) if part)
    return {**environ, **overrides, "PYTHONPATH": path}

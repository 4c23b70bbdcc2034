"""The process tree survives what happens to its children, and its children do not survive it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bus.ops.supervisor import Backoff, Role, RoleError, Supervisor, child_environ, role_command

_QUICK = Backoff(first_seconds=0.01, cap_seconds=0.05, healthy_seconds=30)
_CHILD = "from bus.ops.lifeline import end_with_supervisor\nimport time, sys\nend_with_supervisor(grace_seconds=0.2)\ntime.sleep(60)\n"


def _python(name: str, code: str, *, once: bool = False) -> Role:
    return Role(name, (sys.executable, "-c", code), once=once)


def _environ() -> dict[str, str]:
    return child_environ(os.environ)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


async def _until(condition: object, seconds: float = 10.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.02)


async def test_a_killed_child_is_started_again() -> None:
    async with Supervisor([_python("a", _CHILD)], _environ(), backoff=_QUICK) as tree:
        await _until(lambda: tree.children["a"].pid)
        first = tree.children["a"].pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await _until(lambda: tree.children["a"].starts == 2 and tree.children["a"].pid)
        second = tree.children["a"].pid
    assert second is not None
    assert second != first
    assert not _alive(second)


async def test_a_role_that_finishes_is_not_started_again() -> None:
    async with Supervisor([_python("a", "pass", once=True), _python("b", _CHILD)], _environ(), backoff=_QUICK) as tree:
        await asyncio.wait_for(tree.wait("a"), 10)
        assert tree.children["a"].starts == 1
        assert tree.children["b"].pid is not None


async def test_a_role_that_dies_before_it_is_done_is_run_until_it_is(tmp_path: Path) -> None:
    mark = tmp_path / "tries"
    count = f"p = pathlib.Path({str(mark)!r}); n = p.stat().st_size if p.exists() else 0"
    code = f"import os, pathlib; {count}\np.write_text('x' * (n + 1))\nn < 2 and os.abort()"
    async with Supervisor([_python("a", code, once=True)], _environ(), backoff=_QUICK) as tree:
        await asyncio.wait_for(tree.wait(), 10)
        assert tree.children["a"].starts == 3


async def test_a_misconfigured_role_ends_the_tree_with_its_own_words(tmp_path: Path) -> None:
    code = "import sys; print('BUS_COLOUR: unknown setting', file=sys.stderr); sys.exit(2)"
    async with Supervisor([_python("a", code), _python("b", _CHILD)], _environ(), backoff=_QUICK, log_dir=tmp_path) as tree:
        with pytest.raises(RoleError, match="BUS_COLOUR: unknown setting"):
            await asyncio.wait_for(tree.wait(), 10)
        assert tree.children["a"].starts == 1


async def test_a_role_that_always_fails_is_given_up_when_asked() -> None:
    async with Supervisor([_python("a", "raise SystemExit(3)")], _environ(), backoff=_QUICK, give_up_after=3) as tree:
        with pytest.raises(RoleError, match="3 times in a row, last with exit code 3"):
            await asyncio.wait_for(tree.wait(), 10)


async def test_the_end_of_a_vital_role_ends_the_tree() -> None:
    async with Supervisor([Role("a", (sys.executable, "-c", "pass"), vital=True)], _environ(), backoff=_QUICK) as tree:
        with pytest.raises(RoleError, match="what it held is lost"):
            await asyncio.wait_for(tree.wait(), 10)
        assert tree.children["a"].starts == 1


async def test_a_child_that_ignores_sigterm_is_killed() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('/dev/null'); time.sleep(60)"
    async with Supervisor([_python("a", code)], _environ(), backoff=_QUICK, grace_seconds=0.3) as tree:
        await _until(lambda: tree.children["a"].pid)
        await asyncio.sleep(0.3)
        pid = tree.children["a"].pid
    assert pid is not None
    assert not _alive(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_no_child_outlives_its_supervisor(tmp_path: Path, number: signal.Signals) -> None:
    pid_file = tmp_path / "pid"
    child = _CHILD.replace("time.sleep(60)", f"open({str(pid_file)!r}, 'w').write(str(__import__('os').getpid())); time.sleep(60)")
    code = (
        "import asyncio, os, sys\nfrom bus.ops.supervisor import Role, Supervisor\n"
        f"async def main():\n    roles = [Role('a', (sys.executable, '-c', {child!r}))]\n"
        "    async with Supervisor(roles, os.environ) as tree:\n        await tree.wait()\n"
        "asyncio.run(main())"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", code], env=_environ())  # noqa: ASYNC220
    try:
        await _until(lambda: pid_file.exists() and pid_file.read_text())
        pid = int(pid_file.read_text())
        assert _alive(pid)
        supervisor.send_signal(number)
        await _until(lambda: not _alive(pid))
    finally:
        supervisor.kill()
        supervisor.wait()


def test_backoff_doubles_up_to_its_cap() -> None:
    backoff = Backoff(first_seconds=0.2, cap_seconds=3)
    assert [backoff.delay(failures) for failures in (1, 2, 3, 4, 5, 500)] == [0.2, 0.4, 0.8, 1.6, 3, 3]


def test_a_role_runs_this_interpreter_and_our_code() -> None:
    assert role_command("run", "streams")[:3] == (sys.executable, "-m", "bus")
    environ = child_environ({"PYTHONPATH": "/x"}, BUS_DATA_DIR="/y")
    assert environ["BUS_DATA_DIR"] == "/y"
    assert environ["PYTHONPATH"].split(os.pathsep) == [str(Path(__file__).resolve().parents[3]), "/x"]


async def test_a_nice_role_lets_others_go_before_it() -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    async with Supervisor([replace(_python("a", _CHILD), nice=3), _python("b", _CHILD)], _environ(), backoff=_QUICK) as tree:
        await _until(lambda: tree.children["a"].pid and tree.children["b"].pid)
        polite, plain = (os.getpriority(os.PRIO_PROCESS, tree.children[name].pid or 0) for name in "ab")
    assert (polite, plain) == (min(19, ours + 3), ours)

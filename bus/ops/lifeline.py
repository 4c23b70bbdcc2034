"""A child's lifeline: a pipe on its standard input that its supervisor holds open and never writes to.

However the supervisor ends, also by `kill -9`, the system closes its end and the child sees the end of file. That works alike on
Linux and macOS, where a parent-death signal (Linux only, and lost when the thread that forked ends) does not.
"""

from __future__ import annotations

import os
import signal
import threading
import time

#: How a child ends that its supervisor left and that did not stop in time.
EXIT_ORPHANED = 70


def end_with_supervisor(*, descriptor: int = 0, grace_seconds: float = 10.0) -> threading.Thread:
    """End this process when `descriptor` reaches its end of file: first as by SIGTERM, after `grace_seconds` for good."""

    def watch() -> None:
        while _open(descriptor):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_seconds)
        os._exit(EXIT_ORPHANED)

    thread = threading.Thread(target=watch, name="lifeline", daemon=True)
    thread.start()
    return thread


def _open(descriptor: int) -> bool:
    try:
        return os.read(descriptor, 1) != b""
    except OSError:
        return False

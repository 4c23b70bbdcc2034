"""`python -m bus.streams`: one worker from the environment's settings; what tests and supervisors start."""

from __future__ import annotations

import asyncio
import os
import sys

from bus.errors import BusError, ConfigurationError
from bus.settings import Settings
from bus.streams.running import run_streams
from bus.streams.worker import EXIT_FAULT


def main() -> int:
    """Exit status: 0 after a graceful stop, 2 for wrong configuration, 70 for a fault."""
    try:
        asyncio.run(run_streams(Settings.from_env(os.environ)))
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (BusError, TimeoutError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return EXIT_FAULT
    return 0


if __name__ == "__main__":
    sys.exit(main())

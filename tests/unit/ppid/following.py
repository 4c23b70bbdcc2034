"""A process that follows a long log into a database until it is killed: `python -m tests.unit.ppid.following URL`."""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import timedelta
from pathlib import Path

from bus.testing.memory import MemoryLog
from consumers.ppid.database import Database
from tests.unit.ppid.feed import PM10, follower_of, public, released

RECORDS, BATCH = 700, 2


def long_log() -> MemoryLog:
    """The same in every process."""
    chance = random.Random(3309)
    log = MemoryLog({f"public.{PM10}": 1}, batch_records=BATCH)
    for number in range(RECORDS):
        withheld = chance.random() < 0.1
        place = {"station": f"S{chance.randrange(60)}"}
        at = released(1) + timedelta(minutes=number // 10)
        log.append(public(None if withheld else str(number), at=at, dimensions=place, revision=number, version=1 + number // 500))
    return log


async def main(url: str) -> None:
    follower = follower_of(long_log(), Database(url, fallback=Path("unused")))
    await follower.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

"""One live publisher per source. Records in `bus.checkpoints` under `lease|<source>`, so that heartbeats do not pile up.

The lease keeps two live processes from doing the same work. That nothing is lost or doubled does not rest on it: a stopped process that
wakes up and writes once more repeats sequences that the fold drops, and loses the claims that it makes.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from uuid import uuid4

import structlog

from bus.clock import Clock
from bus.errors import TransientError
from bus.ingest.tail import Tail, json_message, json_value, number, text
from bus.kafka.ports import LogReader, Publisher
from bus.kafka.topics import CHECKPOINTS

_log = structlog.get_logger(__name__)


class LeaseLost(TransientError):
    """Another process publishes this source now."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that may publish."""

    host: str
    pid: int
    token: str

    @classmethod
    def this_process(cls) -> Holder:
        return cls(platform.node(), os.getpid(), uuid4().hex)


@dataclass(frozen=True, slots=True)
class _Held:
    epoch: int
    beat: int
    holder: Holder
    released: bool


class Lease:
    """The lease of one source, for one process. An epoch belongs to whoever wrote its first record."""

    def __init__(self, source: str, publisher: Publisher, reader: LogReader, *, clock: Clock, lease_seconds: float, holder: Holder) -> None:
        self._source = source
        self._key = f"lease|{source}"
        self._publisher = publisher
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._me = holder
        self._tail = Tail(reader, CHECKPOINTS)
        self._current: _Held | None = None
        self._heard = clock.monotonic()
        self._beat = 0
        self._written = float("-inf")

    @property
    def poll_seconds(self) -> float:
        """How often to try again, and to renew."""
        return self._lease_seconds / 3

    async def try_acquire(self) -> bool:
        """Whether the lease is ours now. It is taken when it is free, released, of a dead process of this machine, or silent too long
        by our own clock since we last heard of it."""
        await self._refresh()
        if self._mine():
            await self._write(released=False)
            return True
        if not self._free():
            return False
        if self._current is not None and not self._current.released:
            _log.warning("taking over a source", source=self._source, silent_host=self._current.holder.host)
        epoch = self._current.epoch + 1 if self._current is not None else 1
        await self._write(released=False, epoch=epoch)
        await self._refresh()
        return self._mine()

    async def hold(self, *, now: bool = False) -> None:
        """Make sure that it is still ours, and renew it when that is due (or `now`). Raises `LeaseLost`."""
        if not now and self._clock.monotonic() - self._written < self.poll_seconds:
            return
        await self._refresh()
        if not self._mine():
            raise LeaseLost(f"another process publishes {self._source} now")
        await self._write(released=False)

    async def release(self) -> None:
        """Give it back, so that the next process need not wait."""
        await self._refresh()
        if self._mine():
            await self._write(released=True)

    def _mine(self) -> bool:
        return self._current is not None and self._current.holder == self._me and not self._current.released

    def _free(self) -> bool:
        held = self._current
        if held is None or held.released or held.holder == self._me:
            return True
        silent = self._clock.monotonic() - self._heard
        return silent >= self._lease_seconds or (held.holder.host == self._me.host and not _alive(held.holder.pid))

    async def _refresh(self) -> None:
        async for record in self._tail.read():
            value = json_value(record)
            if value is None or record.key != self._key.encode():
                continue
            holder = Holder(text(value, "host"), number(value, "pid"), text(value, "token"))
            found = _Held(number(value, "epoch"), number(value, "beat"), holder, bool(value.get("released")))
            known = self._current
            # the first record of an epoch decides whose it is; a late one of another holder changes nothing
            if known is None or found.epoch > known.epoch or (found.epoch == known.epoch and found.holder == known.holder):
                self._current = found
                self._heard = self._clock.monotonic()

    async def _write(self, *, released: bool, epoch: int | None = None) -> None:
        self._beat += 1
        if epoch is None:
            assert self._current is not None
            epoch = self._current.epoch
        value = {
            "kind": "lease", "source": self._source, "epoch": epoch, "beat": self._beat, "released": released, "host": self._me.host,
            "pid": self._me.pid, "token": self._me.token, "at": self._clock.now().isoformat(),
        }  # fmt: skip
        await self._publisher.send([json_message(CHECKPOINTS, self._key, value)])
        self._written = self._clock.monotonic()


def _alive(pid: int) -> bool:
    """Whether a process of this machine lives, as far as we may know."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True

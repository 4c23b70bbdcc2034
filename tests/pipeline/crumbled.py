"""Everything small: states in many blocks that leave memory as soon as a snapshot has them, partials in many parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from unittest import mock

import bus.indicators.blocks
import bus.indicators.fold_state
import bus.indicators.stretches
import bus.streams.folding
from bus.indicators.partial import encode

_ONE_WINDOW = {window: (shortest, shortest) for window, (_, shortest) in bus.indicators.stretches._STRETCHES.items()}


@contextmanager
def crumbled(max_bytes: int = 420) -> Iterator[None]:
    """Two entries to a block, one window to a stretch; no window is taken to change again."""
    with (
        mock.patch.object(bus.indicators.blocks, "PER_BLOCK", 2),
        mock.patch.dict(bus.indicators.stretches._STRETCHES, _ONE_WINDOW),
        mock.patch.object(bus.indicators.fold_state, "closes_before", return_value=True),
        mock.patch.object(bus.streams.folding, "encode", partial(encode, max_bytes=max_bytes)),
    ):
        yield

"""Logging of every role: structlog to standard error, for people or (JSON lines) for machines.

Nothing here, and nothing that logs, may carry an event's payload or a personal identifier: log names, positions and counts.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TextIO, cast

import structlog

from bus.settings import LogSettings

_LEVELS: Mapping[str, int] = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
#: Libraries that report every broker hiccup which the roles survive anyway; what matters is logged by the role itself.
_CHATTY = ("aiokafka", "faust", "mode", "kafka", "asyncio", "uvicorn.access", "httpx", "httpcore", "watchfiles")

_Processor = Callable[[Any, str, MutableMapping[str, Any]], Any]


class _StandardError(io.TextIOBase):
    """Whatever standard error is at the moment of writing."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logging(settings: LogSettings, *, role: str = "", tool: bool = False) -> None:
    """Send structlog and the standard library's logging to standard error in one form. `role` is put on every line.

    A `tool` answers by itself when something is wrong: it logs errors of ours only, unless the level is debug.
    """
    level = _LEVELS[settings.level]
    if tool and level > logging.DEBUG:
        level = logging.ERROR
    stream = cast("TextIO", _StandardError())
    shared: list[_Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: _Processor
    if settings.json_lines:
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL if tool and level > logging.DEBUG else max(level, logging.WARNING))
    structlog.contextvars.clear_contextvars()
    if role:
        structlog.contextvars.bind_contextvars(role=role)

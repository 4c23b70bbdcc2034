"""What every command needs: the settings (with overlays), the two consoles, and an event loop that ends cleanly."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from bus.errors import ConfigurationError, Problem
from bus.ops.logs import configure_logging
from bus.settings import ROOT, Settings

T = TypeVar("T")

#: What a command answers, and what it has to say meanwhile.
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Overlay = Annotated[
    list[Path] | None,
    typer.Option(
        "--overlay", metavar="DIR", help="Folder outside the repository with connectors/, consumers/ or schemas/; may be repeated."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text.")]
Lifeline = Annotated[bool, typer.Option("--lifeline", hidden=True, help="End when standard input ends (set by the supervisor).")]


@dataclass(frozen=True, slots=True)
class Context:
    """The settings of this call and the environment that children get for the same settings."""

    settings: Settings
    environ: Mapping[str, str] = field(repr=False)


def context(overlay: Sequence[Path] | None = None, *, without: Collection[str] = (), **overrides: str) -> Context:
    """Read the environment, with `--overlay` folders added to BUS_OVERLAY and `overrides` (BUS_… names) on top; log as a tool does.

    Variables whose names begin with one of `without` are taken for unset.

    Raises `ConfigurationError` naming every wrong variable and every overlay that is no overlay.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith(tuple(without))} | overrides
    folders = [Path(part) for part in environ.get("BUS_OVERLAY", "").split(":") if part]
    folders += [folder for folder in overlay or () if folder not in folders]
    folders = [folder.expanduser().resolve() for folder in folders]
    problems = [problem for folder in folders if (problem := _overlay_problem(folder))]
    if problems:
        raise ConfigurationError(problems)
    if folders:
        environ["BUS_OVERLAY"] = ":".join(str(folder) for folder in folders)
    agencies = {path.parent.name for base in (ROOT, *folders) for path in base.glob("connectors/*/agency.toml")}
    settings = Settings.from_env(environ, agencies=agencies)
    configure_logging(settings.log, tool=True)
    return Context(settings, environ)


def _overlay_problem(folder: Path) -> Problem | None:
    if not folder.is_dir():
        return Problem(f"--overlay {folder}", "there is no such folder")
    if ":" in str(folder):
        return Problem(f"--overlay {folder}", "the path may not hold a colon, which separates the parts of BUS_OVERLAY")
    if not any((folder / name).is_dir() for name in ("connectors", "consumers", "schemas")):
        return Problem(f"--overlay {folder}", "holds none of connectors/, consumers/, schemas/")
    return None


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end. SIGTERM and SIGINT cancel the work, so that everything it opened is closed; the call then ends with 128 + signal."""
    received: list[int] = []

    async def watched() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()

        def stop(number: int) -> None:
            received.append(number)
            task.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop, number)
        return await task

    try:
        return asyncio.run(watched())
    except asyncio.CancelledError:
        if not received:
            raise
        raise typer.Exit(0 if received[0] == signal.SIGTERM else 130) from None


def print_json(value: object) -> None:
    """One JSON document on standard output, in one piece, without wrapping."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


#: A person waits for a command's answer: a broker that is away is said to be so after this long.
_PATIENCE_SECONDS = 10.0


def impatient(settings: Settings) -> Settings:
    """The settings for a command that answers once: it gives up soon when no broker answers."""
    kafka = settings.kafka
    seconds = min(kafka.retry_seconds, _PATIENCE_SECONDS)
    return settings.model_copy(update={"kafka": kafka.model_copy(update={"retry_seconds": seconds})})


def require_broker(settings: Settings) -> None:
    """Raises `ConfigurationError` saying how to name a broker, when none is named."""
    if not settings.kafka.bootstrap_servers:
        what = "no broker is named. Start one (`make kafka`, or `bus broker` for a trial) and say where it is"
        raise ConfigurationError(
            [
                Problem(
                    "BUS_KAFKA__BOOTSTRAP_SERVERS",
                    f"{what}, for example BUS_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:9092 (and BUS_KAFKA__EMBEDDED=true for `bus broker`)",
                )
            ]
        )

"""`bus broker`, `bus kafka`, `bus topics`: something to talk to, and the topics on it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bus.cli.context import AsJson, Lifeline, Overlay, context, err, impatient, out, print_json, require_broker, run_async
from bus.kafka.admin import Change, apply, plan
from bus.kafka.embedded import EmbeddedBroker
from bus.kafka.node import KafkaNode
from bus.kafka.process import BrokerProcess
from bus.kafka.topics import Topic
from bus.ops.installation import Installation
from bus.ops.lifeline import end_with_supervisor
from bus.settings import KafkaSettings

topics = typer.Typer(help="The topics of this installation: declared in the code, made and mended from here.", no_args_is_help=True)

#: How soon the end of a broker, or the wish to end it, is noticed.
_LOOK_SECONDS = 0.1

Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 picks a free one.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("broker")(broker)
    app.command("kafka")(kafka)
    app.add_typer(topics, name="topics")


def broker(port: Port = 9092, lifeline: Lifeline = False) -> None:
    """Run the embedded broker until Ctrl-C. Everything in it is lost when it stops: for trying things out.

    Example: bus broker --port 19092
    """
    folder = context().settings.data_dir / "embedded-broker"
    _serve(EmbeddedBroker(folder, port), "embedded, memory only", "BUS_KAFKA__EMBEDDED=true ", lifeline=lifeline)


def kafka(
    port: Port = 9092,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Where it keeps its data (default: kafka/ in BUS_DATA_DIR).")
    ] = None,
    lifeline: Lifeline = False,
) -> None:
    """Run one real Apache Kafka node until Ctrl-C (needs Java; Maven fetches Kafka the first time). Its data stay.

    Example: bus kafka --data /srv/simpul/kafka
    """
    folder = (data or context().settings.data_dir / "kafka").resolve()
    err.print("Starting Kafka (the first time it is fetched: about 45 MB) …")
    _serve(KafkaNode(folder, port), f"data in {folder}", "", lifeline=lifeline)


def _serve(process: BrokerProcess, what: str, extra: str, *, lifeline: bool) -> None:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if lifeline:
        end_with_supervisor()
    process.start()
    err.print(f"Kafka protocol on {process.bootstrap_servers} ({what}). Ctrl-C stops it. In another terminal:", soft_wrap=True)
    err.print(f"  export {extra}BUS_KAFKA__BOOTSTRAP_SERVERS={process.bootstrap_servers}", soft_wrap=True)
    while process.running and not ended.wait(_LOOK_SECONDS):
        pass
    if not ended.is_set():
        err.print(f"[red]error:[/red] the broker ended by itself with code {process.wait()}; its log is {process.log_path}", soft_wrap=True)
        raise typer.Exit(1)
    process.stop()


@topics.command("plan")
def plan_topics(overlay: Overlay = None, as_json: AsJson = False) -> None:
    """Show what `apply` would change; exit 1 when there is something to change."""
    changes = _changes(overlay, plan)
    _show(changes, as_json=as_json, nothing="all topics are as declared")
    raise typer.Exit(1 if changes else 0)


@topics.command("apply")
def apply_topics(overlay: Overlay = None, as_json: AsJson = False) -> None:
    """Make the broker's topics what they are declared to be. Never deletes one, never changes a number of partitions."""
    _show(_changes(overlay, apply), as_json=as_json, nothing="nothing to do: all topics are as declared")


def _changes(
    overlay: list[Path] | None, work: Callable[[KafkaSettings, Sequence[Topic]], Coroutine[None, None, Sequence[Change]]]
) -> Sequence[Change]:
    here = context(overlay)
    require_broker(here.settings)
    return run_async(work(impatient(here.settings).kafka, Installation.load(here.settings).topics()))


def _show(changes: Sequence[Change], *, as_json: bool, nothing: str) -> None:
    if as_json:
        print_json(
            [
                {"action": each.action, "topic": each.topic.name, "partitions": each.topic.partitions, "config": dict(each.config)}
                for each in changes
            ]
        )
        return
    for each in changes:
        out.print(str(each), soft_wrap=True, markup=False)
    if not changes:
        out.print(nothing)

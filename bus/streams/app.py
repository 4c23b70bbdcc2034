"""The Faust application: two agents that hand batches to a worker's stages, and a table that shows the live indicators."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, cast

import faust
import structlog
from aiokafka.errors import IllegalStateError
from faust.types import TP

from bus.indicators.outputs import Output
from bus.kafka.ports import TopicPartition
from bus.kafka.topics import PARTIALS, partition_of
from bus.settings import Settings
from bus.streams.gather import Gatherer
from bus.streams.transport import BatchTransport, Passthrough, batch_scheduler
from bus.streams.worker import Worker, fail

_log = structlog.get_logger(__name__)

#: Batches (of up to `max_poll_records` records together) that wait for an agent.
_BUFFERED_BATCHES = 16
#: Fetched at once from one partition. Large, because what a batch costs is paid for each cell that it touches, not for each event.
_FETCH_BYTES = 16 * 1024 * 1024
#: How often the client asks which topics and partitions there are. When a broker that just came back does not answer, it takes that for "none" and
#: asks again only then (aiokafka 0.14): a worker that joins its group in between gives itself no partitions, and holds none for so long.
_METADATA_SECONDS = 3


class LiveTable(faust.Table[str, dict[str, object]]):
    """A table that may be written to beside the agents, which Faust forbids because recovery then needs the source's partition.

    Nothing is ever recovered from this one (ADR 0014 R5), so a cell's place in the changelog follows from its key alone.
    """

    def partition_for_key(self, key: str) -> int | None:
        return partition_of(key, int(self.partitions or 1))


class StreamsApp(faust.App):
    """A Faust app whose batched topics are read where its worker says."""

    positions: Worker

    def _new_transport(self) -> Any:
        return BatchTransport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """None: tables are in memory, and Faust's folder would lie wherever the command was called."""

    def _crash(self, reason: BaseException) -> None:
        """Whatever crashes inside Faust ends the process, instead of being restarted halfway."""
        if not self.should_stop and not isinstance(reason, asyncio.CancelledError):
            fail(reason)
        super()._crash(reason)

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read on from these offsets, also where reading was paused."""
        wanted = {TP(tp.topic, tp.partition): offset for tp, offset in positions.items()}
        try:
            await cast("Any", self.consumer).seek_wait(wanted)
        except IllegalStateError:
            # The partition was revoked meanwhile; after the next assignment all is sought anew.
            return
        self.consumer.resume_partitions(set(wanted))


def create_app(settings: Settings, worker: Worker) -> StreamsApp:
    """The application of one worker process; nothing is started yet."""
    kafka, streams = settings.kafka, settings.streams
    app = StreamsApp(
        streams.group,
        broker=[f"kafka://{server.strip()}" for server in kafka.bootstrap_servers.split(",")],
        store="memory://",
        autodiscover=False,
        ConsumerScheduler=batch_scheduler(worker.batched),
        processing_guarantee="at_least_once",
        consumer_group_instance_id=None if kafka.embedded else streams.instance or None,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=_FETCH_BYTES,
        consumer_metadata_max_age_ms=_METADATA_SECONDS * 1_000,
        broker_max_poll_records=streams.max_poll_records,
        broker_session_timeout=kafka.session_timeout_seconds,
        broker_heartbeat_interval=min(3.0, kafka.session_timeout_seconds / 4),
        broker_request_timeout=max(kafka.request_timeout_seconds, kafka.session_timeout_seconds + 1),
        broker_commit_interval=2.8,
        producer_acks=-1,
        producer_linger=0.02,
        stream_buffer_maxsize=_BUFFERED_BATCHES,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=False,
        Table=LiveTable,
    )
    app.positions = worker
    _agents(app, worker)
    _table(app, settings, worker)
    _assignments(app, worker)
    return app


def _agents(app: StreamsApp, worker: Worker) -> None:
    async def carry(stream: Any, gatherer: Gatherer) -> None:
        async for records in stream:
            message = stream.current_event.message
            await gatherer.put(TopicPartition(message.topic, message.partition), message.generation_id, records)

    async def merge(stream: Any) -> None:
        await carry(stream, worker.merge_gatherer)

    async def fold(stream: Any) -> None:
        await carry(stream, worker.fold_gatherer)

    app.agent(app.topic(*worker.event_topics, schema=Passthrough()), name="fold", concurrency=1)(fold)
    app.agent(app.topic(PARTIALS, schema=Passthrough()), name="merge", concurrency=1)(merge)


def _table(app: StreamsApp, settings: Settings, worker: Worker) -> None:
    live = app.Table("live", partitions=settings.kafka.partials_partitions)

    def show(outputs: Iterable[Output]) -> None:
        for output in outputs:
            live[live_key(output)] = live_value(output)

    worker.show = show


def _assignments(app: StreamsApp, worker: Worker) -> None:
    async def complete(*_: Any, **__: Any) -> None:
        generation = app.consumer_generation_id
        try:
            worker.watchdog.loading()
            await worker.load({TopicPartition(tp.topic, tp.partition) for tp in app.consumer.assignment()}, generation)
        except Exception as error:  # noqa: BLE001 - whatever it is, the process must not go on
            fail(error)

    async def revoked(*arguments: Any, **_: Any) -> None:
        try:
            await worker.let_go({TopicPartition(tp.topic, tp.partition) for tp in arguments[-1]})
        except Exception as error:  # noqa: BLE001 - whatever it is, the process must not go on
            fail(error)

    app.on_rebalance_complete.connect(complete, weak=False)
    app.on_partitions_revoked.connect(revoked, weak=False)


def live_key(output: Output) -> str:
    """The key of a cell in the table `live`."""
    return f"{output.indicator} {output.key().decode()}"


def live_value(output: Output) -> dict[str, object]:
    """What the table shows of a cell."""
    return {
        "value": output.value,
        "n": output.n,
        "version": output.version,
        "revision": output.revision,
        "status": output.status,
        "window_start_us": output.window_start_us,
        "dimensions": dict(output.dimensions),
    }

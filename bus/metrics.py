"""The catalogue of metrics: every name, type, unit and label in one place; nothing else creates a metric.

Prometheus conventions: prefix `bus_`, base units, `_total` for counters. Labels come from closed sets (agencies, event types,
indicators, reasons), never from data.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: The registry of this process; the roles serve it at /metrics.
REGISTRY = CollectorRegistry()

_LATENCY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

build_info = Gauge("bus_build_info", "Always 1; says which version runs.", ["version"], registry=REGISTRY)

records_read = Counter("bus_connector_records_read_total", "Raw records read from a source.", ["agency", "source"], registry=REGISTRY)
events_published = Counter(
    "bus_connector_events_published_total", "Events acknowledged by the broker.", ["agency", "event_type"], registry=REGISTRY
)
records_quarantined = Counter(
    "bus_connector_records_quarantined_total",
    "Records put into quarantine, by the rule that they broke.",
    ["agency", "rule"],
    registry=REGISTRY,
)
records_doubted = Counter(
    "bus_connector_records_doubted_total",
    "Records accepted although something they say contradicts what we compute.",
    ["agency", "doubt"],
    registry=REGISTRY,
)
publish_seconds = Histogram(
    "bus_connector_publish_duration_seconds",
    "Time from sending a batch to its acknowledgement.",
    ["agency"],
    buckets=_LATENCY_SECONDS,
    registry=REGISTRY,
)
deliveries = Counter(
    "bus_connector_deliveries_total", "Deliveries (files) seen, by outcome.", ["agency", "source", "outcome"], registry=REGISTRY
)
backlog_messages = Gauge(
    "bus_connector_backlog_messages", "Messages in the spool that Kafka does not have yet.", ["agency", "source"], registry=REGISTRY
)
backlog_bytes = Gauge("bus_connector_backlog_bytes", "Size of the messages in the spool.", ["agency", "source"], registry=REGISTRY)
backlog_oldest = Gauge(
    "bus_connector_backlog_oldest_timestamp_seconds",
    "Since when the oldest message of the spool waits; 0 when it is empty.",
    ["agency", "source"],
    registry=REGISTRY,
)
totals_difference = Gauge(
    "bus_control_totals_difference_records",
    "Facts by which an agency's own daily counts and the bus's differ, over all days that the agency has counted.",
    ["agency", "event_type"],
    registry=REGISTRY,
)
slot_lag = Gauge(
    "bus_connector_slot_lag_bytes",
    "Log that the agency's PostgreSQL keeps on its disk because of our replication slot.",
    ["agency", "source"],
    registry=REGISTRY,
)
cdc_snapshots = Counter(
    "bus_connector_cdc_snapshots_total",
    "How often the tables of a source were read as a whole: once, and whenever its slot could not continue.",
    ["agency", "source"],
    registry=REGISTRY,
)
connector_last_success = Gauge(
    "bus_connector_last_success_timestamp_seconds", "When the source was last read without error.", ["agency", "source"], registry=REGISTRY
)
ingress_posts = Counter(
    "bus_ingress_posts_total", "Posts to webhook sources, by the status of the answer.", ["agency", "result"], registry=REGISTRY
)
ingress_seconds = Histogram(
    "bus_ingress_post_duration_seconds",
    "Time from a post's headers to its answer.",
    ["agency"],
    buckets=_LATENCY_SECONDS,
    registry=REGISTRY,
)
source_failures = Counter(
    "bus_connector_source_failures_total",
    "Times that a source's own system did not answer as it should, by what it did.",
    ["agency", "source", "outcome"],
    registry=REGISTRY,
)
source_misconfigured = Gauge(
    "bus_connector_misconfigured_timestamp_seconds",
    "Since when a source stands still because its own system is not as it is configured; 0 when it does not.",
    ["agency", "source"],
    registry=REGISTRY,
)

events_folded = Counter("bus_events_folded_total", "Events applied by the fold.", ["topic"], registry=REGISTRY)
batch_records = Histogram(
    "bus_batch_records",
    "Records in one batch handed to a stage.",
    ["stage"],
    buckets=(1, 10, 100, 500, 1_000, 5_000, 20_000),
    registry=REGISTRY,
)
stage_seconds = Histogram(
    "bus_stage_duration_seconds", "Time to process one batch.", ["stage"], buckets=_LATENCY_SECONDS, registry=REGISTRY
)
snapshots_written = Counter("bus_snapshots_written_total", "State snapshots written.", ["stage"], registry=REGISTRY)
snapshot_bytes = Gauge("bus_snapshot_bytes", "Size of the newest snapshots of this process.", ["stage"], registry=REGISTRY)
stage_lag = Gauge(
    "bus_stage_lag_records",
    "Records between what a stage has applied and the end of its log.",
    ["stage", "topic", "partition"],
    registry=REGISTRY,
)
cells = Gauge("bus_indicator_cells", "Cells held by the merge, by indicator.", ["indicator"], registry=REGISTRY)

released_rows = Counter(
    "bus_released_rows_total", "Rows written to the topics of the public, by whether they show numbers.", ["indicator", "outcome"],
    registry=REGISTRY,
)  # fmt: skip

gateway_clients = Gauge("bus_gateway_clients", "Live streams open now.", registry=REGISTRY)
gateway_sent = Counter("bus_gateway_events_sent_total", "Server-sent events written.", ["kind"], registry=REGISTRY)
gateway_resumes = Counter("bus_gateway_resumes_total", "Streams opened, by how they could continue.", ["result"], registry=REGISTRY)

alert_episodes = Gauge("bus_alert_open_episodes", "Episodes of alert rules that go on now.", registry=REGISTRY)
alert_delivery = Histogram(
    "bus_alert_delivery_seconds",
    "Time from appending the record that an alert is about, or from the deadline that it is about, to a channel's acceptance.",
    ["kind", "serta_merta"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3_600.0),
    registry=REGISTRY,
)
alert_messages = Counter(
    "bus_alert_messages_total",
    "Deliveries by outcome: sent, failed (to be tried again), refused, given_up, skipped (its episode was long over).",
    ["channel", "outcome"],
    registry=REGISTRY,
)
alert_waiting = Gauge("bus_alert_waiting_messages", "Deliveries that a channel has not accepted yet.", ["channel"], registry=REGISTRY)
archive_records = Counter("bus_archive_records_total", "Events written to the archive.", ["topic"], registry=REGISTRY)
archive_lag = Gauge("bus_archive_lag_records", "Records of event topics that the archive does not hold yet.", registry=REGISTRY)
archive_stands = Gauge(
    "bus_archive_stands_since_timestamp_seconds",
    "Since when the archive stands still: its disk does not take what is written, or a topic is not the one that it holds; 0 when it does not.",
    ["kind"],
    registry=REGISTRY,
)
ppid_records = Counter(
    "bus_ppid_records_total",
    "Records of public topics taken into the open-data store, by outcome.",
    ["indicator", "outcome"],
    registry=REGISTRY,
)
ppid_datasets = Gauge(
    "bus_ppid_datasets", "Datasets of the open-data store, by where they stand at the walidata gate.", ["outcome"], registry=REGISTRY
)
ppid_feedback = Counter(
    "bus_ppid_feedback_total", "Feedback that was sent to the portal, by what became of it.", ["outcome"], registry=REGISTRY
)
ppid_publications = Counter(
    "bus_ppid_publications_total", "Times that a dataset was published, withdrawn or returned.", ["outcome"], registry=REGISTRY
)

"""The kinds of sources: a model for the manifest and a reader each. A reader is imported only when a source of its kind runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from bus.ingest.kinds.base_spec import SourceSpec
from bus.ingest.kinds.cdc_spec import CdcSpec
from bus.ingest.kinds.files_spec import FilesSpec
from bus.ingest.kinds.http_spec import HttpSpec
from bus.ingest.kinds.mqtt_spec import MqttSpec
from bus.ingest.kinds.sql_spec import SqlSpec
from bus.ingest.kinds.webhook_spec import WebhookSpec

__all__ = ["READERS", "AnySpec", "CdcSpec", "FilesSpec", "HttpSpec", "MqttSpec", "SourceSpec", "SqlSpec", "WebhookSpec"]

#: Any source of a manifest, told apart by its `type`.
AnySpec = Annotated[FilesSpec | SqlSpec | CdcSpec | HttpSpec | WebhookSpec | MqttSpec, Field(discriminator="type")]

#: Type -> module:class of the reader, for all kinds that go through the journal.
READERS: Mapping[str, str] = {
    "sql": "bus.ingest.kinds.sql:SqlSource",
    "postgres-cdc": "bus.ingest.kinds.cdc:CdcSource",
    "http": "bus.ingest.kinds.http:HttpSource",
    "webhook": "bus.ingest.kinds.webhook:WebhookSource",
    "mqtt": "bus.ingest.kinds.mqtt:MqttSource",
}

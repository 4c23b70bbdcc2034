"""Records that a system posts to our ingress."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from bus.ingest.kinds.base_spec import SourceSpec
from bus.ingest.kinds.json_spec import Deleted

#: Attributes of a CloudEvent that a mapping may ask for.
ATTRIBUTES = ("id", "source", "type", "subject", "time", "dataschema")


class WebhookSpec(SourceSpec):
    """Records that a system posts to our ingress."""

    type: Literal["webhook"]
    setting: str = Field(
        "webhook_key",
        description="the setting with the key that the sender shows or signs with; two, separated by a comma, while one replaces the other; "
        "or file:/path with a key a line, which is read again when it changes",
    )
    auth: Literal["any", "key", "signature"] = Field("any", description="what a sender has to show: its key, a signature, or one of them")
    tolerance_seconds: int = Field(300, ge=1, description="a signature is good for so long before and after its time")
    id: str | None = Field(None, description="the field of a plain record that is its id; without one Idempotency-Key is, where given")
    attributes: tuple[str, ...] = Field(
        (), description="attributes of a CloudEvent that the mapping sees, as ce_<name>: " + ", ".join(ATTRIBUTES)
    )
    deleted: Deleted | None = Field(None, description="what says that a record is no more")

    @property
    def wanted_settings(self) -> tuple[str, ...]:
        return (self.setting,)

    def faults(self) -> list[tuple[str, str]]:
        return list(self._faults())

    def _faults(self) -> Iterator[tuple[str, str]]:
        for name in self.attributes:
            if name not in ATTRIBUTES:
                yield "attributes", f"{name!r} is no attribute of a CloudEvent; allowed: {', '.join(ATTRIBUTES)}"
        if self.deleted is not None and not self.key:
            yield "deleted", "needs a key, or what is no more cannot be told"

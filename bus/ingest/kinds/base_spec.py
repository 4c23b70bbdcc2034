"""What a manifest says of a source of any kind. What is secret or differs by installation is a setting, not here."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SourceSpec(BaseModel):
    """What all kinds have in common. A source's name within the agency is the key in `[sources]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str
    key: tuple[str, ...] = Field((), description="fields that name a record; without a key nothing can be corrected by saying it again")
    mapping: str = Field("mapping:to_events", description="module:function in the agency's folder")

    @property
    def wanted_settings(self) -> tuple[str, ...]:
        """The settings without which this source rests."""
        return ()

    def faults(self) -> list[tuple[str, str]]:
        """(field, what is wrong) of what no single field shows."""
        return []

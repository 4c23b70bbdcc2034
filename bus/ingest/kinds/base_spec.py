"""What a manifest says of a source of any kind. What is secret or differs by installation is a setting, not here."""

from __future__ import annotations

from zoneinfo import ZoneInfo, available_timezones

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


class DatabaseSpec(SourceSpec):
    """What kinds that read an agency's database have in common."""

    setting: str = Field("url", description="the setting with the database's address")
    timezone: str = Field("Asia/Jakarta", description="what a time without a zone means, and the zone in which all times are said")

    @property
    def wanted_settings(self) -> tuple[str, ...]:
        return (self.setting,)

    @property
    def zone(self) -> ZoneInfo:
        """The zone of times that name none."""
        return ZoneInfo(self.timezone)

    def faults(self) -> list[tuple[str, str]]:
        if self.timezone in available_timezones():
            return []
        return [("timezone", f"unknown time zone {self.timezone!r}; allowed: names such as Asia/Jakarta, Asia/Makassar, UTC")]

"""What a manifest says of records that come as JSON, whatever brings them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Deleted(BaseModel):
    """What in a record says that what its key stands for is no more."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str = Field(min_length=1, description="a field of the record, or ce_type of a CloudEvent; the mapping does not see the record")
    values: tuple[str, ...] = Field(min_length=1, description="the values of that field that say so")

    def holds(self, said: object) -> bool:
        """Whether that value of the field says so."""
        return isinstance(said, str | int | bool) and (str(said).lower() if isinstance(said, bool) else str(said)) in self.values
